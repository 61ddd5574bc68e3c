"""Probabilities of the next token with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import PALETTE, axes, house_style, segments
from statlm.text.display import is_byte_level, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def plot_next_token(table: pd.DataFrame, ax: Axes | None = None, *, top: int = 15) -> Axes:
    """Dots with intervals: the most probable next tokens after one context, or after several side by side.

    Parameters
    ----------
    table : DataFrame
        As `predict` gives it: ``context``, ``token``, ``probability``, and with an interval ``conf_low``, ``conf_high``.
    ax : Axes, optional
        Where to draw; a new figure by default.
    top : int
        How many tokens, those that are most probable after any of the contexts; tokens of probability 0 are left out.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the table is no such table, or has more than 7 contexts.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> ax = plot_next_token(fit.predict(["a"], interval=0.95, method="wilson"), top=3)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['b', 'c', 'd']
    """
    lacking = {"context", "token", "probability"} - set(table.columns)
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {sorted(lacking)}, so there is nothing to draw. "
            "Pass what predict() gives."
        )
    contexts = list(table["context"].unique())
    if len(contexts) > len(PALETTE):
        raise SpecificationError(
            f"{len(contexts):,} contexts in one picture cannot be told apart ({len(PALETTE)} can). Draw fewer, or use "
            "plot_transitions(table)."
        )
    if top < 1:
        raise SpecificationError(f"top={top}: at least one token must be shown.")
    best = table.groupby("token", sort=False)["probability"].max()
    best = best[best > 0] if (best > 0).any() else best
    tokens = list(best.sort_values(ascending=False, kind="stable").index[:top])
    place = {token: row for row, token in enumerate(tokens)}
    byte_level = is_byte_level(table["token"].unique())
    shown = table[table["token"].isin(tokens)]
    step = 0.6 / len(contexts)
    with house_style():
        ax = axes(ax, 6.0, 1.2 + (0.2 + 0.12 * len(contexts)) * len(tokens))
        for i, context in enumerate(contexts):
            part = shown[shown["context"] == context]
            rows = np.array([place[t] for t in part["token"]]) + (i - (len(contexts) - 1) / 2) * step
            if {"conf_low", "conf_high"} <= set(part.columns):
                segments(ax, rows, part["conf_low"].to_numpy(float), part["conf_high"].to_numpy(float), PALETTE[i])
            name = f"after “{visible(context)}”" if context else "at the start"
            ax.plot(part["probability"], rows, MARKERS[i], color=PALETTE[i], label=name, gid="probabilities", clip_on=False)
        ax.set_yticks(np.arange(len(tokens)), [visible(t, byte_level=byte_level) for t in tokens], parse_math=False)
        ax.set_ylim(len(tokens) - 0.5, -0.5)
        ax.set_xlim(left=0.0)
        ax.tick_params(axis="y", length=0, pad=10)
        ax.grid(axis="x")
        ax.spines["left"].set_visible(False)
        ax.set_ylabel("Next token")
        ax.set_xlabel("Probability")
        if len(contexts) == 1:
            ax.set_title(name[0].upper() + name[1:], parse_math=False)
        else:
            for text in ax.legend(loc="lower right").get_texts():
                text.set_parse_math(False)
    return ax
