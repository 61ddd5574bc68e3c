"""How far the rates of a simulation study are from what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALLOWED = 3.3  # Monte-Carlo errors, as in the column "agrees" of the table
NEEDED = ("kind", "what", "method", "nominal", "rate", "rate_error")


def plot_rates(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Dots: rate minus nominal rate, a row an interval or a test; the bars are what Monte-Carlo error alone would allow.

    Parameters
    ----------
    table : DataFrame
        As `statlm.simulation.coverage` gives it. Rows without a nominal rate, which are powers, have no dot and say their rate.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        Bars reach 3.3 Monte-Carlo errors to both sides of the nominal rate; dots outside of them have the second colour.

    Raises
    ------
    SpecificationError
        If the table has no rows, or lacks a column.

    Examples
    --------
    >>> table = pd.DataFrame({"kind": ["coverage"], "what": ["p(a | b)"], "method": ["wald"], "nominal": [0.95],
    ...                       "rate": [0.94], "rate_error": [0.01]})
    >>> plot_rates(table).get_xlabel()
    'Rate minus nominal rate'
    """
    lacking = sorted(set(NEEDED) - set(table.columns))
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {lacking}, so there are no rates to draw. Pass what "
            "simulation.coverage() gives."
        )
    rate, nominal, error = (table[name].to_numpy(float) for name in ("rate", "nominal", "rate_error"))
    off = rate - nominal
    judged = ~np.isnan(off)
    wrong = judged & (np.abs(off) > ALLOWED * error)
    y = np.arange(len(table))
    with house_style():
        ax = axes(ax, 6.8, 1.1 + 0.3 * len(table))
        ax.axvline(0, color=GREY, linewidth=1)
        ax.hlines(y[judged], -ALLOWED * error[judged], ALLOWED * error[judged], color="#D9D9D9", linewidth=7, gid="allowed")
        for some, colour, gid in ((judged & ~wrong, PALETTE[0], "agree"), (wrong, PALETTE[1], "off")):
            ax.plot(off[some], y[some], "o", color=colour, gid=gid)
        side = ax.get_yaxis_transform()  # x in widths of the picture, y in rows
        for row, (value, bad) in enumerate(zip(rate, wrong, strict=True)):
            said = "none" if np.isnan(value) else f"{value:.1%}"
            ax.annotate(
                said, (1.02, row), xycoords=side, va="center", color=PALETTE[1] if bad else GREY, annotation_clip=False
            )
        names = (" ".join(part for part in parts if part) for parts in zip(*_words(table), strict=True))
        ax.set_yticks(y, list(names), parse_math=False, fontsize=9)
        ax.set_ylim(len(table) - 0.5, -0.5)
        ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x:+.3g} %" if abs(x) > 1e-12 else "0")
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        ax.set_xlabel("Rate minus nominal rate")
    return ax


def _words(table: pd.DataFrame) -> list[list[str]]:
    """What each row asks, in parts: kind, question, method."""
    kind, what, method = (["" if pd.isna(v) else str(v) for v in table[c]] for c in ("kind", "what", "method"))
    return [[f"{k}:" for k in kind], what, [f"({m})" if m else "" for m in method]]
