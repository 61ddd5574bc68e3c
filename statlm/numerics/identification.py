"""Which coefficients of a multinomial logit the possible classes can tell apart."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from statlm.numerics.grouped_logit import GroupedLogit
from statlm.numerics.types import Array

TOLERANCE = 1e-10


def identified(data: GroupedLogit, reference: int, priority: Array) -> Array:
    """(P, J) coefficients, among the free ones, that are identified; the others are redundant and may be left at zero.

    Which combinations are redundant depends on the design and on what is possible, not on the coefficients.

    Parameters
    ----------
    data : GroupedLogit
    reference : int
        Class whose coefficients are zero.
    priority : (P,) array
        Among redundant coefficients those of a column with higher priority are kept.

    Notes
    -----
    A direction is invisible if it moves all possible classes of each context alike. Where the reference class is possible it
    must then not move them at all, which is a rank condition for each class by itself. What it leaves open is a much smaller
    problem in the contexts where the reference class is impossible.
    """
    kept = np.zeros(data.free.shape, bool)
    with_reference = data.possible[:, reference]
    alone = np.flatnonzero(~with_reference & (data.possible.sum(axis=1) > 1))
    columns_of = abs(data.design).tocsc()
    open_classes: list[Array] = []  # class and column of each coordinate that is left open
    moves: list[Array] = []  # what each does to the linear predictor of its class in the contexts without the reference
    for j in range(data.free.shape[1]):
        if j == reference or not data.free[:, j].any():
            continue
        possible = data.possible[:, j]
        touched = np.flatnonzero(data.free[:, j] & (columns_of.T @ possible.astype(float) > 0))
        if len(touched) == 0:
            continue
        rows = np.flatnonzero(possible & with_reference)
        x = data.design[rows][:, touched]
        gram = (x.T @ x).toarray()
        chosen = _independent(gram, priority[touched])
        left = np.setdiff1d(np.arange(len(touched)), chosen)
        kept[touched[chosen], j] = True
        if len(left) and len(alone):
            # The direction that changes an open coefficient and, to stay invisible with the reference, the chosen ones too.
            basis = np.zeros((len(touched), len(left)))
            basis[left, np.arange(len(left))] = 1.0
            if len(chosen):
                basis[chosen] = -scipy.linalg.solve(gram[np.ix_(chosen, chosen)], gram[np.ix_(chosen, left)], assume_a="pos")
            moved = np.asarray(data.design[alone][:, touched] @ basis) * possible[alone][:, None]
            visible = np.flatnonzero(np.abs(moved).max(axis=0) > 1e-8)
            open_classes.append(np.stack([np.full(len(visible), j), touched[left[visible]]], axis=1))
            moves.append(moved[:, visible])
    if not moves:
        return kept
    coordinates = np.concatenate(open_classes)
    moved = np.concatenate(moves, axis=1)  # (contexts, open)
    number = data.possible[alone].sum(axis=1)
    gram = -(moved / number[:, None]).T @ moved
    start = 0
    for part in moves:
        stop = start + part.shape[1]
        gram[start:stop, start:stop] += part.T @ part
        start = stop
    for at in _independent(gram, priority[coordinates[:, 1]]):
        kept[coordinates[at, 1], coordinates[at, 0]] = True
    return kept


def _independent(gram: Array, priority: Array) -> Array:
    """Positions of a largest set of independent columns, given their cross-products, by a pivoted Cholesky factor."""
    diagonal = np.diag(gram)
    some = np.flatnonzero(diagonal > TOLERANCE * max(float(diagonal.max(initial=0.0)), 1e-300))
    if len(some) == 0:
        return some
    scale = np.sqrt(diagonal[some]) / priority[some]
    scaled = gram[np.ix_(some, some)] / scale[:, None] / scale
    _, pivots, rank, _ = scipy.linalg.lapack.dpstrf(scaled, tol=TOLERANCE, lower=1, overwrite_a=True)
    return some[np.sort(pivots[:rank] - 1)]
