"""A linear mixture of models, with weights by maximum likelihood on held-out text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import NoEstimate, NotComparable, SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.inference.maxima import name_of
from statlm.likelihood import Predictive, underlying
from statlm.numerics.mixture_weights import mixture_weights
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


@dataclass(frozen=True, repr=False)
class Mixture:
    r"""Linear interpolation of models, :math:`p(w \mid c) = \sum_k \pi_k\, p_k(w \mid c)`.

    The models are held fixed; the parameters are the weights, all but the first, which is 1 minus the others. Fit it to text that
    none of the models was fitted to, or the one that overfits most takes all the weight.

    Parameters
    ----------
    models : mapping of names to fits, or sequence of fits
        Two or more; in a sequence each is called by its specification.

    Notes
    -----
    The log-likelihood is concave in the weights, and the EM algorithm climbs to its maximum without ever going down
    (`statlm.numerics.mixture_weights`). A weight of 0 is on the boundary and has no standard error: it is reported as 0, and
    `weight_test` tests it. Score the mixture on a third text.

    With a model that looks the context up in a store of text, this is retrieval-augmented generation with a likelihood.

    See Also
    --------
    stacking_weights : the same weights in a table, and by document.
    weight_test : whether a model is needed.

    References
    ----------
    Jelinek and Mercer (1980), Interpolated estimation of Markov source parameters from sparse data. Khandelwal et al. (2020),
    Generalization through memorization: nearest neighbor language models.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.datasets.load("sotu", years=(1980, 1990), unk=True).split(test=0.4)
    >>> fits = {str(n): slm.NGram(n, pseudo_count=0.01).fit(train) for n in (2, 4, 6)}
    >>> mixed = Mixture(fits).fit(test)
    >>> mixed.params.round(2).tolist()
    [0.48, 0.48]
    """

    models: Any

    def __post_init__(self) -> None:
        given = self.models
        named = dict(given) if isinstance(given, Mapping) else {name_of(model): model for model in given}
        if len(named) < len(given):
            raise SpecificationError(
                "Two of the models have the same specification, so their weights could not be told apart. Name them: "
                'Mixture({"first": a, "second": b}).'
            )
        if len(named) < 2:
            raise SpecificationError(f"A mixture needs two models or more, and {len(named)} was given.")
        object.__setattr__(self, "models", named)

    def __repr__(self) -> str:
        return f"Mixture({', '.join(self.models)})"

    def __str__(self) -> str:
        return f"mixture of {', '.join(self.models)}"

    def fit(self, corpus: Corpus) -> Fit:
        """Find the weights of highest likelihood on a corpus.

        Raises
        ------
        NoEstimate
            If some observation has probability 0 under every model, or the iterations do not converge.
        NotComparable
            If a model has another vocabulary than the corpus.
        """
        for name, model in self.models.items():
            if model.corpus.vocabulary.fingerprint != corpus.vocabulary.fingerprint:
                raise NotComparable(
                    f"{name!r} has another vocabulary ({model.corpus.vocabulary.size:,} types) than the text "
                    f"({corpus.vocabulary.size:,}), so its probabilities are of other events. Fit all models over one "
                    "vocabulary: vocabulary=train.vocabulary."
                )
        parts = tuple(underlying(model).on(corpus) for model in self.models.values())
        logs = np.stack([np.asarray(part.loglike_obs(), float) for part in parts], axis=1)
        if impossible := int(np.count_nonzero(np.isneginf(logs).all(axis=1))):
            raise NoEstimate(
                f"{impossible:,} of {len(logs):,} observations have probability 0 under every one of the {len(parts)} models, "
                "and so under every mixture of them. Add a model with pseudo_count > 0 or a smoothing."
            )
        found = mixture_weights(logs)
        model = MixtureModel(parts, found.weights[1:], tuple(self.models))
        return Fit(self, model, FitReport("EM, two steps extrapolated", iterations=len(found.path) - 1))


@dataclass(frozen=True, eq=False)
class MixtureModel:
    """A mixture of distributions of the next token, a likelihood in its weights.

    Parameters
    ----------
    parts : tuple of k Predictives
        On one corpus.
    params : (k - 1,) array
        Weights of all but the first.
    names : tuple of k str
    """

    parts: tuple[Predictive, ...]
    params: Array
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        first = self.parts[0].corpus
        for name, part in zip(self.names, self.parts, strict=True):
            if part.corpus is not first and part.corpus.fingerprint != first.fingerprint:
                raise NotComparable(
                    f"{self.names[0]!r} and {name!r} stand on different observations ({first.nobs:,} and {part.corpus.nobs:,} "
                    "tokens, different fingerprints), and a mixture is of distributions of the same token. Put them on one "
                    "corpus: Mixture(models).fit(corpus) does."
                )

    @property
    def corpus(self) -> Corpus:
        """The observations."""
        return self.parts[0].corpus

    @property
    def memory(self) -> int | None:
        """The longest of the models'."""
        memories = [part.memory for part in self.parts]
        return None if None in memories else max(m for m in memories if m is not None)

    @property
    def dof(self) -> int:
        """One less than there are models."""
        return len(self.params)

    @property
    def weights(self) -> pd.Series:
        """Weight of each model."""
        return pd.Series(self._weights, index=pd.Index(self.names, name="model"), name="weight")

    @property
    def param_names(self) -> pd.MultiIndex:
        """``weight``, and the model that it is of."""
        return pd.MultiIndex.from_arrays([["weight"] * self.dof, self.names[1:]], names=["response", "term"])

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        return self._mixed

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token after contexts of token ids, nats."""
        with np.errstate(divide="ignore"):
            result: Array = np.logaddexp.reduce(
                [part.logprobs(contexts) + np.log(w) for part, w in zip(self.parts, self._weights, strict=True) if w > 0],
                axis=0,
            )
        return result

    def on(self, corpus: Corpus) -> MixtureModel:
        """The same mixture on other observations."""
        return replace(self, parts=tuple(part.on(corpus) for part in self.parts))

    def at(self, params: Array) -> MixtureModel:
        """Other weights.

        Raises
        ------
        SpecificationError
            If they are not k - 1 numbers that, with their complement to 1, are all at least 0.
        """
        params = np.asarray(params, float)
        if params.shape != self.params.shape or not ((params >= 0).all() and params.sum() <= 1 + 1e-12):
            raise SpecificationError(
                f"{params!r} are not the weights of {', '.join(self.names[1:])}: {self.dof} numbers of 0 or more are needed "
                "that sum to 1 at most."
            )
        made = replace(self, params=params)
        made.__dict__["_logs"] = self._logs  # they do not depend on the weights
        return made

    def score(self) -> Array:
        """(nobs, k - 1) derivative of `loglike_obs` with respect to the weights, on the first model's account."""
        ratio = self._ratios
        if np.isnan(ratio).any():
            raise NoEstimate(
                f"{np.count_nonzero(np.isneginf(self._mixed)):,} of {self.corpus.nobs:,} observations have probability 0 under "
                "the mixture, and no derivative. Use weights above 0, and a smoothed model among the parts."
            )
        result: Array = ratio[:, 1:] - ratio[:, :1]
        return result

    def information(self) -> Array:
        """(k - 1, k - 1) minus the second derivative, which for a mixture is the cross-product of the scores."""
        score = self.score()
        result: Array = score.T @ score
        return result

    def shares_obs(self) -> Array:
        """(nobs, k) probability that an observation is of each model, given what it is; they sum to 1."""
        return np.asarray(self._weights * self._ratios)

    def weight_information_carried(self, direction: Array) -> Array:
        r"""(nobs, k) what the scores of each model count for in the derivative of the weights' score along a direction.

        With :math:`r_{ik} = p_k / p` the score of weight j is :math:`r_{ij} - r_{i0}`, whose derivative in the
        parameters of model m is
        :math:`(1_{jm} - 1_{0m})\, r_{im} s^m_i - (r_{ij} - r_{i0})\, \pi_m r_{im} s^m_i`.

        Parameters
        ----------
        direction : (k - 1,) array
        """
        direction = np.asarray(direction, float)
        own = np.concatenate([[-direction.sum()], direction])
        along = self.score() @ direction  # (nobs,)
        return np.asarray(self._ratios * (own - along[:, None] * self._weights))

    def notes(self) -> list[str]:
        """What a reader of the summary must know."""
        notes = [
            f"The first model, {self.names[0]}, has the rest of the weight: {self._weights[0]:.4f}. The models are held fixed: "
            "the error of their own estimates is not in the standard errors. Of what the mixture says, mixture_errors(fit, "
            "functionals) has both."
        ]
        edge = [name for name, w in zip(self.names, self._weights, strict=True) if w == 0]
        if edge:
            notes.append(
                f"Weight 0, on the boundary, for {', '.join(edge)}: standard errors mean nothing there. Leave the model out, "
                "or test it with weight_test()."
            )
        return notes

    @cached_property
    def _weights(self) -> Array:
        return np.concatenate([[max(1.0 - float(self.params.sum()), 0.0)], self.params])

    @cached_property
    def _logs(self) -> Array:
        """(nobs, k) log-probability of each observation under each model."""
        return np.stack([np.asarray(part.loglike_obs(), float) for part in self.parts], axis=1)

    @cached_property
    def _ratios(self) -> Array:
        """(nobs, k) probability under each model over that under the mixture."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.exp(self._logs - self._mixed[:, None]))

    @cached_property
    def _mixed(self) -> Array:
        with np.errstate(divide="ignore"):
            mixed: Array = np.logaddexp.reduce(self._logs + np.log(self._weights), axis=1)
        return np.minimum(mixed, 0.0)
