"""Dependence along two groupings at once: the same speaker, or the same year."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from statlm.covariance.bread import bread
from statlm.covariance.clustered import check_clusters
from statlm.covariance.functionals import row_slices
from statlm.covariance.groups import document_groups
from statlm.errors import FewClustersWarning, NoEstimate, SpecificationError
from statlm.likelihood import Likelihood
from statlm.numerics.linalg import factorise, identity
from statlm.numerics.repeated_rows import dense, sum_by
from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus

NOTHING = 1e-12  # of the largest eigenvalue, or of the largest of the three variances


@dataclass(frozen=True)
class TwoWayClustered:
    r"""Tokens depend on each other where they share either of two groupings (Cameron, Gelbach and Miller 2011).

    .. math:: V = V_1 + V_2 - V_{12}

    with :math:`V_1` and :math:`V_2` the covariances clustered by each grouping and :math:`V_{12}` that by their intersection,
    each with its own factor G / (G - 1). Ratios are referred to Student's t with one degree of freedom less than the smaller
    number of clusters.

    Parameters
    ----------
    first, second : str
        "document", or a column of ``corpus.documents``.

    Notes
    -----
    *The correction to a positive semi-definite matrix.* The difference need not be a covariance; with more functionals than
    clusters it never is one. A covariance matrix then has its negative eigenvalues set to zero, on the scale of its standard
    deviations, as Cameron, Gelbach and Miller propose, with a warning that says how much was taken away. That raises variances. A
    single variance that comes out at zero or less is replaced by the larger of the two one-way variances, with a warning. So
    ``std_errors``, which asks for variances one by one, and the diagonal of ``vcov`` agree where no correction was needed.

    References
    ----------
    Cameron, Gelbach and Miller (2011), Robust inference with multiway clustering. Journal of Business and Economic Statistics
    29.

    Examples
    --------
    Twelve authors wrote in each of twelve years, and habits go with both:

    >>> import numpy as np
    >>> import pandas as pd
    >>> import statlm as slm
    >>> author, year = np.divmod(np.arange(144), 12)
    >>> texts = ["a" * (5 + i % 4 + j % 3) + "b" * (9 - i % 3 - j % 4) for i, j in zip(author, year)]
    >>> frame = pd.DataFrame({"author": author, "year": year})
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(texts, eos=False, covariates=frame))
    >>> [round(float(fit.std_errors(cov=cov)[0]), 3) for cov in ("cluster", TwoWayClustered("author", "year"))]
    [0.006, 0.02]
    """

    first: str
    second: str

    def __post_init__(self) -> None:
        if self.first == self.second:
            raise SpecificationError(
                f"Both groupings are {self.first!r}, and clustering by one is Clustered(by={self.first!r}). Name two."
            )

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) covariance, with negative eigenvalues set to zero.

        Raises
        ------
        NoEstimate
            If a functional has no variance under either grouping.
        """
        inverse = factorise(bread(model))
        solved = inverse.solve(gradients.T)
        parts = [(along := dense(sums @ solved)).T @ along for sums in self._sums(model)]
        raw = parts[0] + parts[1] - parts[2]
        scale = np.sqrt(_positive(np.diag(raw), *(np.diag(part) for part in parts[:2])))
        if not (scale > 0).all():
            raise NoEstimate(
                f"{np.count_nonzero(~(scale > 0)):,} of {len(scale):,} quantities do not vary between clusters of either "
                "kind, so they have no two-way covariance. Leave them out."
            )
        return _semidefinite(raw / scale / scale[:, None]) * scale * scale[:, None]

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) variances, each by itself."""
        inverse = factorise(bread(model))
        sums = self._sums(model)
        gradients = identity(sums[0].shape[1]) if gradients is None else gradients
        found = []
        for some in row_slices(gradients, max(part.shape[0] for part in sums)):
            solved = inverse.solve(some.T)
            found.append([(dense(part @ solved) ** 2).sum(axis=0) for part in sums])
        one, two, both = (np.concatenate(part) for part in zip(*found, strict=True)) if found else (np.zeros(0),) * 3
        result = _positive(one + two - both, one, two)
        return np.where(result > 0, result, np.inf)

    def reference_dof(self, model: Likelihood) -> float:
        """The smaller number of clusters, less 1."""
        return float(min(document_groups(model.corpus, by)[1] for by in (self.first, self.second)) - 1)

    def describe(self, model: Likelihood) -> str:
        """In words."""
        counts = [f"{by} ({document_groups(model.corpus, by)[1]:,})" for by in (self.first, self.second)]
        return f"sandwich, clustered by {counts[0]} and by {counts[1]}"

    def _sums(self, model: Likelihood) -> list[Matrix]:
        """Sums of scores by the first grouping, the second, and both, each times the root of its factor."""
        corpus, score = model.corpus, model.score()
        for by in (self.first, self.second):
            check_clusters(corpus, by)
        result = []
        for index, groups in _groupings(corpus, self.first, self.second):
            factor = np.sqrt(groups / (groups - 1))
            result.append(sum_by(score, index[corpus.document_index], groups) * factor)
        return result


def _groupings(corpus: Corpus, first: str, second: str) -> list[tuple[Array, int]]:
    """Group of each document and number of groups: by the first column, by the second, by both."""
    (one, n1), (two, n2) = document_groups(corpus, first), document_groups(corpus, second)
    pairs, both = np.unique(one * n2 + two, return_inverse=True)
    return [(one, n1), (two, n2), (both, len(pairs))]


def _positive(difference: Array, one: Array, two: Array) -> Array:
    """The variances, those of zero or less replaced by the larger one-way variance, with a warning."""
    larger = np.maximum(one, two)
    lost = (difference <= NOTHING * larger) & (larger > 0)
    if lost.any():
        warnings.warn(
            f"{np.count_nonzero(lost):,} of {len(lost):,} two-way clustered variances come out at zero or less, which no "
            "variance can be: the clusters are too few to tell the groupings apart. The larger of the two one-way variances "
            "is given there. Cluster by one grouping, Clustered(by=...), where you would rather not mix the two.",
            FewClustersWarning,
            stacklevel=4,
        )
    return np.where(lost, larger, np.maximum(difference, 0.0))


def _semidefinite(correlation: Array) -> Array:
    """The matrix with its negative eigenvalues set to zero, and a warning of how many."""
    np.fill_diagonal(correlation, 1.0)
    roots, vectors = np.linalg.eigh(correlation)
    negative = roots < -NOTHING * len(roots)
    if not negative.any():
        return correlation
    share = float(-roots[negative].sum() / roots[~negative].sum())
    warnings.warn(
        f"The two-way clustered covariance of {len(roots):,} quantities has {np.count_nonzero(negative):,} negative eigenvalues "
        f"({share:.1%} of the sum of the others), because a difference of covariances need not be one. They are set to zero, "
        "which raises variances a little (Cameron, Gelbach and Miller 2011). std_errors() needs no such correction.",
        FewClustersWarning,
        stacklevel=3,
    )
    return (vectors[:, ~negative] * roots[~negative]) @ vectors[:, ~negative].T
