"""Rank of a sparse design."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

TOLERANCE = 1e-10


def rank_of(design: sparse.csr_array) -> int:
    """Numerical rank of a (C, P) design of indicators, by a pivoted Cholesky factor of its scaled cross-product.

    Where there are fewer rows than columns, the cross-product of the rows is taken.
    """
    tall = design.shape[0] >= design.shape[1]
    gram = (design.T @ design if tall else design @ design.T).toarray()
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    gram /= scale[:, None]
    gram /= scale
    _, _, rank, _ = scipy.linalg.lapack.dpstrf(gram, tol=TOLERANCE, lower=1, overwrite_a=True)
    return int(rank)
