"""Which parameters a verb is asked about, and the likelihood that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.errors import SpecificationError
from statlm.likelihood import Likelihood, Predictive, is_likelihood, underlying
from statlm.numerics.linalg import identity
from statlm.numerics.types import Array, Matrix


def likelihood_of(model: Predictive) -> Likelihood:
    """The likelihood that a fit holds, or the model itself.

    Raises
    ------
    SpecificationError
        If it is a distribution without parameters.
    """
    held = underlying(model)
    if not is_likelihood(held):
        raise SpecificationError(
            f"{type(held).__name__} is a distribution without parameters and derivatives, so there is nothing to test or to "
            "put an interval on. Its held-out measures have errors: perplexity_interval(model.on(test)), paired_test(a, b)."
        )
    return held


def positions(model: Likelihood, names: Sequence[tuple[str, str]] | pd.MultiIndex) -> Array:
    """(q,) places of parameters among `params`, by their names.

    Parameters
    ----------
    model : Likelihood
    names : sequence of (response, term) pairs

    Raises
    ------
    SpecificationError
        If the model has no such parameter.
    """
    known = model.param_names
    wanted = pd.MultiIndex.from_tuples([tuple(name) for name in names], names=known.names)
    place = pd.Series(np.arange(len(known)), index=known)
    place = place[~known.duplicated(keep=False)]  # a name that stands for two parameters names neither
    found = place.reindex(wanted, fill_value=-1).to_numpy()
    if (found < 0).any():
        missing = wanted[int(np.flatnonzero(found < 0)[0])]
        shown = ", ".join(map(repr, known[:3]))
        raise SpecificationError(
            f"There is no parameter {missing!r} among the {len(known):,} of this model ({shown}, ...). A name is a pair "
            "(response, term), as in fit.param_names; reference categories, and coefficients that are infinite under "
            "separation, have none."
        )
    return found


def is_name(value: Any) -> bool:
    """Whether something is a (response, term) pair."""
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(part, str) for part in value)


def linear_functionals(model: Likelihood, rows: Any) -> tuple[Matrix, list[Any] | None]:
    """Gradients of linear functionals of the parameters, given as a matrix or by the parameters' names.

    Parameters
    ----------
    model : Likelihood
    rows : (q, p) or (p,) array or sparse array, a (response, term) pair, or a sequence of such pairs

    Returns
    -------
    gradients : (q, p) array or sparse array
    names : list of q pairs, or None where a matrix was given
    """
    p = len(model.params)
    if is_name(rows):
        rows = [rows]
    if isinstance(rows, pd.MultiIndex) or (isinstance(rows, (list, tuple)) and len(rows) and is_name(rows[0])):
        return identity(p)[positions(model, rows)], [tuple(name) for name in rows]
    gradients = rows if sparse.issparse(rows) else np.atleast_2d(np.asarray(rows, float))
    if gradients.ndim != 2 or gradients.shape[1] != p or gradients.shape[0] == 0:
        raise SpecificationError(
            f"A matrix of shape {gradients.shape} was given for a model of {p:,} parameters: it needs a row a functional "
            "and a column a parameter, in the order of fit.param_names. Or name parameters: [('b', 'lag1[a]')]."
        )
    return gradients, None
