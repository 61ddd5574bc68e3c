"""Intervals from the profile of the likelihood: no symmetry assumed, and the same on every scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.maxima import check_maximum, finite_loglike, name_of
from statlm.inference.parameters import likelihood_of, positions
from statlm.inference.perplexity_interval import Interval
from statlm.likelihood import Likelihood, is_penalised
from statlm.likelihood.summed import summed
from statlm.numerics.linalg import Factor, factorise
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array

DECREMENT = 1e-9  # nats that a further Newton step would gain, where the maximisation ends
STALE = 0.1  # the old factor is kept while each step leaves less than this of what there is to gain
MAX_STEPS = 100
MAX_HALVINGS = 40
MAX_BRACKETS = 100


@runtime_checkable
class WithInfinite(Protocol):
    """A likelihood some of whose coefficients separation sends to infinity."""

    def profile_limits(self, parameter: tuple[str, str], fall: float) -> tuple[float, float] | None:
        """Where the profile of an infinite coefficient is `fall` nats below its supremum; None where it is not infinite."""
        ...


def profile_interval(fit: Likelihood, parameter: tuple[str, str], level: float = 0.95) -> Interval:
    r"""Profile-likelihood interval of one parameter.

    The values c at which the likelihood-ratio test does not reject :math:`\theta_j = c`,

    .. math:: 2 \left[ \ell(\hat\theta) - \max_{\theta : \theta_j = c} \ell(\theta) \right] \le \chi^2_{1, \mathrm{level}}

    Parameters
    ----------
    fit : Fit or Likelihood
        At its maximum-likelihood estimate, on the corpus it was fitted to.
    parameter : (response, term)
        As in ``fit.param_names``.
    level : float
        Confidence level.

    Returns
    -------
    Interval
        ``low``, ``high``; ``low`` is ``-inf`` for a coefficient that separation sends there.

    Raises
    ------
    SpecificationError
        If there is no such parameter, the level is not between 0 and 1, or the fit is penalised or not at its maximum.
    NoEstimate
        If the likelihood does not fall by enough before the parameters reach the end of their range, or the maximisation
        over the others does not converge.

    Notes
    -----
    The other parameters are maximised over by Newton's method with the score and information of the model, from the nearest
    point of the profile that is known, along its tangent; steps that leave the parameter space or lose likelihood are
    halved. The information is factorised again only where progress is slow. The interval is right where the model is; it is
    better than Wald's where the log-likelihood is skewed, as near the boundary, and does not depend on the scale of the
    parameter.

    References
    ----------
    Venzon and Moolgavkar (1988), A method for computing profile-likelihood-based confidence intervals. Applied Statistics
    37.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("aaab" * 5))
    >>> low, high = profile_interval(fit, ("b", ""))
    >>> round(low, 3), round(high, 3)
    (0.098, 0.462)
    """
    from scipy.optimize import brentq
    from scipy.stats import chi2

    if not 0 < level < 1:
        raise SpecificationError(f"level={level}: the confidence level must lie between 0 and 1, as in 0.95.")
    model = likelihood_of(fit)
    if is_penalised(model):
        raise SpecificationError(
            f"{name_of(fit)} does not maximise the likelihood (it is penalised), and the chi-square distribution of the "
            "profile holds for maximum likelihood only. Fit without penalty, or use conf_int()."
        )
    allowed = float(chi2.ppf(level, 1))
    if isinstance(model, WithInfinite):
        limits = model.profile_limits(parameter, allowed / 2)
        if limits is not None:
            return Interval(*limits)
    j = int(positions(model, [parameter])[0])
    top = finite_loglike(model, name_of(fit))
    check_maximum(model, name_of(fit))
    profile = Profile(model, j)
    estimate = float(model.params[j])

    def excess(value: float) -> float:
        return 2 * (top - profile.loglike(value)) - allowed

    ends = []
    for side in (-1.0, 1.0):
        inside, outside = _bracket(excess, estimate, side * float(np.sqrt(allowed)) * profile.std_error, parameter)
        ends.append(float(brentq(excess, inside, outside, xtol=1e-9 * profile.std_error, rtol=1e-14)))
    return Interval(*ends)


@dataclass(eq=False)
class Profile:
    """The likelihood maximised over all parameters but one; remembers where it has been.

    Parameters
    ----------
    model : Likelihood
        At its maximum.
    j : int
        The parameter held fixed.
    """

    model: Likelihood
    j: int
    std_error: float = field(init=False)
    _summed: Callable[[Array], tuple[float, Array]] = field(init=False)
    _inverse: Factor = field(init=False)
    _tangent: Array = field(init=False)
    _known: dict[float, tuple[Array, float]] = field(init=False)

    def __post_init__(self) -> None:
        params = np.asarray(self.model.params, float)
        self._summed = summed(self.model)
        self._known = {float(params[self.j]): (params, float(self.model.loglike_obs().sum()))}
        self.std_error = float(np.sqrt(self._factorise(self.model)))

    def loglike(self, value: float) -> float:
        """Largest log-likelihood with the parameter at this value; ``-inf`` where it is impossible or was not reached.

        Raises
        ------
        NoEstimate
            If the maximisation does not converge.
        """
        if value in self._known:
            return self._known[value][1]
        nearest = min(self._known, key=lambda known: abs(known - value))
        params = self._known[nearest][0] + self._tangent * (value - nearest)
        params[self.j] = value
        here = self._at(params)
        if here is None:
            return -np.inf
        loglike, gradient = here
        before = np.inf
        for _ in range(MAX_STEPS):
            step, decrement = self._step(gradient)
            if decrement > STALE * before:
                self._factorise(self.model.at(params))
                step, decrement = self._step(gradient)
            if decrement < DECREMENT:
                self._known[value] = (params, loglike)
                return loglike
            before = decrement
            for _ in range(MAX_HALVINGS):
                there = self._at(params + step)
                if there is not None and there[0] >= loglike - 1e-13 * abs(loglike):
                    break
                step = step / 2
            else:
                break
            params = params + step
            loglike, gradient = there
        raise NoEstimate(
            f"With {self.model.param_names[self.j]!r} held at {value:.6g} the maximisation over the other parameters did "
            f"not converge: a Newton step would still gain {before:.2g} nats. Use conf_int() for this parameter."
        )

    def maximum(self, value: float) -> Likelihood:
        """The likelihood at its maximum with the parameter at this value: where a score test of the value stands."""
        if not np.isfinite(self.loglike(value)):
            raise NoEstimate(
                f"The parameter {self.model.param_names[self.j]!r} cannot be {value:.6g}, or it was not reached."
            )
        return self.model.at(self._known[value][0])

    def _at(self, params: Array) -> tuple[float, Array] | None:
        """Log-likelihood and gradient at these parameters; None where they are impossible."""
        try:
            loglike, gradient = self._summed(params)
        except SpecificationError:
            return None
        return (loglike, gradient) if np.isfinite(loglike) else None

    def _factorise(self, model: Likelihood) -> float:
        """Prepare the information there for solving; returns the variance of the parameter that it implies."""
        self._inverse = factorise(model.information())
        unit = np.zeros((len(model.params), 1))
        unit[self.j] = 1.0
        column = dense(self._inverse.solve(unit))[:, 0]
        self._tangent = column / column[self.j]
        return float(column[self.j])

    def _step(self, total: Array) -> tuple[Array, float]:
        """Newton's step for a gradient with the parameter fixed, and what it would gain."""
        full = dense(self._inverse.solve(total[:, None]))[:, 0]
        step = full - self._tangent * full[self.j]
        step[self.j] = 0.0
        return step, float(total @ step) / 2


def _bracket(
    excess: Callable[[float], float], estimate: float, distance: float, parameter: tuple[str, str]
) -> tuple[float, float]:
    """A value inside the interval and one outside of it, both possible, on one side of the estimate."""
    inside, impossible = estimate, None
    outside = estimate + distance
    for _ in range(MAX_BRACKETS):
        found = excess(outside)
        if np.isinf(found):
            impossible = outside
        elif found > 0:
            return inside, outside
        else:
            inside = outside
            distance *= 2
        outside = inside + distance if impossible is None else (inside + impossible) / 2
        if outside in (inside, impossible):
            break
    raise NoEstimate(
        f"The likelihood of {parameter!r} does not fall by enough on the {'lower' if distance < 0 else 'upper'} side (as "
        f"far as {inside:.6g}), so the interval has no end there. Coefficients of near-separated tokens are like that; "
        "report the other end."
    )
