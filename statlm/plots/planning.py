"""Power against the number of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_power(table: pd.DataFrame, ax: Axes | None = None, *, goal: float = 0.8) -> Axes:
    """Power curves, a line an effect.

    Parameters
    ----------
    table : DataFrame
        As `power_curve` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.
    goal : float
        A power to mark.

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
    >>> noise = slm.Pilot(std_a=2.0, std_b=2.0, correlation=0.98, icc=0.002, tokens=1000)
    >>> plot_power(slm.power_curve(noise, effect=[0.01, 0.02])).get_ylabel()
    'Power'
    """
    lacking = {"effect", "documents", "power"} - set(table.columns)
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {sorted(lacking)}. Pass what power_curve() gives."
        )
    with house_style():
        ax = axes(ax, 5.8, 3.8)
        ax.axhline(goal, color=GREY, linewidth=1)
        for i, effect in enumerate(np.unique(table["effect"].to_numpy(float))):
            part = table[table["effect"] == effect]
            ax.plot(
                part["documents"], part["power"], color=PALETTE[i % len(PALETTE)], label=f"{100 * effect:g} %", gid="power"
            )
        ax.set_xscale("log")
        from matplotlib.ticker import FuncFormatter, NullFormatter

        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(0, 1.02)
        ax.set(xlabel="Documents", ylabel="Power")
        ax.grid()
        ax.legend(title="Difference in perplexity")
    return ax
