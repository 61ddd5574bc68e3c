"""Confidence intervals of the parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import SpecificationError
from statlm.inference.parameters import likelihood_of
from statlm.likelihood import Likelihood, check_identified


def half_width(level: float, reference_dof: float) -> float:
    """Two-sided quantile of the t distribution, of the normal where `reference_dof` is infinite."""
    from scipy.special import ndtri, stdtrit

    if not 0 < level < 1:
        raise SpecificationError(f"level={level}: the confidence level must lie between 0 and 1, as in 0.95.")
    tail = (1 + level) / 2
    return float(ndtri(tail) if np.isinf(reference_dof) else stdtrit(reference_dof, tail))


def conf_int(model: Likelihood, level: float = 0.95, cov: str | Covariance | Dependence = "nonrobust") -> pd.DataFrame:
    """Wald intervals of all parameters.

    Parameters
    ----------
    model : Likelihood
        At its estimate, on the corpus it was fitted to.
    level : float
        Confidence level.
    cov : str or object
        Covariance; see `std_errors`.

    Returns
    -------
    DataFrame
        Columns ``conf_low``, ``conf_high``; a row a parameter, indexed by response and term.

    Examples
    --------
    >>> import statlm as slm
    >>> conf_int(slm.NGram(n=1).fit(slm.Corpus.from_text("abba" * 25))).round(3).values.tolist()
    [[0.402, 0.598]]
    """
    chosen = resolve_cov(cov, model)
    model = likelihood_of(model)
    check_identified(model)
    errors = root_of_variances(chosen.variances(model))
    half = half_width(level, chosen.reference_dof(model)) * errors
    return pd.DataFrame({"conf_low": model.params - half, "conf_high": model.params + half}, index=model.param_names)
