"""The coefficients, in the coding of one fit, that give the probabilities of another: other references, the same meaning."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from statlm.numerics.grouped_logit import GroupedLogit
from statlm.numerics.identified_solution import Determined, identified_solution
from statlm.numerics.types import Array


def logs_of_classes(logp: Array, responses: Array, wanted: Array) -> Array:
    """(m, J) log-probabilities of the wanted token ids; ``-inf`` for those that are not among the responses."""
    order = np.argsort(responses)
    at = np.minimum(np.searchsorted(responses, wanted, sorter=order), len(responses) - 1)
    found = order[at]
    return np.where(responses[found] == wanted, logp[:, found], -np.inf)


def fitted_coefficients(design: sparse.csr_array, logp: Array, possible: Array, free: Array, start: Array) -> Determined:
    """The free coefficients that give log-probabilities up to a constant a context, and what these leave open.

    Parameters
    ----------
    design : (m, P) sparse array
        Rows of the contexts in the coding wanted.
    logp : (m, J) array
        Log-probabilities under the other fit; within the span of the free coefficients where they are finite.
    possible : (m, J) boolean array
        Where the free coefficients alone decide: the classes that are not excluded there.
    free : (P, J) boolean array
        The coefficients wanted; the others are zero.
    start : (p,) array
        Where they are put along directions that are left open.
    """
    finite = possible & np.isfinite(logp)
    weights = finite.astype(float)
    data = GroupedLogit(design, weights, finite, free)
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
    values = np.where(finite, logp, 0.0)
    centred = np.where(finite, values - values.sum(axis=1, keepdims=True) / total, 0.0)
    right = np.asarray(design.T @ centred)[data.index]
    return identified_solution(data.curvature(weights).toarray(), right, start)
