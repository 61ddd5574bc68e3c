"""Reliability: frequency against forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from statlm.diagnostics.calibration import Calibration


def plot_calibration(found: Calibration, ax: Axes | None = None, *, label: str | None = None) -> Axes:
    """Reliability diagram with simultaneous bands; draw several on the same Axes to compare models.

    Parameters
    ----------
    found : Calibration
        As `calibration` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.
    label : str, optional
        Name of the model in the legend.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 40).split(test=0.5)
    >>> found = slm.calibration(slm.NGram(n=2, pseudo_count=20).fit(train).on(test), dependence="iid")
    >>> plot_calibration(found).get_ylabel()
    'Frequency'
    """
    table = found.table
    with house_style():
        first = ax is None or not any(line.get_gid() == "diagonal" for line in ax.lines)
        ax = axes(ax, 4.6, 4.4)
        if first:
            ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, gid="diagonal")
        before = sum(line.get_gid() == "reliability" for line in ax.lines)
        colour = PALETTE[before % len(PALETTE)]
        forecast, low, high = (table[c].to_numpy(float) for c in ("forecast", "conf_low", "conf_high"))
        ax.vlines(forecast, low, high, color=colour, linewidth=1.6, gid="intervals")
        ax.plot(forecast, table["frequency"], "o", markersize=4, color=colour, label=label, gid="reliability")
        top = float(np.max([forecast.max(), high.max()]))
        edge = min(1.02, 1.08 * top)
        ax.set_xlim(0, max(edge, ax.get_xlim()[1]) if not first else edge)
        ax.set_ylim(0, max(edge, ax.get_ylim()[1]) if not first else edge)
        ax.set(xlabel="Forecast probability", ylabel="Frequency", title=found.event[0].upper() + found.event[1:])
        ax.grid()
        if label is not None:
            ax.legend(loc="upper left")
    return ax
