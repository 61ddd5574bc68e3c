"""The model fitted again to other draws of its text: what the bootstrap and the jackknife have in common."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.covariance.functionals import row_slices
from statlm.errors import FewClustersWarning, NoEstimate, SpecificationError, StatlmError
from statlm.likelihood import Likelihood, Unidentified, is_likelihood, underlying
from statlm.numerics.identified_solution import Determined, undetermined_at
from statlm.numerics.linalg import identity
from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus

LACKING = 0.1  # share of the replicates without a value from which there is no standard error
NEGLIGIBLE = 0.01  # of the largest coefficient of a functional
KEPT = 1 << 26  # numbers of the replicates of a model that are kept with it: 0.5 GB
MOST = 1 << 29  # numbers of the replicates that are held at all: 4 GB

Draw = Callable[[Corpus], Corpus]


@runtime_checkable
class Specified(Protocol):
    """A fit, which says how it was estimated."""

    @property
    def specification(self) -> Any:
        """How it was estimated."""
        ...


@runtime_checkable
class Refitting(Protocol):
    """A covariance that fits the model again, and so must know how it was estimated."""

    def bound_to(self, specification: Any) -> Any:
        """The same covariance, for a model estimated in this way."""
        ...


@runtime_checkable
class Aligning(Protocol):
    """A likelihood that can say what it makes of the parameters of another fit of the same specification."""

    def params_as(self, other: Any) -> Determined:
        """Values of `other`'s parameters under this fit, and the directions that it leaves open: what they rest on is missing."""
        ...


@runtime_checkable
class Weighting(Protocol):
    """A draw that takes each observation some number of times, with its own context."""

    def weights(self, corpus: Corpus, memory: int | None) -> Array | None:
        """(nobs,) how often each is taken; None where contexts of so many tokens would not be those of the text."""
        ...


@runtime_checkable
class FitsWeights(Protocol):
    """A specification that can fit a text in which observations stand more or less often, without putting it together."""

    def refit(self, model: Any, weights: Array) -> Determined | None:
        """What the refit makes of the parameters of a fit; None where it takes the text itself."""
        ...


@dataclass(frozen=True, eq=False)
class Replicates:
    """Estimates of other draws of the text.

    Attributes
    ----------
    params : (R, p) array
        A row a replicate that could be fitted.
    open : tuple of R (p, d) sparse arrays
        For each the directions of the parameters in which it has no finite value; `params` is at the estimate there.
    failed : int
        Replicates that could not be fitted.
    reason : str
        What the first of them said.
    """

    params: Array
    open: tuple[Matrix, ...]
    failed: int
    reason: str


_MADE: WeakKeyDictionary[Any, dict[Any, Replicates]] = WeakKeyDictionary()


def made(covariance: Any, model: Likelihood) -> Replicates | None:
    """The replicates that a covariance has made of a model already, if they were kept."""
    return _MADE.get(underlying(model), {}).get(covariance)


def replicates(
    covariance: Any, model: Likelihood, specification: Any, draws: Sequence[Draw], *, progress: bool = False
) -> Replicates:
    """Fit a model to each draw of its text, once: what was made for a model and a covariance is kept with the model.

    Parameters
    ----------
    covariance : hashable
        What the replicates belong to, with all its settings.
    model : Likelihood
        At its estimate.
    specification : object
        How it was estimated; None where the model itself does not say.
    draws : sequence of callables
        From the model's corpus to another. Each carries its own seed, so that results do not depend on where they run.
    progress : bool
        Whether to show a bar.

    Raises
    ------
    SpecificationError
        If the specification is not known.
    NoEstimate
        If fewer than half of the draws can be fitted.
    """
    base = underlying(model)
    if not is_likelihood(base):
        raise SpecificationError(
            f"{type(base).__name__} is a distribution without parameters, so no covariance of them exists."
        )
    if isinstance(base, Unidentified) and not base.identified:
        raise SpecificationError(
            "The bootstrap and the jackknife compare parameters of refits, and weights of a network are not "
            "identified one by one: two "
            "fits that say the same can have any weights. refit_bootstrap(fit, functionals) compares what refits say; "
            'cov="cluster" estimates the same without refits.'
        )
    found = made(covariance, base)
    if found is not None:
        return found
    if specification is None and isinstance(model, Specified):
        specification = model.specification
    if specification is None:
        raise SpecificationError(
            "The bootstrap and the jackknife fit the model again, and a likelihood alone does not say how it was estimated. Pass "
            "the fit, fit.std_errors(cov=...), or say it: slm.DocumentBootstrap(specification=slm.NGram(2))."
        )
    p = len(base.params)
    if len(draws) * p > MOST:
        raise SpecificationError(
            f"{len(draws):,} refits of {p:,} parameters are {8e-9 * len(draws) * p:,.0f} GB of estimates. Use fewer replicates, "
            'or cov="cluster", which the refits estimate as well.'
        )
    estimates, reasons = [], []
    for result in _run([(specification, base, draw) for draw in draws], progress):
        if isinstance(result, str):
            reasons.append(result)
        else:
            estimates.append(result)
    if 2 * len(estimates) < len(draws) or len(estimates) < 2:
        raise NoEstimate(
            f"{len(reasons):,} of {len(draws):,} refits failed, so their spread says little of the estimate. The first said: "
            f"{reasons[0]} Use longer documents or blocks, or an analytic covariance such as 'cluster' or 'HAC'."
        )
    if reasons:
        warnings.warn(
            f"{len(reasons):,} of {len(draws):,} refits failed and are left out: errors rest on the other "
            f"{len(estimates):,}, and are too small if the failures are those that would have been far away. The first said: "
            f"{reasons[0]}",
            FewClustersWarning,
            stacklevel=4,
        )
    found = Replicates(
        np.array([one.values for one in estimates]).reshape(len(estimates), p),
        tuple(one.open for one in estimates),
        len(reasons),
        reasons[0] if reasons else "",
    )
    if found.params.size <= KEPT:
        _MADE.setdefault(base, {})[covariance] = found
    return found


def _run(jobs: Sequence[tuple[Any, Likelihood, Draw]], progress: bool) -> Iterable[Determined | str]:
    """The refits, in order, by whatever joblib was told to use: ``with joblib.parallel_config(backend=..., n_jobs=...)``."""
    from joblib import Parallel, delayed

    calls = (delayed(_refit)(*job) for job in jobs)
    if not progress:
        return Parallel()(calls)
    from rich.progress import track

    return track(Parallel(return_as="generator")(calls), description="Refits", total=len(jobs))


def _refit(specification: Any, model: Likelihood, draw: Draw) -> Determined | str:
    """Parameters of the model fitted to a draw, or why there are none."""
    try:
        found = _from_weights(specification, model, draw)
        return values_of(underlying(specification.fit(draw(model.corpus))), model) if found is None else found
    except StatlmError as error:
        return f"{type(error).__name__}: {error}"


def _from_weights(specification: Any, model: Likelihood, draw: Any) -> Determined | None:
    """The same without the text of the draw, where the model and the draw allow that."""
    if not isinstance(specification, FitsWeights) or not isinstance(draw, Weighting):
        return None
    weights = draw.weights(model.corpus, model.memory)
    return None if weights is None else specification.refit(model, weights)


def values_of(refit: Any, model: Likelihood) -> Determined:
    """What another fit makes of a model's parameters: by its own account, or by their names."""
    if isinstance(refit, Aligning):
        return refit.params_as(model)
    named = pd.Series(refit.params, index=refit.param_names)
    return undetermined_at(named.reindex(model.param_names).to_numpy(float), model.params)


def functionals(found: Replicates, estimate: Array, gradients: Matrix) -> Array:
    """(R, q) deviations of functionals from their estimate; nan where a refit leaves a functional open.

    An open direction counts as unchanged where it moves a functional by less than `NEGLIGIBLE` of what the largest of its
    coefficients does: a token that the draw excludes, say, beside the probability of a frequent one.
    """
    result = np.asarray((found.params - estimate) @ gradients.T)
    size = _largest(gradients)
    for row, directions in zip(result, found.open, strict=True):
        if directions.shape[1]:
            row[_largest(gradients @ directions) > NEGLIGIBLE * size] = np.nan
    return result


def _largest(matrix: Matrix) -> Array:
    """(q,) largest absolute entry of each row."""
    if sparse.issparse(matrix):
        return np.asarray(abs(sparse.csr_array(matrix)).max(axis=1).toarray()).ravel()
    return np.abs(matrix).max(axis=1, initial=0.0)


def spread(found: Replicates, estimate: Array, gradients: Matrix, factor: float, tolerance: float = LACKING) -> Array:
    """(q, q) sum of squares of functionals about their mean over the replicates, per replicate, times a factor.

    Replicates in which some functional has no value are left out; a larger share of them than `tolerance` is refused.
    """
    values = functionals(found, estimate, gradients)
    complete = ~np.isnan(values).any(axis=1)
    short = int(np.count_nonzero(~complete))
    if short > tolerance * len(values):
        raise NoEstimate(
            f"In {short:,} of {len(values):,} refits some of the {values.shape[1]:,} quantities have no finite value (a context "
            "that the draw lacks, or separation), so their covariance cannot be told. Leave out those that rest on one or two "
            "documents, or ask for std_errors(), which says which they are."
        )
    values = values[complete]
    values = values - values.mean(axis=0)
    return (values.T @ values) * (factor / len(values))


def spreads(
    found: Replicates, estimate: Array, gradients: Matrix | None, factor: float, tolerance: float = LACKING
) -> Array:
    """(q,) diagonal of `spread`, each over the replicates in which it has a value.

    One that lacks a value in a larger share of them than `tolerance` is infinite; a warning says for how many.
    """
    gradients = identity(len(estimate)) if gradients is None else gradients
    parts, some_lacking, lost = [], 0, 0
    for some in row_slices(gradients, len(found.params)):
        values = functionals(found, estimate, some)
        lacking = np.isnan(values)
        known = (~lacking).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(lacking, 0.0, values).sum(axis=0) / known
            variance = np.where(lacking, 0.0, values - mean) ** 2
            variance = variance.sum(axis=0) * factor / known
        bad = lacking.sum(axis=0) > tolerance * len(values)
        some_lacking += int(np.count_nonzero(lacking.any(axis=0) & ~bad))
        lost += int(np.count_nonzero(bad))
        parts.append(np.where(bad, np.inf, variance))
    if lost or some_lacking:
        few = f"{some_lacking:,} lack it in at most {tolerance:.0%} of them: their errors are over the rest. "
        few = few if tolerance else ""
        warnings.warn(
            f"{some_lacking + lost:,} of {gradients.shape[0]:,} quantities have no finite value in some refits (a context "
            f"that the draw lacks, or separation), because they rest on one or two documents. {few}No error can be told for "
            f"{lost:,}: it is given as infinite.",
            FewClustersWarning,
            stacklevel=4,
        )
    return np.concatenate(parts) if parts else np.zeros(0)


def failures(covariance: Any, model: Likelihood) -> str:
    """What to add to the description of a covariance about refits that failed; empty where none did, or none was made."""
    found = made(covariance, model)
    return f", {found.failed:,} failed" if found is not None and found.failed else ""
