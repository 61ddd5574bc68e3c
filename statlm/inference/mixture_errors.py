"""Errors of what a mixture says: of its weights, and of the models that it mixes, which were estimated before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from scipy.sparse.linalg import LinearOperator

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.bread import bread
from statlm.covariance.verbs import root_of_variances
from statlm.errors import NotComparable, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.functionals import SCALES, Functional, as_functionals, measured
from statlm.inference.parameters import likelihood_of
from statlm.likelihood import Likelihood, Predictive, is_likelihood, underlying
from statlm.numerics.linalg import factorise
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


@runtime_checkable
class Mixed(Protocol):
    """A likelihood in the weights of models."""

    parts: tuple[Predictive, ...]
    names: tuple[str, ...]

    def shares_obs(self) -> Array:
        """(nobs, k) probability that an observation is of each model, given what it is."""
        ...

    def weight_information_carried(self, direction: Array) -> Array:
        """(nobs, k) weights of the scores of each model in the derivative of the weights' score along a direction."""
        ...


@runtime_checkable
class SandwichLike(Protocol):
    """A covariance that is a sandwich."""

    dependence: Dependence


@dataclass(frozen=True, eq=False)
class Joint:
    """A mixture as a likelihood in its weights and in the parameters of those models that have some.

    Parameters
    ----------
    mixture : MixtureModel
    free : tuple of int
        Which models have parameters.
    """

    mixture: Any
    free: tuple[int, ...]

    @property
    def corpus(self) -> Corpus:
        """The observations."""
        return self.mixture.corpus

    @property
    def sizes(self) -> list[int]:
        """Numbers of parameters: of the weights, and of each model."""
        return [len(self.mixture.params), *(len(self.mixture.parts[k].params) for k in self.free)]

    @property
    def params(self) -> Array:
        """Weights, and the parameters of the models, end to end."""
        return np.concatenate([self.mixture.params, *(np.asarray(self.mixture.parts[k].params, float) for k in self.free)])

    def loglike_obs(self) -> Array:
        """(nobs,) log-probabilities, nats."""
        return np.asarray(self.mixture.loglike_obs())

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities, nats."""
        return np.asarray(self.mixture.logprobs(contexts))

    def on(self, corpus: Corpus) -> Joint:
        """On other observations."""
        return replace(self, mixture=self.mixture.on(corpus))

    def score(self) -> JointScore:
        """(nobs, p) score."""
        return JointScore(self)


class JointScore(LinearOperator):  # type: ignore[misc]  # scipy has no types
    """Scores of a mixture in all parameters: those of each model times its share in the observation."""

    def __init__(self, joint: Joint) -> None:
        super().__init__(np.float64, (joint.corpus.nobs, sum(joint.sizes)))
        self.joint = joint

    @cached_property
    def _parts(self) -> list[Any]:
        mixture = self.joint.mixture
        return [mixture.score(), *(mixture.parts[k].score() for k in self.joint.free)]

    @cached_property
    def _shares(self) -> Array:
        shares = self.joint.mixture.shares_obs()
        return np.stack([np.ones(len(shares)), *(shares[:, k] for k in self.joint.free)], axis=1)

    def _rmatmat(self, weights: Array) -> Array:
        parts = zip(self._parts, self._shares.T, strict=True)
        return np.concatenate([dense(part.T @ (share[:, None] * weights)) for part, share in parts])

    def _rmatvec(self, weights: Array) -> Array:
        return self._rmatmat(np.asarray(weights).reshape(-1, 1))[:, 0]

    def _matmat(self, directions: Array) -> Array:
        blocks = np.split(directions, np.cumsum(self.joint.sizes)[:-1])
        parts = zip(self._parts, self._shares.T, blocks, strict=True)
        return np.asarray(sum(share[:, None] * dense(part @ block) for part, share, block in parts))

    def _matvec(self, direction: Array) -> Array:
        return self._matmat(np.asarray(direction).reshape(-1, 1))[:, 0]

    def toarray(self) -> Array:
        """The dense (nobs, p) array."""
        return self._rmatmat(np.eye(self.shape[0])).T


def mixture_errors(
    fit: Any,
    functionals: Functional | Sequence[Functional],
    *,
    cov: str | Covariance | Dependence = "cluster",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Errors of what a mixture says, from the text that weighed the models and from the texts that they were fitted to.

    The weights :math:`\hat\pi` are a function of the models' parameters :math:`\hat\theta`, so a functional g moves
    with them directly
    and through the weights (two-step estimation: Murphy and Topel 1985):

    .. math::

        \mathrm{Var}\, g \approx g_\pi' \, \mathrm{Var}(\hat\pi \mid \theta)\, g_\pi
        + d' \, \mathrm{Var}(\hat\theta)\, d, \qquad
        d = g_\theta + \Bigl(\frac{\partial \hat\pi}{\partial \theta}\Bigr)' g_\pi, \quad
        \frac{\partial \hat\pi}{\partial \theta} = H_{\pi\pi}^{-1} \sum_i \frac{\partial s^\pi_i}{\partial \theta}

    Parameters
    ----------
    fit : Fit
        Of a `Mixture` of fits.
    functionals : Functional or sequence of Functional
        As `Probability`.
    cov : str or object
        A sandwich: "cluster", "HC0", "HAC" or a dependence. It is applied to each text.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        Rows for each functional by ``source``: "weights", each text that models were fitted to (named by the models), and "all";
        columns ``estimate``, ``std_error``, ``conf_low``, ``conf_high`` and ``share``, of the variance. Where
        ``source`` is not "all"
        the error is that from this text alone.

    Raises
    ------
    SpecificationError
        If `fit` is no mixture, or the covariance is no sandwich.
    NotComparable
        If the weights were fitted to a text that a model was fitted to.

    Notes
    -----
    Models fitted to one text move together, and their influences are summed by document. Models without parameters (a
    smoothed n-gram, retrieval) are held as they are. A network has the errors of `damped`. Weights on the boundary have none.

    References
    ----------
    Murphy and Topel (1985), Estimation and inference in two-step econometric models. JBES 3.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.datasets.load("sotu", years=(1980, 1990), unk=True).blocks(length=2000)
    >>> train, weigh = corpus.split(test=0.4)
    >>> models = {"1": slm.NGram(1, pseudo_count=0.5).fit(train), "2": slm.NGram(2, pseudo_count=0.5).fit(train)}
    >>> mixed = slm.Mixture(models).fit(weigh)
    >>> mixture_errors(mixed, slm.LogOdds("th", "e")).index.get_level_values("source").tolist()
    ['weights', '1, 2', 'all']
    """
    model: Any = likelihood_of(fit)
    mixes = isinstance(model, Mixed)
    if not mixes:
        raise SpecificationError(
            f"{type(model).__name__} is no mixture. Its functionals have one source of error: functional(...)."
        )
    wanted = as_functionals(functionals)
    if wanted is None:
        raise SpecificationError(
            f"{functionals!r} is no functional. Give one or several, such as slm.Probability('the ', 'e')."
        )
    chosen = resolve_cov(cov, None)
    if not isinstance(chosen, SandwichLike):
        raise SpecificationError(
            f"cov={cov!r} is no sandwich, and influences of two texts are summed by their units. Use 'cluster', 'HC0' or 'HAC'."
        )
    trained: list[Any] = [underlying(one) for one in _models(fit)]
    free = tuple(k for k, one in enumerate(trained) if is_likelihood(one))
    for k in free:
        if trained[k].corpus.fingerprint == model.corpus.fingerprint:
            raise NotComparable(
                f"{model.names[k]!r} was fitted to the text that the weights were: the two errors are not "
                f"independent, and the weights "
                "go to the model that overfits most. Fit the mixture to other text."
            )
    joint: Any = Joint(model, free)
    values, gradients = measured(wanted, joint)
    blocks = np.split(gradients, np.cumsum(joint.sizes)[:-1], axis=1)
    solved = dense(factorise(model.information()).solve(blocks[0].T))  # (k - 1, q)
    variances = {"weights": chosen.variances(model, blocks[0])}
    through = [model.weight_information_carried(column) for column in solved.T]  # q of (nobs, k)
    texts: dict[str, list[int]] = {}
    for k in free:
        texts.setdefault(trained[k].corpus.fingerprint, []).append(k)
    totals = {}
    for k, own in zip(free, blocks[1:], strict=True):
        carried = np.stack([c[:, k] for c in through], axis=1)
        totals[k] = own + dense(model.parts[k].score().T @ carried).T  # (q, p)
    for members in texts.values():
        along: Any = 0.0
        for k in members:
            own_text: Likelihood = trained[k]
            step = factorise(bread(own_text)).solve(totals[k].T)
            along = along + dense(own_text.score() @ dense(step))  # (nobs, q), the same observations for all members
        factor = chosen.dependence.factor(along, trained[members[0]].corpus)
        squares = dense(factor @ np.eye(len(wanted))) ** 2
        variances[", ".join(model.names[k] for k in members)] = squares.sum(axis=0)
    total = np.sum(list(variances.values()), axis=0)
    dofs = [chosen.dependence.reference_dof(c) for c in [model.corpus, *(trained[m[0]].corpus for m in texts.values())]]
    return _table(wanted, values, variances | {"all": total}, [*dofs, min(dofs)], level)


def _table(
    wanted: Sequence[Functional], values: Array, variances: Mapping[str, Array], dofs: list[float], level: float
) -> Any:
    """Rows by functional and source; the sum has the fewest degrees of freedom among its parts."""
    rows, index = [], []
    for j, functional in enumerate(wanted):
        scale = SCALES[functional.scale]
        for (source, variance), dof in zip(variances.items(), dofs, strict=True):
            error = float(root_of_variances(np.atleast_1d(variance[j]))[0])
            half = half_width(level, dof) * error
            rows.append(
                {
                    "estimate": scale.back(values[j]),
                    "std_error": error * scale.slope(values[j]),
                    "conf_low": scale.back(values[j] - half),
                    "conf_high": scale.back(values[j] + half),
                    "share": float(variance[j] / variances["all"][j]),
                }
            )
            index.append((*functional.label, source))
    return pd.DataFrame(rows, index=pd.MultiIndex.from_tuples(index, names=["quantity", "of", "source"]))


@runtime_checkable
class OfModels(Protocol):
    """A specification that was given fits."""

    models: Mapping[str, Any]


def _models(fit: Any) -> list[Any]:
    """The fits that were mixed, on the texts that they were fitted to."""
    specification = getattr(fit, "specification", None)
    if not isinstance(specification, OfModels):
        raise SpecificationError(
            "The likelihood of a mixture does not know the texts of its models. Pass the fit of the mixture."
        )
    return list(specification.models.values())
