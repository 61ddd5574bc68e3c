"""What a decoder looks at in a context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.likelihood import Predictive, underlying
from statlm.numerics.types import Array
from statlm.text.prompts import context_array, context_ids


@runtime_checkable
class Attending(Protocol):
    """A distribution that weighs the places of its context."""

    def attention_weights(self, contexts: Array) -> list[Array]:
        """For each context (layers, heads, T, T) weights, the places that look on the third axis."""
        ...


def attention(model: Predictive, context: str | Sequence[Any]) -> pd.DataFrame:
    r"""The weights with which each place of a context looks at the places that it sees.

    In head h of a layer, place t takes the mean of linear functions of the places s that it sees, with weights

    .. math:: a_{ts} = \frac{\exp(q_t' k_s / \sqrt d)}{\sum_{r} \exp(q_t' k_r / \sqrt d)} .

    Parameters
    ----------
    model : Fit, Evaluation or Predictive
        Of a decoder.
    context : string, or sequence of tokens
        The beginning of a document; of one that is longer than the model's memory, its end.

    Returns
    -------
    DataFrame
        A row a pair of places: ``layer`` and ``head`` from 0, ``place`` and its ``token``, ``seen`` and its ``seen_token``, and
        ``weight``. The weights of a place sum to 1.

    Raises
    ------
    SpecificationError
        If the model weighs no places, or has no layers that do.

    Notes
    -----
    Weights show what is passed on, not what decides: a place can be looked at and have nothing to say (Jain and Wallace 2019).
    They are no estimate with a standard error either, because heads are not identified.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need. NeurIPS. Jain and Wallace (2019), Attention is not explanation. NAACL.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra " * 20)
    >>> decoder = slm.TransformerDecoder(layers=1, heads=2, width=8, context=8, steps=2).fit(corpus)
    >>> table = attention(decoder, "abr")
    >>> bool(table.groupby(["layer", "head", "place"]).weight.sum().round(6).eq(1).all())
    True
    """
    held = underlying(model)
    if not isinstance(held, Attending):
        raise SpecificationError(
            f"{type(held).__name__} does not weigh the places of a context, so there is no attention to show. Pass the fit of a "
            "TransformerDecoder; of other models, predict(contexts) shows what a context does."
        )
    vocabulary = held.corpus.vocabulary
    padded = context_array(vocabulary, context_ids(vocabulary, [context]))
    (weights,) = held.attention_weights(padded)
    if len(weights) == 0:
        raise SpecificationError(
            "A decoder without layers has no attention: its features are the embedding of the last token."
        )
    tokens = np.array([vocabulary.tokens[i] for i in padded[0]], dtype=object)[-weights.shape[-1] :]
    layer, head, place, seen = np.indices(weights.shape).reshape(4, -1)
    table = pd.DataFrame({"layer": layer, "head": head, "place": place, "token": tokens[place], "seen": seen})
    table["seen_token"] = tokens[seen]
    table["weight"] = weights.ravel()
    return table[table.weight > 0].reset_index(drop=True)
