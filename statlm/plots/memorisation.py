"""Likelihood ratios of suspects among those of documents that the model never saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_memorisation(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Histogram of the null documents' ratios, a stroke for each suspect.

    Parameters
    ----------
    table : DataFrame
        As `memorisation` gives it.
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
    >>> table = pd.DataFrame({"document": ["a"], "ratio": [0.5], "p_value": [0.1]})
    >>> table.attrs["null"] = np.linspace(0, 0.2, 9)
    >>> plot_memorisation(table).get_ylabel()
    'Documents'
    """
    if "ratio" not in table or "null" not in table.attrs:
        raise SpecificationError("The table has no ratios of null documents. Pass what memorisation() gives.")
    null, ratio = np.asarray(table.attrs["null"], float), table["ratio"].to_numpy(float)
    with house_style():
        ax = axes(ax, 5.8, 3.4)
        counts, *_ = ax.hist(null, bins="auto", color=GREY, alpha=0.5, label=f"{len(null):,} never seen")
        top = float(np.max(counts))
        ax.vlines(ratio, 0, top * 0.35, color=PALETTE[1], linewidth=1.6, label=f"{len(ratio):,} suspects", gid="suspects")
        if len(table) <= 8:
            for name, value in zip(table["document"], ratio, strict=True):
                ax.annotate(
                    str(name), (value, top * 0.37), rotation=90, ha="center", va="bottom", fontsize=8, color=PALETTE[1]
                ).set_parse_math(False)
        ax.set(xlabel="Log-likelihood ratio of model to reference (nats)", ylabel="Documents")
        ax.legend()
    return ax
