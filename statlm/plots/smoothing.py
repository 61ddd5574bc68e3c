"""Held-out perplexity by length of the n-grams, a line a smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_FROM = 4.0  # ratio of the largest to the smallest perplexity from which a linear axis hides the small ones
MARKERS = "osD^vPX"
BESIDE = 0.03  # in units of n, so that intervals of one n do not cover each other


def plot_perplexity_by_n(table: pd.DataFrame, by: str = "smoothing", ax: Axes | None = None) -> Axes:
    """Lines of perplexity over n with intervals, one for each smoothing.

    Parameters
    ----------
    table : DataFrame
        A row a model: ``n``, ``perplexity``, the column `by`, and where known ``conf_low``, ``conf_high``. Infinite
        perplexities are left out.
    by : str
        Column that names the lines; they are drawn in the order of their first rows.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the table has no rows, or lacks a column.

    Examples
    --------
    >>> table = pd.DataFrame({"smoothing": ["katz"] * 2, "n": [1, 2], "perplexity": [18.0, 10.0]})
    >>> plot_perplexity_by_n(table).get_xlabel()
    'n'
    """
    lacking = {"n", "perplexity", by} - set(table.columns)
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {sorted(lacking)}, so there is nothing to draw. It needs a row a "
            f"model with n, perplexity and {by}."
        )
    names = list(dict.fromkeys(table[by]))
    with house_style():
        ax = axes(ax, 6.4, 4.0)
        for i, name in enumerate(names):
            rows = table[(table[by] == name) & np.isfinite(table["perplexity"])].sort_values("n")
            colour = PALETTE[i % len(PALETTE)]
            n = rows["n"].to_numpy(float) + BESIDE * (i - (len(names) - 1) / 2)
            marker = MARKERS[i % len(MARKERS)]
            ax.plot(n, rows["perplexity"], marker=marker, markersize=4, color=colour, label=str(name), linewidth=1.2)
            if {"conf_low", "conf_high"} <= set(table.columns):
                ax.vlines(n, rows["conf_low"], rows["conf_high"], color=colour, linewidth=1.2, gid="intervals")
        finite = table["perplexity"][np.isfinite(table["perplexity"])]
        if len(finite) and finite.max() / finite.min() > LOG_FROM:
            _log_axis(ax)
        ax.set_xticks(sorted(set(table["n"])))
        ax.set(xlabel="n", ylabel="Perplexity")
        ax.grid(axis="y")
        ax.legend(fontsize=9)
    return ax


def _log_axis(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0) if high / low < 30 else (1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
