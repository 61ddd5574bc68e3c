"""One step of generation: what temperature, top-k and top-p make of the probabilities of the next token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, PALETTE, house_style
from statlm.text.display import is_byte_level, visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGES = {
    "probability": "model",
    "after_temperature": "temperature",
    "after_top_k": "top-k",
    "after_top_p": "top-p: drawn from",
}
LABELLED = 0.005  # a smaller probability would be written 0.00


def plot_sampler(table: pd.DataFrame, *, top: int = 12) -> Figure:
    """Bars of the most probable tokens, a panel for each setting in turn; tokens that can no longer be drawn are hollow.

    Parameters
    ----------
    table : DataFrame
        As `statlm.generation.generate.next_token_table` gives it.
    top : int
        How many tokens.

    Returns
    -------
    Figure

    Raises
    ------
    SpecificationError
        If the table is no such table.

    Examples
    --------
    >>> import statlm as slm
    >>> from statlm.generation.generate import next_token_table
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> len(plot_sampler(next_token_table(fit, "a", temperature=0.5, top_k=2)).axes)
    4
    """
    lacking = {"token", *STAGES} - set(table.columns)
    if lacking or table.empty:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {sorted(lacking)}, so there is no step to draw. Pass what "
            "next_token_table(model, prompt, ...) gives."
        )
    shown = table.iloc[:top]
    rows = np.arange(len(shown))
    byte_level = is_byte_level(set(map(str, table["token"])))
    labels = [visible(token, byte_level=byte_level) for token in map(str, shown["token"])]
    with house_style():
        import matplotlib.pyplot as plt  # a notebook shows what pyplot made

        figure = plt.figure(figsize=(8.2, 0.9 + 0.25 * len(shown)), layout="constrained")
        panels: Any = figure.subplots(1, len(STAGES), sharex=True, sharey=True)
        for ax, (column, name) in zip(panels, STAGES.items(), strict=True):
            values = shown[column].to_numpy(float)
            out = values == 0
            ax.barh(rows[~out], values[~out], color=PALETTE[0], height=0.7)
            ax.barh(rows[out], shown["probability"].to_numpy(float)[out], fill=False, edgecolor=GREY, height=0.7, lw=0.8)
            for row, value in zip(rows, values, strict=True):
                if value < LABELLED:
                    continue
                ax.annotate(f"{value:.2f}", (value, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)
            ax.set_title(name, fontsize=9)
            ax.set_yticks(rows, labels, parse_math=False)
            ax.tick_params(axis="y", length=0)
            ax.grid(axis="x")
        panels[0].set_ylim(len(shown) - 0.5, -0.5)
        largest = float(shown[list(STAGES)].to_numpy(float).max())
        panels[0].set_xlim(0, min(1.0, 1.2 * largest) if largest < 1 else 1.18)
        figure.supxlabel("Probability", fontsize=9)
    return figure
