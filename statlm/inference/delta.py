"""Any smooth function of the parameters, with its standard error by the delta method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.functionals import Functional, as_functionals, measured, reported
from statlm.inference.parameters import likelihood_of
from statlm.likelihood import Likelihood
from statlm.numerics.types import Array, Matrix

MAX_DIFFERENCED = 20_000  # parameters moved one by one
STEP = float(np.cbrt(np.finfo(float).eps))  # where the error of truncation equals that of rounding
SMALL = 1e-2  # parameters nearer to 0 are moved as if they were this large


def functional(
    fit: Likelihood,
    g: Callable[[Array], Any] | Functional | Sequence[Functional],
    *,
    gradient: Matrix | Callable[[Array], Matrix] | None = None,
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Estimate and interval of any smooth function of the parameters, by the delta method.

    .. math:: \widehat{\mathrm{Var}}\, g(\hat\theta) = G\, \widehat{\mathrm{Var}}(\hat\theta)\, G', \qquad
        G = \partial g / \partial \theta' \text{ at } \hat\theta

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to.
    g : callable, or one or several of `Probability`, `LogOdds`, `Difference`, `CosineSimilarity`, `Perplexity`
        From (p,) parameters to a number, a (q,) array, or a Series whose index names the rows of the result. What the model
        itself implies at other parameters is ``fit.at(params)``. The named quantities know their gradients, and the scale on
        which their intervals are made; several share the work of their solves.
    gradient : (q, p) array or sparse array, or callable from parameters to one, optional
        By default central differences, which call `g` 2p times.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        A row a value of `g`: ``estimate``, ``std_error``, ``conf_low``, ``conf_high``.

    Raises
    ------
    SpecificationError
        If there are more than 20,000 parameters and no gradient, or the gradient has another shape.
    NoEstimate
        If `g` is not finite at the estimate or beside it.

    Notes
    -----
    Differences are central, with step :math:`\epsilon^{1/3} \max(|\theta_j|, 0.01)`: eight digits or so of the gradient
    where `g` is smooth on that scale.

    References
    ----------
    Doob (1935), The limiting distributions of certain statistics. Annals of Mathematical Statistics 6. Oehlert (1992), A
    note on the delta method. American Statistician 46.

    Examples
    --------
    The log-odds of a share p of n tokens have variance 1 / (n p (1 - p)):

    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("aab" * 33))
    >>> functional(fit, lambda p: np.log(p / (1 - p))).round(3).iloc[0].to_dict()
    {'estimate': -0.693, 'std_error': 0.213, 'conf_low': -1.111, 'conf_high': -0.275}
    """
    model = likelihood_of(fit)
    chosen = resolve_cov(cov, fit)
    named = as_functionals(g)
    if named is not None:
        values, derivatives = measured(named, model)
        errors = root_of_variances(chosen.variances(model, derivatives))
        return reported(named, values, errors, half_width(level, chosen.reference_dof(model)))
    assert callable(g)
    params = np.asarray(model.params, float)
    value = g(params.copy())
    index = value.index if isinstance(value, pd.Series) else None
    estimate = values_of(value)
    if gradient is None:
        gradients = jacobian(g, params)
    else:
        gradients = gradient(params.copy()) if callable(gradient) else gradient
        gradients = gradients if sparse.issparse(gradients) else np.atleast_2d(np.asarray(gradients, float))
        if gradients.shape != (len(estimate), len(params)):
            raise SpecificationError(
                f"The gradient has shape {gradients.shape}, but g has {len(estimate):,} values and the model "
                f"{len(params):,} parameters: it needs a row a value and a column a parameter."
            )
    errors = root_of_variances(chosen.variances(model, gradients))
    half = half_width(level, chosen.reference_dof(model)) * errors
    return pd.DataFrame(
        {"estimate": estimate, "std_error": errors, "conf_low": estimate - half, "conf_high": estimate + half}, index=index
    )


def values_of(value: Any) -> Array:
    """(q,) finite values of a functional."""
    found = np.atleast_1d(np.asarray(value, float)).ravel()
    if not np.isfinite(found).all():
        raise NoEstimate(
            f"The function of the parameters has {np.count_nonzero(~np.isfinite(found)):,} of {len(found):,} values that "
            "are not finite at the estimate or a small step beside it, so it has no derivative there. Choose another scale "
            "(a probability in place of its logarithm), or leave out what is infinite."
        )
    return found


def jacobian(g: Callable[[Array], Any], params: Array) -> Array:
    """(q, p) derivative of a function of the parameters, by central differences.

    Raises
    ------
    SpecificationError
        If there are more than 20,000 parameters.
    """
    p = len(params)
    if p > MAX_DIFFERENCED:
        raise SpecificationError(
            f"Central differences over {p:,} parameters would call the function {2 * p:,} times (at most "
            f"{MAX_DIFFERENCED:,} parameters are differenced). Give gradient=, a (q, p) matrix; that of log p(token | "
            "context) is the score of that observation."
        )
    columns = []
    for j in range(p):
        step = STEP * max(abs(params[j]), SMALL)
        up, down = params.copy(), params.copy()
        up[j] += step
        down[j] -= step
        width = up[j] - down[j]  # as rounded
        columns.append((values_of(g(up)) - values_of(g(down))) / width)
    return np.stack(columns, axis=1) if columns else np.zeros((len(values_of(g(params))), 0))
