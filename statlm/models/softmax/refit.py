"""A softmax regression fitted again to its text with other weights on the observations: from counts, without the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from statlm.models.softmax.design import LagDesign
from statlm.models.softmax.estimation import estimate
from statlm.models.softmax.formula import Terms
from statlm.numerics.grouped_logit import log_softmax
from statlm.numerics.identified_solution import Determined, undetermined_at
from statlm.numerics.rank import rank_of
from statlm.numerics.ridge import Ridge
from statlm.numerics.separation import remaining
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


@dataclass(frozen=True, eq=False)
class Recount:
    """How often each class follows each context under some weights of the observations.

    Attributes
    ----------
    contexts : (C, lags) integer array
        All that training saw, most recent token first.
    counts : (C, J) array
    responses : (J,) integer array
        Token ids of the classes.
    design : LagDesign
        The coding at the estimate.
    logp : (C, J) array
        Log-probabilities at the estimate.
    """

    contexts: Array
    counts: Array
    responses: Array
    design: LagDesign
    logp: Array


@runtime_checkable
class Recounted(Protocol):
    """A likelihood that depends on its text by counts alone."""

    @property
    def corpus(self) -> Corpus:
        """What it stands on."""
        ...

    @property
    def memory(self) -> int:
        """Number of lags."""
        ...

    @property
    def reference(self) -> int:
        """Which class is the reference."""
        ...

    @property
    def index(self) -> tuple[Array, Array]:
        """Design column and class of each parameter."""
        ...

    @property
    def params(self) -> Array:
        """(p,) parameters at the estimate."""
        ...

    def recounted(self, weights: Array) -> Recount | None:
        """The counts under other weights of the observations; None where they do not decide the fit."""
        ...

    def params_of(self, logp: Array, contexts: Array) -> Determined:
        """What log-probabilities of the classes in some contexts make of the parameters."""
        ...


def refit(
    model: Recounted,
    found: Recount,
    terms: Terms,
    reference: int,
    *,
    ridge: Callable[[int, int], Ridge | None],
    firth: bool,
    same_reference: bool,
) -> Determined:
    """Parameters of `model` by the fit to other counts.

    Parameters
    ----------
    model : Recounted
        At its estimate.
    found : Recount
    terms : Terms
        Of the specification.
    reference : int
        Which of the classes that occur is the reference.
    ridge : callable
        The penalty for a number of columns and one of classes.
    firth : bool
    same_reference : bool
        Whether that is the reference of the model too.

    Notes
    -----
    A saturated model gives the shares of the counts. Elsewhere the design is coded anew, since a ridge penalty depends on it, and
    Newton's method starts at the estimate.
    """
    live = np.flatnonzero(found.counts.sum(axis=1))
    seen = np.flatnonzero(found.counts.sum(axis=0))
    counts, contexts = found.counts[np.ix_(live, seen)], found.contexts[live]
    design = LagDesign.of_terms(contexts, counts.sum(axis=1), terms, seen=counts)
    matrix = design.matrix(contexts)
    penalty = ridge(design.ncolumns, len(seen))
    rank = rank_of(matrix)
    logp = np.full((len(live), found.counts.shape[1]), -np.inf)
    if penalty is None and not firth and rank == len(live):
        with np.errstate(divide="ignore"):
            logp[:, seen] = np.log(counts / counts.sum(axis=1, keepdims=True))
        return model.params_of(logp, live)
    start = found.logp[np.ix_(live, seen)]
    fit = estimate(matrix, counts, design.indicators, reference, ridge=penalty, firth=firth, start=start)
    same = same_reference and len(seen) == len(found.responses) and design.codes_as(found.design)
    if penalty is not None and same and rank == design.ncolumns:
        return undetermined_at(fit.coefficients[model.index], model.params)
    possible = np.ones(counts.shape, bool)
    for direction in fit.directions:
        possible = remaining(np.asarray(matrix @ direction), possible)
    logp[:, seen] = log_softmax(np.asarray(matrix @ fit.coefficients), possible)
    return model.params_of(logp, live)
