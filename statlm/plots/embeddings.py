"""Tokens in a plane of their embeddings, with ellipses for their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, axes, house_style
from statlm.text.display import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDED = ("token", "x", "y", "x_error", "y_error", "correlation")


def plot_embeddings(table: pd.DataFrame, level: float = 0.95, by: str | None = None, ax: Axes | None = None) -> Axes:
    """Tokens at their places in a plane, each in the ellipse that holds its true place with a given confidence.

    Parameters
    ----------
    table : DataFrame
        As `embedding_plane` gives it: ``token``, ``x``, ``y``, ``x_error``, ``y_error``, ``correlation``.
    level : float
        Confidence of each ellipse, of both coordinates jointly and of one token at a time.
    by : str, optional
        Column whose values are told apart by colour.
    ax : Axes, optional
        Where to draw; a new figure by default. Both axes get one scale, so that distances can be read.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the table has no rows or lacks a column, or the level is no probability.

    Examples
    --------
    >>> table = pd.DataFrame({"token": ["a"], "x": [1.0], "y": [2.0], "x_error": [0.1], "y_error": [0.2], "correlation": [0.3]})
    >>> plot_embeddings(table).get_xlabel()
    'first axis (nats)'
    """
    from matplotlib.patches import Ellipse

    lacking = ({*NEEDED} | ({by} if by else set())) - set(table.columns)
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {sorted(lacking)}, so there is nothing to draw. It needs what "
            "embedding_plane(fit, tokens) gives."
        )
    if not 0 < level < 1:
        raise SpecificationError(f"level={level!r}: a confidence level lies between 0 and 1.")
    reach = np.sqrt(-2.0 * np.log1p(-level))  # root of the quantile of a chi-square with 2 degrees of freedom
    groups = list(dict.fromkeys(table[by])) if by else [None]
    with house_style():
        ax = axes(ax, 6.4, 6.0)
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.axvline(0, color=GREY, linewidth=0.6)
        for i, group in enumerate(groups):
            rows = table if by is None else table[table[by] == group]
            colour = PALETTE[i % len(PALETTE)]
            numbers = rows[["x", "y", "x_error", "y_error", "correlation"]].to_numpy(float)
            for token, (x, y, across, up, correlation) in zip(rows["token"], numbers, strict=True):
                off = correlation * across * up
                values, turned = np.linalg.eigh([[across**2, off], [off, up**2]])
                width, height = 2 * reach * np.sqrt(np.maximum(values[::-1], 0.0))
                angle = float(np.degrees(np.arctan2(turned[1, 1], turned[0, 1])))
                ax.add_patch(Ellipse((x, y), width, height, angle=angle, facecolor=colour, edgecolor=colour, alpha=0.15))
                ax.annotate(visible(token), (x, y), (3, 3), textcoords="offset points", fontsize=8, color=colour)
            label = None if group is None else str(group)
            ax.plot(numbers[:, 0], numbers[:, 1], ".", color=colour, markersize=4, label=label)
        ax.set(xlabel="first axis (nats)", ylabel="second axis (nats)")
        ax.set_aspect("equal", adjustable="datalim")
        if by:
            ax.legend(fontsize=9)
        ax.autoscale_view()
    return ax
