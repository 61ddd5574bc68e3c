"""The transition matrix of a bigram as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.inference.predict import Tabulated
from statlm.likelihood import Predictive, underlying
from statlm.numerics.types import Array
from statlm.plots.style import axes, house_style
from statlm.text.display import is_byte_level, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LARGEST = 75


def plot_transitions(model: Predictive | pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Heat map of the probability of the next token (columns) after each token (rows).

    Parameters
    ----------
    model : Predictive or DataFrame
        A model that looks one token back, with up to 75 types; or what `predict` gives for contexts of your choice. Contexts
        that training never saw are left grey.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        Colour grows with the square root of the probability, so that rare transitions are seen.

    Raises
    ------
    SpecificationError
        If the model looks further back, or there are too many types to tell apart.

    Examples
    --------
    >>> import statlm as slm
    >>> ax = plot_transitions(slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra")))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['<bos>', 'a', 'b', 'c', 'd', 'r']
    """
    matrix, rows, columns = _from_table(model) if isinstance(model, pd.DataFrame) else _from_model(model)
    m, size = matrix.shape
    if max(m, size) > LARGEST:
        raise SpecificationError(
            f"A matrix of {m:,} by {size:,} cells cannot be read as a picture (up to {LARGEST} can). Choose contexts and "
            "tokens: table = fit.predict(contexts), then plot_transitions(table[table.token.isin(tokens)])."
        )
    with house_style():
        from matplotlib import colormaps
        from matplotlib.colors import PowerNorm

        cell = float(np.clip(5.0 / max(m, size), 0.155, 0.4))  # inches
        ax = axes(ax, 2.0 + cell * size, max(1.2 + cell * m, 2.6))
        colours = colormaps["Blues"].with_extremes(bad="#BDBDBD")
        image = ax.imshow(
            np.ma.masked_invalid(matrix),
            cmap=colours,
            norm=PowerNorm(0.5, 0.0, max(np.nanmax(matrix), 1e-12)),
            aspect="equal",
        )
        font = 9 if max(m, size) <= 30 else 6.5
        ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)  # before the labels are made
        ax.set_xticks(np.arange(size), columns, fontsize=font, parse_math=False)
        for tick in ax.xaxis.get_major_ticks():
            tick.label2.set_rotation(90 if len(tick.label2.get_text()) > 2 else 0)
        ax.set_yticks(np.arange(m), rows, fontsize=font, parse_math=False)
        ax.xaxis.set_label_position("top")
        ax.set_xlabel("Next token")
        ax.set_ylabel("After")
        for spine in ax.spines.values():
            spine.set_visible(True)
            spine.set_color("#BDBDBD")
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.7, pad=0.02, label="Probability")
        bar.outline.set_visible(False)
    return ax


def _from_model(model: Predictive) -> tuple[Array, list[str], list[str]]:
    model = underlying(model)
    vocabulary = model.corpus.vocabulary
    if model.memory != 1:
        back = "all the way back" if model.memory is None else f"{model.memory} tokens back"
        raise SpecificationError(
            f"The model looks {back}, so one token does not decide its distribution and there is no transition matrix. Use "
            "a bigram (n=2), or pass fit.predict(contexts) for contexts of your choice."
        )
    ids = np.array([vocabulary.bos, *(i for i in range(vocabulary.size) if i != vocabulary.eos)])
    if len(ids) > LARGEST:
        return np.zeros((len(ids), vocabulary.size)), [], []  # refused by the caller, which says why
    matrix = np.exp(model.logprobs(ids[:, None]))
    if isinstance(model, Tabulated):
        matrix[model.counts_of(ids[:, None]).sum(axis=1) == 0] = np.nan
    byte_level = is_byte_level(vocabulary.types)
    names = [visible(token, byte_level=byte_level) for token in vocabulary.tokens]
    return matrix, [names[i] for i in ids], names[: vocabulary.size]


def _from_table(table: pd.DataFrame) -> tuple[Array, list[str], list[str]]:
    lacking = {"context", "token", "probability"} - set(table.columns)
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {sorted(lacking)}, so there is no matrix in it. "
            "Pass what predict() gives."
        )
    wide = table.drop_duplicates(["context", "token"]).pivot(index="context", columns="token", values="probability")
    wide = wide.loc[table["context"].unique(), sorted(wide.columns)]
    byte_level = is_byte_level(wide.columns)
    return (
        wide.to_numpy(float),
        [visible(c) for c in wide.index],
        [visible(t, byte_level=byte_level) for t in wide.columns],
    )
