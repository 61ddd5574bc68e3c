"""A likelihood at its estimate, with a report of how it got there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from statlm import measures
from statlm.covariance import Covariance, Dependence, resolve_cov, std_errors, vcov
from statlm.errors import NoEstimate, SpecificationError
from statlm.fit.evaluation import Evaluation
from statlm.likelihood import Likelihood, is_likelihood
from statlm.numerics.types import Array, Matrix

if TYPE_CHECKING:
    import pandas as pd

    from statlm.fit.pictures import FitPictures
    from statlm.generation.generate import Generation
    from statlm.inference.functionals import Functional
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
    path : sequence of dict
        How the estimate was approached, for what is fitted by descent: a row now and then.
    """

    method: str
    converged: bool = True
    iterations: int | None = None
    gradient_norm: float | None = None
    path: Sequence[dict[str, float]] = ()


@runtime_checkable
class Updatable(Protocol):
    """A specification whose descent can go on from a fit."""

    def update(self, likelihood: Any, corpus: Corpus, **settings: Any) -> Fit:
        """The fit that starts where `likelihood` stands."""
        ...


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

    @property
    def path(self) -> pd.DataFrame:
        """How the estimate was approached: step, tokens read, seconds, learning rate, training and held-out loss (nats).

        Raises
        ------
        NoEstimate
            If it was not found by descent.
        """
        import pandas as pd

        if not self.report.path:
            raise NoEstimate(f"{self.specification} was fitted by {self.report.method}, which leaves no path.")
        return pd.DataFrame(list(self.report.path))

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
        return vcov(self.parametric, resolve_cov(cov, self))

    def std_errors(self, cov: str | Covariance | Dependence = "nonrobust") -> Array:
        """(p,) standard errors; see `statlm.std_errors`."""
        return std_errors(self.parametric, resolve_cov(cov, self))

    def conf_int(self, level: float = 0.95, cov: str | Covariance | Dependence = "nonrobust") -> pd.DataFrame:
        """Wald intervals of the parameters; see `statlm.conf_int`."""
        from statlm.inference.conf_int import conf_int

        return conf_int(self.parametric, level, resolve_cov(cov, self))

    def predict(
        self,
        contexts: Sequence[Any],
        *,
        interval: float | None = None,
        method: str = "wald",
        cov: str | Covariance | Dependence = "nonrobust",
        simultaneous: bool | str = False,
        at: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Next-token probabilities, with intervals on request; see `statlm.predict`."""
        from statlm.inference.predict import predict

        chosen = resolve_cov(cov, self)
        return predict(
            self.likelihood, contexts, interval=interval, method=method, cov=chosen, simultaneous=simultaneous, at=at
        )

    def wald_test(
        self,
        restrictions: Matrix | Sequence[tuple[str, str]] | Callable[[Array], Any],
        values: float | Sequence[float] | Array = 0.0,
        *,
        cov: str | Covariance | Dependence = "nonrobust",
    ) -> TestResult:
        """Wald test of restrictions on the parameters; see `statlm.wald_test`."""
        from statlm.inference.wald_test import wald_test

        return wald_test(self.parametric, restrictions, values, cov=resolve_cov(cov, self))

    def functional(
        self,
        g: Callable[[Array], Any] | Functional | Sequence[Functional],
        *,
        gradient: Matrix | Callable[[Array], Matrix] | None = None,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """A function of the parameters with its interval, by the delta method; see `statlm.functional`."""
        from statlm.inference.delta import functional

        return functional(self.parametric, g, gradient=gradient, cov=resolve_cov(cov, self), level=level)

    def marginal_effects(
        self,
        lag: int = 1,
        *,
        tokens: Sequence[str] | str | None = None,
        reference: str | None = None,
        responses: Sequence[str] | str | None = None,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
        at: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Average marginal effects of swapping a previous token; see `statlm.marginal_effects`."""
        from statlm.inference.marginal_effects import marginal_effects

        chosen = resolve_cov(cov, self)
        return marginal_effects(
            self.parametric, lag, tokens=tokens, reference=reference, responses=responses, cov=chosen, level=level, at=at
        )

    def embeddings(self, side: str = "context", lag: int = 1) -> pd.DataFrame:
        """Embeddings of tokens, of a model of low rank; see `statlm.embeddings`."""
        from statlm.inference.embeddings import embeddings

        return embeddings(self.parametric, side, lag)

    def most_similar(
        self,
        token: str,
        n: int = 10,
        *,
        side: str = "context",
        lag: int = 1,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """The tokens with embeddings most like a token's, with intervals; see `statlm.most_similar`."""
        from statlm.inference.similarity import most_similar

        return most_similar(self.parametric, token, n, side=side, lag=lag, cov=resolve_cov(cov, self), level=level)

    def influence(
        self,
        gradients: Matrix | Sequence[tuple[str, str]] | Functional | Sequence[Functional] | None = None,
        *,
        by: str | Sequence[Any] | Array = "document",
    ) -> pd.DataFrame:
        """One-step change of the estimate when a document is left out; see `statlm.influence`."""
        from statlm.inference.influence import influence

        return influence(self.parametric, gradients, by=by)

    def leverage(self, *, by: str = "context") -> pd.DataFrame:
        """Leverage of the observations, summed by context or document; see `statlm.leverage`."""
        from statlm.inference.leverage import leverage

        return leverage(self.parametric, by=by)

    def hauck_donner(self) -> pd.DataFrame:
        """Which Wald statistics cannot be trusted; see `statlm.hauck_donner`."""
        from statlm.inference.hauck_donner import hauck_donner

        return hauck_donner(self.parametric)

    def profile_interval(self, parameter: tuple[str, str], level: float = 0.95) -> Interval:
        """Profile-likelihood interval of one parameter; see `statlm.profile_interval`."""
        from statlm.inference.profile import profile_interval

        return profile_interval(self.parametric, parameter, level)

    def holding(self, **values: Any) -> Evaluation:
        """The distribution with the covariates of the model held at these values: ``fit.holding(author="Machado")``.

        For prediction and generation; it has no standard errors of its own, those of probabilities are in
        ``fit.predict(contexts, at=..., interval=...)``.
        """
        from statlm.inference.predict import holding

        return Evaluation(self.specification, holding(self.likelihood, values))

    # --- going on -----------------------------------------------------------------------------------------------------

    def update(self, corpus: Corpus, **settings: Any) -> Fit:
        """Go on from here on another text: fine-tuning. A paired test on held-out text says what it did.

        Parameters
        ----------
        corpus : Corpus
            Over the same vocabulary.
        **settings
            Of the specification's own `update`: for a decoder ``held_out``, ``rank`` (a low-rank update only) and settings of
            the training such as ``steps``.

        Raises
        ------
        SpecificationError
            If the model is estimated in one go, so that there is nothing to go on from.

        Examples
        --------
        >>> import statlm as slm
        >>> corpus = slm.Corpus.from_texts(["abracadabra"] * 20 + ["barbara bara"] * 20)
        >>> before = slm.TransformerDecoder(layers=1, heads=1, width=8, context=16, steps=20).fit(corpus.subset(range(20)))
        >>> after = before.update(corpus.subset(range(20, 36)), rank=2, steps=20)
        >>> after.dof < before.dof
        True
        >>> held = corpus.subset(range(36, 40))
        >>> test = slm.paired_test(after.on(held), before.on(held))
        """
        if not isinstance(self.specification, Updatable):
            raise SpecificationError(
                f"{self.specification} is estimated in one go, so there is nothing to go on from. Fit it to both texts "
                "together, or mix the two fits: Mixture([a, b])."
            )
        return self.specification.update(self.likelihood, corpus, **settings)

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

    def summary(
        self,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
        *,
        functionals: Sequence[Functional] = (),
    ) -> Summary:
        """Text, HTML and LaTeX summary; see `statlm.summary`."""
        from statlm.report.summary import summary

        return summary(self, cov=cov, level=level, functionals=functionals)

    def tidy(
        self,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
        *,
        infinite: bool = False,
        hauck_donner: bool = False,
    ) -> pd.DataFrame:
        """A row a parameter; see `statlm.tidy`."""
        from statlm.report.tidy import tidy

        return tidy(self, cov=cov, level=level, infinite=infinite, hauck_donner=hauck_donner)

    def glance(self) -> pd.DataFrame:
        """One row for the model; see `statlm.glance`."""
        from statlm.report.tidy import glance

        return glance(self)

    # --- pictures -----------------------------------------------------------------------------------------------------

    @property
    def plot(self) -> FitPictures:
        """What can be drawn of the fit: ``fit.plot.coefficients()``, ``fit.plot.path()``; ``dir(fit.plot)`` lists it."""
        from statlm.fit.pictures import FitPictures

        return FitPictures(self)

    # --- files --------------------------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the fit to a folder (JSON and safetensors); see `statlm.load`."""
        from statlm.fit.storage import save

        save(self, folder)
