"""How much each document moves the estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GIVEN = ("document", "nobs")
NAME, LINE = 0.2, 0.1  # a name's width and height, as shares of the picture, roughly: names closer than that stand in lines


def plot_influence(table: pd.DataFrame, change: Any = None, ax: Axes | None = None, *, label: int = 5) -> Axes:
    """A stem a document, in order: what leaving it out would do. The largest are named.

    Parameters
    ----------
    table : DataFrame
        As `influence` gives it.
    change : column, optional
        Which change to draw: a pair (response, term), ``"change"``, or ``"displacement"``; by default the first after
        ``displacement``, or that.
    ax : Axes, optional
        Where to draw; a new figure by default.
    label : int
        How many of the largest to name.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the table has no rows or no such column.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(["aab" * 30, "aba" * 30, "bba" * 30], eos=False))
    >>> [text.get_text() for text in plot_influence(slm.influence(fit), label=1).texts]
    ['2']
    """
    from matplotlib.ticker import MaxNLocator

    columns = [name for name in table.columns if name not in GIVEN]
    if change is None and columns:
        change = columns[1] if columns[0] == "displacement" and len(columns) > 1 else columns[0]
    if len(table) == 0 or "document" not in table.columns or change not in columns:
        raise SpecificationError(
            f"The table has {len(table):,} rows and no column {change!r} to draw (it has {columns[:8]}). Pass influence(fit, "
            "parameters), and a column of it."
        )
    values = table[change].to_numpy(float)
    place = np.arange(len(values))
    largest = np.sort(np.argsort(-np.abs(values), kind="stable")[: max(label, 0)])
    with house_style():
        ax = axes(ax, 6.4, 3.2)
        ax.axhline(0, color=GREY, linewidth=0.8)
        ax.vlines(place, 0, values, color=PALETTE[0], linewidth=1, gid="stems")
        ax.plot(place, values, "o", color=PALETTE[0], markersize=3.5, gid="changes")
        span = float(np.ptp(np.append(values, 0.0))) or 1.0
        lines: list[tuple[int, float, int]] = []  # where names stand: place, value, line above the dot
        for i in largest:
            up = values[i] >= 0
            taken = {k for j, v, k in lines if i - j < NAME * len(values) and abs(values[i] - v) < LINE * span}
            line = next(k for k in range(len(lines) + 1) if k not in taken)
            lines.append((int(i), float(values[i]), line))
            ax.annotate(
                str(table["document"].iloc[i]),
                (place[i], values[i]),
                (0, (4 + 10 * line) * (1 if up else -1)),
                textcoords="offset points",
                ha=("left", "center", "right")[1 + int(i > (1 - NAME / 2) * len(values)) - int(i < NAME / 2 * len(values))],
                va="bottom" if up else "top",
                fontsize=8,
                color=GREY,
                parse_math=False,
            )
        ax.margins(x=0.02, y=0.16 + 0.06 * max((k for *_, k in lines), default=0))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("Document, in order")
        name = ", ".join(str(part) for part in change if str(part)) if isinstance(change, tuple) else str(change)
        said = f"Change of {name} without it" if isinstance(change, tuple) else name.capitalize()
        ax.set_ylabel(said, parse_math=False)
    return ax
