"""How wide intervals must be to hold for all tokens after a context at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from statlm.covariance import Covariance
from statlm.errors import SpecificationError
from statlm.inference.conf_int import half_width
from statlm.likelihood import Likelihood
from statlm.numerics.types import Array, Matrix

SIMULTANEOUS = ("max-z", "bonferroni", "scheffe")
DRAWS = 100_000  # the quantile then has a Monte-Carlo error of about 0.01 of a standard error
AT_ONCE = 2000  # functionals whose covariance is formed at a time: 32 MB


def check_simultaneous(simultaneous: bool | str) -> str | None:
    """The method's name; None for pointwise intervals."""
    if simultaneous is True:
        return "max-z"
    if simultaneous is False:
        return None
    if simultaneous not in SIMULTANEOUS:
        raise SpecificationError(
            f"simultaneous={simultaneous!r} is unknown. Use True or one of {', '.join(map(repr, SIMULTANEOUS))}."
        )
    return simultaneous


def critical_values(
    model: Likelihood, gradients: Matrix, sizes: Sequence[int], levels: Sequence[float], chosen: Covariance, method: str
) -> Array:
    r"""What standard errors are multiplied by, for each group of functionals, so that all of a group are covered at once.

    "max-z" takes the quantile of :math:`\max_j |z_j|` for a group with the estimated correlations, by simulation (Hothorn, Bretz
    and Westfall 2008); "bonferroni" shares the error out; "scheffe" is that of all contrasts, the widest.

    Parameters
    ----------
    model : Likelihood
    gradients : (q, p) matrix
        Of all groups, one after another.
    sizes : sequence of m int
        How many functionals each group has; they sum to q.
    levels : sequence of m float
        Confidence level of each group.
    chosen : Covariance
    method : str

    Returns
    -------
    (m,) array

    References
    ----------
    Hothorn, Bretz and Westfall (2008), Simultaneous inference in general parametric models. Biometrical Journal 50. Scheffe
    (1953), A method for judging all contrasts in the analysis of variance. Biometrika 40.
    """
    from scipy.stats import chi2, f

    dof = chosen.reference_dof(model)
    if method == "bonferroni":
        return np.array([half_width(1 - (1 - c) / max(k, 1), dof) for k, c in zip(sizes, levels, strict=True)])
    if method == "scheffe":  # the probabilities of a context sum to 1, so that k of them have k - 1 degrees of freedom
        free = [max(k - 1, 1) for k in sizes]
        if np.isinf(dof):
            return np.array([np.sqrt(chi2.ppf(c, k)) for k, c in zip(free, levels, strict=True)])
        return np.array([np.sqrt(k * f.ppf(c, k, dof)) for k, c in zip(free, levels, strict=True)])
    values = np.empty(len(sizes))
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    first = 0
    while first < len(sizes):
        last = max(int(np.searchsorted(bounds, bounds[first] + AT_ONCE, side="right")) - 1, first + 1)
        covariance = chosen.of(model, gradients[bounds[first] : bounds[last]])
        for i in range(first, last):
            here = slice(bounds[i] - bounds[first], bounds[i + 1] - bounds[first])
            values[i] = _max_z(covariance[here, here], levels[i], dof)
        first = last
    return values


def _max_z(covariance: Array, level: float, dof: float) -> float:
    """Quantile of the largest absolute value of normal (or t) variables with this covariance, each over its own deviation."""
    pointwise = half_width(level, dof)
    variance = np.diag(covariance)
    varies = variance > 0
    if np.count_nonzero(varies) < 2:
        return pointwise
    scale = np.sqrt(variance[varies])
    size, vectors = np.linalg.eigh(covariance[np.ix_(varies, varies)] / np.outer(scale, scale))
    root = vectors * np.sqrt(np.maximum(size, 0.0))
    rng = np.random.default_rng(0)
    largest = np.empty(DRAWS)
    for start in range(0, DRAWS, 10_000):
        z = root @ rng.standard_normal((len(scale), 10_000))
        largest[start : start + 10_000] = np.abs(z).max(axis=0)
    if np.isfinite(dof):
        largest *= np.sqrt(dof / rng.chisquare(dof, DRAWS))
    return max(float(np.quantile(largest, level)), pointwise)
