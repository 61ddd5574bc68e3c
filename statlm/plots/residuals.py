"""Quantile residuals: whether they are uniform, and uncorrelated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.diagnostics.residual_tests import residual_autocorrelation
from statlm.errors import SpecificationError
from statlm.inference.conf_int import half_width
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_residuals(table: pd.DataFrame, ax: Axes | None = None, *, bins: int = 20, level: float = 0.95) -> Axes:
    """Histogram of the uniform residuals, with a band that holds all bars with probability `level` if the model is right.

    Parameters
    ----------
    table : DataFrame
        As `quantile_residuals` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.
    bins : int
    level : float

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the table has no such residuals, or there are fewer than 2 bins.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> plot_residuals(slm.quantile_residuals(fit)).get_ylabel()
    'Density'
    """
    if "uniform" not in table or len(table) == 0 or bins < 2:
        raise SpecificationError(
            f"There is nothing to draw in {bins} bins: pass what quantile_residuals() gives, and 2 or more."
        )
    counts, edges = np.histogram(table["uniform"], bins=bins, range=(0.0, 1.0))
    n = len(table)
    half = half_width(level ** (1 / bins), np.inf) * np.sqrt((bins - 1) / n)
    with house_style():
        ax = axes(ax, 5.2, 3.4)
        ax.axhspan(1 - half, 1 + half, color=GREY, alpha=0.3, linewidth=0, gid="band")
        ax.stairs(counts * bins / n, edges, color=PALETTE[0], gid="density")
        ax.axhline(1.0, color=GREY, linewidth=1)
        ax.set_ylim(bottom=0)
        ax.set_xlim(0, 1)
        ax.set(xlabel="Quantile residual, uniform scale (0: expected, 1: a surprise)", ylabel="Density")
    return ax


def plot_autocorrelation(table: pd.DataFrame, ax: Axes | None = None, *, lags: int = 20, level: float = 0.95) -> Axes:
    """Autocorrelations of the residuals within documents, with a band that holds all of them if there are none.

    Parameters
    ----------
    table : DataFrame
        As `quantile_residuals` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.
    lags : int
    level : float

    Returns
    -------
    Axes

    Raises
    ------
    NoEstimate
        As of `residual_autocorrelation`.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> plot_autocorrelation(slm.quantile_residuals(fit)).get_xlabel()
    'Lag (tokens)'
    """
    acf = residual_autocorrelation(table, lags=lags)
    half = half_width(level ** (1 / len(acf)), np.inf) * acf["std_error"].to_numpy(float)
    with house_style():
        ax = axes(ax, 5.2, 3.4)
        ax.fill_between(acf["lag"], -half, half, color=GREY, alpha=0.3, linewidth=0, gid="band")
        ax.vlines(acf["lag"], 0, acf["autocorrelation"], color=PALETTE[0], linewidth=2, gid="autocorrelations")
        ax.plot(acf["lag"], acf["autocorrelation"], "o", markersize=4, color=PALETTE[0])
        ax.axhline(0.0, color=GREY, linewidth=1)
        from matplotlib.ticker import MaxNLocator

        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="Lag (tokens)", ylabel="Autocorrelation of residuals")
    return ax
