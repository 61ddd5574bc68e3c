"""Perplexities of several models with their intervals."""

from __future__ import annotations

import os
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.saving import check_picture, save_picture
from statlm.plots.style import GREY, PALETTE, axes, house_style, segments
from statlm.text.display import format_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOG_FROM = 20.0  # ratio of the largest to the smallest from which a linear axis hides the small ones


def plot_perplexity(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Dots with intervals, a row a model, in the order of the table from the top.

    Parameters
    ----------
    table : DataFrame
        As `compare` gives it: ``model``, ``perplexity``, and where known ``conf_low``, ``conf_high``. A model whose
        perplexity is infinite is put at the right margin.
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
    >>> table = pd.DataFrame({"model": ["bigram"], "perplexity": [11.9], "conf_low": [11.7], "conf_high": [12.1]})
    >>> plot_perplexity(table).get_xlabel()
    'Perplexity, with its interval'
    """
    lacking = {"model", "perplexity"} - set(table.columns)
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {sorted(lacking)}, so there is nothing to draw. Pass what "
            "compare() gives: a row a model, with its perplexity."
        )
    n = len(table)
    values = table["perplexity"].to_numpy(float)
    low, high = (table[c].to_numpy(float) if c in table else np.full(n, np.nan) for c in ("conf_low", "conf_high"))
    finite = np.isfinite(values)
    known = finite & np.isfinite(low) & np.isfinite(high)
    rows = np.arange(n)
    with house_style():
        ax = axes(ax, 6.4, 1.1 + 0.36 * n)
        segments(ax, rows[known], low[known], high[known], PALETTE[0])
        ax.plot(values[finite], rows[finite], "o", color=PALETTE[0], gid="perplexities")
        everything = np.concatenate([values[finite], low[known], high[known]])
        if len(everything) and everything.min() > 0 and everything.max() / everything.min() > LOG_FROM:
            _log_axis(ax)
        margin = ax.get_yaxis_transform()  # x in widths of the picture, y in rows
        at = np.full(n - finite.sum(), 1.02)
        ax.plot(at, rows[~finite], ">", color=PALETTE[1], transform=margin, clip_on=False, gid="infinite")
        for row, value in zip(rows, values, strict=True):
            label = format_number(value) if np.isfinite(value) else "∞"
            colour = GREY if np.isfinite(value) else PALETTE[1]
            ax.annotate(label, (1.04, row), xycoords=margin, va="center", ha="left", color=colour, annotation_clip=False)
        ax.set_yticks(rows, [str(m) for m in table["model"]], parse_math=False)
        ax.set_ylim(n - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
        ax.spines["left"].set_visible(False)
        if not finite.any():
            ax.set_xticks([])
        ax.set_xlabel("Perplexity, with its interval" if known.any() else "Perplexity")
    return ax


def save_perplexity(table: pd.DataFrame, path: str | os.PathLike[str], title: str | None = None) -> None:
    """Write the picture of `plot_perplexity` to a file, whole or not at all.

    Parameters
    ----------
    table : DataFrame
        As `compare` gives it.
    path : path
        The suffix says the format: ".png", ".pdf", ".svg" or another one that matplotlib writes.
    title : str, optional
        Above the picture, in lines as short as they must be.

    Raises
    ------
    SpecificationError
        If the suffix names no such format, or the folder does not exist.
    """
    from matplotlib.figure import Figure

    check_picture(path)
    with house_style():
        figure = Figure(figsize=(6.8, 1.4 + 0.36 * len(table)), layout="constrained")  # pyplot, and its windows, stay out
        plot_perplexity(table, figure.add_subplot())
        if title is not None:
            figure.suptitle(fill(title, 75), x=0.02, ha="left", fontsize=10).set_parse_math(False)
    save_picture(figure, path)


def _log_axis(ax: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    low, high = ax.get_xlim()
    within_three_decades = high / low < 1e3
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if within_three_decades else (1.0,)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
