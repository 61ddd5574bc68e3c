"""The last layer of a network with its features held fixed: a softmax regression, with all that it offers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from statlm.errors import NoEstimate, SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.likelihood import underlying
from statlm.numerics.dense_logit import logit_information, logit_maximum
from statlm.numerics.outer_rows import OuterRows
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

MAX_DENSE_INFORMATION = 15_000  # coefficients: 1.8 GB


@runtime_checkable
class Featured(Protocol):
    """A distribution that is a multinomial logit on features of the context."""

    @property
    def head_weights(self) -> Array:
        """(V, D) coefficients of the features."""
        ...

    def features_obs(self) -> Array:
        """(nobs, D) features of the context of each observation."""
        ...

    def features(self, contexts: Array) -> Array:
        """(m, D) features of contexts."""
        ...


@dataclass(frozen=True)
class Head:
    """The last layer of a network, as a specification.

    Parameters
    ----------
    features : str
        Of what the features are.
    refitted : bool
        Whether the coefficients are of largest likelihood given the features.
    """

    features: str
    refitted: bool


@dataclass(frozen=True, eq=False)
class HeadLikelihood:
    """Likelihood of the last layer in its coefficients, the features held fixed; see `head`.

    Parameters
    ----------
    network : Featured
        On the corpus.
    coefficients : (V, D) array
    reference : int
        The token against which log-odds are.
    """

    network: Any
    coefficients: Array
    reference: int

    @property
    def corpus(self) -> Corpus:
        """The observations."""
        return self.network.corpus

    @property
    def memory(self) -> int | None:
        """That of the network."""
        return self.network.memory

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats; ``-inf`` of tokens without a logit."""
        targets = self.corpus.targets.astype(np.int64)
        inside = targets < len(self.coefficients)
        found = self._logp[np.arange(len(targets)), np.where(inside, targets, 0)]
        return np.where(inside, found, -np.inf)

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token, nats."""
        return log_softmax(np.asarray(self.network.features(contexts), float) @ self.coefficients.T, axis=1)

    def on(self, corpus: Corpus) -> HeadLikelihood:
        """The same coefficients and features on other observations."""
        return replace(self, network=self.network.on(corpus))

    @property
    def params(self) -> Array:
        """((V - 1) D,) coefficients against the reference, token by token."""
        return np.delete(self.coefficients - self.coefficients[self.reference], self.reference, axis=0).ravel()

    @property
    def param_names(self) -> pd.MultiIndex:
        """Token and feature."""
        tokens = np.delete(np.array(self.corpus.vocabulary.tokens[: len(self.coefficients)], dtype=object), self.reference)
        d = self.coefficients.shape[1]
        terms = [f"feature{k + 1}" for k in range(d)]
        return pd.MultiIndex.from_arrays([np.repeat(tokens, d), terms * len(tokens)], names=["response", "term"])

    param_kind = "log-odds"
    penalised = True  # the features were learned from the same text, so that its coefficients are not all that was fitted

    def penalty_curvature(self) -> Any:
        """(p, p) zero: no penalty on the coefficients."""
        return np.zeros((self.dof, self.dof))

    @property
    def dof(self) -> int:
        """(V - 1) D."""
        return (len(self.coefficients) - 1) * self.coefficients.shape[1]

    def score(self) -> OuterRows:
        """(nobs, p) residuals times features.

        Raises
        ------
        NoEstimate
            If an observation has probability 0.
        """
        targets = self.corpus.targets.astype(np.int64)
        lacking = int(np.count_nonzero(targets >= len(self.coefficients)))
        if lacking:
            raise NoEstimate(
                f"{lacking:,} of {len(targets):,} observations are tokens that the network has no logit for: they "
                f"have probability 0, and "
                "the log-likelihood no derivative. Use text whose types the network knows."
            )
        residual = -np.exp(self._logp)
        residual[np.arange(len(targets)), targets] += 1.0
        return OuterRows(np.delete(residual, self.reference, axis=1), self._features)

    def information(self) -> Array:
        """(p, p) information.

        Raises
        ------
        SpecificationError
            If there are too many coefficients to hold it.
        """
        if self.dof > MAX_DENSE_INFORMATION:
            raise SpecificationError(
                f"The information of {self.dof:,} coefficients would take {8e-9 * self.dof**2:,.1f} GB. Use a "
                f"narrower network or fewer types, "
                "or ask the network itself for functionals: fit.predict(contexts, interval=0.95)."
            )
        return logit_information(self._features, np.exp(self._logp), self.reference)

    def at(self, params: Array) -> HeadLikelihood:
        """The likelihood at other coefficients."""
        params = np.asarray(params, float)
        if params.shape != (self.dof,):
            raise SpecificationError(f"params has shape {params.shape}; the last layer has {self.dof:,} coefficients.")
        rows = params.reshape(len(self.coefficients) - 1, -1)
        made = replace(self, coefficients=np.insert(rows, self.reference, 0.0, axis=0))
        made.__dict__.update({k: v for k, v in self.__dict__.items() if k == "_features"})
        return made

    def refitted(self) -> tuple[HeadLikelihood, int]:
        """At the coefficients of largest likelihood, and in how many steps."""
        found, steps = logit_maximum(self._features, self.corpus.targets.astype(np.int64), self.coefficients, self.reference)
        return replace(self, coefficients=found), steps

    @cached_property
    def _features(self) -> Array:
        return np.asarray(self.network.features_obs(), float)

    @cached_property
    def _logp(self) -> Array:
        return log_softmax(self._features @ self.coefficients.T, axis=1)

    def notes(self) -> list[str]:
        """Sentences for the summary."""
        return [
            f"Log-odds against the reference response {self.corpus.vocabulary.tokens[self.reference]!r}. The features "
            f"are taken as given: these "
            "errors leave out that they were learned from the same text, and are conditional on them. AIC and BIC are "
            "not given, since "
            "the features were fitted too."
        ]


def head(fit: Any, *, refit: bool = False) -> Fit:
    r"""The last layer of a network as a softmax regression on its features, which are held fixed.

    .. math:: \log \frac{p(y \mid x)}{p(y_0 \mid x)} = (w_y - w_{y_0})' h(x)

    Parameters
    ----------
    fit : Fit or likelihood
        Of a network, on the corpus it was fitted to.
    refit : bool
        Whether to climb from the network's own coefficients to those of largest likelihood given the features.

    Returns
    -------
    Fit
        With the full table of coefficients, standard errors under every covariance, tests and intervals.

    Raises
    ------
    SpecificationError
        If the model is not a logit on features.
    NoEstimate
        If there is no maximum, with ``refit=True``.

    Notes
    -----
    The errors are conditional on the features. Those of a probability are therefore smaller than the network's own,
    which know that features are learned too: use this to read the last layer, and `predict` of the network for what it says.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra " * 20)
    >>> fit = slm.TransformerDecoder(layers=1, heads=1, width=2, context=16, steps=20, batch=256).fit(corpus)
    >>> head(fit).tidy()[["response", "term"]].head(2).values.tolist()
    [[' ', 'feature1'], [' ', 'feature2']]
    """
    model = underlying(fit)
    if not isinstance(model, Featured):
        raise SpecificationError(
            f"{type(model).__name__} has no last layer on features of the context. head() is for networks such as "
            f"TransformerDecoder."
        )
    weights = np.asarray(model.head_weights, float)
    counts = np.bincount(model.corpus.targets.astype(np.int64), minlength=len(weights))[: len(weights)]
    made = HeadLikelihood(model, weights, int(np.argmax(counts)))
    steps = None
    if refit:
        made, steps = made.refitted()
    method = "Newton's method, features held fixed" if refit else "the network's own last layer, features held fixed"
    return Fit(Head(str(getattr(fit, "specification", type(model).__name__)), refit), made, FitReport(method, refit, steps))
