"""Solving with a matrix that is known by its products only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from statlm.errors import NoEstimate
from statlm.numerics.types import Array

MOST = 1_000  # iterations
DELAY = 4  # iterations after which the error before them is told


@dataclass(frozen=True, eq=False)
class Solved:
    """Solutions of a system, and how good they are.

    Attributes
    ----------
    solution : (p, q) array
    iterations : int
    error : float
        Largest relative error of ``right' solution`` among the q, as the last iterations tell it: of a model-based variance.
    residual : float
        Largest norm of ``right - matrix @ solution`` over that of the right-hand side.
    """

    solution: Array
    iterations: int
    error: float
    residual: float


def conjugate_gradients(
    product: Callable[[Array], Array],
    right: Array,
    *,
    preconditioner: Callable[[Array], Array] | None = None,
    tolerance: float = 1e-12,
    most: int = MOST,
) -> Solved:
    r"""Solve a positive definite system for several right-hand sides at once, each by its own conjugate gradients.

    Every iteration takes one product with as many columns as are not solved yet, so that they share the work of a pass over the
    data. It stops where the quadratic form :math:`b' A^{-1} b`, the variance that is wanted, is known: its error
    after k iterations
    is :math:`\sum_{j \ge k} \alpha_j r_j' M r_j`, of which the next terms are seen (Hestenes and Stiefel 1952; Strakoš and Tichý
    2002).

    Parameters
    ----------
    product : callable
        From (p, q) to the matrix times it.
    right : (p, q) array
    preconditioner : callable, optional
        From (p, q) to about the inverse of the matrix times it; symmetric and positive definite.
    tolerance : float
        Of the relative error of ``right' solution``; the solution's own, in the norm of the matrix, is its root.
    most : int
        Iterations after which it gives up.

    Raises
    ------
    NoEstimate
        If the tolerance is not reached.

    References
    ----------
    Hestenes and Stiefel (1952), Methods of conjugate gradients for solving linear systems. Strakoš and Tichý (2002), On error
    estimation in the conjugate gradient method and why it works in finite precision computations. ETNA 13.

    Examples
    --------
    >>> import numpy as np
    >>> matrix = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> conjugate_gradients(lambda x: matrix @ x, np.array([[3.0], [4.0]])).solution.round(6).ravel().tolist()
    [1.0, 1.0]
    """
    right = np.asarray(right, float)
    inverse = np.copy if preconditioner is None else preconditioner
    q = right.shape[1]
    norm = np.linalg.norm(right, axis=0)
    solution, residual = np.zeros_like(right), right.copy()
    direction = inverse(residual)
    energy = (residual * direction).sum(axis=0)
    gains = np.zeros((DELAY, q))  # of the last iterations
    total = np.zeros(q)
    error = np.where(norm > 0, np.inf, 0.0)
    open_ = np.flatnonzero(norm > 0)
    done = 0
    while len(open_) and done < most:
        along = direction[:, open_]
        image = product(along)
        curvature = (along * image).sum(axis=0)
        if not (curvature > 0).all():
            raise NoEstimate(
                f"A direction has curvature {curvature.min():.3g} after {done:,} iterations: the matrix is not "
                f"positive definite to "
                "working precision, so the system has no answer. Raise the damping (slm.damped), or compute in float64."
            )
        step = energy[open_] / curvature
        solution[:, open_] += along * step
        residual[:, open_] -= image * step
        gains[done % DELAY, open_] = step * energy[open_]
        total[open_] += step * energy[open_]
        done += 1
        preconditioned = inverse(residual[:, open_])
        new = (residual[:, open_] * preconditioned).sum(axis=0)
        direction[:, open_] = preconditioned + along * (new / energy[open_])
        energy[open_] = new
        exact = np.linalg.norm(residual[:, open_], axis=0) <= 1e-14 * norm[open_]
        if done >= DELAY:
            error[open_] = gains[:, open_].sum(axis=0) / total[open_]
        error[open_[exact]] = 0.0
        open_ = open_[~exact & ~(error[open_] <= tolerance)]
    lengths = np.linalg.norm(residual, axis=0)
    worst = float(np.max(lengths[norm > 0] / norm[norm > 0], initial=0.0))
    if len(open_):
        raise NoEstimate(
            f"The linear solve of {len(open_):,} of {q:,} functionals has not converged after {done:,} iterations: "
            f"the last {DELAY} still "
            f"changed a variance by {float(error[open_].max()):.2g} of it (asked: {tolerance:.2g}; relative residual "
            f"{worst:.2g}), so that "
            "the error would be understated. Raise the damping (slm.damped), which makes the system better "
            "conditioned; take more "
            'observations for the curvature; or accept an approximation by layers: damped(fit, curvature="kronecker").'
        )
    return Solved(solution, done, float(error.max(initial=0.0)), worst)
