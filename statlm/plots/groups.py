"""Held-out loss by group, with simultaneous intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, axes, house_style, segments

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_groups(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Dots with intervals: along a time axis where groups are numbers such as years, and a row a group otherwise.

    Parameters
    ----------
    table : DataFrame
        As `group_loss` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the table is no such table.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra", "zebra", "zabra", "razor"] * 10)
    >>> table = slm.group_loss(slm.NGram(n=1).fit(corpus), by=["ab", "ab", "ab", "z", "z", "z"] * 10)
    >>> [label.get_text() for label in plot_groups(table).get_yticklabels()]
    ['ab', 'z']
    """
    from matplotlib.ticker import MaxNLocator

    value = next((c for c in ("loss", "difference") if c in table), None)
    if value is None or not {"group", "conf_low", "conf_high"} <= set(table.columns) or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and not the columns that group_loss() gives. Pass its result."
        )
    says = "Log-loss (nats a token)" if value == "loss" else "Advantage of the first model (nats a token)"
    mean, low, high = (table[c].to_numpy(float) for c in (value, "conf_low", "conf_high"))
    common = table.attrs["test"].details["mean"] if "test" in table.attrs else None
    with house_style():
        if pd.api.types.is_numeric_dtype(table["group"]):
            ax = axes(ax, 7.0, 3.6)
            where = table["group"].to_numpy(float)
            ax.vlines(where, low, high, color=PALETTE[0], linewidth=1.4, gid="intervals")
            ax.plot(where, mean, "o", markersize=3.5, color=PALETTE[0], gid="means")
            if common is not None:
                ax.axhline(common, color=GREY, linewidth=1)
            if (where == np.round(where)).all():
                ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            ax.grid(axis="y")
            ax.set(xlabel="Group", ylabel=says)
            return ax
        rows = np.arange(len(table))
        ax = axes(ax, 6.4, 1.1 + 0.3 * len(table))
        if common is not None:
            ax.axvline(common, color=GREY, linewidth=1)
        segments(ax, rows, low, high, PALETTE[0])
        ax.plot(mean, rows, "o", color=PALETTE[0], gid="means")
        ax.set_yticks(rows, [str(g) for g in table["group"]], parse_math=False)
        ax.set_ylim(len(table) - 0.5, -0.5)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        ax.set_xlabel(says)
    return ax
