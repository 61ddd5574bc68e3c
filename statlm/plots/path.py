"""How a descent approached its estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDED = ("tokens", "loss")
NORMAL = 1.96  # half the width of a 95 % interval in standard errors


def plot_path(path: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Training loss, and held-out loss with its 95 % interval, against the tokens read.

    Parameters
    ----------
    path : DataFrame
        As `Fit.path` gives it: ``tokens``, ``loss``, and where known ``held_out_loss``, ``held_out_std_error`` (nats a token).
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
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_texts(["abracadabra"] * 20)
    >>> fit = slm.TransformerDecoder(layers=1, heads=1, width=8, context=16, steps=20).fit(corpus)
    >>> plot_path(fit.path).get_xlabel()
    'Tokens read'
    """
    lacking = [name for name in NEEDED if name not in path.columns]
    if lacking or path.empty:
        raise SpecificationError(
            f"The table has {len(path):,} rows and lacks {lacking}, so there is no path to draw. Pass fit.path."
        )
    with house_style():
        ax = axes(ax, 6.4, 3.6)
        ax.plot(path.tokens, path.loss, color=GREY, gid="training")
        last = path.iloc[-1]
        ends = [("training", float(last.loss), GREY)]
        held = path[path.held_out_loss.notna()] if "held_out_loss" in path else path[:0]
        if len(held):
            ax.plot(held.tokens, held.held_out_loss, color=PALETTE[0], gid="held out")
            half = NORMAL * held.held_out_std_error
            ax.fill_between(
                held.tokens, held.held_out_loss - half, held.held_out_loss + half, color=PALETTE[0], alpha=0.2, lw=0
            )
            lowest = held.iloc[int(held.held_out_loss.argmin())]
            ax.plot([lowest.tokens], [lowest.held_out_loss], "o", color=PALETTE[0], ms=4)
            ends.append(("held out", float(held.held_out_loss.iloc[-1]), PALETTE[0]))
        ends.sort(key=lambda end: end[1])
        for rank, (label, height, colour) in enumerate(ends):
            shift = (rank - (len(ends) - 1) / 2) * 9 if len(ends) > 1 else 0
            ax.annotate(
                f"{label} {height:.3f}",
                (float(last.tokens), height),
                xytext=(6, shift),
                textcoords="offset points",
                va="center",
                color=colour,
                annotation_clip=False,
            )
        if path.loss.iloc[0] > 1.5 * path.loss.min():
            ax.set_xscale("log")
        ax.grid(axis="y")
        ax.set_xlabel("Tokens read")
        ax.set_ylabel("Loss, nats a token")
    return ax
