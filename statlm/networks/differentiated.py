"""What the likelihood of a network needs for inference: score, information, and the precision that makes it invertible."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sparse

from statlm.errors import ApproximateCurvatureWarning, NoEstimate, SpecificationError
from statlm.networks.curvature_operator import GaussNewton, KroneckerInformation
from statlm.networks.derivatives import Derivatives
from statlm.networks.hessian_operator import SecondDerivative
from statlm.networks.score_operator import NetworkScore
from statlm.numerics.evidence import best_precision
from statlm.numerics.ranges import concatenate_ranges

WORK = 1 << 33  # weights times observations up to which the curvature is that of all observations
MOMENTS = 1 << 17  # observations that the factors of layers are taken from
KRONECKER = "kronecker"
HESSIAN = "hessian"


@dataclass(frozen=True, eq=False)
class Differentiated:
    """A network at its estimate, on a text.

    Parameters
    ----------
    derivatives : Derivatives
    precision : float, optional
        Of a normal prior on the weights; by default that of the largest Laplace evidence.
    observations : int, "kronecker" or "hessian", optional
        How many observations the curvature is taken from, its approximation by layers, or the second derivative in place of the
        Gauss-Newton matrix; by default the latter from all observations, and the approximation where that would be too much work.
    """

    derivatives: Derivatives
    precision: float | None = None
    observations: int | str | None = None

    def __post_init__(self) -> None:
        if self.precision is not None and not 0 < self.precision < np.inf:
            raise SpecificationError(
                f"precision={self.precision!r}: the precision of a prior on weights is a positive number; None takes "
                f"the one of largest "
                "evidence."
            )
        given = self.observations
        if given is not None and given not in (KRONECKER, HESSIAN) and (isinstance(given, str) or given < 1):
            raise SpecificationError(
                f"curvature={given!r}: give a number of observations, 1 or more, {KRONECKER!r} or {HESSIAN!r}."
            )
        if given == HESSIAN and self.precision is None:
            raise SpecificationError(
                "curvature='hessian' is that of the posterior at its mode, and this fit has no prior: its weights are "
                "at no mode, "
                'or on a ridge of them. Fit with optimizer="lbfgs" and weight_decay=, the precision of a normal prior.'
            )

    @cached_property
    def score(self) -> NetworkScore:
        """(nobs, p) score.

        Raises
        ------
        NoEstimate
            If an observed token has no logit.
        """
        d = self.derivatives
        lacking = _without_logit(d)
        if lacking:
            raise NoEstimate(
                f"{lacking:,} of {d.nobs:,} observations are tokens without a logit (the network never saw their "
                f"type), which have "
                "probability 0: the log-likelihood is -inf and has no derivative. Use text whose types the network knows, or fit "
                "with unk=True."
            )
        return NetworkScore(d)

    @cached_property
    def information(self) -> GaussNewton | KroneckerInformation | SecondDerivative:
        """(p, p) Gauss-Newton information of all observations, of some scaled up, or by layers; or the second derivative."""
        d = self.derivatives
        if self.observations == HESSIAN:
            return SecondDerivative(d)
        by_layers = self.observations == KRONECKER or (self.observations is None and d.nobs * d.nweights > WORK)
        if by_layers and self.observations is None:
            warnings.warn(
                f"{d.nweights:,} weights by {d.nobs:,} observations are too much for solves with the whole curvature: "
                f"it is approximated "
                "layer by layer, from some of the windows. Standard errors are then approximate too; damped(fit, "
                "curvature=20_000) solves "
                "with that of 20,000 observations, and damped(fit, curvature='kronecker') says that the approximation is meant.",
                ApproximateCurvatureWarning,
                stacklevel=2,
            )
        wanted = MOMENTS if by_layers else d.nobs if self.observations is None else int(self.observations)
        kind = KroneckerInformation if by_layers else GaussNewton
        if wanted >= d.nobs:
            return kind(d)
        order = np.random.default_rng(0).permutation(len(d.reading.windows))
        reached = np.searchsorted(np.cumsum(d.reading.windows.nscored[order]), wanted) + 1
        some = d.take(np.sort(order[:reached]))
        return kind(some, d.nobs / some.nobs)

    @cached_property
    def damping(self) -> float:
        """The precision that is added to the information: the one given, or that of the largest evidence."""
        if self.precision is not None:
            return self.precision
        return best_precision(self.information.spectrum, self.squared_norm)

    def at(self, precision: float | None) -> Differentiated:
        """The same with another precision; the curvature, which it is added to, is not made again."""
        made = replace(self, precision=precision)
        kept: dict[str, Any] = {n: self.__dict__[n] for n in ("score", "information") if n in self.__dict__}
        made.__dict__.update(kept)
        return made

    @property
    def squared_norm(self) -> float:
        """Of the weights."""
        return float(sum(w.double().square().sum() for w in self.derivatives.weights.values()))

    def damping_curvature(self) -> Any:
        """(p, p) the precision times the identity."""
        return sparse.diags_array(np.full(self.derivatives.nweights, self.damping))

    def describe(self) -> list[str]:
        """Sentences on what was added, and what the curvature rests on."""
        d, used = self.derivatives, self.information.derivatives.nobs
        origin = "as given" if self.precision is not None else "that of the largest Laplace evidence"
        effective = self.information.spectrum.effective(self.damping)
        sentences = [
            f"Weights are not identified one by one. Errors are of functionals; the information has a prior precision "
            f"of {self.damping:.4g} "
            f"added ({origin}), under which the text determines about {effective:,.1f} of {d.nweights:,} weights."
        ]
        if self.observations == HESSIAN:
            sentences.append(
                "The curvature is the second derivative of the log-likelihood, which the network must be at a mode for."
            )
        by_layers = isinstance(self.information, KroneckerInformation)
        if by_layers or used < d.nobs:
            how = "made layer by layer (Kronecker factors), and " if by_layers else ""
            sentences.append(
                f"The curvature is an approximation: it is {how}taken from {used:,} of {d.nobs:,} observations."
            )
        return sentences + NetworkScore(d).describe()


def _without_logit(d: Derivatives) -> int:
    """Number of observations whose token has no logit."""
    windows, ids = d.reading.windows, d.reading.stream.ids
    first = windows.first + windows.scored + 1
    ends = windows.first + windows.length + 1
    targets = ids[concatenate_ranges(first, ends)]
    return int(np.count_nonzero((targets < 0) | (targets >= d.predicted)))
