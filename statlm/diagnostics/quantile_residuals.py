"""Residuals of a discrete distribution that are exactly normal, and independent, where the model is right."""

from __future__ import annotations

import numpy as np
import pandas as pd

from statlm.errors import NoEstimate, SpecificationError
from statlm.likelihood import Predictive
from statlm.likelihood.next_token import next_tokens
from statlm.numerics.types import Array

ORDERS = ("probability", "vocabulary")


def quantile_residuals(model: Predictive, *, order: str = "probability", seed: int = 0) -> pd.DataFrame:
    r"""Randomised quantile residuals of every observation (Dunn and Smyth 1996).

    With the types in some order, :math:`u_i` is drawn uniformly between :math:`P(Y < y_i \mid x_i)` and
    :math:`P(Y \le y_i \mid x_i)`, and the residual is :math:`\Phi^{-1}(u_i)`. If the model's conditional distributions are right,
    the :math:`u_i` are independent and uniform, whatever the text's dependence on its past (Rosenblatt 1952).

    Parameters
    ----------
    model : Predictive
        On text that it was not fitted to.
    order : "probability" or "vocabulary"
        Types from the most to the least probable in each context, so that large residuals are surprises and over-confidence
        shows as a right tail; or as the vocabulary has them.
    seed : int
        Of the randomisation.

    Returns
    -------
    DataFrame
        A row an observation: ``document`` (its number), ``position``, ``uniform``, ``residual``.

    Raises
    ------
    SpecificationError
        If there is no such order.
    NoEstimate
        If an observation has probability 0.

    See Also
    --------
    residual_tests : whether they are uniform and independent.

    References
    ----------
    Dunn and Smyth (1996), Randomized quantile residuals. Journal of Computational and Graphical Statistics 5. Rosenblatt (1952).

    Examples
    --------
    >>> import statlm as slm
    >>> table = quantile_residuals(slm.NGram(n=1).fit(slm.Corpus.from_text("aab")))
    >>> bool((table.uniform[:2] < 2 / 3).all()), bool(table.uniform[2] > 2 / 3)
    (True, True)
    """
    if order not in ORDERS:
        raise SpecificationError(f"order={order!r}: types are ordered by 'probability' or as in the 'vocabulary'.")
    corpus = model.corpus
    own = np.asarray(model.loglike_obs(), float)
    if impossible := int(np.count_nonzero(np.isneginf(own))):
        raise NoEstimate(
            f"{impossible:,} of {len(own):,} observations have probability 0 under the model, and their residuals are "
            "infinite. Use a model with pseudo_count > 0 or a smoothing."
        )
    size = corpus.vocabulary.size
    targets = corpus.targets.astype(np.int64)
    below, above = np.empty(len(own)), np.empty(len(own))
    for part in next_tokens(model):
        p = np.exp(part.logprobs)
        rank = np.argsort(-p, axis=1, kind="stable") if order == "probability" else np.tile(np.arange(size), (len(p), 1))
        place = np.empty_like(rank)
        np.put_along_axis(place, rank, np.arange(size)[None, :], axis=1)
        sorted_p = np.take_along_axis(p, rank, axis=1)
        before = np.cumsum(sorted_p, axis=1) - sorted_p
        after = np.cumsum(sorted_p[:, ::-1], axis=1)[:, ::-1] - sorted_p  # summed from the end, or small tails are rounding
        k = place[part.row, targets[part.where]]
        below[part.where], above[part.where] = before[part.row, k], after[part.row, k]
    draw = np.random.default_rng(seed).random(len(own))
    probability = np.exp(own)
    lower, upper = np.maximum(below, 0.0) + draw * probability, np.maximum(above, 0.0) + (1 - draw) * probability
    return pd.DataFrame(
        {
            "document": corpus.document_index,
            "position": corpus.positions,
            "uniform": np.minimum(lower, 1.0),
            "residual": _normal_score(lower, upper),
        }
    )


def _normal_score(lower: Array, upper: Array) -> Array:
    """Normal quantiles from whichever tail is the smaller."""
    from scipy.special import ndtri

    smallest = np.finfo(float).tiny
    score: Array = np.where(lower < upper, ndtri(np.clip(lower, smallest, 0.5)), -ndtri(np.clip(upper, smallest, 0.5)))
    return score
