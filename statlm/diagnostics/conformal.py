"""Sets of next tokens that hold the true one with a stated probability, whatever is wrong with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.perplexity_interval import Interval, MeanEstimate, mean_estimate
from statlm.likelihood import Predictive
from statlm.likelihood.next_token import next_tokens
from statlm.numerics.types import Array
from statlm.text.prompts import context_array, context_ids

SCORES = ("lac", "aps")
UNITS = ("document", "token")


@dataclass(frozen=True)
class Coverage:
    """How prediction sets did on a text.

    Attributes
    ----------
    coverage : float
        Share of observations whose token was in its set: the mean over documents where documents are exchangeable, else over
        tokens.
    conf_int : Interval
        Of the coverage.
    size : float
        Mean number of tokens in a set.
    median_size : float
    level : float
        What was promised.
    dependence : str
    nobs : int
    """

    coverage: float
    conf_int: Interval
    size: float
    median_size: float
    level: float
    dependence: str
    nobs: int

    def __str__(self) -> str:
        low, high = self.conf_int
        return (
            f"Coverage {self.coverage:.4f} (interval {low:.4f} to {high:.4f}) of sets of level {self.level:g} over "
            f"{self.nobs:,} tokens; mean size {self.size:.2f}, median {self.median_size:g}.\nDependence: {self.dependence}."
        )


@dataclass(frozen=True, eq=False)
class PredictionSets:
    """Prediction sets of one model at one threshold; what `conformal_sets` gives.

    Attributes
    ----------
    model : Predictive
    threshold : float
        A token is in the set where its score is at most this.
    level : float
    score : str
    by : str
        What is exchangeable: "document" or "token".
    randomise : bool
    seed : int
    guarantee : str
        What the level promises, in words.
    """

    model: Predictive
    threshold: float
    level: float
    score: str
    by: str
    randomise: bool
    seed: int
    guarantee: str

    def members(self, logprobs: Array, draw: Array) -> Array:
        """(m, V) bool, whether each token is in the set of each context; draws are uniform numbers, (m,)."""
        inside: Array = _scores(logprobs, self.score, draw if self.randomise else np.ones(len(logprobs))) <= self.threshold
        return inside & ~np.isneginf(logprobs)

    def predict(self, contexts: Sequence[Any]) -> pd.DataFrame:
        """The set after each context.

        Parameters
        ----------
        contexts : sequence of strings, or of sequences of tokens
            As of `statlm.predict`.

        Returns
        -------
        DataFrame
            A row a context: ``context``, ``size``, ``tokens`` (list, most probable first), ``probability`` (what the model gives
            the whole set).
        """
        vocabulary = self.model.corpus.vocabulary
        ids = context_ids(vocabulary, contexts)
        if not ids:
            raise SpecificationError("There is no context to predict from. Give at least one, as in predict(['th']).")
        logprobs = self.model.logprobs(context_array(vocabulary, ids))
        inside = self.members(logprobs, np.random.default_rng(self.seed).random(len(ids)))
        rows = []
        for context, i, row, keep in zip(contexts, ids, logprobs, inside, strict=True):
            best = [int(w) for w in np.argsort(-row, kind="stable") if keep[w]]
            label = context if isinstance(context, str) else vocabulary.decode(i)
            rows.append((label, len(best), [vocabulary.tokens[w] for w in best], float(np.exp(row[best]).sum())))
        return pd.DataFrame(rows, columns=["context", "size", "tokens", "probability"])

    def coverage(self, model: Predictive | None = None, *, level: float = 0.95) -> Coverage:
        """Coverage and size of the sets on a text, with a clustered interval.

        Parameters
        ----------
        model : Predictive
            The same model on new text, as in ``sets.coverage(fit.on(test))``; by default where it stands.
        level : float
            Confidence level of the interval.

        Returns
        -------
        Coverage

        Raises
        ------
        NoEstimate
            If documents are the unit and there is a single one.
        """
        held = self.model if model is None else model
        corpus = held.corpus
        targets, n = corpus.targets.astype(np.int64), corpus.nobs
        hit, size = np.zeros(n, bool), np.empty(n)
        draw = np.random.default_rng(self.seed + 1).random(n)
        for part in next_tokens(held):
            known = targets[part.where] < part.logprobs.shape[1]
            if self.randomise:
                inside = self.members(part.logprobs[part.row], draw[part.where])
                rows = np.arange(len(part.row))
            else:
                inside, rows = self.members(part.logprobs, np.ones(len(part.logprobs))), part.row
            size[part.where] = inside.sum(axis=1)[rows]
            hit[part.where] = inside[rows, np.where(known, targets[part.where], 0)] & known
        estimate = self._estimate(hit.astype(float), held)
        low, high = estimate.interval(level)
        return Coverage(
            estimate.mean,
            Interval(max(low, 0.0), min(high, 1.0)),
            float(size.mean()),
            float(np.median(size)),
            self.level,
            estimate.dependence,
            n,
        )

    def _estimate(self, hit: Array, held: Predictive) -> MeanEstimate:
        corpus = held.corpus
        if self.by == "token":
            return mean_estimate(hit, corpus)
        groups = corpus.ndocuments
        if groups < 2:
            raise NoEstimate(
                "The text is a single document, and coverage is a mean over documents: one has no standard error. Cut it with "
                "corpus.blocks(length=...), which states that the pieces are exchangeable, or give more documents."
            )
        means = np.bincount(corpus.document_index, hit, groups) / np.bincount(corpus.document_index, minlength=groups)
        error = float(means.std(ddof=1)) / np.sqrt(groups)
        return MeanEstimate(
            float(means.mean()), error, groups - 1.0, f"{groups:,} documents, each with the same weight", len(hit)
        )


def conformal_sets(
    model: Predictive,
    level: float = 0.9,
    *,
    score: str = "lac",
    by: str = "document",
    randomise: bool = False,
    seed: int = 0,
) -> PredictionSets:
    r"""Split conformal prediction sets for the next token.

    A token is in the set where its score is at most the threshold, a quantile of the scores of the observed tokens on text that
    the model was not fitted to. The coverage is right whatever the model; a bad model has large sets.

    Parameters
    ----------
    model : Predictive
        On calibration text: not the text it was fitted to, nor the text it will be used on.
    level : float
        Coverage promised.
    score : "lac" or "aps"
        "lac": :math:`1 - p(y \mid x)`, which gives the smallest sets on average; "aps": the probability of y and of all more
        probable tokens (among equals, those before it in the vocabulary), which gives larger sets where the model is unsure.
    by : "document" or "token"
        What is exchangeable. "document": documents are, and tokens within them may depend on each other: the promise is for a
        random token of a new document, and each calibration document counts the same. "token": all tokens are, which text is
        not; the promise is then approximate.
    randomise : bool
        Break the discreteness of "aps" by a uniform draw, so that sets are not larger than they need be.
    seed : int
        Of these draws.

    Returns
    -------
    PredictionSets
        With ``predict(contexts)`` and ``coverage(model.on(test))``.

    Raises
    ------
    SpecificationError
        If there is no such score or unit, or the level is not between 0 and 1.
    NoEstimate
        If there are too few documents for the level: D documents can promise at most D / (D + 1).

    Notes
    -----
    With D documents of :math:`n_d` tokens the threshold is the quantile at `level` of the distribution that puts
    :math:`1 / ((D + 1) n_d)` on each score and :math:`1 / (D + 1)` on infinity.

    References
    ----------
    Vovk, Gammerman and Shafer (2005). Sadinle, Lei and Wasserman (2019) for "lac". Romano, Sesia and Candès (2020) for "aps".
    Dunn, Wasserman and Ramdas (2023), Distribution-free prediction sets for two-layer hierarchical models; Lee, Barber and
    Willett (2023) for the weights of documents.

    Examples
    --------
    >>> import statlm as slm
    >>> lines = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra", "abraca"] * 20)
    >>> train, rest = lines.split(test=0.5)
    >>> sets = conformal_sets(slm.NGram(n=2, pseudo_count=0.1).fit(train).on(rest), level=0.9)
    >>> sets.predict(["c"]).tokens[0]
    ['a']
    """
    if score not in SCORES or by not in UNITS:
        raise SpecificationError(
            f"score={score!r}, by={by!r}: the scores are 'lac' and 'aps', the units 'document' and 'token'."
        )
    if not 0 < level < 1:
        raise SpecificationError(f"level={level}: the coverage promised must lie between 0 and 1, as in 0.9.")
    corpus = model.corpus
    n, groups = corpus.nobs, corpus.ndocuments
    units = groups if by == "document" else n
    if level > units / (units + 1):
        raise NoEstimate(
            f"{units:,} {by}s can promise a coverage of {units / (units + 1):.3f} at most, as a new one may be less like the "
            f"model than all of them, and {level:g} is asked: the sets would hold every token. "
            f"Use {int(np.ceil(level / (1 - level) - 1e-9)):,} {by}s or more, cut long documents (corpus.blocks), or "
            "lower the level."
        )
    draw = np.random.default_rng(seed).random(n) if randomise else np.ones(n)
    scores = np.full(n, np.inf)
    targets = corpus.targets.astype(np.int64)
    for part in next_tokens(model):
        known = targets[part.where] < part.logprobs.shape[1]
        where, row = part.where[known], part.row[known]
        if randomise:
            found = _scores(part.logprobs[row], score, draw[where])
            scores[where] = found[np.arange(len(row)), targets[where]]
        else:
            scores[where] = _scores(part.logprobs, score, np.ones(len(part.logprobs)))[row, targets[where]]
    scores[np.isneginf(np.asarray(model.loglike_obs(), float))] = np.inf
    sizes = np.bincount(corpus.document_index, minlength=groups)
    weight = 1.0 / sizes[corpus.document_index] if by == "document" else np.ones(n)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weight[order]) / (units + 1)
    at = int(np.searchsorted(reached, level - 1e-12))
    threshold = float(scores[order[at]]) if at < n else np.inf
    promise = (
        f"a random token of a new document is in its set with probability {level:g} or more, if it is exchangeable with the "
        f"{groups:,} calibration documents"
        if by == "document"
        else f"a token is in its set with probability {level:g} or more, if it is exchangeable with the {n:,} calibration tokens"
    )
    return PredictionSets(model, threshold, level, score, by, randomise, seed, promise)


def _scores(logprobs: Array, score: str, draw: Array) -> Array:
    """(m, V) conformity scores, small for what the model expects."""
    p = np.exp(logprobs)
    if score == "lac":
        return 1.0 - p
    rank = np.argsort(-p, axis=1, kind="stable")
    sorted_p = np.take_along_axis(p, rank, axis=1)
    before = np.cumsum(sorted_p, axis=1) - sorted_p
    result = np.empty_like(p)
    np.put_along_axis(result, rank, before + draw[:, None] * sorted_p, axis=1)
    return result
