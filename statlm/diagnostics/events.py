"""Binary events about the next token: what a model said of their probability, and whether they came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from statlm.errors import SpecificationError
from statlm.likelihood import Predictive
from statlm.likelihood.next_token import next_tokens
from statlm.numerics.types import Array

TOP = "top"


@dataclass(frozen=True, eq=False)
class Event:
    """An event at every observation.

    Attributes
    ----------
    name : str
        In words.
    probability : (nobs,) array
        What the model gives it.
    happened : (nobs,) bool array
    """

    name: str
    probability: Array
    happened: Array


def event_of(model: Predictive, event: str | Sequence[str]) -> Event:
    """The forecasts of an event and its outcomes on a model's corpus.

    Parameters
    ----------
    model : Predictive
    event : "top", a token, or a sequence of tokens
        That the most probable token comes (the first of the vocabulary among equals), or that one of these tokens does.

    Raises
    ------
    SpecificationError
        If a token is not among the types that may follow.
    """
    corpus = model.corpus
    vocabulary = corpus.vocabulary
    if event == TOP and TOP in vocabulary.tokens[: vocabulary.size]:
        raise SpecificationError(
            "The vocabulary has a token 'top', so event='top' could mean it or the most probable token. Write event=['top'] "
            "for the token."
        )
    targets = corpus.targets
    probability, happened = np.empty(corpus.nobs), np.zeros(corpus.nobs, bool)
    if event == TOP:
        for part in next_tokens(model):
            best = part.logprobs.argmax(axis=1)
            chance = np.exp(part.logprobs[np.arange(len(best)), best])
            probability[part.where] = chance[part.row]
            happened[part.where] = best[part.row] == targets[part.where]
        return Event("the most probable token comes next", np.minimum(probability, 1.0), happened)
    tokens = [event] if isinstance(event, str) else list(event)
    place = {token: i for i, token in enumerate(vocabulary.tokens[: vocabulary.size])}
    unknown = [token for token in tokens if token not in place]
    if unknown or not tokens:
        raise SpecificationError(
            f"event={event!r}: {', '.join(map(repr, unknown)) or 'nothing'} is not among the {vocabulary.size:,} types that "
            "may come next. Use 'top', a token of the vocabulary, or a list of them."
        )
    ids = np.array([place[token] for token in tokens])
    for part in next_tokens(model):
        probability[part.where] = np.exp(part.logprobs[:, ids]).sum(axis=1)[part.row]
    named = " or ".join(map(repr, tokens)) if len(tokens) <= 5 else f"one of {len(tokens)} tokens"
    return Event(f"{named} comes next", np.minimum(probability, 1.0), np.isin(targets, ids))
