"""One style for every picture: plain, readable in print, and told apart by colour-blind readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from statlm.numerics.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008), Color universal design, without yellow, which vanishes on paper.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#767676"


@contextmanager
def house_style() -> Iterator[None]:
    """The style, for the pictures begun inside the ``with`` block; matplotlib's settings are left as they were.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["axes.spines.top"]
    >>> with house_style():
    ...     matplotlib.rcParams["axes.spines.top"]
    False
    >>> matplotlib.rcParams["axes.spines.top"] == before
    True
    """
    import matplotlib as mpl
    from cycler import cycler

    settings: dict[Any, Any] = {
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.labelsize": 10,
        "font.size": 10,
        "grid.color": "#D9D9D9",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.markersize": 6,
        "savefig.dpi": 200,
        "figure.dpi": 110,
    }
    interactive = mpl.is_interactive()
    with mpl.rc_context(settings):
        try:
            yield
        finally:
            interactive = mpl.is_interactive()
    mpl.interactive(interactive)  # a notebook's backend, loaded by the first picture inside, turns it on to show the next


def segments(ax: Axes, rows: Array, low: Array, high: Array, colour: str) -> None:
    """Horizontal intervals; their end strokes are taller than a dot, so that a short interval is not hidden by it."""
    ax.hlines(rows, low, high, color=colour, linewidth=1.8, gid="intervals")
    ends = np.concatenate([low, high])
    ax.plot(
        ends, np.concatenate([rows, rows]), "|", color=colour, markersize=10, markeredgewidth=1.4, gid="ends", clip_on=False
    )


def axes(ax: Axes | None, width: float, height: float) -> Axes:
    """The Axes given, or those of a new figure, inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    _, made = plt.subplots(figsize=(width, height), layout="constrained")
    return made
