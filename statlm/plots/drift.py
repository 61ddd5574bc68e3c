"""An alarm's statistic along a stream of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from statlm.diagnostics.drift import DriftAlarm

LABELS = 8  # names of documents on the axis


def plot_drift(found: DriftAlarm, ax: Axes | None = None) -> Axes:
    """The statistic after each document with its threshold, the alarm, and where the change began.

    Parameters
    ----------
    found : DriftAlarm
        As `drift_alarm` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra", "abraca"] * 8 + ["zzz", "zebra zoo"] * 4)
    >>> plot_drift(slm.drift_alarm(slm.NGram(n=1).fit(corpus), baseline=20)).get_ylabel()
    'Evidence of change'
    """
    table = found.table
    number = np.arange(len(table))
    with house_style():
        ax = axes(ax, 7.0, 3.6)
        ax.plot(number, table["statistic"], color=PALETTE[0], gid="statistic")
        ax.axhline(found.threshold, color=GREY, linewidth=1.2, linestyle="--", gid="threshold")
        if found.alarm is not None and found.change is not None:
            for at, words, colour in ((found.change, "change", PALETTE[2]), (found.alarm, "alarm", PALETTE[1])):
                name = str(table["document"].iloc[at - found.baseline])
                ax.axvline(at - found.baseline, color=colour, linewidth=1.4, label=f"{words}: {name}", gid=words)
            for text in ax.legend(loc="upper left").get_texts():
                text.set_parse_math(False)
        shown = np.unique(np.linspace(0, len(table) - 1, min(LABELS, len(table))).round().astype(int))
        ax.set_xticks(shown, [str(table["document"].iloc[i]) for i in shown], rotation=30, ha="right", parse_math=False)
        threshold = found.threshold if np.isfinite(found.threshold) else 0.0
        ax.set_ylim(0, 1.25 * max(threshold, float(table["statistic"].max()), 1e-9))
        ax.set_ylabel("Evidence of change")
        ax.grid(axis="y")
    return ax
