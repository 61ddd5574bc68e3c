"""A likelihood at its estimate, with a report of how it got there."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from statlm import measures
from statlm.covariance import Covariance, Dependence, std_errors, vcov
from statlm.errors import NoEstimate
from statlm.fit.evaluation import Evaluation
from statlm.likelihood import Likelihood, is_likelihood
from statlm.numerics.types import Array, Matrix

if TYPE_CHECKING:
    import pandas as pd

    from statlm.generation.generate import Generation
    from statlm.inference.perplexity_interval import Interval
    from statlm.inference.result import TestResult
    from statlm.report.summary import Summary
    from statlm.text.corpus import Corpus


@dataclass(frozen=True, slots=True)
class FitReport:
    """How the estimate was found.

    Attributes
    ----------
    method : str
        The algorithm, in words.
    converged : bool
    iterations : int or None
        None for a closed form.
    gradient_norm : float or None
        Norm of the gradient an observation at the end.
    """

    method: str
    converged: bool = True
    iterations: int | None = None
    gradient_norm: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Evaluation):
    """A model fitted to a corpus: an `Evaluation` on the training text, and inference about the parameters.

    Parameters
    ----------
    specification : object
        How it was estimated.
    likelihood : Predictive
        At the estimate, on the training corpus; a Likelihood where the model has parameters and derivatives.
    report : FitReport
    """

    report: FitReport

    @property
    def parametric(self) -> Likelihood:
        """The model as a Likelihood.

        Raises
        ------
        NoEstimate
            If it is a distribution only, without parameters that have standard errors.
        """
        if is_likelihood(self.likelihood):
            return self.likelihood
        raise NoEstimate(
            f"{self.specification} is a distribution without a likelihood theory for its parameters, so it has no degrees of "
            "freedom, standard errors or AIC. Its held-out measures have errors: fit.on(test).perplexity_interval(), "
            "compare(..., on=test)."
        )

    # --- the contract -------------------------------------------------------------------------------------------------

    @property
    def params(self) -> Array:
        """(p,) estimates."""
        return self.parametric.params

    @property
    def param_names(self) -> pd.MultiIndex:
        """The p names: response and term."""
        return self.parametric.param_names

    @property
    def dof(self) -> int:
        """Number of free parameters."""
        return self.parametric.dof

    def score(self) -> Matrix:
        """(nobs, p) derivative of `loglike_obs`."""
        return self.parametric.score()

    def information(self) -> Matrix:
        """(p, p) minus the second derivative of the log-likelihood."""
        return self.parametric.information()

    def at(self, params: Array) -> Likelihood:
        """The likelihood at other parameter values."""
        return self.parametric.at(params)

    # --- criteria -----------------------------------------------------------------------------------------------------

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return measures.aic(self.parametric)

    @property
    def aicc(self) -> float:
        """AIC corrected for small samples."""
        return measures.aicc(self.parametric)

    @property
    def bic(self) -> float:
        """Schwarz's criterion."""
        return measures.bic(self.parametric)

    @property
    def hqic(self) -> float:
        """Hannan and Quinn's criterion."""
        return measures.hqic(self.parametric)

    # --- inference ----------------------------------------------------------------------------------------------------

    def vcov(self, cov: str | Covariance | Dependence = "nonrobust") -> Array:
        """(p, p) covariance of the estimates; see `statlm.vcov`."""
        return vcov(self.parametric, cov)

    def std_errors(self, cov: str | Covariance | Dependence = "nonrobust") -> Array:
        """(p,) standard errors; see `statlm.std_errors`."""
        return std_errors(self.parametric, cov)

    def conf_int(self, level: float = 0.95, cov: str | Covariance | Dependence = "nonrobust") -> pd.DataFrame:
        """Wald intervals of the parameters; see `statlm.conf_int`."""
        from statlm.inference.conf_int import conf_int

        return conf_int(self.parametric, level, cov)

    def predict(
        self,
        contexts: Sequence[Any],
        *,
        interval: float | None = None,
        method: str = "wald",
        cov: str | Covariance | Dependence = "nonrobust",
    ) -> pd.DataFrame:
        """Next-token probabilities, with intervals on request; see `statlm.predict`."""
        from statlm.inference.predict import predict

        return predict(self.likelihood, contexts, interval=interval, method=method, cov=cov)

    def wald_test(
        self,
        restrictions: Matrix | Sequence[tuple[str, str]] | Callable[[Array], Any],
        values: float | Sequence[float] | Array = 0.0,
        *,
        cov: str | Covariance | Dependence = "nonrobust",
    ) -> TestResult:
        """Wald test of restrictions on the parameters; see `statlm.wald_test`."""
        from statlm.inference.wald_test import wald_test

        return wald_test(self.parametric, restrictions, values, cov=cov)

    def functional(
        self,
        g: Callable[[Array], Any],
        *,
        gradient: Matrix | Callable[[Array], Matrix] | None = None,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """A function of the parameters with its interval, by the delta method; see `statlm.functional`."""
        from statlm.inference.delta import functional

        return functional(self.parametric, g, gradient=gradient, cov=cov, level=level)

    def marginal_effects(
        self,
        lag: int = 1,
        *,
        tokens: Sequence[str] | str | None = None,
        reference: str | None = None,
        responses: Sequence[str] | str | None = None,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Average marginal effects of swapping a previous token; see `statlm.marginal_effects`."""
        from statlm.inference.marginal_effects import marginal_effects

        return marginal_effects(
            self.parametric, lag, tokens=tokens, reference=reference, responses=responses, cov=cov, level=level
        )

    def influence(
        self,
        gradients: Matrix | Sequence[tuple[str, str]] | None = None,
        *,
        by: str | Sequence[Any] | Array = "document",
    ) -> pd.DataFrame:
        """One-step change of the estimate when a document is left out; see `statlm.influence`."""
        from statlm.inference.influence import influence

        return influence(self.parametric, gradients, by=by)

    def profile_interval(self, parameter: tuple[str, str], level: float = 0.95) -> Interval:
        """Profile-likelihood interval of one parameter; see `statlm.profile_interval`."""
        from statlm.inference.profile import profile_interval

        return profile_interval(self.parametric, parameter, level)

    # --- generation ---------------------------------------------------------------------------------------------------

    def generate(self, prompt: str | Sequence[str] = "", **settings: Any) -> Generation:
        """Continue a prompt; see `statlm.generate`."""
        from statlm.generation.generate import generate

        return generate(self.likelihood, prompt, **settings)

    def simulate(self, **settings: Any) -> Corpus:
        """A corpus drawn from the model, of the size of its own; see `statlm.simulate`."""
        from statlm.generation.simulate import simulate

        return simulate(self.likelihood, **settings)

    # --- tables -------------------------------------------------------------------------------------------------------

    def summary(self, cov: str | Covariance | Dependence = "nonrobust", level: float = 0.95) -> Summary:
        """Text, HTML and LaTeX summary; see `statlm.summary`."""
        from statlm.report.summary import summary

        return summary(self, cov=cov, level=level)

    def tidy(self, cov: str | Covariance | Dependence = "nonrobust", level: float = 0.95) -> pd.DataFrame:
        """A row a parameter; see `statlm.tidy`."""
        from statlm.report.tidy import tidy

        return tidy(self, cov=cov, level=level)

    def glance(self) -> pd.DataFrame:
        """One row for the model; see `statlm.glance`."""
        from statlm.report.tidy import glance

        return glance(self)

    # --- files --------------------------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fit to a folder (JSON and safetensors); see `statlm.load`."""
        from statlm.fit.storage import save

        save(self, folder)
