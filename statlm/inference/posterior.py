"""Draws from the posterior of a model's parameters: exact for n-grams, by Laplace's approximation for others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.covariance.bread import bread
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.laplace import LaplaceDraws, check_flat_prior, quadratic_prior
from statlm.inference.last_layer import LastLayer, LastLayerDraws, last_layer_draws
from statlm.inference.maxima import check_maximum, name_of
from statlm.inference.network_draws import Linearisable, NetworkDraws, network_steps
from statlm.likelihood import Likelihood, Unidentified, check_identified, is_likelihood, is_penalised, underlying
from statlm.numerics.linalg import factorise
from statlm.numerics.pareto_tail import pareto_smoothed
from statlm.numerics.repeated_rows import indicator
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

METHODS = (None, "exact", "laplace")
PREDICTIVES = ("linear", "network")
MOST = 250_000_000  # numbers held: 2 GB


class Draws(Protocol):
    """Draws of a distribution over the next token."""

    @property
    def params(self) -> Array:
        """(S, p) draws of the parameters."""
        ...

    def pairs(self, corpus: Corpus) -> tuple[Array, Array]:
        """(S, M) log-probabilities of distinct (context, token) pairs, and the (nobs,) pair of each observation."""
        ...

    def logprobs(self, draw: int, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token under one draw."""
        ...


@runtime_checkable
class Streamed(Protocol):
    """Draws that score a text all together, some draws and observations at a time."""

    def terms(self, corpus: Corpus) -> Iterator[tuple[Array, Array, Array]]:
        """Some draws, some observations, and the (draws, observations) log-probabilities of what is observed there."""
        ...

    def logprobs_of(self, draws: Array, contexts: Array) -> Array:
        """(q, m, V) log-probabilities of the next token under some draws."""
        ...


@runtime_checkable
class Weighed(Protocol):
    """Draws from an approximation whose density is known."""

    def log_ratio(self) -> Array:
        """(S,) log-density of the prior less that of the approximation, up to a constant."""
        ...


@runtime_checkable
class Conjugate(Protocol):
    """A likelihood whose posterior under a Dirichlet prior has a closed form."""

    @property
    def pseudo_count(self) -> float:
        """The prior's concentration that was fitted; 0 for maximum likelihood."""
        ...

    def posterior_draws(self, concentration: float, size: int, seed: int) -> Any:
        """Draws of the posterior."""
        ...


@dataclass(frozen=True)
class Importance:
    r"""How well draws from an approximation stand for the posterior.

    Attributes
    ----------
    log_weights : (S,) array
        Logarithms of Pareto-smoothed weights that sum to 1.
    pareto_k : float
        Above 0.7 the approximation is too far off for weights to mend.
    effective : float
        Draws from the posterior itself that would be worth as much, :math:`1 / \sum w^2`.
    """

    log_weights: Array = field(repr=False)
    pareto_k: float
    effective: float


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Draws from a posterior; made by `posterior`.

    `draws` has the model's parameters; those of a network mean nothing one by one, and `loglike` and `probabilities` are what to
    ask for. An n-gram's cells that never occurred are none of them, and the exact posterior gives them
    probability too: `loglike` and `probabilities` have it.

    Attributes
    ----------
    model : Likelihood
        At its estimate.
    method : str
        How the draws were made, in words.
    prior : str
        The prior, in words.
    source : object
        What the draws are of.
    exact : bool
        Whether they are draws from the posterior, and not from an approximation.
    seed : int
    count : int
        Number of draws of the source.
    chosen : (S,) integer array or None
        Which draws of the source these are, after resampling.
    """

    model: Likelihood
    method: str
    prior: str
    source: Any
    exact: bool
    seed: int
    count: int
    chosen: Array | None = field(default=None)

    @property
    def draws(self) -> Array:
        """(S, p) draws of the parameters."""
        params = self.source.params
        return params if self.chosen is None else params[self.chosen]

    @property
    def size(self) -> int:
        """Number S of draws."""
        return self.count if self.chosen is None else len(self.chosen)

    def loglike(self, corpus: Corpus | None = None, by: str = "document") -> Array:
        """Log-likelihood under each draw, nats.

        Parameters
        ----------
        corpus : Corpus, optional
            By default the one that the model stands on.
        by : "token", "document" or "corpus"
            What is a term: an observation, or the sum over a document or over all.

        Returns
        -------
        (S, nobs), (S, D) or (S,) array
            ``-inf`` where a draw lies outside of the parameter space.

        Raises
        ------
        SpecificationError
            If the array would be too large, or `by` is another word.
        """
        corpus = self.model.corpus if corpus is None else corpus
        if by not in ("token", "document", "corpus"):
            raise SpecificationError(f"by={by!r}: terms are by 'token', 'document' or 'corpus'.")
        if by == "token" and self.size * corpus.nobs > MOST:
            raise SpecificationError(
                f"{self.size:,} draws of {corpus.nobs:,} tokens are {8e-9 * self.size * corpus.nobs:,.0f} GB. Sum over "
                "documents (by='document'), take fewer draws, or fewer documents: corpus.subset(...)."
            )
        groups = corpus.document_index if by == "document" else np.zeros(corpus.nobs, np.int64)
        number = corpus.ndocuments if by == "document" else 1
        if isinstance(self.source, Streamed):
            terms = (
                self._streamed(corpus, np.arange(corpus.nobs), corpus.nobs)
                if by == "token"
                else self._streamed(corpus, groups, number)
            )
        else:
            pairs, index = self.source.pairs(corpus)
            terms = pairs[:, index] if by == "token" else _sums(pairs, index, groups, number)
        terms = terms if self.chosen is None else terms[self.chosen]
        return terms[:, 0] if by == "corpus" else terms

    def probabilities(self, contexts: Array) -> Array:
        """(S, m, V) probabilities of the next token under each draw.

        Parameters
        ----------
        contexts : (m, k) integer array
            Token ids, as of `Predictive.logprobs`.

        Returns
        -------
        (S, m, V) array
        """
        rows = np.arange(self.size) if self.chosen is None else self.chosen
        if isinstance(self.source, Streamed):
            return np.exp(self.source.logprobs_of(rows, contexts))
        return np.exp(np.stack([self.source.logprobs(int(s), contexts) for s in rows]))

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """A row a parameter: ``response``, ``term``, posterior ``mean``, ``std_dev``, and an equal-tailed interval.

        Parameters
        ----------
        level : float
            Probability of the interval from ``low`` to ``high``.

        Returns
        -------
        DataFrame
        """
        if not 0 < level < 1:
            raise SpecificationError(f"level={level!r} is no probability of an interval. Choose a number between 0 and 1.")
        if not isinstance(self.source, LastLayerDraws):
            check_identified(self.model)
        draws = self.draws
        table = self.model.param_names.to_frame(index=False)
        table["mean"], table["std_dev"] = draws.mean(axis=0), draws.std(axis=0, ddof=1)
        table["low"], table["high"] = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        return table

    def importance(self) -> Importance:
        """Pareto-smoothed importance weights of the draws against the posterior.

        Returns
        -------
        Importance
            Equal weights where the draws are exact, or were resampled.

        Raises
        ------
        NoEstimate
            If no draw has a positive likelihood.
        """
        if self.exact or self.chosen is not None:
            return Importance(np.full(self.size, -np.log(self.size)), -np.inf, float(self.size))
        assert isinstance(self.source, Weighed)
        log_weights = self.loglike(by="corpus") + self.source.log_ratio()
        if np.isneginf(log_weights).all():
            raise NoEstimate(
                f"None of the {self.size:,} draws lies in the parameter space, so the normal approximation says nothing here "
                "(probabilities near 0). Use the exact posterior: posterior(fit, prior=0.5)."
            )
        smoothed, k = pareto_smoothed(log_weights)
        return Importance(smoothed, k, float(1.0 / np.exp(2 * smoothed).sum()))

    def resample(self, size: int | None = None, seed: int = 0) -> Posterior:
        """Draws taken again with their importance weights, which mends an approximation that is not too far off.

        Parameters
        ----------
        size : int, optional
            Number of draws; a quarter of them by default, since draws then repeat.
        seed : int

        Returns
        -------
        Posterior

        Raises
        ------
        NoEstimate
            If Pareto's k exceeds 0.7.
        """
        weights = self.importance()
        if weights.pareto_k > 0.7:
            raise NoEstimate(
                f"The weights of the draws have Pareto k = {weights.pareto_k:.2f} (effective draws: {weights.effective:.1f} of "
                f"{self.size:,}); above 0.7 no number of draws mends the approximation. Fewer parameters or more text would "
                "make the posterior closer to normal."
            )
        size = max(self.size // 4, 1) if size is None else size
        chosen = np.random.default_rng(seed).choice(self.size, size=size, p=np.exp(weights.log_weights))
        chosen = chosen if self.chosen is None else self.chosen[chosen]
        return replace(self, chosen=chosen, method=f"{self.method}, resampled by importance")

    def _streamed(self, corpus: Corpus, groups: Array, number: int) -> Array:
        """(S, number) sums of the terms of each group of observations."""
        result = np.zeros((self.count, number))
        for draws, which, terms in self.source.terms(corpus):
            lost = np.isneginf(terms)
            sums = (indicator(groups[which], number) @ np.where(lost, 0.0, terms).T).T
            if lost.any():
                sums = np.where(np.asarray((indicator(groups[which], number) @ lost.T.astype(float)).T) > 0, -np.inf, sums)
            result[draws] += sums
        return result

    def __repr__(self) -> str:
        p = len(self.model.params)
        return f"<Posterior: {self.size:,} draws of {p:,} parameters, {self.method}; prior: {self.prior}>"


def posterior(
    fit: Any,
    draws: int = 1000,
    *,
    method: str | None = None,
    prior: float | None = None,
    rank: int | None = None,
    predictive: str = "linear",
    seed: int = 0,
) -> Posterior:
    r"""Draw from the posterior of a model's parameters.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to.
    draws : int
        Number S of draws, which are independent.
    method : None, "exact" or "laplace"
        "exact": an n-gram's posterior is a Dirichlet distribution for each context. "laplace": normal, with the estimate as its
        mean and the inverse information (with the precision of the penalty) as its covariance. None takes the first where
        there is one.
    prior : float, optional
        Concentration a > 0 of the Dirichlet prior of an n-gram: 1/2 is Jeffreys', 1 uniform. By default the pseudo-count that
        was fitted. Laplace's approximation has the prior that was fitted: the ridge penalty, or a flat one; that of a network
        is of `damped`.
    rank : int, optional
        Of a network: how many leading directions of its curvature are told from the prior. By default as many as matter, and
        where these are more than 400, all of them, by a solve for each draw.
    predictive : "linear" or "network"
        Of a network: what a draw says of the next token. See Notes.
    seed : int
        Equal seeds give equal draws.

    Returns
    -------
    Posterior
        With ``draws`` (S, p), ``tidy()``, ``loglike(corpus, by=)``, ``probabilities(contexts)``, and ``importance()``, which says
        how far Laplace's approximation can be trusted.

    Raises
    ------
    NoEstimate
        If there is no posterior: the model has no parameters, or under a flat prior some run off to infinity or to the edge of
        the parameter space.
    SingularInformation
        If some combination of the parameters is not identified, so that a flat prior leaves it without a posterior.
    SpecificationError
        If the draws would not fit into memory, the model is not at its estimate, or `method` and `prior` do not go together.

    Warns
    -----
    ApproximateCurvatureWarning
        If a `rank` leaves out directions that the text determines.

    Notes
    -----
    *Networks.* Draws are :math:`\theta^* + (H + \lambda I)^{-1/2} z` with the Gauss-Newton information H and the precision
    :math:`\lambda` of `damped`; nothing of size (p, p) is formed. That is Laplace's approximation of another model: of the
    network as a linear function of its weights, :math:`f(x; \theta^*) + G(x) (\theta - \theta^*)`. Probabilities of a draw are
    therefore its (``predictive="linear"``); log-odds vary over draws exactly as the delta method says. Weights drawn and put into
    the network itself (``predictive="network"``) leave the region in which H describes it, and predict worse (Immer et al. 2021).
    Draws are around the network's own weights, also where a descent ended short of the mode; `importance` says how far that is.
    A few hundred draws are enough, and each costs about three passes over a text. ``posterior(head(fit))`` draws the last layer
    only, all else held fixed: fast, and too sure, since what the other weights leave open is not in it.

    References
    ----------
    Tierney and Kadane (1986), Accurate approximations for posterior moments. JASA 81. Gelman et al. (2013), Bayesian data
    analysis, chapters 3 and 13. Immer, Korzepa and Bauer (2021), Improving predictions of Bayesian neural nets via local
    linearization. AISTATS. Daxberger et al. (2021), Laplace redux. NeurIPS. Antorán et al. (2023), Sampling-based inference for
    large linear models, with application to linearised Laplace. ICLR.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1, pseudo_count=1).fit(slm.Corpus.from_text("abba"))
    >>> drawn = slm.posterior(fit, draws=4000, seed=1)
    >>> round(float(drawn.draws.mean()), 2), round(float(drawn.draws.std()), 2)  # Beta(3, 3)
    (0.5, 0.19)
    """
    model = underlying(fit)
    if not is_likelihood(model) or len(model.params) == 0:
        raise NoEstimate(
            f"{name_of(fit)} has no parameters with a likelihood, so there is no posterior to draw from. NGram(n, "
            "pseudo_count=a), NGram(n, smoothing='additive') and SoftmaxRegression have one."
        )
    p = len(model.params)
    network = isinstance(model, Unidentified) and not model.identified and not isinstance(model, LastLayer)
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 2:
        raise SpecificationError(f"draws={draws!r} is no number of draws. Choose 2 or more; 1000 are common.")
    if predictive not in PREDICTIVES:
        raise SpecificationError(f"predictive={predictive!r} is unknown. Use 'linear' or 'network'.")
    if rank is not None and (not network or isinstance(rank, bool) or rank < 1):
        raise SpecificationError(
            f"rank={rank!r} is the number of leading directions of a network's curvature, 1 or more; other models have no use "
            "for it."
        )
    if draws * p > MOST and not network:
        raise SpecificationError(
            f"{draws:,} draws of {p:,} parameters are {8e-9 * draws * p:,.0f} GB. Take {max(MOST // p, 2):,} draws or fewer."
        )
    if method not in METHODS:
        raise SpecificationError(f"method={method!r} is unknown. Use None, 'exact' or 'laplace'.")
    if method != "laplace" and isinstance(model, Conjugate):
        concentration = _concentration(model, prior)
        words = f"Dirichlet({concentration:.4g})"
        return Posterior(model, "exact", words, model.posterior_draws(concentration, draws, seed), True, seed, draws)
    if method == "exact":
        raise NoEstimate(f"{name_of(fit)} has no posterior in closed form. Use method='laplace'.")
    if prior is not None:
        raise SpecificationError(
            f"prior={prior!r} is the concentration of an n-gram's Dirichlet prior, and Laplace's approximation takes the prior "
            "that was fitted. Fit with penalty='ridge', strength=..., or leave out prior=; a network's prior is of damped(fit, "
            "precision)."
        )
    if isinstance(model, LastLayer):
        layer, strength = last_layer_draws(model, draws, seed)
        words = f"normal, precision {strength:.4g}"
        return Posterior(model, "Laplace's approximation, features held fixed", words, layer, False, seed, draws)
    if network and isinstance(model, Linearisable):
        return _of_network(model, draws, rank, predictive, seed)
    check_identified(model)
    if is_penalised(model):
        precision = quadratic_prior(model, name_of(fit))
        words = "the penalty that was fitted"
    else:
        check_flat_prior(model, name_of(fit))
        check_maximum(model, name_of(fit))
        precision, words = None, "flat"
    normal = np.random.default_rng(seed).standard_normal((p, draws))
    factor = factorise(bread(model))
    source = LaplaceDraws(model, model.params + factor.inverse_root(normal).T, 0.5 * (normal**2).sum(axis=0), precision)
    return Posterior(model, "Laplace's approximation", words, source, False, seed, draws)


def _of_network(model: Any, draws: int, rank: int | None, predictive: str, seed: int) -> Posterior:
    damping = float(model.damping_curvature().diagonal().max())
    steps = network_steps(model, draws, rank, damping, seed)
    source = NetworkDraws(model, steps, draws, damping, predictive == "linear")
    how = "a linear function of its weights" if predictive == "linear" else "itself"
    words = f"Laplace's approximation with {steps.words}, the network as {how}"
    return Posterior(model, words, f"normal, precision {damping:.4g}", source, False, seed, draws)


def _concentration(model: Any, prior: float | None) -> float:
    if prior is None and model.pseudo_count > 0:
        return float(model.pseudo_count)
    if prior is None:
        raise NoEstimate(
            "The n-gram was fitted by maximum likelihood, which names no prior, and without one, cells with a count of 0 "
            f"have no proper posterior ({model.dof - len(model.params):,} of {model.dof:,} free cells here). Name one: "
            "posterior(fit, prior=0.5) is Jeffreys', or fit with pseudo_count=a or smoothing='additive', which estimates it."
        )
    if not (prior > 0 and np.isfinite(prior)):
        raise SpecificationError(
            f"prior={prior!r}: the concentration of a Dirichlet prior is a positive number, such as 0.5."
        )
    return float(prior)


def _sums(pairs: Array, index: Array, groups: Array, size: int) -> Array:
    """(S, G) sums of the terms of each group, from a table of distinct terms."""
    counts = sparse.coo_array(
        (np.ones(len(index)), (groups, index)), shape=(size, pairs.shape[1])
    ).tocsr()  # sums what repeats
    impossible = np.isneginf(pairs)
    if not impossible.any():
        return np.asarray((counts @ pairs.T).T)
    finite = np.asarray((counts @ np.where(impossible, 0.0, pairs).T).T)
    return np.where(np.asarray((counts @ impossible.T.astype(float)).T) > 0, -np.inf, finite)
