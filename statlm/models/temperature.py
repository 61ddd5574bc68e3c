"""A model recalibrated by one parameter, its temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statlm.diagnostics.tempering import Tempered, best_power, tempered
from statlm.errors import SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.inference.maxima import name_of
from statlm.likelihood import Predictive, underlying
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


@dataclass(frozen=True, repr=False)
class Temperature:
    r"""Another model's distribution flattened or sharpened, :math:`p_T(w \mid c) \propto p(w \mid c)^{1/T}`.

    The other model is held fixed; the one parameter is T, by maximum likelihood. Fit it to text that the model was not fitted
    to: on its own training text a model looks less over-confident than it is.

    Parameters
    ----------
    model : Fit or Predictive
        What is recalibrated.

    See Also
    --------
    temperature_test : the same estimate with its tests.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 40).split(test=0.5)
    >>> cautious = slm.NGram(n=2, pseudo_count=20).fit(train)
    >>> sharper = Temperature(cautious).fit(test)
    >>> float(sharper.params[0].round(2)), sharper.perplexity < cautious.on(test).perplexity
    (0.28, True)
    """

    model: Any

    def __repr__(self) -> str:
        return f"Temperature({name_of(self.model)})"

    def __str__(self) -> str:
        return f"{name_of(self.model)} at its temperature"

    def fit(self, corpus: Corpus) -> Fit:
        """Find the temperature of highest likelihood.

        Raises
        ------
        NoEstimate
            As of `temperature_test`: where no temperature between 0 and infinity maximises the likelihood.
        """
        base = underlying(self.model).on(corpus)
        power, steps = best_power(base)
        model = TemperedModel(base, np.array([1.0 / power]))
        slope = float(model.score().mean())
        return Fit(self, model, FitReport("Newton's method on 1 / T", iterations=steps, gradient_norm=abs(slope)))


@dataclass(frozen=True, eq=False)
class TemperedModel:
    """A distribution of the next token at a temperature, a likelihood in that temperature.

    Parameters
    ----------
    base : Predictive
        The distribution at temperature 1, on its corpus.
    params : (1,) array
        The temperature.
    """

    base: Predictive
    params: Array

    @property
    def corpus(self) -> Corpus:
        """The observations."""
        return self.base.corpus

    @property
    def memory(self) -> int | None:
        """That of the model that is recalibrated."""
        return self.base.memory

    @property
    def dof(self) -> int:
        """1."""
        return 1

    @property
    def param_names(self) -> pd.MultiIndex:
        """The temperature."""
        return pd.MultiIndex.from_tuples([("all", "temperature")], names=["response", "term"])

    @property
    def power(self) -> float:
        """One over the temperature."""
        return float(1.0 / self.params[0])

    @cached_property
    def _here(self) -> Tempered:
        return tempered(self.base, self.power)

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        return self._here.loglike_obs

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token after contexts of token ids, nats."""
        from scipy.special import logsumexp

        scaled = self.power * self.base.logprobs(contexts)
        result: Array = scaled - logsumexp(scaled, axis=1, keepdims=True)
        return result

    def on(self, corpus: Corpus) -> TemperedModel:
        """The same distribution on other observations."""
        return replace(self, base=self.base.on(corpus))

    def at(self, params: Array) -> TemperedModel:
        """Another temperature.

        Raises
        ------
        SpecificationError
            If it is not one positive number.
        """
        params = np.asarray(params, float)
        if params.shape != (1,) or not (np.isfinite(params) & (params > 0)).all():
            raise SpecificationError(
                f"{params!r} is not a temperature. It is one positive number; at 0 only the most probable token would be left, "
                "at infinity all would be equal, and neither has derivatives."
            )
        return replace(self, params=params)

    def score(self) -> Array:
        """(nobs, 1) derivative of `loglike_obs` with respect to the temperature."""
        result: Array = -(self.power**2) * self._here.slope[:, None]
        return result

    def information(self) -> Array:
        """(1, 1) minus the second derivative of the log-likelihood."""
        here, power = self._here, self.power
        return np.array([[power**4 * here.curvature.sum() - 2 * power**3 * here.slope.sum()]])

    def notes(self) -> list[str]:
        """What a reader of the summary must know."""
        return ["The model that is recalibrated is held fixed: the error of its own estimate is not in the standard error."]
