"""How alike two tokens are: cosines and distances of their embeddings, with intervals.

Embeddings are determined up to an invertible matrix only. The inner product used here is that of the coefficient rows which the
embeddings stand for, so that it is a function of the fitted probabilities alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import NoEstimate, SmallCountsWarning, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.embeddings import EmbeddedLikelihood, check_side, embedded, places
from statlm.likelihood import Predictive
from statlm.likelihood.embedded import Side
from statlm.numerics.types import Array

LOOSE = 0.5  # relative error of an embedding's length from which a warning is given


def cosine_similarity(
    fit: Predictive,
    a: str | Sequence[str],
    b: str | Sequence[str],
    *,
    side: str = "context",
    lag: int = 1,
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Cosine of the angle between the embeddings of two tokens, with its interval.

    .. math:: \cos(a, b) = \frac{\theta_a' \theta_b}{\lVert \theta_a \rVert\, \lVert \theta_b \rVert}

    where :math:`\theta_a` holds token a's centred log-odds coefficients for all responses (or, for responses, those of all
    context
    tokens for a): 1 where they say the same of everything that may follow, up to its strength.

    Parameters
    ----------
    fit : Fit or Likelihood
        Of rank 2 or more, at its estimate, on the corpus it was fitted to.
    a, b : str, or sequences of str
        Tokens; a single one is compared with each of the others.
    side : "context" or "response"
        As of `embeddings`.
    lag : int
        Of contexts.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        A row a pair: ``a``, ``b``, ``cosine``, ``std_error``, ``conf_low``, ``conf_high``. By the delta method, the interval on
        Fisher's scale, the inverse hyperbolic tangent, which keeps it inside (-1, 1).

    Raises
    ------
    NoEstimate
        If the rank is 1, where all embeddings lie on a line and cosines are 1 or -1 by construction.
    SpecificationError
        If a token has no embedding, or is compared with itself.

    Warns
    -----
    SmallCountsWarning
        If the length of an embedding is known to no better than half of itself: angles are then far from linear in the estimates,
        and the interval may not hold.

    Notes
    -----
    With a penalty the interval is about the penalised coefficients: shrinkage moves rare tokens together, and is not in the
    error.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abcdacbdbadcdbcaaddbccba" * 20, eos=False, given=1)
    >>> fit = slm.SoftmaxRegression(lags=1, rank=2, penalty="ridge", strength=1.0).fit(corpus)
    >>> row = cosine_similarity(fit, "a", "b").iloc[0]
    >>> bool(-1 < row.conf_low < row.cosine < row.conf_high < 1)
    True
    """
    model, found, first, second = _pairs(fit, a, b, side, lag)
    return _cosines(model, found, first, second, side, lag, resolve_cov(cov, fit), level)


def embedding_distance(
    fit: Predictive,
    a: str | Sequence[str],
    b: str | Sequence[str],
    *,
    side: str = "context",
    lag: int = 1,
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Euclidean distance between the embeddings of two tokens, :math:`\lVert \theta_a - \theta_b \rVert`, with its interval.

    It is measured in nats: the root of the sum over responses of squared differences in log-odds.

    Parameters
    ----------
    fit : Fit or Likelihood
        Of low rank, at its estimate, on the corpus it was fitted to.
    a, b : str, or sequences of str
        Tokens; a single one is compared with each of the others.
    side : "context" or "response"
        As of `embeddings`.
    lag : int
        Of contexts.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        A row a pair: ``a``, ``b``, ``distance``, ``std_error``, ``conf_low``, ``conf_high``. By the delta method on the
        logarithmic
        scale. A distance of zero is at the boundary: tokens that do not differ have estimates that do, and the interval never
        holds zero.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abcdacbdbadcdbcaaddbccba" * 20, eos=False, given=1)
    >>> fit = slm.SoftmaxRegression(lags=1, rank=2, penalty="ridge", strength=1.0).fit(corpus)
    >>> bool(embedding_distance(fit, "a", "b").distance[0] > 0)
    True
    """
    model, found, first, second = _pairs(fit, a, b, side, lag)
    difference = found.vectors[first] - found.vectors[second]  # (q, r)
    inner = found.others.T @ found.others
    distance = np.sqrt(np.maximum((difference @ inner * difference).sum(axis=1), 0.0))
    if (distance == 0).any():
        raise NoEstimate("Two of the embeddings coincide, and the distance has no derivative at zero. Leave the pair out.")
    vectors = np.zeros((len(first), *found.vectors.shape))
    pair = np.arange(len(first))
    slope = difference @ inner / distance[:, None]
    vectors[pair, first] += slope
    vectors[pair, second] -= slope
    others = (difference @ found.others.T)[:, :, None] * (difference / distance[:, None])[:, None, :]
    chosen = resolve_cov(cov, fit)
    errors = root_of_variances(chosen.variances(model, model.pulled_back(side, lag, vectors, others)))
    factor = np.exp(half_width(level, chosen.reference_dof(model)) * errors / distance)
    return pd.DataFrame(
        {
            "a": [found.tokens[i] for i in first],
            "b": [found.tokens[i] for i in second],
            "distance": distance,
            "std_error": errors,
            "conf_low": distance / factor,
            "conf_high": distance * factor,
        }
    )


def most_similar(
    fit: Predictive,
    token: str,
    n: int = 10,
    *,
    side: str = "context",
    lag: int = 1,
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
) -> pd.DataFrame:
    """The tokens whose embeddings point most nearly in the direction of a token's.

    Parameters
    ----------
    fit : Fit or Likelihood
        Of rank 2 or more, at its estimate, on the corpus it was fitted to.
    token : str
    n : int
        How many.
    side : "context" or "response"
        As of `embeddings`.
    lag : int
        Of contexts.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        A row a token, the most similar first: ``token``, ``cosine``, ``std_error``, ``conf_low``, ``conf_high``; see
        `cosine_similarity`. Intervals are for pairs named beforehand: the nearest of many is chosen for a large estimate, and the
        interval does not know.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abcdacbdbadcdbcaaddbccba" * 20, eos=False, given=1)
    >>> fit = slm.SoftmaxRegression(lags=1, rank=2, penalty="ridge", strength=1.0).fit(corpus)
    >>> most_similar(fit, "a", n=2).columns.tolist()
    ['token', 'cosine', 'std_error', 'conf_low', 'conf_high']
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise SpecificationError(f"n={n!r}: ask for at least one token.")
    model = embedded(fit)
    check_side(model, side, lag)
    found = model.side(side, lag)
    _check_angles(found)
    one = int(places(found, [token])[0])
    inner = found.vectors @ (found.others.T @ found.others)
    length = np.sqrt((inner * found.vectors).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(length > 0, inner @ found.vectors[one] / (length * length[one]), -np.inf)
    cosine[one] = -np.inf
    nearest = np.argsort(-cosine, kind="stable")[: min(n, int(np.isfinite(cosine).sum()))]
    table = _cosines(model, found, np.full(len(nearest), one), nearest, side, lag, resolve_cov(cov, fit), level)
    return table.drop(columns="a").rename(columns={"b": "token"})


def _pairs(
    fit: Predictive, a: str | Sequence[str], b: str | Sequence[str], side: str, lag: int
) -> tuple[EmbeddedLikelihood, Side, Array, Array]:
    """The model, its side, and the rows of the tokens of each pair."""
    model = embedded(fit)
    check_side(model, side, lag)
    found = model.side(side, lag)
    first, second = ([x] if isinstance(x, str) else list(x) for x in (a, b))
    if 1 not in (len(first), len(second)) and len(first) != len(second):
        raise SpecificationError(
            f"There are {len(first):,} tokens a and {len(second):,} tokens b: give one, or as many, so that they form pairs."
        )
    q = max(len(first), len(second))
    first, second = first * (q // len(first)), second * (q // len(second))
    same = [x for x, y in zip(first, second, strict=True) if x == y]
    if same:
        raise SpecificationError(
            f"{same[0]!r} is compared with itself: the answer is known without an error. Leave the pair out."
        )
    return model, found, places(found, first), places(found, second)


def _check_angles(found: Side) -> None:
    if found.vectors.shape[1] == 1:
        raise NoEstimate(
            "The model has rank 1: all embeddings lie on one line, so every cosine is 1 or -1 by construction and says "
            "nothing of how "
            "alike two tokens are. Use embedding_distance(fit, a, b), or a higher rank."
        )


def _cosines(
    model: EmbeddedLikelihood,
    found: Side,
    first: Array,
    second: Array,
    side: str,
    lag: int,
    chosen: Covariance,
    level: float,
) -> pd.DataFrame:
    _check_angles(found)
    cosine, vectors, others = cosine_gradients(found, first, second)
    gradients = model.pulled_back(side, lag, vectors, others)
    tokens = np.unique(np.concatenate([first, second]))
    lengths = model.pulled_back(side, lag, *_length_gradients(found, tokens))
    errors = root_of_variances(chosen.variances(model, np.concatenate([gradients, lengths])))
    errors, relative = errors[: len(cosine)], errors[len(cosine) :]
    if (relative > LOOSE).any():
        worst = found.tokens[tokens[int(relative.argmax())]]
        warnings.warn(
            f"{np.count_nonzero(relative > LOOSE):,} of {len(tokens):,} embeddings are so uncertain that their length is "
            "known to no better "
            f"than {LOOSE:.0%} of itself (the worst: {worst!r}, {relative.max():.0%}). Their direction is then open too, and "
            "intervals of "
            "cosines by the delta method may be far off. More text, a lower rank or a larger strength would tell.",
            SmallCountsWarning,
            stacklevel=3,
        )
    # Fisher's scale; its derivative is 1 / (1 - cosine^2).
    half = half_width(level, chosen.reference_dof(model)) * errors / np.maximum(1.0 - cosine**2, 1e-300)
    middle = np.arctanh(np.clip(cosine, -1 + 1e-16, 1 - 1e-16))
    return pd.DataFrame(
        {
            "a": [found.tokens[i] for i in first],
            "b": [found.tokens[i] for i in second],
            "cosine": cosine,
            "std_error": errors,
            "conf_low": np.tanh(middle - half),
            "conf_high": np.tanh(middle + half),
        }
    )


def cosine_gradients(found: Side, first: Array, second: Array) -> tuple[Array, Array, Array]:
    """(q,) cosines of pairs of rows, and their (q, m, r) and (q, k, r) gradients in the vectors and in the other factor."""
    inner = found.others.T @ found.others
    a, b = found.vectors[first], found.vectors[second]  # (q, r)
    along_a, along_b = a @ inner, b @ inner
    aa, bb, ab = (along_a * a).sum(axis=1), (along_b * b).sum(axis=1), (along_a * b).sum(axis=1)
    if min(aa.min(initial=1.0), bb.min(initial=1.0)) <= 0:
        raise NoEstimate("An embedding has length zero, and with that no direction. Leave the token out.")
    both = np.sqrt(aa * bb)
    cosine = ab / both
    vectors = np.zeros((len(first), *found.vectors.shape))
    pair = np.arange(len(first))
    vectors[pair, first] += along_b / both[:, None] - along_a * (cosine / aa)[:, None]
    vectors[pair, second] += along_a / both[:, None] - along_b * (cosine / bb)[:, None]
    moved_a, moved_b = a @ found.others.T, b @ found.others.T  # (q, k)
    toward_a = b / both[:, None] - a * (cosine / aa)[:, None]
    toward_b = a / both[:, None] - b * (cosine / bb)[:, None]
    others = moved_a[:, :, None] * toward_a[:, None, :] + moved_b[:, :, None] * toward_b[:, None, :]
    return cosine, vectors, others


def _length_gradients(found: Side, rows: Array) -> tuple[Array, Array]:
    """Gradients of the logarithms of lengths, whose errors are relative."""
    a = found.vectors[rows]
    along = a @ (found.others.T @ found.others)
    squared = (along * a).sum(axis=1)
    vectors = np.zeros((len(rows), *found.vectors.shape))
    vectors[np.arange(len(rows)), rows] = along / squared[:, None]
    return vectors, (a @ found.others.T)[:, :, None] * (a / squared[:, None])[:, None, :]
