"""Draws from rows of log-probabilities, and the truncations that text generation applies to them first."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlm.errors import NoEstimate, SpecificationError
from statlm.numerics.types import Array

INTEGER = (int, np.integer)
NUMBER = (int, float, np.integer, np.floating)
ROUNDING = 1e-12  # a cumulative probability this close below top_p has reached it: .40 + .30 + .15 is .85


def check_truncation(temperature: Any, top_k: Any, top_p: Any) -> None:
    """Raise SpecificationError unless these are settings of `truncate`."""
    if isinstance(temperature, bool) or not isinstance(temperature, NUMBER) or not temperature >= 0:
        raise SpecificationError(
            f"temperature={temperature!r} divides no log-probability. Choose 1 for the model's own distribution, less to "
            "sharpen it, more to flatten it, or 0 for the most probable token."
        )
    if top_k is not None and (isinstance(top_k, bool) or not isinstance(top_k, INTEGER) or top_k < 1):
        raise SpecificationError(
            f"top_k={top_k!r} leaves no token to draw. Choose a whole number of tokens, 1 or more, or None for all of them."
        )
    if top_p is not None and (isinstance(top_p, bool) or not isinstance(top_p, NUMBER) or not 0 < top_p <= 1):
        raise SpecificationError(
            f"top_p={top_p!r} is not a share of the probability to keep. Choose a number above 0 and at most 1, or None."
        )


def truncate(
    log_probabilities: Array, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Array:
    r"""Log-probabilities of the sampler that a temperature and two truncations make of a distribution.

    The steps, in this order, each followed by renormalisation:

    1. temperature T: :math:`q_w \propto p_w^{1/T}`. As T grows all tokens of positive probability become equally likely;
       T = 0 puts everything on the most probable token.
    2. top-k: the k most probable tokens (Fan et al. 2018).
    3. top-p, or nucleus: the smallest set of most probable tokens with :math:`\sum q_w \ge p` (Holtzman et al. 2020);
       at least one. p = 1 keeps all.

    Ties go to the lowest id, so that exactly k tokens, or one, are kept.

    Parameters
    ----------
    log_probabilities : (m, V) array
        A distribution a row, in nats; ``-inf`` for probability 0.
    temperature : float
        T, at least 0.
    top_k : int, optional
        k, at least 1.
    top_p : float, optional
        p, in (0, 1].

    Returns
    -------
    (m, V) array
        Log-probabilities of the sampler, nats; ``-inf`` outside of what was kept.

    Raises
    ------
    SpecificationError
        If a setting is outside of its range.
    NoEstimate
        If a row is no distribution: probability 0 everywhere, or NaN.

    References
    ----------
    Fan, Lewis and Dauphin (2018), Hierarchical neural story generation. ACL.
    Holtzman, Buys, Du, Forbes and Choi (2020), The curious case of neural text degeneration. ICLR.

    Examples
    --------
    >>> rows = np.log([[0.40, 0.30, 0.15, 0.10, 0.05]])
    >>> np.exp(truncate(rows, top_p=0.85)).round(3).tolist()
    [[0.471, 0.353, 0.176, 0.0, 0.0]]
    >>> np.exp(truncate(rows, temperature=0.5, top_k=2)).round(3).tolist()
    [[0.64, 0.36, 0.0, 0.0, 0.0]]
    """
    check_truncation(temperature, top_k, top_p)
    rows = np.asarray(log_probabilities, float)
    shifted = rows - _maxima(rows)  # 0 at the mode, so that no exponential overflows
    if temperature == 0:
        first = shifted.argmax(axis=1)
        result = np.full(shifted.shape, -np.inf)
        result[np.arange(len(result)), first] = 0.0
        return result
    if temperature != 1:
        with np.errstate(over="ignore", invalid="ignore"):  # to -inf near T = 0; -inf / inf where T is infinite
            shifted = np.where(np.isneginf(shifted), -np.inf, shifted / temperature)
    if top_k is not None and top_k < shifted.shape[1]:
        shifted = _keep(shifted, _descending(shifted), top_k)
    if top_p is not None and top_p < 1:
        order = _descending(shifted)
        probabilities = np.exp(np.take_along_axis(shifted, order, axis=1))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        before = np.cumsum(probabilities, axis=1) - probabilities  # mass of the tokens ranked above each
        wanted = np.count_nonzero(before < top_p - ROUNDING, axis=1)
        shifted = _keep(shifted, order, np.maximum(wanted, 1)[:, None])
    normalised: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def cumulative(log_probabilities: Array) -> Array:
    """(m, V) distribution functions of rows of log-probabilities, the last column exactly 1.

    Raises
    ------
    NoEstimate
        If a row is no distribution: probability 0 everywhere, or NaN.

    Examples
    --------
    >>> cumulative(np.log([[0.5, 0.25, 0.25]])).round(12).tolist()
    [[0.5, 0.75, 1.0]]
    """
    rows = np.asarray(log_probabilities, float)
    result: Array = np.cumsum(np.exp(rows - _maxima(rows)), axis=1)
    result /= result[:, -1:].copy()
    return result


def invert(log_probabilities: Array, uniforms: Array) -> Array:
    """Quantiles of rows of log-probabilities: the first id whose distribution function exceeds the uniform number.

    A token of probability 0 does not raise the distribution function, so it is never the first.

    Parameters
    ----------
    log_probabilities : (m, V) array
        A distribution a row, in nats.
    uniforms : (m,) array
        In [0, 1).

    Returns
    -------
    (m,) int64 array

    Examples
    --------
    >>> with np.errstate(divide="ignore"):
    ...     rows = np.log([[0.0, 0.5, 0.0, 0.5]] * 3)
    >>> invert(rows, np.array([0.0, 0.4, 0.6])).tolist()
    [1, 1, 3]
    """
    ids: Array = np.count_nonzero(cumulative(log_probabilities) <= uniforms[:, None], axis=1)
    return ids.astype(np.int64)


def draw(log_probabilities: Array, rng: np.random.Generator) -> Array:
    """One draw from each row of log-probabilities, by the inverse distribution function.

    Parameters
    ----------
    log_probabilities : (m, V) array
        A distribution a row, in nats; ``-inf`` for probability 0, which is never drawn.
    rng : numpy Generator

    Returns
    -------
    (m,) int64 array
        Ids.

    Examples
    --------
    >>> draw(np.log([[0.5, 0.5], [0.9, 0.1]]), np.random.default_rng(0)).tolist()
    [1, 0]
    """
    return invert(log_probabilities, rng.random(len(log_probabilities)))


def _maxima(rows: Array) -> Array:
    """(m, 1) largest log-probability of each row, which must be finite."""
    largest: Array = rows.max(axis=1, keepdims=True)
    broken = np.flatnonzero(~np.isfinite(largest[:, 0]))
    if len(broken):
        raise NoEstimate(
            f"{len(broken):,} of {len(rows):,} rows (first: row {broken[0]:,}) are no distribution: their largest "
            f"log-probability is {largest[broken[0], 0]}, so there is nothing to draw. Check that the model's parameters "
            "are finite."
        )
    return largest


def _descending(rows: Array) -> Array:
    """(m, V) ids of each row, most probable first, ties by id."""
    return np.argsort(-rows, axis=1, kind="stable")


def _keep(rows: Array, order: Array, count: int | Array) -> Array:
    """The rows with -inf for all but the first `count` ids of their order."""
    kept = np.zeros(rows.shape, bool)
    np.put_along_axis(kept, order, np.broadcast_to(np.arange(rows.shape[1]) < count, rows.shape), axis=1)
    return np.where(kept, rows, -np.inf)
