"""Gating probabilities of a mixture of experts, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from statlm.errors import SpecificationError
from statlm.likelihood import underlying
from statlm.models.transformer.states import Networked
from statlm.text.prompts import context_array, context_ids


def gating(model: Any, contexts: Sequence[Any]) -> pd.DataFrame:
    """Which experts of a decoder work on what follows each context, and with what probability they were chosen.

    Parameters
    ----------
    model : Fit, Evaluation or DecoderLikelihood
        Of a `TransformerDecoder` with ``experts=`` 2 or more.
    contexts : sequence of strings, or of sequences of tokens
        Beginnings of documents, as of `predict`. The gates are those at the last token.

    Returns
    -------
    DataFrame
        A row a context, layer and expert: context, layer, expert (both from 1), probability (of the gate, over the
        experts of a layer it sums to 1), weight (with which the expert counts; 0 if it is not chosen).

    Raises
    ------
    SpecificationError
        If the model has no experts.

    Notes
    -----
    The gate is a multinomial logit on the features of the context, fitted together with the rest, with no labels of its
    own: experts can be permuted, and what an expert is for must be read from a table like this.

    References
    ----------
    Jacobs, Jordan, Nowlan and Hinton (1991), Adaptive mixtures of local experts. Fedus, Zoph and Shazeer (2022), Switch
    transformers.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra " * 30)
    >>> fit = slm.TransformerDecoder(layers=1, heads=2, width=8, context=16, experts=2, steps=20, batch=128, seed=1).fit(corpus)
    >>> table = gating(fit, ["abr", "ab"])
    >>> table.shape, float(table.groupby(["context", "layer"]).probability.sum().round(6).iloc[0])
    ((4, 5), 1.0)
    """
    from statlm.networks.gating import gate_probabilities

    held: Any = underlying(model)
    if not isinstance(held, Networked) or held.architecture.experts < 2:
        raise SpecificationError(
            "The model has no experts to choose among, so it has no gates. Fit one that does: TransformerDecoder(experts=4, ...)."
        )
    shape, vocabulary = held.architecture, held.corpus.vocabulary
    rows = []
    for context, ids in zip(contexts, context_ids(vocabulary, contexts), strict=True):
        read = held.read(context_array(vocabulary, [ids]))[0]
        probabilities, weights = gate_probabilities(held.network, read, prefix=shape.prefix)
        for layer, (p, w) in enumerate(zip(probabilities, weights, strict=True), start=1):
            for expert in range(len(p)):
                shown = context if isinstance(context, str) else " ".join(map(str, context))
                rows.append((shown, layer, expert + 1, p[expert], w[expert]))
    return pd.DataFrame(rows, columns=["context", "layer", "expert", "probability", "weight"])
