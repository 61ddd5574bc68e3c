"""What each place of a context looks at, a panel a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.plots.style import GREY, axes, house_style
from statlm.text.display import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEEDED = ("layer", "head", "place", "token", "seen", "seen_token", "weight")
LARGEST = 80  # places that can be told apart in one panel


def plot_attention(table: pd.DataFrame, layer: int = 0, head: int | None = None, ax: Axes | None = None) -> Axes:
    """Weights of attention: a row the place that looks, a column the place that is seen; darker is more.

    Parameters
    ----------
    table : DataFrame
        As `attention` gives it.
    layer : int
    head : int, optional
        By default the mean over the heads of the layer.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If the table lacks a column, has no such layer or head, or more than 80 places.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra " * 20)
    >>> decoder = slm.TransformerDecoder(layers=1, heads=2, width=8, context=8, steps=2).fit(corpus)
    >>> plot_attention(slm.attention(decoder, "abr")).get_ylabel()
    'looks from'
    """
    lacking = set(NEEDED) - set(table.columns)
    chosen = table[:0] if lacking else table[(table["layer"] == layer) & ((table["head"] == head) | (head is None))]
    if lacking or len(chosen) == 0:
        raise SpecificationError(
            f"The table has no rows of layer {layer}, head {'any' if head is None else head}"
            + (f", and lacks {sorted(lacking)}" if lacking else "")
            + ". Pass attention(fit, context), and a layer and head that it holds (both numbered from 0)."
        )
    places = 1 + int(max(chosen["place"].max(), chosen["seen"].max()))
    if places > LARGEST:
        raise SpecificationError(
            f"{places:,} places cannot be told apart in a picture (at most {LARGEST}). Ask about a shorter context."
        )
    matrix = np.zeros((places, places))
    np.add.at(matrix, (chosen["place"].to_numpy(), chosen["seen"].to_numpy()), chosen["weight"].to_numpy(float))
    matrix /= chosen["head"].nunique()
    tokens = chosen.drop_duplicates("place").sort_values("place")["token"]
    labels = [visible(str(token)) for token in tokens]
    with house_style():
        side = 1.6 + 0.2 * places
        ax = axes(ax, max(side, 3.2), max(side, 3.0))
        ax.imshow(np.where(matrix > 0, matrix, np.nan), cmap="Blues", vmin=0, vmax=1, aspect="equal")
        ax.set_xticks(np.arange(places), labels, parse_math=False, fontsize=8, rotation=90 if places > 30 else 0)
        ax.set_yticks(np.arange(places), labels, parse_math=False, fontsize=8)
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(True)
            spine.set_color(GREY)
        ax.set_xlabel("is seen")
        ax.set_ylabel("looks from")
        ax.set_title(f"Layer {layer}, " + (f"mean of {chosen['head'].nunique()} heads" if head is None else f"head {head}"))
    return ax
