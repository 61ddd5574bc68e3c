"""What tests about maxima of a likelihood ask of their models: same observations, finite, and at the maximum."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable
from weakref import WeakSet

import numpy as np

from statlm.errors import NoEstimate, NotComparable, SingularInformation, SpecificationError
from statlm.likelihood import Likelihood, Predictive, why_no_maximum
from statlm.measures import loglike
from statlm.numerics.linalg import solve

SHORTFALL = 0.01  # nats below the maximum at which a fit no longer counts as the maximum
ROUNDING = 1e-9  # relative error of a sum of log-likelihoods

# Models are frozen, so what was found once holds: a ladder asks the same of each rung twice.
_AT_MAXIMUM: WeakSet[Any] = WeakSet()


@runtime_checkable
class Specified(Protocol):
    """A model that carries the specification that it was estimated by."""

    @property
    def specification(self) -> Any:
        """How it was estimated."""
        ...


def check_observations(small: Predictive, large: Predictive) -> None:
    """Raise NotComparable unless two models stand on the same observations."""
    a, b = small.corpus, large.corpus
    if a is b or a.fingerprint == b.fingerprint:
        return
    raise NotComparable(
        f"The models stand on different observations ({a.nobs:,} and {b.nobs:,} tokens, different fingerprints), so their "
        "log-likelihoods cannot be subtracted. Fit both to one corpus: lr_test(small.fit(corpus), large.fit(corpus)); "
        "models with different memories are compared on corpus.with_given(memory)."
    )


def finite_loglike(model: Likelihood, name: str) -> float:
    """Log-likelihood, nats; NoEstimate where an observation has probability 0."""
    total = loglike(model)
    if np.isneginf(total):
        obs = model.loglike_obs()
        raise NoEstimate(
            f"{np.count_nonzero(np.isneginf(obs)):,} of {len(obs):,} observations have probability 0 under the {name}: its "
            "log-likelihood is -inf and there is no ratio. Fit both to these observations; give <unk> a probability of its own "
            "(unk=True)."
        )
    return total


def check_maximum(model: Likelihood, name: str) -> None:
    """Raise SpecificationError unless a model stands at the maximum of its likelihood on its corpus.

    A Newton step from there may gain no more than `SHORTFALL` nats.
    """
    if model in _AT_MAXIMUM:
        return
    reason = why_no_maximum(model)
    if reason is not None:
        raise SpecificationError(
            f"The {name} is not at the maximum of its likelihood: {reason}, and the chi-square distribution holds at the maximum "
            "only. Pass unpenalised fits, run to convergence, or compare on held-out text: paired_test(a.on(test), b.on(test))."
        )
    gradient = np.asarray(model.score().T @ np.ones(model.corpus.nobs)).ravel()
    if not gradient.size or np.abs(gradient).max() <= ROUNDING * model.corpus.nobs:
        _AT_MAXIMUM.add(model)
        return
    try:
        shortfall = float(gradient @ np.asarray(solve(model.information(), gradient)).ravel()) / 2
    except SingularInformation:
        shortfall = np.inf
    if not shortfall <= SHORTFALL:
        raise SpecificationError(
            f"The {name} is not at its maximum on this corpus: a Newton step would gain about {shortfall:.3g} nats, and the "
            "chi-square distribution holds at the maximum only. Pass unpenalised fits to this corpus, run to convergence."
        )
    _AT_MAXIMUM.add(model)


def name_of(model: Predictive) -> str:
    """What to call a model in a message."""
    return str(model.specification) if isinstance(model, Specified) else type(model).__name__
