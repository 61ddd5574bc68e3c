"""Differences of probabilities, a row a context, with their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from statlm.diagnostics.contrasts import Contrast


def plot_contrast(found: Contrast, ax: Axes | None = None, *, top: int = 30) -> Axes:
    """Dots, a context each, smallest difference at the bottom; the mean and its interval as a band.

    Parameters
    ----------
    found : Contrast
        As `contrast` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.
    top : int
        At most how many rows; of more, those at both ends are drawn.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> found = slm.contrast(fit, ["a", "r"], "b", "c", errors="model")
    >>> [label.get_text() for label in plot_contrast(found).get_yticklabels()]
    ['a', 'r']
    """
    table = found.table.sort_values("difference", ascending=False, kind="stable").reset_index(drop=True)
    if len(table) > top:
        keep = np.r_[: (top + 1) // 2, len(table) - top // 2 : len(table)]
        table = table.take(keep).reset_index(drop=True)
    labels = table["context"].astype(str)
    if "against" in table:
        labels = labels + " | " + table["against"].astype(str)
    with house_style():
        ax = axes(ax, 6.4, 1.2 + 0.24 * len(table))
        low, high = found.conf_int
        ax.axvspan(low, high, color=PALETTE[1], alpha=0.25, linewidth=0, gid="interval")
        ax.axvline(found.estimate, color=PALETTE[1], gid="mean")
        ax.axvline(0.0, color=GREY, linewidth=1)
        ax.plot(table["difference"], np.arange(len(table)), "o", markersize=5, color=PALETTE[0], gid="differences")
        ax.set_yticks(np.arange(len(table)), list(labels), parse_math=False)
        ax.set_ylim(len(table) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        ax.set_xlabel(found.what, parse_math=False)
    return ax
