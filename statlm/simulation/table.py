"""From answers of replicates to rates with their Monte-Carlo errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

COLUMNS = ("replicate", "kind", "what", "method", "estimate", "std_error", "conf_low", "conf_high", "truth", "p_value")
ALLOWED = 3.3  # Monte-Carlo errors: a chance of 1 in 1,000 to be further off


def tabulate(answers: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    r"""Bias, ratio of standard errors, coverage, size and power, with Monte-Carlo errors.

    Parameters
    ----------
    answers : DataFrame
        A row a replicate and question, as ``coverage(...).attrs["replicates"]`` has them.
    level : float
        Confidence level; tests are at 1 - level.

    Returns
    -------
    DataFrame
        A row a quantity and method: ``kind`` ("coverage", "size", "power"), ``what``, ``method``, ``nominal`` (missing for
        power), ``rate`` with ``rate_error``, ``agrees`` (within 3.3 Monte-Carlo errors of the nominal rate), ``bias`` with
        ``bias_error``, ``se_ratio`` (mean standard error relative to the standard deviation of estimates) with
        ``se_ratio_error``, ``replicates``, and ``failed``: replicates without an answer, which are no part of the rates.

    Notes
    -----
    The error of a rate is that at its nominal value, and of a power that at the rate. An interval that is not a number does not
    cover.

    References
    ----------
    Morris, White and Crowther (2019), Using simulation studies to evaluate statistical methods. Statistics in Medicine 38.
    """
    failed = answers.replicate[answers.kind == "failed"].nunique()
    rows = []
    asked = answers[answers.kind != "failed"]
    for (kind, what, method), group in asked.groupby(["kind", "what", "method"], sort=False, dropna=False):
        row = _interval(group, level) if kind == "interval" else _test(group, str(kind), level)
        rows.append(
            {"kind": "coverage" if kind == "interval" else kind, "what": what, "method": method, **row, "failed": failed}
        )
    columns = ["kind", "what", "method", "nominal", "rate", "rate_error", "agrees", "bias", "bias_error", "se_ratio"]
    table = pd.DataFrame(rows).reindex(columns=[*columns, "se_ratio_error", "replicates", "failed"])
    return table.astype({"agrees": "boolean"})


def _interval(group: pd.DataFrame, level: float) -> dict[str, Any]:
    n = len(group)
    error = group.estimate - group.truth
    spread = float(group.estimate.std(ddof=1)) if n > 1 else np.nan
    reported = group.std_error[np.isfinite(group.std_error)]
    ratio = float(reported.mean()) / spread if len(reported) and spread > 0 else np.nan
    # Relative variance of a ratio: of the mean of standard errors, and 1 / 2(n - 1) of a standard deviation.
    relative = (float(reported.var(ddof=1)) / len(reported) / float(reported.mean()) ** 2) if len(reported) > 1 else np.nan
    covered = (group.conf_low <= group.truth) & (group.truth <= group.conf_high)
    return {
        **_rate(int(covered.sum()), n, level),
        "bias": float(error.mean()),
        "bias_error": float(error.std(ddof=1)) / np.sqrt(n) if n > 1 else np.nan,
        "se_ratio": ratio,
        "se_ratio_error": ratio * np.sqrt(relative + 0.5 / (n - 1)) if n > 1 else np.nan,
    }


def _test(group: pd.DataFrame, kind: str, level: float) -> dict[str, Any]:
    return _rate(int((group.p_value <= 1 - level).sum()), len(group), 1 - level if kind == "size" else None)


def _rate(hits: int, n: int, nominal: float | None) -> dict[str, Any]:
    rate = hits / n
    at = rate if nominal is None else nominal
    error = float(np.sqrt(at * (1 - at) / n))
    return {
        "nominal": np.nan if nominal is None else round(nominal, 12),
        "rate": rate,
        "rate_error": error,
        "agrees": pd.NA if nominal is None else bool(abs(rate - nominal) <= ALLOWED * error),
        "replicates": n,
    }
