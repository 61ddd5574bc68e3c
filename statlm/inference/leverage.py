"""How much each context pulls the fit towards what was seen there."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.covariance.bread import bread
from statlm.covariance.functionals import quadratic_forms
from statlm.errors import SpecificationError
from statlm.inference.parameters import likelihood_of
from statlm.likelihood import Likelihood
from statlm.numerics.linalg import factorise
from statlm.numerics.repeated_rows import explicit
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.text.prompts import continuations

CELLS = 50_000  # (context, token) pairs whose scores are held at a time
KINDS = ("context", "document", "observation")


@runtime_checkable
class WithLeverage(Protocol):
    """A likelihood that knows the leverage of its observations in closed form."""

    def leverage_obs(self) -> Array:
        """(nobs,) leverage of each observation."""
        ...


def leverage(fit: Likelihood, *, by: str = "context") -> pd.DataFrame:
    r"""Leverage of the observations: how many parameters each of them pays for.

    With s(y) the score of an observation whose token were y, and H the information (plus the curvature of a ridge penalty),

    .. math:: h_i = \sum_y p(y \mid x_i)\, s_i(y)' H^{-1} s_i(y) = \mathrm{tr}\, W_i V_i,

    :math:`W_i` the multinomial covariance of the indicator of the token and :math:`V_i` the covariance of the estimated log-odds
    after that context: the multinomial form of the diagonal of the hat matrix (Pregibon 1981; Lesaffre and Albert 1989). Summed
    over observations it is the number of parameters, or, with a penalty, their effective number.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to; of finite memory.
    by : "context", "document" or "observation"
        What a row of the table is.

    Returns
    -------
    DataFrame
        ``context`` (tokens, oldest first), ``document`` or ``observation``; ``nobs``, their number; ``leverage``, their sum; and
        ``mean``, an observation. For contexts and documents the largest sum comes first.

    Raises
    ------
    SpecificationError
        If the model looks back without end, or `by` is another word.

    References
    ----------
    Pregibon (1981), Logistic regression diagnostics. Annals of Statistics 9. Lesaffre and Albert (1989), Multiple-group logistic
    regression diagnostics. Applied Statistics 38.

    Examples
    --------
    In a saturated model each context pays for its own parameter:

    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abbababbaaab" * 5).with_given(1)
    >>> print(leverage(slm.SoftmaxRegression(lags=1).fit(corpus)).round(3).to_string(index=False))
    context  nobs  leverage  mean
          a    30       1.0 0.033
          b    29       1.0 0.034
    """
    if by not in KINDS:
        raise SpecificationError(f"by={by!r} is unknown. Use one of {', '.join(map(repr, KINDS))}.")
    model = likelihood_of(fit)
    corpus = model.corpus
    if model.memory is None:
        raise SpecificationError(
            "This model looks back without end, so each observation has a context of its own. Leverage needs a finite memory; "
            "influence(fit) is by document for all models."
        )
    each = model.leverage_obs() if isinstance(model, WithLeverage) else _from_scores(model, model.memory)
    if by == "observation":
        return pd.DataFrame({"observation": np.arange(corpus.nobs), "nobs": 1, "leverage": each, "mean": each})
    if by == "document":
        index, labels = corpus.document_index, corpus.documents["name"].to_numpy(dtype=object)
    else:
        contexts, index = _contexts(model, model.memory)
        tokens = np.array(corpus.vocabulary.tokens, dtype=object)
        letters = all(len(t) == 1 or t.startswith("<") for t in corpus.vocabulary.tokens)
        labels = np.array([("" if letters else " ").join(tokens[row]) for row in contexts], dtype=object)
    nobs = np.bincount(index, minlength=len(labels))
    total = np.bincount(index, weights=each, minlength=len(labels))
    table = pd.DataFrame({by: labels, "nobs": nobs, "leverage": total, "mean": total / np.maximum(nobs, 1)})
    return table.sort_values("leverage", ascending=False, kind="stable", ignore_index=True)


def _contexts(model: Likelihood, memory: int) -> tuple[Array, Array]:
    """Distinct contexts, oldest token first, and which of them each observation has."""
    corpus = model.corpus
    if memory == 0:
        return np.zeros((1, 0), np.int64), np.zeros(corpus.nobs, np.int64)
    found = unique_rows(corpus.context_columns(memory), bits_for(corpus.vocabulary.nids), index=True)
    assert found.index is not None
    return np.stack(found.columns[::-1], axis=1), found.index


def _from_scores(model: Likelihood, memory: int) -> Array:
    """(nobs,) leverage from the scores of what could follow each context."""
    vocabulary = model.corpus.vocabulary
    contexts, index = _contexts(model, memory)
    inverse = factorise(bread(model))
    found = np.zeros(len(contexts))
    step = max(CELLS // vocabulary.size, 1)
    for start in range(0, len(contexts), step):
        some = contexts[start : start + step]
        p = np.exp(model.logprobs(some))
        ids = [row[(row != vocabulary.bos) & (row != vocabulary.pad)] for row in some]
        cells = model.on(continuations(vocabulary, ids, [np.flatnonzero(row) for row in p]))
        q = np.zeros(p.shape)
        q[p > 0] = quadratic_forms(explicit(cells.score()), inverse.solve)
        found[start : start + step] = (p * q).sum(axis=1)
    return found[index]
