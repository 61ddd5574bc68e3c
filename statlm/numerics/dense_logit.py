"""Multinomial logit on dense features: information and maximum."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from statlm.errors import NoEstimate
from statlm.numerics.linalg import factorise
from statlm.numerics.types import Array

TOLERANCE = 1e-10  # gradient an observation
SETTLED = 1e-5  # log-odds
MOST = 100


def logit_information(features: Array, probabilities: Array, reference: int) -> Array:
    r"""(p, p) information :math:`\sum_i (\mathrm{diag}\, p_i - p_i p_i') \otimes h_i h_i'` in the coefficients
    against a reference.

    Parameters
    ----------
    features : (n, D) array
    probabilities : (n, J) array
    reference : int
        The class whose coefficients are 0.
    """
    d = features.shape[1]
    p = np.delete(probabilities, reference, axis=1)  # (n, J - 1)
    k = p.shape[1]
    result = np.zeros((k, d, k, d))
    for a in range(k):
        for b in range(a, k):
            weight = p[:, a] * ((a == b) - p[:, b])
            block = (features * weight[:, None]).T @ features
            result[a, :, b, :] = block
            result[b, :, a, :] = block  # symmetric
    return result.reshape(k * d, k * d)


def logit_maximum(features: Array, targets: Array, coefficients: Array, reference: int) -> tuple[Array, int]:
    """(J, D) coefficients of largest likelihood, by Newton's method from a start; and how many steps it took.

    Raises
    ------
    NoEstimate
        If it does not converge, as under separation.
    """
    n, k = len(features), len(coefficients)
    onehot = np.zeros((n, k))
    onehot[np.arange(n), targets] = 1.0
    free = np.delete(np.arange(k), reference)
    coefficients = coefficients - coefficients[reference]

    def loglike(b: Array) -> tuple[float, Array]:
        logp = log_softmax(features @ b.T, axis=1)
        return float(logp[np.arange(n), targets].sum()), np.exp(logp)

    value, p = loglike(coefficients)
    for steps in range(MOST):
        gradient = ((onehot - p)[:, free].T @ features).ravel()
        move = np.zeros_like(coefficients)
        move[free] = np.asarray(factorise(logit_information(features, p, reference)).solve(gradient)).reshape(len(free), -1)
        # Under separation the gradient vanishes too, but each step still moves the log-odds by about 1.
        if np.abs(gradient).max() <= TOLERANCE * n and np.abs(features @ move.T).max() <= SETTLED:
            return coefficients, steps
        share = 1.0
        while share > 1e-8:
            new, moved = loglike(coefficients + share * move)
            if new >= value:
                break
            share /= 2
        coefficients, value, p = coefficients + share * move, new, moved
    raise NoEstimate(
        f"The last layer has no maximum within {MOST} steps of Newton's method (largest gradient "
        f"{np.abs(gradient).max() / n:.2g} an "
        "observation): some token is separated from the others by the features, so that coefficients run off to infinity. Use "
        "head(fit), which stands at the network's own weights, or fewer features (width=)."
    )
