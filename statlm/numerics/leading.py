"""The leading eigenpairs of a matrix that is known by its products."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse.linalg

from statlm.errors import NoEstimate
from statlm.numerics.damped import SMALL
from statlm.numerics.types import Array

TOLERANCES = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-8}  # relative, of eigenvalues


def leading_pairs(matrix: scipy.sparse.linalg.LinearOperator, count: int, seed: int = 0) -> tuple[Array, Array]:
    """The largest eigenvalues of a symmetric positive semi-definite matrix, and their eigenvectors.

    A small matrix is written out and decomposed; of a large one products are all that is used, by Lanczos's method with
    implicit restarts.

    Parameters
    ----------
    matrix : (p, p) LinearOperator
    count : int
        Number k of eigenpairs, 1 to p; below p where the matrix is large.
    seed : int
        Of the vector from which Lanczos's method starts.

    Returns
    -------
    values : (k,) array
        From the largest down; what rounding makes negative is 0.
    vectors : (p, k) array
        Orthonormal.

    Raises
    ------
    NoEstimate
        If the method does not converge.

    References
    ----------
    Lehoucq, Sorensen and Yang (1998), ARPACK users' guide.

    Examples
    --------
    >>> import numpy as np, scipy.sparse.linalg
    >>> values, vectors = leading_pairs(scipy.sparse.linalg.aslinearoperator(np.diag([1.0, 3.0, 2.0])), 2)
    >>> values.round(6).tolist(), abs(vectors[:, 0]).round(6).tolist()
    ([3.0, 2.0], [0.0, 1.0, 0.0])
    """
    p = matrix.shape[0]
    if p <= SMALL:
        written = np.asarray(matrix.matmat(np.eye(p)))
        values, vectors = scipy.linalg.eigh((written + written.T) / 2, subset_by_index=[p - count, p - 1])
    else:
        start = np.random.default_rng(seed).standard_normal(p)
        tolerance = TOLERANCES.get(np.dtype(matrix.dtype), 1e-8)
        # ARPACK runs in float64 whatever the products are computed in: these are accumulated in it.
        wide = scipy.sparse.linalg.LinearOperator(
            (p, p), matvec=lambda v: np.asarray(matrix.matvec(v), float), dtype=np.dtype(np.float64)
        )
        try:
            values, vectors = scipy.sparse.linalg.eigsh(wide, k=count, which="LA", v0=start, tol=tolerance)
        except scipy.sparse.linalg.ArpackNoConvergence as error:
            raise NoEstimate(
                f"Lanczos's method found {len(error.eigenvalues):,} of {count:,} leading eigenvalues of the information. Ask "
                "for fewer: rank=20."
            ) from error
    order = np.argsort(-values)
    return np.maximum(values[order], 0.0), vectors[:, order]
