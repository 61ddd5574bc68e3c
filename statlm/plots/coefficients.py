"""Estimates with their intervals, a row each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, axes, house_style, segments
from statlm.text.display import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDED = ("estimate", "conf_low", "conf_high")


def plot_coefficients(table: pd.DataFrame, ax: Axes | None = None, *, top: int = 30, null: float | None = None) -> Axes:
    """Dots and intervals, the first row at the top.

    Parameters
    ----------
    table : DataFrame
        As `tidy` or `functional` give it: ``estimate``, ``conf_low``, ``conf_high``, and where
        there are any ``response`` and ``term``. Choose and sort rows before.
    ax : Axes, optional
        Where to draw; a new figure by default.
    top : int
        At most how many rows, the first.
    null : float, optional
        Where to draw a line; by default at 0 where the table has the column ``statistic``, which tests it.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the table has no rows, lacks a column, or no estimate is finite.

    Notes
    -----
    An infinite end of an interval is drawn as an arrow to the edge; a row whose estimate is infinite has no dot.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.SoftmaxRegression(lags=1).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> ax = plot_coefficients(fit.tidy().query("response == 'b'"))
    >>> ax.get_yticklabels()[0].get_text()
    'b, (Intercept)'
    """
    lacking = sorted(set(NEEDED) - set(table.columns))
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {lacking}, so there are no intervals to draw. Pass what tidy() "
            "gives."
        )
    rows = table.head(top)
    estimate, low, high = (rows[name].to_numpy(float) for name in NEEDED)
    ends = np.concatenate([estimate, low, high])
    if not np.isfinite(estimate).any():
        raise SpecificationError(f"None of the {len(rows):,} estimates is finite, so there is no scale to draw them on.")
    null = 0.0 if null is None and "statistic" in table.columns else null
    finite = ends[np.isfinite(ends)] if null is None else np.append(ends[np.isfinite(ends)], null)
    reach = 0.06 * (float(np.ptp(finite)) or 1.0)
    left, right = float(finite.min()) - reach, float(finite.max()) + reach
    y = np.arange(len(rows))
    with house_style():
        ax = axes(ax, 6.4, 1.0 + 0.26 * len(rows))
        if null is not None:
            ax.axvline(null, color=GREY, linewidth=1, gid="null")
        known = ~np.isnan(low) & ~np.isnan(high)
        bounded = known & np.isfinite(low) & np.isfinite(high)
        segments(ax, y[bounded], low[bounded], high[bounded], PALETTE[0])
        for open_, from_, to, mark in ((np.isneginf(low), high, left, "<"), (np.isposinf(high), low, right, ">")):
            some = open_ & known
            start = np.where(np.isfinite(from_[some]), from_[some], right if mark == "<" else left)
            ax.hlines(y[some], start, to, color=PALETTE[0], linewidth=1.2, gid="open")
            ax.plot(np.full(int(some.sum()), to), y[some], mark, color=PALETTE[0], markersize=5, gid="arrows", clip_on=False)
        dots = np.isfinite(estimate)
        ax.plot(estimate[dots], y[dots], "o", color=PALETTE[0], markersize=4.5, gid="estimates")
        ax.set_yticks(y, _labels(rows), parse_math=False, fontsize=9)
        ax.set(xlim=(left, right), ylim=(len(rows) - 0.5, -0.5))
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        ax.set_xlabel("Estimate and interval")
    return ax


def _labels(rows: pd.DataFrame) -> list[str]:
    """What names a row: response and term, or the first column of words, or the index."""
    named = [name for name in ("response", "term") if name in rows.columns]
    if not named:
        words = [name for name in rows.columns if not pd.api.types.is_numeric_dtype(rows[name])]
        if not words:
            names = rows.index
            parts = names.to_flat_index() if isinstance(names, pd.MultiIndex) else [(name,) for name in names]
            return [", ".join(visible(str(part)) for part in name) for name in parts]
        named = words[:1]
    return [", ".join(visible(str(part)) for part in row if str(part)) for row in rows[named].itertuples(index=False)]
