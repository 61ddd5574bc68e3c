"""Posterior draws for ArviZ: the data of its leave-one-out comparison and its plots, under both of its interfaces.

ArviZ before version 1 (what Python 3.11 gets) keeps them in an ``InferenceData``, and from version 1 on in an xarray
``DataTree``. `from_arrays` knows both, and nothing but numpy arrays; `to_arviz` makes the arrays of a fit.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from statlm.covariance import variance_of_sum
from statlm.errors import DependenceWarning, NoEstimate, SpecificationError
from statlm.inference.laplace import distinct_contexts
from statlm.inference.last_layer import LastLayerDraws
from statlm.inference.perplexity_interval import choose_dependence
from statlm.inference.posterior import MOST, Posterior, posterior
from statlm.likelihood import Unidentified
from statlm.numerics.types import Array

__all__ = ["from_arrays", "to_arviz"]

NAME = "y"  # of the observed variable, in all groups
TOLERATED = 1.1  # ratio of standard errors from which independence misleads


def library() -> Any:
    """The package arviz.

    Raises
    ------
    SpecificationError
        If it is not installed.
    """
    with warnings.catch_warnings():
        # Version 0.23 says at import, once a day, that version 1 will differ; both are spoken here.
        warnings.filterwarnings("ignore", message=r"\s*ArviZ is undergoing a major refactor", category=FutureWarning)
        try:
            import arviz
        except ModuleNotFoundError as error:
            raise SpecificationError(
                "arviz is not installed, and its objects are what this makes. Install it: pip install 'arviz>=0.23'."
            ) from error
    return arviz


def from_arrays(
    posterior: Mapping[str, Array],
    log_likelihood: Mapping[str, Array],
    observed_data: Mapping[str, Array],
    *,
    posterior_predictive: Mapping[str, Array] | None = None,
    coords: Mapping[str, Any] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> Any:
    """ArviZ's object of these arrays: an ``InferenceData`` before version 1, a ``DataTree`` from then on.

    Parameters
    ----------
    posterior, log_likelihood, posterior_predictive : mapping of names to (chains, draws, ...) arrays
    observed_data : mapping of names to arrays
        Without chains and draws.
    coords : mapping of dimensions to labels
    dims : mapping of names to dimensions
        After chain and draw.
    attrs : mapping
        Attributes of the posterior group.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree

    Raises
    ------
    SpecificationError
        If arviz is not installed.
    """
    az = library()
    groups: dict[str, Any] = {"posterior": posterior, "log_likelihood": log_likelihood, "observed_data": observed_data}
    if posterior_predictive is not None:
        groups["posterior_predictive"] = posterior_predictive
    groups = {group: dict(arrays) for group, arrays in groups.items()}
    named = {name: list(axes) for name, axes in (dims or {}).items()}
    if int(az.__version__.partition(".")[0]) < 1:
        data = az.from_dict(**groups, coords=dict(coords or {}), dims=named)
        data.posterior.attrs.update(attrs or {})
        return data
    data = az.from_dict(groups, coords=dict(coords or {}), dims=named)
    data["posterior"].attrs.update(attrs or {})
    return data


def to_arviz(
    fit: Any,
    draws: int = 1000,
    seed: int = 0,
    *,
    by: str = "document",
    prior: float | None = None,
    chains: int = 4,
    predictive: bool = False,
) -> Any:
    """Posterior draws of a fit with their pointwise log-likelihoods: for ``az.loo``, ``az.compare``, ``az.loo_pit``, plots.

    Parameters
    ----------
    fit : Fit, Likelihood or Posterior
        On the corpus it was fitted to. A `Posterior` brings its own draws.
    draws, seed, prior
        As of `statlm.posterior`; together over all chains.
    by : "document" or "token"
        What is left out by leave-one-out: documents, the units of independence, or single tokens.
    chains : int
        The draws are independent; they are divided into this many chains, because ArviZ wants to see that chains agree.
    predictive : bool
        Whether to draw new tokens after the observed contexts, which ``loo_pit`` and ``plot_ppc`` need. It is what takes time:
        as many random tokens as there are observations, for each draw.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        Group ``posterior``: ``params`` (chain, draw, parameter), or of a network, whose weights mean nothing one by one,
        ``entropy`` (chain, draw), the mean loss on the corpus, nats a token.
        ``log_likelihood``: ``y`` (chain, draw, document or token),
        nats. ``observed_data``: ``y``, ids of the tokens, or by document the log-likelihood at the estimate, nats.
        ``posterior_predictive``: the same of tokens drawn after the observed contexts.

    Warns
    -----
    DependenceWarning
        If terms are tokens that depend on each other so much that ArviZ's standard errors, which take them as independent, would
        be more than a tenth too small.

    Raises
    ------
    NoEstimate
        If there is no posterior (see `statlm.posterior`), draws leave the parameter space, or there is one document.
    SpecificationError
        If arviz is not installed, the arrays would be too large, or a setting is out of its range.

    Notes
    -----
    A document that holds much of what the text says of some parameters cannot be left out by weighting draws: ArviZ then warns
    of large Pareto k. More documents or fewer parameters help, or held-out text: ``compare(..., on=test)``.

    The stacking weights of ``az.compare`` exponentiate terms, and those of documents are hundreds of nats: they underflow. Use
    `statlm.stacking_weights`, or ``method="pseudo-BMA"``.

    The PIT of a token is that of its number in the vocabulary, an arbitrary order of categories under which a right model is
    uniform all the same, up to the steps of a discrete variable.

    Draws by Laplace's approximation stand for the posterior as they are; `Posterior.importance` says how well. A comparison of
    networks by ``az.compare`` is under their linear approximations, and held-out text needs none of that.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), Practical Bayesian model evaluation using leave-one-out cross-validation and WAIC.
    Statistics and Computing 27.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_texts(["abracadabra", "barbara", "cabaca"] * 4)
    >>> data = slm.interop.arviz.to_arviz(slm.NGram(n=2, pseudo_count=0.5).fit(corpus), draws=400, seed=1)
    >>> dict(data["log_likelihood"]["y"].sizes)
    {'chain': 4, 'draw': 100, 'document': 12}
    """
    if by not in ("document", "token"):
        raise SpecificationError(f"by={by!r}: terms are by 'document' or 'token'.")
    drawn = fit if isinstance(fit, Posterior) else posterior(fit, draws, prior=prior, seed=seed)
    corpus = drawn.model.corpus
    if chains < 1 or drawn.size % chains or drawn.size < chains**2:
        raise SpecificationError(
            f"{drawn.size:,} draws do not divide into {chains} chains of at least {chains} draws each. Choose draws=1000, or "
            "another chains=."
        )
    if by == "document" and corpus.ndocuments == 1:
        raise NoEstimate(
            "The corpus is one document, so by document there is a single term, and leaving it out leaves nothing. Cut the "
            "text (split='paragraph', corpus.blocks(length=...)), or take by='token' and mind that tokens depend on each other."
        )
    size = drawn.size * (corpus.nobs if by == "token" else corpus.ndocuments) * (1 + predictive)
    if size > MOST:
        raise SpecificationError(
            f"{size:,} numbers would take {8e-9 * size:,.1f} GB. Use by='document', fewer draws, "
            "predictive=False, or fewer documents."
        )
    terms = drawn.loglike(by=by)
    if outside := int(np.count_nonzero(np.isneginf(terms).any(axis=1))):
        raise NoEstimate(
            f"{outside:,} of {drawn.size:,} draws give some observation probability 0: the normal approximation reaches "
            "outside of the parameter space, or the model excludes what happened. Use an exact "
            "posterior (n-grams), a penalty, or more text."
        )
    at_estimate = drawn.model.loglike_obs()
    if by == "token":
        _warn_of_dependence(at_estimate, drawn)
    documents = np.bincount(corpus.document_index, weights=at_estimate, minlength=corpus.ndocuments)
    named = isinstance(drawn.source, LastLayerDraws) or not _unidentified(drawn.model)
    names: Any = drawn.model.param_names if named else []
    parameters = drawn.draws if named else -terms.sum(axis=1) / corpus.nobs
    return from_arrays(
        {"params" if named else "entropy": _chained(parameters, chains)},
        {NAME: _chained(terms, chains)},
        {NAME: corpus.targets.astype(np.int64) if by == "token" else documents},
        posterior_predictive={NAME: _chained(_predictive(drawn, at_estimate, by), chains)} if predictive else None,
        coords={
            **({"parameter": [f"{response} | {term}" for response, term in names]} if named else {}),
            by: np.arange(corpus.nobs) if by == "token" else np.arange(corpus.ndocuments),
        },
        dims={**({"params": ["parameter"]} if named else {}), NAME: [by]},
        attrs={"method": drawn.method, "prior": drawn.prior, "seed": drawn.seed},
    )


def _unidentified(model: Any) -> bool:
    return isinstance(model, Unidentified) and not model.identified


def _chained(values: Array, chains: int) -> Array:
    """(chains, draws, ...) of (S, ...) independent draws."""
    return values.reshape(chains, len(values) // chains, *values.shape[1:])


def _warn_of_dependence(loglike_obs: Array, drawn: Posterior) -> None:
    corpus = drawn.model.corpus
    if corpus.nobs < 2:
        return
    centred = loglike_obs - loglike_obs.mean()
    chosen, _ = choose_dependence(None, corpus)
    independent = float(np.sqrt((centred**2).sum()))
    dependent = float(np.sqrt(variance_of_sum(centred, corpus, chosen)))
    if dependent > TOLERATED * independent:
        remedy = (
            "Use by='document', whose terms are independent, or statlm's own errors: perplexity_interval(), compare()."
            if corpus.ndocuments > 1
            else "Use statlm's own errors: perplexity_interval(), paired_test()."
        )
        warnings.warn(
            f"ArviZ takes the {corpus.nobs:,} tokens as independent, and they are not: the standard error of the summed "
            f"log-likelihood is {independent:,.0f} nats that way and {dependent:,.0f} {chosen.describe(corpus)}. Its se and "
            f"dse would be too small by about that ratio ({dependent / independent:.1f}). {remedy}",
            DependenceWarning,
            stacklevel=3,
        )


def _predictive(drawn: Posterior, at_estimate: Array, by: str) -> Array:
    """(S, n) tokens drawn after the observed contexts, or by document their log-likelihood at the estimate."""
    model, corpus = drawn.model, drawn.model.corpus
    if model.memory is None or _unidentified(model) or isinstance(drawn.source, LastLayerDraws):
        raise SpecificationError(
            "The model looks back over the whole document, or a long stretch of it, so new tokens after each observed context "
            "would cost a pass an observation and draw. Use predictive=False."
        )
    contexts, context = distinct_contexts(corpus, model.memory)
    base = model.logprobs(contexts) if by == "document" else None
    rng = np.random.default_rng([drawn.seed, 101])
    rows = range(drawn.size) if drawn.chosen is None else drawn.chosen
    result = np.empty((drawn.size, corpus.nobs if by == "token" else corpus.ndocuments))
    for place, s in enumerate(rows):
        cumulative = np.cumsum(np.exp(drawn.source.logprobs(int(s), contexts)), axis=1)
        tokens = _draw(cumulative, context, rng.random(corpus.nobs))
        if base is None:
            result[place] = tokens
        else:
            result[place] = np.bincount(corpus.document_index, weights=base[context, tokens], minlength=corpus.ndocuments)
    return result.astype(np.int64) if base is None else result


def _draw(cumulative: Array, context: Array, uniform: Array) -> Array:
    """A column for each observation, by inversion within the row of its context."""
    size = cumulative.shape[1]
    # Rows shifted by their number form one increasing sequence.
    shifted = (np.minimum(cumulative / cumulative[:, -1:], 1.0) + np.arange(len(cumulative))[:, None]).ravel()
    found = np.searchsorted(shifted, uniform + context, side="right") - context * size
    return np.minimum(found, size - 1)
