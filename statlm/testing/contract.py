"""Laws that every model must obey. Run `check_likelihood` over a model of your own before you trust a verb with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlm.likelihood import GaussNewtonInformation, Likelihood, Predictive
from statlm.numerics.repeated_rows import crossproduct, dense, explicit, sum_by
from statlm.numerics.types import Array
from statlm.text.prompts import continuations

# Central differences lose about the cube root of machine precision, times the curvature.
DIFFERENCE_STEP = 1e-6
DIFFERENCE_TOLERANCE = 1e-4
MAX_CHECKED = 40  # parameters perturbed one by one


def check_predictive(model: Predictive) -> None:
    """Check the laws of a distribution over the next token.

    Parameters
    ----------
    model : Predictive
        On a corpus of at least two documents and a few dozen tokens.

    Raises
    ------
    AssertionError
        Naming the law that is broken.

    Notes
    -----
    Shapes come first: ``loglike_obs`` is one-dimensional. Probabilities sum to one for contexts shorter and longer than the
    memory; ``loglike_obs`` agrees with ``logprobs``; batches concatenate to the whole; tokens that are given are not counted;
    the original is unchanged by `on`.

    Examples
    --------
    >>> import statlm as slm
    >>> check_predictive(slm.NGram(n=2).fit(slm.Corpus.from_texts(["abracadabra", "barbara"])))
    """
    corpus = model.corpus
    obs = model.loglike_obs()
    _law(obs.shape == (corpus.nobs,), f"loglike_obs has shape ({corpus.nobs},): it has {obs.shape}")
    _law(obs.dtype == np.float64, f"loglike_obs is float64: it is {obs.dtype}")
    _law(
        not np.isnan(obs).any() and bool((obs <= 1e-12).all()),
        "loglike_obs holds log-probabilities, at most 0 and never NaN",
    )

    longest = int(np.diff(corpus.offsets).max())
    memory = longest if model.memory is None else model.memory
    for lags in sorted({0, 1, memory, memory + 2}):
        contexts = corpus.contexts(lags)[:50]
        logprobs = model.logprobs(contexts)
        _law(
            logprobs.shape == (len(contexts), corpus.vocabulary.size),
            f"logprobs has shape (contexts, V) for contexts of {lags} tokens: it has {logprobs.shape}",
        )
        total = np.exp(logprobs).sum(axis=1)
        _law(np.allclose(total, 1.0, rtol=0, atol=1e-10), f"probabilities sum to 1 after contexts of {lags} tokens: {total}")

    inside = np.flatnonzero(corpus.targets < corpus.vocabulary.size)[:500]
    for lags in (memory, memory + 2):
        logprobs = model.logprobs(corpus.contexts(lags)[inside])
        picked = logprobs[np.arange(len(inside)), corpus.targets[inside]]
        _law(_same(picked, obs[inside]), f"loglike_obs agrees with logprobs for contexts of {lags} tokens")

    batches = [model.on(batch).loglike_obs() for batch in corpus.batches(7, context=memory)]
    _law(_same(np.concatenate(batches), obs), "the log-likelihoods of batches concatenate to those of the whole")

    if longest > 1:
        later = corpus.with_given(1)
        _law(
            _same(model.on(later).loglike_obs(), obs[corpus.positions >= 1]) if not corpus.given.any() else True,
            "given tokens are conditioned on and not counted; the others keep their probability",
        )
    _law(model.corpus is corpus and _same(model.loglike_obs(), obs), "on() leaves the model it is called on unchanged")


def check_likelihood(model: Likelihood) -> None:
    """Check the laws of a likelihood: those of `check_predictive`, and of parameters and derivatives.

    Parameters
    ----------
    model : Likelihood
        At its estimate, on the corpus it was fitted to: at least two documents and a few dozen tokens, no observation of
        probability 0, parameters in the interior.

    Raises
    ------
    AssertionError
        Naming the law that is broken.

    Notes
    -----
    Score and information agree with central differences; sums by document and cross-product agree with the rows written out;
    ``at(x).at(y)`` equals ``at(y)``; every parameter has a name. Of a likelihood that declares ``gauss_newton =
    True`` the information
    is, instead of minus the second derivative, the expected outer product of the scores (Fisher's), with the expectation over the
    next token taken by enumeration.

    Examples
    --------
    >>> import statlm as slm
    >>> check_likelihood(slm.NGram(n=2).fit(slm.Corpus.from_texts(["abracadabra", "barbara"])))
    """
    check_predictive(model)
    params = np.asarray(model.params)
    p, nobs = len(params), model.corpus.nobs
    _law(params.shape == (p,), f"params is one-dimensional: it has shape {params.shape}")
    _law(len(model.param_names) == p, f"there is a name for each of the {p} parameters: there are {len(model.param_names)}")
    _law(list(model.param_names.names) == ["response", "term"], "param_names has the levels response and term")
    _law(isinstance(model.dof, (int, np.integer)) and model.dof >= 0, f"dof is a count: it is {model.dof!r}")
    score = model.score()
    _law(score.shape == (nobs, p), f"score has shape (nobs, p) = ({nobs}, {p}): it has {score.shape}")
    information = model.information()
    _law(information.shape == (p, p), f"information has shape (p, p): it has {information.shape}")
    if p == 0:
        return
    rows = dense(explicit(score))
    _law(_same(dense(score @ np.eye(p)), rows), "score @ v is the product with its rows written out")
    _law(_same(dense(score.T @ np.ones((nobs, 1)))[:, 0], rows.sum(axis=0)), "score.T @ u is the product with its rows")
    documents = model.corpus.document_index
    _law(
        _same(
            dense(sum_by(score, documents, model.corpus.ndocuments)), dense(sum_by(rows, documents, model.corpus.ndocuments))
        ),
        "sums of scores by document equal those of the rows written out",
    )
    _law(_same(dense(crossproduct(score)), rows.T @ rows), "the cross-product of scores equals that of the rows written out")

    matrix = dense(information @ np.eye(p))
    _law(_same(matrix, matrix.T), "the information is symmetric")
    fisher = isinstance(model, GaussNewtonInformation) and model.gauss_newton
    if fisher:
        _law(_same(matrix, _fisher(model)), "the Gauss-Newton information is the expected outer product of the scores")
    for j in np.unique(np.linspace(0, p - 1, min(p, MAX_CHECKED)).astype(int)):
        step = DIFFERENCE_STEP * max(abs(params[j]), 1e-3)
        up, down = (model.at(_moved(params, j, sign * step)) for sign in (1, -1))
        slope = (up.loglike_obs() - down.loglike_obs()) / (2 * step)
        _law(_close(rows[:, j], slope), f"the score of parameter {model.param_names[j]} is the derivative of loglike_obs")
        if fisher:
            continue
        total = dense(up.score().T @ np.ones((nobs, 1)))[:, 0] - dense(down.score().T @ np.ones((nobs, 1)))[:, 0]
        _law(
            _close(matrix[:, j], -total / (2 * step)),
            f"the information column of {model.param_names[j]} is minus the derivative of the summed score",
        )
    there = model.at(_moved(params, 0, 1e-3 * params[0]))
    _law(_same(there.at(params).loglike_obs(), model.at(params).loglike_obs()), "at(x).at(y) equals at(y)")
    _law(_same(np.asarray(model.params), params), "at() leaves the model it is called on unchanged")


def _fisher(model: Likelihood) -> Array:
    """(p, p) sum over observations of the outer product of scores, expected over the next token."""
    corpus = model.corpus
    p = len(model.params)
    longest = int(np.diff(corpus.offsets).max())
    padded = corpus.contexts(longest if model.memory is None else min(model.memory, longest))
    contexts, counts = np.unique(padded, axis=0, return_counts=True)
    probabilities = np.exp(model.logprobs(contexts))  # (m, V)
    special = (corpus.vocabulary.bos, corpus.vocabulary.pad)
    result = np.zeros((p, p))
    for context, count, row in zip(contexts, counts, probabilities, strict=True):
        ids = context[~np.isin(context, special)]
        possible = np.flatnonzero(row > 0)
        scores = dense(explicit(model.on(continuations(corpus.vocabulary, [ids], [possible])).score()))
        result += count * (scores.T * row[possible]) @ scores
    return result


def _law(holds: bool, law: str) -> None:
    if not holds:
        raise AssertionError(f"The contract is broken: {law}.")


def _moved(params: Array, j: int, step: float) -> Array:
    moved = params.copy()
    moved[j] += step
    return moved


def _same(a: Any, b: Any) -> bool:
    return bool(np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-10))


def _close(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=DIFFERENCE_TOLERANCE, atol=DIFFERENCE_TOLERANCE * max(1.0, float(np.abs(b).max()))))
