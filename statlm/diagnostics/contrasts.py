"""What a model prefers after given contexts: probabilities of two continuations, subtracted, over many contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.errors import FewClustersWarning, NoEstimate, SpecificationError, TooFewClusters
from statlm.inference.conf_int import half_width
from statlm.inference.parameters import likelihood_of
from statlm.inference.perplexity_interval import Interval
from statlm.likelihood import Predictive, underlying
from statlm.numerics.p_values import p_value_text
from statlm.numerics.repeated_rows import dense, sum_by
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.prompts import context_ids

SCALES = ("probability", "log")
ERRORS = ("contexts", "model")
ENOUGH = 10
ROUNDING = 1e-13  # of the largest number that was subtracted


@dataclass(frozen=True, eq=False)
class Contrast:
    """A mean difference of probabilities over contexts.

    Attributes
    ----------
    estimate : float
        Of probabilities, or of their logarithms (nats).
    std_error : float
    conf_int : Interval
    p_value : float
        Two-sided, of a mean of 0.
    table : DataFrame
        A row a context, or a pair of contexts.
    what : str
        The contrast in words.
    errors : str
        What the error is of, in words.
    """

    estimate: float
    std_error: float
    conf_int: Interval
    p_value: float
    table: pd.DataFrame
    what: str
    errors: str

    def __str__(self) -> str:
        low, high = self.conf_int
        return (
            f"{self.what}, mean over {len(self.table):,} rows: {self.estimate:.4g} (std. error {self.std_error:.2g}, interval "
            f"{low:.4g} to {high:.4g}), p {p_value_text(self.p_value)}.\nErrors: {self.errors}."
        )


def contrast(
    model: Predictive,
    contexts: Sequence[Any],
    a: Any,
    b: Any = None,
    *,
    against: Sequence[Any] | None = None,
    clusters: Sequence[Any] | None = None,
    scale: str = "probability",
    errors: str = "contexts",
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
) -> Contrast:
    r"""Mean of P(a | context) - P(b | context) over contexts, or of its difference between the two contexts of pairs.

    A bias is then a marginal effect: how much more probable is "he" than "she" after sentences about doctors, and how much does
    that change when the same sentences are about nurses?

    Parameters
    ----------
    model : Predictive
    contexts : sequence of strings, or of sequences of tokens
        Each the beginning of a document.
    a, b : string, or sequence of tokens
        Continuations, of one token or several: P(a | c) is the product of the probabilities of a's tokens. Without `b` the
        contrast is of P(a | c) alone, and needs `against`.
    against : sequence of contexts, optional
        A second context for each: the difference of the two contrasts is taken, first minus second.
    clusters : sequence, optional
        A label for each context or pair; contexts made from one template belong together. By default each is its own.
    scale : "probability" or "log"
        Differences of probabilities, or of log-probabilities (nats; log odds ratios of a and b).
    errors : "contexts" or "model"
        What is random. "contexts": the model is held fixed, and contexts are a sample, in clusters, of those it could be asked.
        "model": contexts are fixed, and the parameters have the error of their estimate (delta method).
    cov : str or object
        With ``errors="model"``, the covariance; see `std_errors`.
    level : float
        Confidence level.

    Returns
    -------
    Contrast
        Its ``table`` has ``context`` (and ``against``), the probabilities ``p_a``, ``p_b`` (and ``against_a``, ``against_b``),
        and ``difference``.

    Raises
    ------
    SpecificationError
        If arguments do not fit together, or a model without parameters is asked for the errors of them.
    TooFewClusters
        If there are fewer than 2 clusters.
    NoEstimate
        If all differences are the same, or a probability of 0 has no logarithm.

    Warns
    -----
    FewClustersWarning
        Below 10 clusters.

    References
    ----------
    Liang and Zeger (1986) for the clustered error. Nangia et al. (2020) and Rudinger et al. (2018) for the question.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> found = contrast(fit, ["a", "a"], "b", "c", errors="model")
    >>> round(found.estimate, 3), bool(found.std_error > 0)
    (0.202, True)
    """
    if scale not in SCALES or errors not in ERRORS:
        raise SpecificationError(
            f"scale={scale!r}, errors={errors!r}: the scales are 'probability' and 'log', the errors those of 'contexts' or of "
            "the 'model'."
        )
    if b is None and against is None:
        raise SpecificationError("A contrast needs a second thing: a continuation b, or a context against each.")
    if against is not None and len(against) != len(contexts):
        raise SpecificationError(f"{len(contexts):,} contexts and {len(against):,} against them: give one for each.")
    labels = list(range(len(contexts))) if clusters is None else list(clusters)
    if len(labels) != len(contexts) or not len(contexts):
        raise SpecificationError(
            f"There are {len(labels):,} clusters for {len(contexts):,} contexts. Give one label a context."
        )
    vocabulary = model.corpus.vocabulary
    words = [("a", a, 1.0)] + ([] if b is None else [("b", b, -1.0)])
    sides = [("p", contexts, 1.0)] + ([] if against is None else [("against", against, -1.0)])
    blocks = [
        (f"{side}_{name}", context_ids(vocabulary, some), context_ids(vocabulary, [word])[0], sign * way)
        for side, some, way in sides
        for name, word, sign in words
    ]
    m = len(contexts)
    asked = _continued(vocabulary, [(c, follow) for _, some, follow, _ in blocks for c in some])
    held = underlying(model).on(asked)
    logs = sum_by(np.asarray(held.loglike_obs(), float), asked.document_index, asked.ndocuments).reshape(len(blocks), m)
    p = np.exp(logs)
    if scale == "log" and np.isneginf(logs).any():
        raise NoEstimate(
            f"{np.count_nonzero(np.isneginf(logs)):,} of {logs.size:,} continuations have probability 0, which has no "
            "logarithm. Use scale='probability', or a smoothed model."
        )
    signs = np.array([sign for *_, sign in blocks])
    difference = signs @ (logs if scale == "log" else p)
    table = pd.DataFrame({"context": [_label(vocabulary, c) for c in contexts]})
    if against is not None:
        table["against"] = [_label(vocabulary, c) for c in against]
    for (name, *_), row in zip(blocks, p, strict=True):
        table[name] = row
    table["difference"] = difference
    table["cluster"] = labels
    rounding = ROUNDING * float(np.abs(logs if scale == "log" else p).max())
    if errors == "contexts":
        error, dof, said = _error_over_contexts(difference, labels, rounding)
    else:
        slopes = np.repeat(signs, m) * (1.0 if scale == "log" else p.ravel()) / m
        possible = np.flatnonzero(~np.isneginf(logs.ravel()))  # on the boundary a probability of 0 stays, and has no slope
        if not len(possible):
            raise NoEstimate("All continuations have probability 0, on the boundary, where no standard error exists.")
        part = asked.subset(possible)
        score = likelihood_of(held.on(part)).score()
        gradient = dense(score.T @ slopes[possible][part.document_index]).reshape(1, -1)
        likelihood, chosen = likelihood_of(model), resolve_cov(cov)
        error = float(np.sqrt(max(chosen.variances(likelihood, gradient)[0], 0.0)))
        dof, said = chosen.reference_dof(likelihood), f"of the estimated parameters (cov={cov!r}), the contexts being fixed"
    if error == 0:
        looks = (
            ""
            if model.memory is None
            else f" The model looks {model.memory} tokens back and sees no difference before that."
        )
        common = difference[0] if abs(difference[0]) > rounding else 0.0
        raise NoEstimate(
            f"All {m:,} differences equal {common:.4g}: without variation there is no standard error.{looks} Ask about "
            "contexts that differ for the model, or for errors='model'."
        )
    estimate = float(difference.mean())
    half = half_width(level, dof) * error
    what = f"{'log ' if scale == 'log' else ''}P({_label(vocabulary, a)!r})" + (
        "" if b is None else f" - {'log ' if scale == 'log' else ''}P({_label(vocabulary, b)!r})"
    )
    what += ", first context minus second" if against is not None else ""
    return Contrast(
        estimate, error, Interval(estimate - half, estimate + half), _p_value(estimate / error, dof), table, what, said
    )


def _continued(vocabulary: Any, asked: list[tuple[Array, Array]]) -> Corpus:
    """A document for each context and continuation, conditioned on the context."""
    if any(len(follow) == 0 for _, follow in asked):
        raise SpecificationError("A continuation has no token. Give at least one.")
    documents = [np.concatenate(pair).astype(vocabulary.dtype) for pair in asked]
    lengths = np.array([len(d) for d in documents], np.int64)
    return Corpus(
        vocabulary,
        np.concatenate(documents),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.array([len(context) for context, _ in asked], np.int64),
        pd.DataFrame({"name": pd.Series([str(i) for i in range(len(documents))], dtype="str")}),
    )


def _error_over_contexts(difference: Array, labels: list[Any], rounding: float) -> tuple[float, float, str]:
    """Standard error of the mean, 0 where it is but rounding; degrees of freedom; and words."""
    codes = pd.factorize(np.array([str(x) for x in labels], dtype=object))[0]
    groups = int(codes.max()) + 1
    if groups < 2:
        raise TooFewClusters(
            f"The {len(difference):,} contexts are {groups} cluster, and one has no variance. Ask about contexts from more "
            "templates, or for errors='model', which holds the contexts fixed."
        )
    if groups < ENOUGH:
        import warnings

        warnings.warn(
            f"Only {groups} clusters of contexts: the error is itself uncertain below {ENOUGH} and tends to be too small. "
            f"The t distribution with {groups - 1} degrees of freedom is used.",
            FewClustersWarning,
            stacklevel=3,
        )
    sums = np.bincount(codes, difference - difference.mean(), groups)
    error = float(np.sqrt(groups / (groups - 1) * (sums**2).sum())) / len(difference)
    kind = "contexts as a sample" if groups == len(difference) else f"contexts in {groups:,} clusters as a sample"
    return (error if error > rounding else 0.0), groups - 1.0, f"{kind}, the model being fixed"


def _p_value(ratio: float, dof: float) -> float:
    from scipy.special import ndtr, stdtr

    return float(2 * (ndtr(-abs(ratio)) if np.isinf(dof) else stdtr(dof, -abs(ratio))))


def _label(vocabulary: Any, context: Any) -> str:
    return context if isinstance(context, str) else vocabulary.decode(context_ids(vocabulary, [context])[0])
