"""Next-token probabilities with intervals, by the delta method or from counts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, NonRobust, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import NoEstimate, SpecificationError, UnseenContextWarning
from statlm.inference.bands import check_simultaneous, critical_values
from statlm.inference.conf_int import half_width
from statlm.likelihood import Predictive, is_likelihood, is_penalised, underlying
from statlm.numerics.repeated_rows import explicit
from statlm.numerics.types import Array
from statlm.text.prompts import context_array, context_ids, continuations

FROM_COUNTS = ("wilson", "jeffreys", "clopper-pearson", "goodman", "sison-glaz")
DELTA = ("wald", "logit")
MAX_SISON_GLAZ = 50_000


@runtime_checkable
class Separated(Protocol):
    """A likelihood that says how probable a token that it excludes may still be."""

    def upper_limits(self, contexts: Array, alpha: float) -> Array:
        """(m, V) one-sided upper limits where the probability is 0."""
        ...


@runtime_checkable
class Forgetful(Protocol):
    """A likelihood that reads tokens which training never saw at their lag by a convention."""

    def unseen(self, contexts: Array) -> Array:
        """(m,) whether a context holds such a token."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """A likelihood whose probabilities may depend on covariates beside the context."""

    @property
    def covariates(self) -> tuple[str, ...]:
        """Their names; empty where there are none."""
        ...

    def holding(self, values: Mapping[str, Any]) -> Any:
        """The distribution with its covariates held at these values; it has the score of the model."""
        ...


@runtime_checkable
class Tabulated(Protocol):
    """A likelihood whose probabilities are shares of counts, so that intervals for proportions apply."""

    def counts_of(self, contexts: Array) -> Array:
        """(m, V) counts of what followed each context."""
        ...


def predict(
    model: Predictive,
    contexts: Sequence[Any],
    *,
    interval: float | None = None,
    method: str = "wald",
    cov: str | Covariance | Dependence = "nonrobust",
    simultaneous: bool | str = False,
    at: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    r"""Probabilities of the next token after each context.

    Parameters
    ----------
    model : Predictive
        A Likelihood at its estimate, on the corpus it was fitted to, where an interval is asked.
    contexts : sequence of strings, or of sequences of tokens
        Each the beginning of a document; where it is longer than the model's memory, its end matters.
    interval : float, optional
        Confidence level, as 0.95. Pointwise, unless `simultaneous` or by a simultaneous method.
    method : str
        By the delta method, any `cov`: "wald" on the scale of the probability,
        :math:`\hat p \pm z\,\hat p\,\mathrm{se}(\log \hat p)`, or "logit" on the scale of the log-odds, which keeps inside
        (0, 1). From the counts of an n-gram, model-based: "wilson", "jeffreys", "clopper-pearson" for each cell, "goodman"
        (1965) and "sison-glaz" (1995) simultaneous over a context's row.
    cov : str or object
        Covariance; see `std_errors`.
    simultaneous : bool or str
        Whether the intervals after a context cover all of its probabilities at once. True or "max-z": by the quantile of the
        largest of the correlated ratios, from 100,000 draws of a fixed seed; "bonferroni": the error shared out; "scheffe": the
        widest, which would hold for all contrasts too. Where tokens stand on the boundary half of the error is theirs, in equal
        shares.
    at : mapping, optional
        Values of the covariates of a model that has some, such as ``{"author": "Machado"}``.

    Returns
    -------
    DataFrame
        A row a context and token, most probable first: ``context``, ``token``, ``probability``, and with an interval
        ``std_error``, ``conf_low``, ``conf_high``, ``method``. A cell with a count of 0 has no standard error (it stands on the
        boundary): its row gives the Clopper-Pearson interval instead, and says so.

    Raises
    ------
    NoEstimate
        If an interval is asked after a context that training never saw.
    SpecificationError
        If a model with covariates is not told their values.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> fit.predict(["a"], interval=0.95, method="wilson").round(3).iloc[0].to_dict()
    {'context': 'a', 'token': 'b', 'probability': 0.5, 'std_error': 0.25, 'conf_low': 0.15, 'conf_high': 0.85, 'method': 'wilson'}
    """
    chosen, model = resolve_cov(cov, model), underlying(model)
    vocabulary = model.corpus.vocabulary
    ids = context_ids(vocabulary, contexts)
    if not ids:
        raise SpecificationError("There is no context to predict from. Give at least one, as in predict(['th']).")
    shown = model if at is None else holding(model, at)
    probabilities = np.exp(shown.logprobs(context_array(vocabulary, ids)))  # (m, V)
    m, size = probabilities.shape
    labels = [
        context if isinstance(context, str) else vocabulary.decode(i) for context, i in zip(contexts, ids, strict=True)
    ]
    table = pd.DataFrame(
        {
            "context": np.repeat(np.array(labels, dtype=object), size),
            "token": np.tile(np.array(vocabulary.tokens[:size], dtype=object), m),
            "probability": probabilities.ravel(),
        }
    )
    unseen = _unseen(model, ids, labels)
    if isinstance(model, Forgetful) and (strange := model.unseen(context_array(vocabulary, ids))).any():
        first = labels[int(np.argmax(strange))]
        warnings.warn(
            f"{np.count_nonzero(strange):,} of {m:,} contexts hold a token that training never saw at its lag (the first: "
            f"{first!r}). It is read as the reference level there, which is a convention and no estimate.",
            UnseenContextWarning,
            stacklevel=2,
        )
    if interval is None:
        if unseen:
            warnings.warn(f"{unseen} The uniform distribution is shown there.", UnseenContextWarning, stacklevel=2)
    else:
        if unseen:
            raise NoEstimate(f"{unseen} There is no interval for what was never observed.")
        joint = check_simultaneous(simultaneous)
        for column, values in _intervals(model, shown, ids, probabilities, interval, method, chosen, joint).items():
            table[column] = values
    order = np.lexsort((np.arange(len(table)), -table.probability, np.repeat(np.arange(m), size)))
    return table.iloc[order].reset_index(drop=True)


def holding(model: Predictive, values: Mapping[str, Any]) -> Any:
    """The distribution of a model with its covariates held at values.

    Raises
    ------
    SpecificationError
        If it has none.
    """
    if not isinstance(model, Conditional) or not model.covariates:
        raise SpecificationError(
            "This model has no covariates: its probabilities depend on the context alone, and there is nothing to hold at a "
            "value. Covariates enter by a formula: SoftmaxRegression(formula='next ~ lag1 * C(author)')."
        )
    return model.holding(values)


def _unseen(model: Predictive, ids: list[Array], labels: list[str]) -> str:
    """What to say where a table of counts has nothing on some context; empty where all are known."""
    if not isinstance(model, Tabulated) or model.memory == 0:
        return ""
    counts = model.counts_of(context_array(model.corpus.vocabulary, ids)).sum(axis=1)
    if counts.all():
        return ""
    missing = [label for label, count in zip(labels, counts, strict=True) if count == 0]
    short = model.memory is not None and any(
        len(i) < model.memory for i, count in zip(ids, counts, strict=True) if count == 0
    )
    hint = (
        f" A context shorter than the model's memory of {model.memory} tokens is read as the beginning of a document."
        if short
        else ""
    )
    return f"Training never saw the context {missing[0]!r}{f' and {len(missing) - 1} more' if missing[1:] else ''}.{hint}"


def _intervals(
    model: Predictive,
    shown: Predictive,
    ids: list[Array],
    probabilities: Array,
    level: float,
    method: str,
    chosen: Covariance,
    joint: str | None,
) -> dict[str, Any]:
    if method not in DELTA + FROM_COUNTS:
        raise SpecificationError(f"There is no interval {method!r}. Use one of {', '.join(map(repr, DELTA + FROM_COUNTS))}.")
    if not is_likelihood(model):
        raise SpecificationError(
            "This model is a distribution without parameters and derivatives, so its probabilities have no standard error. "
            "Intervals exist for its held-out measures: evaluation.perplexity_interval()."
        )
    if method in FROM_COUNTS and is_penalised(model):
        raise SpecificationError(
            f"The {method} interval is one for the share of a count, and these probabilities are smoothed by a pseudo-count. Use "
            "method='wald' or 'logit', or fit without pseudo_count."
        )
    if method in FROM_COUNTS and (not isinstance(chosen, NonRobust) or not isinstance(model, Tabulated)):
        raise SpecificationError(
            f"The {method} interval is computed from the counts of an n-gram, model-based (cov='nonrobust'). For other models "
            "or covariances use method='wald' or 'logit'."
        )
    if method in FROM_COUNTS and joint is not None:
        raise SpecificationError(
            f"The {method} interval comes with its own coverage: 'goodman' and 'sison-glaz' are simultaneous, the others "
            "pointwise. Leave out simultaneous=, or use method='wald' or 'logit'."
        )
    m, size = probabilities.shape
    positive = probabilities > 0
    error = np.full((m, size), np.nan)
    tokens = [np.flatnonzero(row) for row in positive]
    cells: Any = shown.on(continuations(model.corpus.vocabulary, ids, tokens))
    gradients = explicit(cells.score())
    relative = root_of_variances(chosen.variances(model, gradients))  # std. error of log p
    error[positive] = relative * probabilities[positive]
    boundary = ~positive | (probabilities == 1.0)
    counts = None
    if isinstance(model, Tabulated):
        counts = model.counts_of(context_array(model.corpus.vocabulary, ids))
        boundary = (counts == 0) | (counts == counts.sum(axis=1, keepdims=True))
    half: Any = half_width(level, chosen.reference_dof(model))
    exact = np.full(m, 1 - level)  # error of each token on the boundary
    if joint is not None:
        some = boundary.sum(axis=1)
        exact = (1 - level) / np.maximum(np.where(some < size, 2 * some, some), 1)
        levels = np.where(some == 0, level, (1 + level) / 2)
        half = critical_values(model, gradients, [len(t) for t in tokens], levels.tolist(), chosen, joint)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        if method == "logit":
            logit = np.log(probabilities) - np.log1p(-probabilities)
            width = half * error / (probabilities * (1 - probabilities))
            low, high = 1 / (1 + np.exp(width - logit)), 1 / (1 + np.exp(-width - logit))
        else:
            low, high = np.maximum(probabilities - half * error, 0.0), np.minimum(probabilities + half * error, 1.0)
    label = np.full((m, size), method if joint is None else f"{method}, simultaneous ({joint})", dtype=object)
    if counts is not None:
        if method in FROM_COUNTS:
            for row in range(m):
                low[row], high[row] = proportion_interval(counts[row], level, method)
            error[(counts == 0) | (counts == counts.sum(axis=1, keepdims=True))] = np.nan
        else:
            # What never or always occurred stands on the boundary; a pseudo-count moves it inside without information.
            ends = [proportion_interval(row, 1 - e, "clopper-pearson") for row, e in zip(counts, exact, strict=True)]
            low = np.where(boundary, np.stack([e[0] for e in ends]), low)
            high = np.where(boundary, np.stack([e[1] for e in ends]), high)
            label[boundary] = "clopper-pearson (on the boundary)"
            error[boundary] = np.nan
    elif isinstance(shown, Separated) and not positive.all():
        contexts = context_array(model.corpus.vocabulary, ids)
        if joint is None:
            limits = shown.upper_limits(contexts, (1 - level) / 2)
        else:
            limits = np.concatenate([shown.upper_limits(contexts[[i]], exact[i] / 2) for i in range(m)])
        certain = positive & (positive.sum(axis=1, keepdims=True) == 1)
        low, high = np.where(positive, low, 0.0), np.where(positive, high, limits)
        # A token that is certain in the limit is so because all others are excluded.
        low[certain] = np.maximum(1.0 - np.where(positive, 0.0, limits).sum(axis=1), 0.0)[certain.any(axis=1)]
        high[certain] = 1.0
        label[~positive | certain] = "one-sided (separation)"
        error[~positive | certain] = np.nan
    return {"std_error": error.ravel(), "conf_low": low.ravel(), "conf_high": high.ravel(), "method": label.ravel()}


def proportion_interval(counts: Array, level: float, method: str) -> tuple[Array, Array]:
    """Intervals for the shares of a row of counts, by statsmodels.

    Parameters
    ----------
    counts : (V,) integer array
    level : float
        Confidence level.
    method : str
        "wilson", "jeffreys", "clopper-pearson", "goodman" or "sison-glaz".

    Returns
    -------
    low, high : (V,) arrays

    References
    ----------
    Brown, Cai and DasGupta (2001), Interval estimation for a binomial proportion. Goodman (1965). Sison and Glaz (1995).
    """
    from statsmodels.stats.proportion import multinomial_proportions_confint, proportion_confint

    total = int(counts.sum())
    if method == "sison-glaz" and total > MAX_SISON_GLAZ:
        raise SpecificationError(
            f"The Sison-Glaz interval searches over counts one by one, which takes too long for {total:,} observations (at most "
            f"{MAX_SISON_GLAZ:,}). Use method='goodman', which is simultaneous too."
        )
    if total == 0:
        raise NoEstimate("A row without observations has no share to put an interval on.")
    if method in ("goodman", "sison-glaz"):
        with np.errstate(divide="ignore", invalid="ignore"):  # statsmodels takes the logarithm of a count of 0
            found = multinomial_proportions_confint(counts, alpha=1 - level, method=method)
        return found[:, 0], found[:, 1]
    name = {"wilson": "wilson", "jeffreys": "jeffreys", "clopper-pearson": "beta"}[method]
    low, high = proportion_confint(counts, total, alpha=1 - level, method=name)
    # At the ends of the range the interval is one-sided and closed; statsmodels' beta quantiles are not defined there.
    return np.where(counts == 0, 0.0, np.nan_to_num(low)), np.where(counts == total, 1.0, np.nan_to_num(high, nan=1.0))
