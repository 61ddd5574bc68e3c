"""What a previous token does to the probabilities of the next: average marginal effects of swapping one for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.parameters import likelihood_of
from statlm.inference.predict import Tabulated, holding
from statlm.likelihood import Likelihood
from statlm.numerics.repeated_rows import explicit
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.text.prompts import context_array, continuations
from statlm.text.vocabulary import Vocabulary

CELLS = 50_000  # (context, token) pairs whose scores are held at a time
GRADIENTS = 64_000_000  # entries of the gradients that one solve takes: 512 MB


def marginal_effects(
    fit: Likelihood,
    lag: int = 1,
    *,
    tokens: Sequence[str] | str | None = None,
    reference: str | None = None,
    responses: Sequence[str] | str | None = None,
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
    at: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    r"""Average marginal effects of swapping a previous token.

    For lag j, token a and reference r, the effect on the probability of the response y is the average over the observations
    of the corpus

    .. math:: \frac{1}{N} \sum_i \left[ p(y \mid x_i, x_{ij} := a) - p(y \mid x_i, x_{ij} := r) \right],

    the other tokens of each context as they are. The average is over the N observations that have a token at that lag,
    within their document. Standard errors are by the delta method, with gradients :math:`p\, \partial \log p` from the score
    of what could come next.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to; of finite memory.
    lag : int
        Which previous token is swapped; 1 is the last one.
    tokens : str or sequence of str, optional
        Tokens to put there; by default all that occur there, but the reference.
    reference : str, optional
        What they are compared with; by default the most frequent token at that lag.
    responses : str or sequence of str, optional
        Tokens whose probabilities are of interest; by default all that occur as observations.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level.
    at : mapping, optional
        Values at which the covariates of a model that has some are held.

    Returns
    -------
    DataFrame
        A row a token and response: ``lag``, ``token``, ``reference``, ``response``, ``effect`` (a difference of
        probabilities), ``std_error``, ``conf_low``, ``conf_high``, ``p_value`` (of no effect, by the normal or t
        distribution). Over all responses the effects of a token sum to 0.

    Raises
    ------
    SpecificationError
        If the model looks back without end, or not as far as `lag`.
    NoEstimate
        If a token never occurs at that lag, or an n-gram never saw a context that the swap makes.

    Notes
    -----
    The contexts of the corpus are taken as they are: the standard errors hold the uncertainty of the parameters, not that of
    other texts having other contexts (as Stata's and statsmodels' margins do). A response of probability 0 in a context, on
    the boundary, contributes no uncertainty there. Where all effects of a model are certain the p-value is missing.

    An average marginal effect is a statement on probabilities under the model, of cause only if the tokens were put there at
    random.

    References
    ----------
    Bartus (2005), Estimation of marginal effects using margeff. Stata Journal 5. Williams (2012), Using the margins command.
    Stata Journal 12.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.SoftmaxRegression(lags=1).fit(slm.Corpus.from_text("abbababbaaab" * 20))
    >>> effects = marginal_effects(fit, reference="a", responses="a")
    >>> effects[["token", "response", "effect", "std_error"]].round(3).to_dict("records")
    [{'token': 'b', 'response': 'a', 'effect': 0.331, 'std_error': 0.061}]
    """
    model = likelihood_of(fit)
    if model.memory is None:
        raise SpecificationError(
            "This model looks back without end, so every observation has a context of its own and a swap far back changes "
            "all that follow. Average marginal effects need a finite memory."
        )
    if not 1 <= lag <= model.memory:
        raise SpecificationError(
            f"lag={lag}: this model's probabilities depend on the last {model.memory} tokens only, so there is no effect of "
            f"others. Choose a lag from 1 to {model.memory}."
        )
    corpus = model.corpus
    vocabulary = corpus.vocabulary
    columns = [column.astype(np.int64) for column in corpus.context_columns(model.memory)]
    inside = (columns[lag - 1] != vocabulary.bos) & (columns[lag - 1] != vocabulary.pad)
    if not inside.any():
        raise NoEstimate(f"No observation has a token at lag {lag} within its document. Choose a smaller lag.")
    seen = np.bincount(columns[lag - 1][inside], minlength=vocabulary.nids)
    base = int(seen.argmax()) if reference is None else int(_ids(model, [reference], seen, f"at lag {lag}")[0])
    swapped = np.flatnonzero(seen) if tokens is None else _ids(model, _listed(tokens), seen, f"at lag {lag}")
    swapped = swapped[swapped != base]
    if not len(swapped):
        raise NoEstimate(f"There is no token to swap {vocabulary.tokens[base]!r} for at lag {lag}. Name others (tokens=).")
    observed = np.bincount(corpus.targets, minlength=vocabulary.nids)[: vocabulary.size]
    wanted = (
        np.flatnonzero(observed) if responses is None else _ids(model, _listed(responses), observed, "as an observation")
    )

    contexts, weights = _others([column[inside] for column in columns], lag, vocabulary.nids)
    chosen = resolve_cov(cov, fit)
    shown = model if at is None else holding(model, at)
    average = _Averages(shown, len(model.params), contexts, weights / weights.sum(), len(columns) - lag, wanted)
    level_of_base, gradient_of_base = average.of(base)
    effects, errors = [], []
    width = max(GRADIENTS // max(len(wanted) * len(model.params), 1), 1)
    for start in range(0, len(swapped), width):
        gradients = []
        for token in swapped[start : start + width]:
            mean, gradient = average.of(int(token))
            effects.append(mean - level_of_base)
            gradients.append(gradient - gradient_of_base)
        errors.append(root_of_variances(chosen.variances(model, np.concatenate(gradients))))
    names = np.array(vocabulary.tokens, dtype=object)
    return _table(
        {
            "lag": lag,
            "token": np.repeat(names[swapped], len(wanted)),
            "reference": names[base],
            "response": np.tile(names[wanted], len(swapped)),
        },
        np.concatenate(effects),
        np.concatenate(errors),
        chosen.reference_dof(model),
        level,
    )


class _Averages:
    """Average probabilities of the responses after contexts with one token put in, and their gradients.

    Parameters
    ----------
    model : Likelihood
        Or the distribution of one at values of its covariates, with its score.
    nparams : int
    contexts : list of m (k_i,) integer arrays
        Oldest token first, within the document, 0 at the place of the swap.
    weights : (m,) array
        Shares of the observations.
    older : int
        Tokens of a full context before the place of the swap.
    responses : (Y,) integer array
    """

    def __init__(
        self, model: Any, nparams: int, contexts: list[Array], weights: Array, older: int, responses: Array
    ) -> None:
        self.nparams = nparams
        self.vocabulary: Vocabulary = model.corpus.vocabulary
        self.model, self.contexts, self.weights, self.responses = model, contexts, weights, responses
        self.lag = (model.memory or 0) - older

    def of(self, token: int) -> tuple[Array, Array]:
        """(Y,) averages and (Y, p) gradients with this token at the place of the swap."""
        nresponses = len(self.responses)
        mean = np.zeros(nresponses)
        gradient = np.zeros((nresponses, self.nparams))
        some = max(CELLS // nresponses, 1)
        for start in range(0, len(self.contexts), some):
            contexts = [ids.copy() for ids in self.contexts[start : start + some]]
            for ids in contexts:
                ids[len(ids) - self.lag] = token
            array = context_array(self.vocabulary, contexts)
            self._check_seen(array, token)
            weight = self.weights[start : start + some, None]
            shares = weight * np.exp(self.model.logprobs(array))[:, self.responses]  # (m, Y) weights times probabilities
            mean += shares.sum(axis=0)
            # A probability of 0 is held there: it has no derivative, and its score does not exist.
            row, column = np.nonzero(shares > 0)
            following = np.split(self.responses[column], np.searchsorted(row, np.arange(1, len(contexts))))
            cells = self.model.on(continuations(self.vocabulary, contexts, following))
            picked = np.zeros((len(row), nresponses))
            picked[np.arange(len(row)), column] = shares[row, column]
            gradient += np.asarray(explicit(cells.score()).T @ picked).T
        return mean, gradient

    def _check_seen(self, array: Array, token: int) -> None:
        if not isinstance(self.model, Tabulated):
            return
        unseen = int(np.count_nonzero(self.model.counts_of(array).sum(axis=1) == 0))
        if unseen:
            name = self.vocabulary.tokens[token]
            raise NoEstimate(
                f"With {name!r} at lag {self.lag}, {unseen:,} of {len(array):,} contexts never occurred, and a table of "
                "counts says nothing on what follows them. Use a model that carries over from one context to another, as "
                "SoftmaxRegression(lags=...), or tokens= that occur in all of them."
            )


def _others(columns: list[Array], lag: int, nids: int) -> tuple[list[Array], Array]:
    """The distinct contexts when the token at `lag` is left open, oldest token first, and how often each occurs."""
    k = len(columns)
    columns = [np.zeros_like(column) if j == lag - 1 else column for j, column in enumerate(columns)]
    found = unique_rows(columns, bits_for(nids))
    rows = np.stack(found.columns, axis=1)[:, ::-1]
    return [row for row in rows.reshape(-1, k)], found.counts.astype(float)


def _listed(tokens: Sequence[str] | str) -> list[str]:
    return [tokens] if isinstance(tokens, str) else list(tokens)


def _ids(model: Likelihood, tokens: Sequence[str], counts: Array, where: str) -> Array:
    ids = model.corpus.vocabulary.ids_of(tokens)
    for token, i in zip(tokens, ids, strict=True):
        if i >= len(counts) or counts[i] == 0 or model.corpus.vocabulary.tokens[i] != token:
            raise NoEstimate(
                f"The token {token!r} never occurs {where} in this corpus, so the data say nothing on its effect."
            )
    return ids


def _table(names: dict[str, object], effects: Array, errors: Array, reference_dof: float, level: float) -> pd.DataFrame:
    from scipy.special import log_ndtr, stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        below = -np.abs(effects / errors)
    half = half_width(level, reference_dof) * errors
    table = pd.DataFrame({**names, "effect": effects, "std_error": errors})
    table["conf_low"], table["conf_high"] = effects - half, effects + half
    table["p_value"] = 2 * (np.exp(log_ndtr(below)) if np.isinf(reference_dof) else stdtr(reference_dof, below))
    return table
