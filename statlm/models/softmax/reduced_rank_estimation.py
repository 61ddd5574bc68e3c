"""Maximum likelihood, or penalised likelihood, of a softmax regression of low rank: several starts, and the best of them.

Inside, every level of every lag and every class has a row, and the sum of squares of the rows is the penalty: then neither the
reference level nor the reference class matters. What is redundant is taken out at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from statlm.errors import NoEstimate, SingularInformation, SpecificationError
from statlm.fit.fit import FitReport
from statlm.models.softmax.design import LagDesign
from statlm.models.softmax.reduced_rank import ReducedRankLikelihood
from statlm.numerics.linalg import solve
from statlm.numerics.low_rank_logit import Factors, LowRankLogit
from statlm.numerics.low_rank_newton import LowRankOptimum, balanced, maximise
from statlm.numerics.rank import rank_of
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

FIRST = 10  # Newton steps after which the starts of a large problem are compared, and only the best goes on
SMALL_TABLE = 20_000  # contexts by classes up to which all starts are followed to the end
SMOOTHING = 5.0  # observations of the unigram added to each level before logarithms are taken
AGREE = 1e-7  # nats an observation within which two maxima are the same
CERTAIN = 1e-3  # largest change of a log-odds by a Newton step from a maximum
ZERO = 1e-7  # singular values below this share of the largest are zero
# The likelihood that still rises in steps this large while its gradient is this small has no maximum.
STILL_MOVING, FLAT = 0.1, 1e-7
# And so has one that keeps the probability of an empty cell below this logarithm for so many steps: a search that overshot
# returns.
VANISHED, PATIENCE = -50.0, 100


@dataclass(frozen=True, eq=False)
class LowRankEstimate:
    """What the maximisation found, in reference coding.

    Attributes
    ----------
    at : Factors
        Intercepts (J,) and right factor (J, r), zero for the reference class; left factor (P, r) with a row of zeros for the
        intercept's column. The columns are balanced and ordered by singular value.
    loglike : float
        Nats, penalty excluded.
    iterations, gradient_norm, converged
        Of the best climb; see `LowRankOptimum`.
    starts, agreeing : int
        Climbs begun, and those that ended at the best value.
    """

    at: Factors
    loglike: float
    iterations: int
    gradient_norm: float
    converged: bool
    starts: int
    agreeing: int


def fit_reduced_rank(
    corpus: Corpus,
    design: LagDesign,
    matrix: sparse.csr_array,
    counts: Array,
    responses: Array,
    reference: int,
    rank: int,
    strength: float | None,
) -> tuple[ReducedRankLikelihood, FitReport]:
    """The likelihood at its estimate, and a report; the arguments are those of `estimate_low_rank`.

    Raises
    ------
    NoEstimate
        If the likelihood has no maximum, or none was found.
    SpecificationError
        If the rank is larger than that of any coefficients, or the penalty leaves no dimension.
    """
    full = rank_of(matrix)
    largest = min(full - 1, len(responses) - 1)
    if rank > largest:
        raise SpecificationError(
            f"rank={rank}: the coefficients have {full - 1:,} identified rows and {len(responses) - 1:,} columns, so no "
            "larger rank "
            f"than {largest:,}. Choose a smaller one; rank=None is the unrestricted regression."
        )
    found = estimate_low_rank(design, matrix, counts, reference, rank, strength)
    kept = np.arange(design.ncolumns) > 0
    factors = found.at
    if strength is None and full < design.ncolumns:
        kept, factors = without_redundant(matrix, factors)
    said = {"asked": rank, "starts": found.starts, "agreeing": found.agreeing}
    likelihood = ReducedRankLikelihood.standing(corpus, design, responses, reference, factors, kept, full, strength, said)
    if strength is None:
        check_attained(likelihood)
    return likelihood, FitReport(
        "Newton's method, trust region" if rank else "closed form", found.converged, found.iterations, found.gradient_norm
    )


def without_redundant(matrix: sparse.csr_array, at: Factors) -> tuple[Array, Factors]:
    """Columns of the design that are independent, and the same predictors from these alone."""
    gram = (matrix.T @ matrix).toarray()
    size = np.sqrt(np.diag(gram))
    scaled = gram / size[:, None] / size
    scaled[0] *= 100.0  # the intercept stays
    scaled[:, 0] *= 100.0
    _, pivots, rank, _ = scipy.linalg.lapack.dpstrf(scaled, tol=1e-10, lower=1)
    kept, left_out = np.sort(pivots[:rank] - 1), pivots[rank:] - 1
    combination = scipy.linalg.solve(gram[np.ix_(kept, kept)], gram[np.ix_(kept, left_out)], assume_a="pos")
    moved = combination @ at.left[left_out]
    left = at.left.copy()
    left[left_out] = 0.0
    left[kept] += moved
    intercepts = at.intercepts + at.right @ left[0]
    left[0] = 0.0
    free = np.zeros(len(left), bool)
    free[kept[kept > 0]] = True
    return free, Factors(intercepts, left, at.right)


def check_attained(likelihood: ReducedRankLikelihood) -> None:
    """Refuse what looked like a maximum where the information says that the likelihood still rises.

    Raises
    ------
    NoEstimate
        If the information is singular, or a Newton step would move a log-odds by more than a thousandth.
    """
    gradient = np.asarray(likelihood.score().T @ np.ones(likelihood.corpus.nobs)).ravel()
    if not gradient.size:
        return
    try:
        step = np.asarray(solve(likelihood.information(), gradient)).ravel()
        moved = float(np.abs(likelihood.moved(step)).max())
    except SingularInformation:
        moved = np.inf
    if not moved < CERTAIN:
        raise NoEstimate(
            f"The likelihood of rank {likelihood.dimensions} is flat where the search ended: "
            + ("its information is singular" if np.isinf(moved) else f"a Newton step still moves a log-odds by {moved:.2g}")
            + ", so the maximum lies at infinity, or a lower rank fits as well. Use a lower rank, penalty='ridge' with a "
            "strength, or fewer types (max_size=)."
        )


def estimate_low_rank(
    design: LagDesign,
    matrix: sparse.csr_array,
    counts: Array,
    reference: int,
    rank: int,
    strength: float | None,
    max_iterations: int = 500,
) -> LowRankEstimate:
    """Fit a softmax regression of main effects whose coefficients have a given rank.

    Parameters
    ----------
    design : LagDesign
        Of main effects.
    matrix : (C, P) sparse array
        Its columns for the contexts, the intercept first.
    counts : (C, J) array
    reference : int
        Class whose coefficients are zero.
    rank : int
    strength : float or None
        Weight of half the sum of squares of both factors.
    max_iterations : int

    Raises
    ------
    NoEstimate
        If the likelihood has no maximum, or none was found.
    SpecificationError
        If the penalty leaves no dimension.
    """
    levels, lag = level_indicators(design, matrix)
    marginal = np.log(counts.sum(axis=0))
    zero = Factors(marginal - marginal.mean(), np.zeros((levels.shape[1], rank)), np.zeros((counts.shape[1], rank)))
    data = LowRankLogit(levels, counts, zero)
    groups = [np.flatnonzero(lag == j) for j in range(design.lags)]

    def centre(at: Factors) -> Factors:
        return centred(at, groups)

    if rank == 0:
        return _in_reference_coding(
            LowRankOptimum(zero, data.loglike, data.loglike, 0.0, 0.0, 0, True), design, groups, reference, 1, 1
        )
    penalty = 0.0 if strength is None else float(strength)
    if penalty:
        check_strength(data, penalty)
    starts = starting_points(data, lag)
    small = counts.size <= SMALL_TABLE
    first = max_iterations if small else FIRST

    def climb(at: Factors, steps: int) -> LowRankOptimum:
        stop = Separation() if strength is None else None
        return maximise(data.moved(at), centre, penalty, max_iterations=steps, stop=stop)

    found = [climb(at, first) for at in starts]
    best = max(found, key=lambda optimum: optimum.objective)
    if not best.converged and not small:
        best = climb(best.at, max_iterations)
    if not best.converged:
        raise _unattained(data.moved(best.at), best, rank, strength)
    agreeing = sum(optimum.objective > best.objective - AGREE * data.nobs for optimum in found) if small else 1
    return _in_reference_coding(best, design, groups, reference, len(starts), agreeing)


def level_indicators(design: LagDesign, matrix: sparse.csr_array) -> tuple[sparse.csr_array, Array]:
    """(C, L) indicators of every level of every lag, the reference of each first, and the (L,) lag of each."""
    blocks, lag = [], []
    for j in range(design.lags):
        columns = matrix[:, design.offsets[j] : design.offsets[j + 1]]
        at_reference = sparse.csr_array((1.0 - np.asarray(columns.sum(axis=1)).ravel())[:, None])
        blocks += [at_reference, columns]
        lag.append(np.full(columns.shape[1] + 1, j))
    if not blocks:
        return sparse.csr_array((matrix.shape[0], 0)), np.zeros(0, np.int64)
    return sparse.csr_array(sparse.hstack(blocks)), np.concatenate(lag)


def centred(at: Factors, groups: list[Array]) -> Factors:
    """The same probabilities with left rows that sum to zero over the levels of each lag, and right rows over the classes."""
    left, intercepts = at.left.copy(), at.intercepts.copy()
    for rows in groups:
        mean = left[rows].mean(axis=0)
        left[rows] -= mean
        intercepts += at.right @ mean
    return Factors(intercepts - intercepts.mean(), left, at.right - at.right.mean(axis=0))


def check_strength(data: LowRankLogit, strength: float) -> None:
    """Refuse a penalty so strong that nothing but the unigram is left.

    The sum of squares of the factors is twice the nuclear norm of the coefficients, whose subgradient at zero holds all
    matrices of spectral norm up to 1: zero is the maximum where the score there has no larger singular value than the strength.
    """
    score = data.transposed @ data.residuals
    largest = float(np.linalg.norm(score, 2))
    if strength >= largest:
        raise SpecificationError(
            f"strength={strength:g} shrinks all embeddings to zero on this corpus, and what is left is the unigram: the score at "
            f"zero has largest singular value {largest:,.4g}. Choose a strength below that, or rank=0."
        )


def starting_points(data: LowRankLogit, lag: Array) -> list[Factors]:
    """Three starts from the table of levels by classes: logarithms of smoothed shares, correspondence analysis, noise."""
    rank = data.at.rank
    table = np.asarray(data.transposed @ data.counts)  # (L, J)
    n = table.sum(axis=1, keepdims=True) + SMOOTHING
    share = data.counts.sum(axis=0) / data.nobs
    smoothed = (table + SMOOTHING * share) / n
    rng = np.random.default_rng(0)
    made = [
        _weighted_svd(np.log(smoothed / share), n, share, rank),
        _weighted_svd(smoothed / share - 1.0, n, share, rank),
        (0.1 * rng.standard_normal((len(table), rank)), 0.1 * rng.standard_normal((table.shape[1], rank))),
    ]
    return [Factors(data.at.intercepts, left, right) for left, right in made]


def _weighted_svd(target: Array, n: Array, share: Array, rank: int) -> tuple[Array, Array]:
    """Factors of the best approximation of rank r to a matrix, with weights for its rows and columns."""
    row, column = np.sqrt(n), np.sqrt(share)
    u, values, vt = np.linalg.svd(row * target * column, full_matrices=False)
    root = np.sqrt(values[:rank])
    left, right = np.zeros((len(target), rank)), np.zeros((target.shape[1], rank))
    left[:, : len(root)] = u[:, :rank] * root / row
    right[:, : len(root)] = vt[:rank].T * root / column[:, None]
    return left, right


class Separation:
    """Watches a climb for signs that it leads to infinity."""

    def __init__(self) -> None:
        self._vanished = 0  # steps in a row

    def __call__(self, here: LowRankLogit, norm: float, step: float) -> bool:
        """Whether to give up."""
        lowest = float(here.log_probabilities.min(initial=0.0, where=here.counts == 0))
        self._vanished = self._vanished + 1 if lowest < VANISHED else 0
        return (norm < FLAT and step > STILL_MOVING) or self._vanished > PATIENCE


def _unattained(data: LowRankLogit, best: LowRankOptimum, rank: int, strength: float | None) -> NoEstimate:
    if strength is not None:
        return NoEstimate(
            f"The fit did not converge in {best.iterations} Newton steps: the largest gradient entry is still "
            f"{best.gradient_norm:.2g} an observation (1e-9 is asked). Use a larger strength, a lower rank, or merge rare types "
            "(min_count=, max_size=)."
        )
    vanishing = int(np.count_nonzero((data.counts == 0) & (data.log_probabilities < -15)))
    zero = int(np.count_nonzero(data.counts == 0))
    return NoEstimate(
        f"The likelihood of rank {rank} has no maximum that could be reached: after {best.iterations} Newton steps the largest "
        f"gradient entry is {best.gradient_norm:.1g} an observation and a log-odds still moves by {best.step:.2g} a step. "
        f"{zero:,} of {data.counts.size:,} cells of the table of contexts by tokens are empty, and the fitted probability of "
        f"{vanishing:,} of them runs to 0: some combination of dimensions separates what follows from what never does, so "
        "coefficients run off to infinity and embeddings do not exist. Penalise: SoftmaxRegression(..., rank="
        f"{rank}, penalty='ridge', strength=1.0); or use a lower rank, or fewer types (max_size=)."
    )


def _in_reference_coding(
    best: LowRankOptimum, design: LagDesign, groups: list[Array], reference: int, starts: int, agreeing: int
) -> LowRankEstimate:
    at = balanced(best.at)
    size = np.sqrt((at.left**2).sum(axis=0) * (at.right**2).sum(axis=0))
    present = size > ZERO * size.max(initial=0.0)  # a penalty can set dimensions to zero
    levels, right = at.left[:, present], at.right[:, present]
    intercepts = at.intercepts.copy()
    left = np.zeros((design.ncolumns, levels.shape[1]))
    for j, rows in enumerate(groups):
        left[design.offsets[j] : design.offsets[j + 1]] = levels[rows[1:]] - levels[rows[0]]
        intercepts += right @ levels[rows[0]]
    factors = Factors(intercepts - intercepts[reference], left, right - right[reference])
    return LowRankEstimate(factors, best.loglike, best.iterations, best.gradient_norm, best.converged, starts, agreeing)
