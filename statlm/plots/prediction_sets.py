"""Coverage of prediction sets against what they promise, and what it costs in size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from statlm.diagnostics.conformal import conformal_sets
from statlm.likelihood import Predictive
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_coverage(
    model: Predictive,
    held: Predictive,
    ax: Axes | None = None,
    *,
    levels: Sequence[float] = (0.5, 0.6, 0.7, 0.8, 0.9),
    score: str = "lac",
    by: str = "document",
) -> Axes:
    """Coverage on new text for several levels, with intervals; each dot says the mean size of its sets.

    Parameters
    ----------
    model : Predictive
        On calibration text.
    held : Predictive
        The same model on other text.
    ax : Axes, optional
        Where to draw; a new figure by default.
    levels : sequence of float
    score, by : str
        As of `conformal_sets`.

    Returns
    -------
    Axes

    Raises
    ------
    NoEstimate
        As of `conformal_sets`: too few documents for a level.

    Examples
    --------
    >>> import statlm as slm
    >>> lines = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra", "abraca"] * 20)
    >>> one, two = lines.split(test=0.5)
    >>> fit = slm.NGram(n=2, pseudo_count=0.1).fit(one)
    >>> plot_coverage(fit, fit.on(two), levels=[0.8, 0.9]).get_xlabel()
    'Promised'
    """
    found = [conformal_sets(model, level, score=score, by=by).coverage(held) for level in levels]
    low, high = np.array([c.conf_int for c in found]).T
    with house_style():
        ax = axes(ax, 4.8, 4.2)
        ends = [min(levels) - 0.05, min(max(levels) + 0.05, 1.0)]
        ax.plot(ends, ends, color=GREY, linewidth=1)
        ax.vlines(levels, low, high, color=PALETTE[0], gid="intervals")
        ax.plot(levels, [c.coverage for c in found], "o", color=PALETTE[0], gid="coverage")
        for level, c in zip(levels, found, strict=True):
            ax.annotate(
                f"{c.size:.1f} tokens",
                (level, c.coverage),
                xytext=(-6, 7),
                textcoords="offset points",
                ha="right",
                color=GREY,
            )
        ax.set(xlabel="Promised", ylabel="Coverage on new text")
        ax.set_xlim(left=ends[0] - 0.08)
        ax.margins(y=0.12)
        ax.grid()
    return ax
