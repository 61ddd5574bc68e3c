"""A confidence sequence along the documents of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from statlm.comparison.anytime import AnytimeTest


def plot_anytime(found: AnytimeTest, ax: Axes | None = None) -> Axes:
    """The mean difference so far with its confidence sequence, and where the evaluation could have stopped.

    Single documents are dots; those beyond the 2 % at either end may lie outside the picture.

    Parameters
    ----------
    found : AnytimeTest
        As `anytime_test` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra", "abraca"] * 20).split(test=0.5)
    >>> bigram, unigram = (slm.NGram(n, pseudo_count=0.5).fit(train).on(test) for n in (2, 1))
    >>> plot_anytime(slm.anytime_test(bigram, unigram, bound=2.0)).get_xlabel()
    'Documents'
    """
    table = found.table
    with house_style():
        ax = axes(ax, 6.0, 3.8)
        ax.axhline(0.0, color=GREY, linewidth=1)
        known = np.isfinite(table["conf_low"].to_numpy(float)) & np.isfinite(table["conf_high"].to_numpy(float))
        part = table[known]
        ax.fill_between(
            part["documents"], part["conf_low"], part["conf_high"], color=PALETTE[0], alpha=0.25, linewidth=0, gid="sequence"
        )
        ax.plot(table["documents"], table["difference"], ".", markersize=3, color=GREY, gid="differences")
        ax.plot(table["documents"], table["mean"], color=PALETTE[0], gid="mean")
        if found.stopped is not None:
            ax.axvline(found.stopped, color=PALETTE[1], gid="stopped")
            ax.annotate(
                f"stop after {found.stopped:,}",
                (found.stopped, 0.98),
                xycoords=ax.get_xaxis_transform(),
                xytext=(4, 0),
                textcoords="offset points",
                va="top",
                color=PALETTE[1],
            )
        usual = table["difference"].quantile([0.02, 0.98]).to_numpy(float)
        late = part.iloc[len(part) // 4 :]
        values = np.concatenate([usual, table["mean"].to_numpy(float), late["conf_low"], late["conf_high"], [0.0]])
        low, high = float(values.min()), float(values.max())
        ax.set_ylim(low - 0.25 * (high - low) - 1e-9, high + 0.25 * (high - low) + 1e-9)
        ax.set(xlabel="Documents", ylabel="Difference (nats a token)")
    return ax
