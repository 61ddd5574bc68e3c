"""Covariance matrix and standard errors of the parameters, under a covariance chosen by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlm.covariance.bootstrap import Bootstrap
from statlm.covariance.clustered import Clustered
from statlm.covariance.dependence import Dependence
from statlm.covariance.functionals import Covariance
from statlm.covariance.hac import HAC
from statlm.covariance.independent import Independent
from statlm.covariance.infinitesimal_jackknife import InfinitesimalJackknife
from statlm.covariance.leave_one_out import LeaveOneDocumentOut
from statlm.covariance.nonrobust import NonRobust
from statlm.covariance.opg import OPG
from statlm.covariance.refits import Refitting, Specified
from statlm.covariance.sandwich import Sandwich
from statlm.errors import NoEstimate, SpecificationError
from statlm.likelihood import Likelihood, check_identified, underlying
from statlm.numerics.linalg import identity
from statlm.numerics.types import Array

MAX_DENSE = 20_000  # parameters whose covariance matrix is still formed on request: 3.2 GB

NAMES: dict[str, Covariance] = {
    "nonrobust": NonRobust(),
    "opg": OPG(),
    "HC0": Sandwich(Independent()),
    "cluster": Sandwich(Clustered()),
    "HAC": Sandwich(HAC()),
    "bootstrap": Bootstrap(),
    "jackknife": LeaveOneDocumentOut(),
    "infinitesimal-jackknife": Sandwich(InfinitesimalJackknife()),
}


def resolve_cov(cov: str | Covariance | Dependence, model: Any = None) -> Covariance:
    """The covariance meant by a name, a covariance object, or a dependence to build the sandwich on.

    Parameters
    ----------
    cov : str or object
    model : Fit, optional
        Whose covariance it is: one that fits the model again learns from it how.
    """
    if isinstance(cov, str):
        if cov not in NAMES:
            raise SpecificationError(
                f"There is no covariance {cov!r}. Use one of {', '.join(map(repr, NAMES))}, or an object such as HAC(lags=8)."
            )
        cov = NAMES[cov]
    if isinstance(cov, Refitting) and isinstance(model, Specified):
        return cov.bound_to(model.specification)
    return cov if isinstance(cov, Covariance) else Sandwich(cov)


def vcov(model: Likelihood, cov: str | Covariance | Dependence = "nonrobust") -> Array:
    """(p, p) covariance matrix of the parameters.

    Parameters
    ----------
    model : Likelihood
        At its estimate, on the corpus it was fitted to.
    cov : str or object
        As of `std_errors`.

    Raises
    ------
    SpecificationError
        If the matrix would be too large to hold.
    SingularInformation
        If the information has no inverse.

    Examples
    --------
    >>> import statlm as slm
    >>> vcov(slm.NGram(n=1).fit(slm.Corpus.from_text("abba"))).tolist()  # p (1 - p) / n
    [[0.0625]]
    """
    check_identified(model)
    p = len(model.params)
    if p > MAX_DENSE:
        raise SpecificationError(
            f"The covariance matrix of {p:,} parameters would take {8e-9 * p * p:,.0f} GB. Ask for std_errors(), or for the "
            "functionals you need: predict(contexts, interval=0.95, cov=...)."
        )
    held: Any = underlying(model)
    return resolve_cov(cov, model).of(held, identity(p))


def std_errors(model: Likelihood, cov: str | Covariance | Dependence = "nonrobust") -> Array:
    """(p,) standard errors of the parameters.

    Parameters
    ----------
    model : Likelihood
        At its estimate, on the corpus it was fitted to.
    cov : str or object
        "nonrobust", "opg", "HC0", "cluster", "HAC", "bootstrap", "jackknife", "infinitesimal-jackknife", or an object with
        settings such as ``HAC(lags=8)``, ``Clustered(by="author")`` or ``DocumentBootstrap(replicates=999)``. "bootstrap"
        and "jackknife" fit the model again, and so need the fit itself.

    Examples
    --------
    >>> import statlm as slm
    >>> std_errors(slm.NGram(n=1).fit(slm.Corpus.from_text("abba"))).tolist()  # sqrt(p (1 - p) / n)
    [0.25]
    """
    check_identified(model)
    held: Any = underlying(model)
    return root_of_variances(resolve_cov(cov, model).variances(held))


def root_of_variances(variances: Array) -> Array:
    """Standard errors, refused where a variance is not a number."""
    wrong = np.isnan(variances) | (variances < -1e-12)
    if wrong.any():
        bad = int(np.count_nonzero(wrong))
        raise NoEstimate(
            f"{bad:,} of {len(variances):,} variances are not finite: the information is singular or the parameters are not at "
            "an interior maximum. Check for cells on the boundary (counts of zero)."
        )
    return np.sqrt(np.maximum(variances, 0.0))
