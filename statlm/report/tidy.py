"""A fit as plain tables: a row a parameter, and a row a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import pandas as pd

from statlm import measures
from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import CorpusError, NoEstimate
from statlm.inference.conf_int import half_width
from statlm.inference.hauck_donner import derivatives
from statlm.likelihood import Likelihood, Predictive, check_identified, is_likelihood, is_penalised
from statlm.numerics.linalg import identity
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


class Evaluated(Protocol):
    """A specification and what came of it, standing on a corpus."""

    @property
    def specification(self) -> Any:
        """How it was estimated."""
        ...

    @property
    def likelihood(self) -> Predictive:
        """Its distribution."""
        ...


class Fitted(Protocol):
    """A specification and its likelihood at the estimate."""

    @property
    def specification(self) -> Any:
        """How it was estimated."""
        ...

    @property
    def parametric(self) -> Likelihood:
        """At the estimate, on the training corpus; raises where the model has no parameters."""
        ...


@runtime_checkable
class KindOfParams(Protocol):
    """A likelihood that says what its parameters are."""

    @property
    def param_kind(self) -> str:
        """For example "log-odds", for which 0 is a natural null."""
        ...


@runtime_checkable
class WithInfinite(Protocol):
    """A likelihood some of whose coefficients separation sends to infinity."""

    def infinite_coefficients(self, level: float) -> pd.DataFrame:
        """Columns ``response``, ``term``, ``estimate``, ``conf_low``, ``conf_high``; a row each."""
        ...


def tidy(
    fit: Fitted,
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
    *,
    infinite: bool = False,
    hauck_donner: bool = False,
) -> pd.DataFrame:
    """A row a parameter.

    Parameters
    ----------
    fit : Fit
        Or anything with a likelihood at its estimate.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level of the Wald intervals.
    infinite : bool
        Whether coefficients that separation sends to infinity get rows too, after the others: an estimate of ``-inf`` or
        ``inf``, no standard error, and the one-sided interval of Geyer (2009) at that level, from ``-inf`` to ``inf`` where the
        data give no bound. `profile_interval` has that of the profile likelihood.
    hauck_donner : bool
        Whether a column flags Wald statistics that fall as their estimate moves away from 0; see `hauck_donner`.

    Returns
    -------
    DataFrame
        ``response``, ``term``, ``estimate``, ``std_error``, ``conf_low``, ``conf_high``. Log-odds have a natural null, 0,
        and get ``statistic`` and ``p_value`` too; probabilities have none.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abba" * 25 + "a"))
    >>> tidy(fit).round(3).iloc[0].to_dict()
    {'response': 'b', 'term': '', 'estimate': 0.495, 'std_error': 0.05, 'conf_low': 0.398, 'conf_high': 0.593}
    """
    model = fit.parametric
    table = coefficients(model, resolve_cov(cov, fit), level)
    if hauck_donner:
        table["hauck_donner"] = derivatives(model, np.arange(len(table)))[0] < 0
    if infinite and isinstance(model, WithInfinite):
        added = model.infinite_coefficients(level).reindex(columns=table.columns)
        if hauck_donner:
            added["hauck_donner"] = False
        if len(table) == 0 or len(added) == 0:
            return table if len(added) == 0 else added
        table = pd.concat([table, added], ignore_index=True)
    return table


def coefficients(
    model: Likelihood, cov: str | Covariance | Dependence, level: float, rows: Array | None = None
) -> pd.DataFrame:
    """The table of `tidy`; for the parameters numbered `rows` alone, at the cost of these."""
    check_identified(model)
    chosen = resolve_cov(cov)
    names, estimates = model.param_names, model.params
    if rows is not None:
        names, estimates = names[rows], estimates[rows]
    if len(estimates) == 0:
        errors = np.zeros(0)
    elif rows is None:
        errors = root_of_variances(chosen.variances(model))
    else:
        errors = root_of_variances(chosen.variances(model, identity(len(model.params))[rows]))
    return coefficient_table(model, names, estimates, errors, chosen.reference_dof(model), level)


def coefficient_table(
    model: Likelihood, names: pd.MultiIndex, estimates: Array, errors: Array, reference_dof: float, level: float
) -> pd.DataFrame:
    """Estimates with their errors, intervals, and tests where there is a natural null."""
    table = pd.DataFrame(
        {
            "response": names.get_level_values("response").to_numpy(),
            "term": names.get_level_values("term").to_numpy(),
            "estimate": estimates,
            "std_error": errors,
        }
    )
    if isinstance(model, KindOfParams) and model.param_kind == "log-odds":
        from scipy.special import log_ndtr, stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = estimates / errors
        table["statistic"] = statistic
        below = -np.abs(statistic)
        table["p_value"] = 2 * (np.exp(log_ndtr(below)) if np.isinf(reference_dof) else stdtr(reference_dof, below))
    half = half_width(level, reference_dof) * errors
    table["conf_low"], table["conf_high"] = estimates - half, estimates + half
    return table


def glance(fit: Evaluated) -> pd.DataFrame:
    """One row for a model: its size and its criteria.

    Parameters
    ----------
    fit : Fit or Evaluation

    Returns
    -------
    DataFrame
        ``model``, ``nobs``, ``documents``, ``dof``, ``loglike``, ``null_loglike``, ``pseudo_r2``, ``aic``, ``bic``,
        ``bic_documents``, ``perplexity``, ``bits_per_token``, ``bits_per_byte``. What does not exist is missing: bytes where
        the data are not text, criteria of a model without parameters.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abba"))
    >>> glance(fit)[["model", "nobs", "dof", "perplexity"]].round(3).to_dict("records")
    [{'model': 'NGram(n=1)', 'nobs': 4, 'dof': 1, 'perplexity': 2.0}]
    """
    scored = Scored(fit.likelihood)
    row = {
        "model": describe(fit.specification),
        "nobs": scored.corpus.nobs,
        "documents": scored.corpus.ndocuments,
        "dof": scored.dof if scored.has_parameters else np.nan,
        **{name: scored.measure(name) for name in MEASURES if name != "bits_per_char"},
    }
    return pd.DataFrame([row])


MEASURES: dict[str, Callable[[Any], float]] = {
    "loglike": measures.loglike,
    "null_loglike": measures.null_loglike,
    "pseudo_r2": measures.pseudo_r2,
    "aic": measures.aic,
    "bic": measures.bic,
    "bic_documents": lambda model: measures.bic(model, "documents"),
    "perplexity": measures.perplexity,
    "bits_per_token": measures.bits_per_token,
    "bits_per_char": measures.bits_per_char,
    "bits_per_byte": measures.bits_per_byte,
}


class Scored:
    """A model scored on its corpus once, so that ten measures of it cost one pass over the text."""

    def __init__(self, model: Predictive) -> None:
        self.model = model
        self.corpus: Corpus = model.corpus
        self.has_parameters = is_likelihood(model)
        self._loglike_obs = model.loglike_obs()

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        return self._loglike_obs

    @property
    def dof(self) -> int:
        """Number of free parameters."""
        return cast("Likelihood", self.model).dof

    def measure(self, name: str) -> float:
        """One of `MEASURES`; not a number where theory or the data have none."""
        if name in ("aic", "bic", "bic_documents") and (not self.has_parameters or is_penalised(self.model)):
            return float("nan")
        try:
            return MEASURES[name](self)
        except (CorpusError, NoEstimate):
            return float("nan")


def describe(specification: Any) -> str:
    """A specification in a line: its name, and the settings that are not their defaults or have none.

    Examples
    --------
    >>> import statlm as slm
    >>> describe(slm.NGram(n=3, pseudo_count=0.5))
    'NGram(n=3, pseudo_count=0.5)'
    """
    if not dataclasses.is_dataclass(specification) or isinstance(specification, type):
        return str(specification)
    if not vars(type(specification))["__dataclass_params__"].repr:  # it names itself, as one that holds other models does
        return repr(specification)
    settings = []
    for field in dataclasses.fields(specification):
        value = getattr(specification, field.name)
        made = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if field.repr and (made is dataclasses.MISSING or made != value):
            settings.append(f"{field.name}={describe(value) if dataclasses.is_dataclass(value) else repr(value)}")
    return f"{type(specification).__name__}({', '.join(settings)})"
