"""Whether quantile residuals are what they are under a right model: uniform, uncorrelated, and alike in all documents."""

from __future__ import annotations

import numpy as np
import pandas as pd

from statlm.errors import NoEstimate, SpecificationError
from statlm.numerics.types import Array


def residual_tests(table: pd.DataFrame, *, lags: int = 20) -> pd.DataFrame:
    r"""Tests of what a right model implies for its quantile residuals :math:`e_i`.

    Parameters
    ----------
    table : DataFrame
        As `quantile_residuals` gives it.
    lags : int
        How many autocorrelations Ljung and Box's statistic sums.

    Returns
    -------
    DataFrame
        Three rows: ``test``, ``statistic``, ``dof``, ``p_value``, ``null``. *uniform*: Kolmogorov and Smirnov's distance of
        ``uniform``. *Ljung-Box*: :math:`n (n + 2) \sum_k \hat\rho_k^2 / n_k`, with :math:`n_k` pairs k apart in one document,
        chi-square. *documents*: :math:`\sum_d n_d \bar e_d^2`, chi-square with a degree of freedom a document: whether some
        documents are harder than the model thinks. With a single document that row is missing.

    Raises
    ------
    SpecificationError
        If the table is no such table, or `lags` is not a whole number of 1 or more.
    NoEstimate
        If no document is longer than one token.

    Notes
    -----
    All three are tests of the model as it is, not fitted on this text, and exact for large n under that null alone. On long texts
    every model is rejected; the statistics then rank what is wrong. Holm's method serves where one verdict is wanted.

    References
    ----------
    Ljung and Box (1978), On a measure of lack of fit in time series models. Biometrika 65.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abracadabra" * 20))
    >>> residual_tests(slm.quantile_residuals(fit)).p_value.lt(1e-6).tolist()  # letters that depend on the one before
    [False, True]
    """
    _check(table)
    if isinstance(lags, bool) or lags < 1 or lags != int(lags):
        raise SpecificationError(f"lags={lags!r}: give the number of autocorrelations, 1 or more.")
    from scipy.stats import chi2, kstest

    acf = residual_autocorrelation(table, lags=lags)
    n = len(table)
    distance = kstest(table["uniform"].to_numpy(float), "uniform")
    ljung_box = float(n * (n + 2) * (acf.autocorrelation**2 / acf.pairs).sum())
    rows = [
        ("uniform", float(distance.statistic), np.inf, float(distance.pvalue), "the residuals are uniform before Φ⁻¹"),
        ("Ljung-Box", ljung_box, len(acf), float(chi2.sf(ljung_box, len(acf))), "no autocorrelation within documents"),
    ]
    documents = table.groupby("document")["residual"].agg(["sum", "size"])
    if len(documents) > 1:
        spread = float((documents["sum"] ** 2 / documents["size"]).sum())
        tail = float(chi2.sf(spread, len(documents)))
        rows.append(("documents", spread, len(documents), tail, "mean 0 in every document"))
    return pd.DataFrame(rows, columns=["test", "statistic", "dof", "p_value", "null"])


def residual_autocorrelation(table: pd.DataFrame, *, lags: int = 20) -> pd.DataFrame:
    r"""Autocorrelations of quantile residuals within documents.

    Parameters
    ----------
    table : DataFrame
        As `quantile_residuals` gives it.
    lags : int
        The largest lag.

    Returns
    -------
    DataFrame
        A row a lag k that some document reaches: ``lag``, ``autocorrelation`` (:math:`\sum e_i e_{i+k} / \sum e_i^2` of centred
        residuals, pairs within documents only), ``pairs``, ``std_error`` (:math:`\sqrt{n_k} / n`, without dependence).

    Raises
    ------
    NoEstimate
        If no document is longer than one token, or the residuals do not vary.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("ab" * 100))
    >>> residual_autocorrelation(slm.quantile_residuals(fit), lags=2).pairs.tolist()
    [199, 198]
    """
    _check(table)
    e = table["residual"].to_numpy(float)
    e = e - e.mean()
    document = table["document"].to_numpy()
    total = float(e @ e)
    if total == 0:
        raise NoEstimate("The residuals do not vary, so they have no autocorrelation.")
    rows = []
    for lag in range(1, min(lags, len(e) - 1) + 1):
        same: Array = document[lag:] == document[:-lag]
        pairs = int(np.count_nonzero(same))
        if pairs:
            rows.append((lag, float((e[lag:] * e[:-lag])[same].sum()) / total, pairs, np.sqrt(pairs) / len(e)))
    if not rows:
        raise NoEstimate(
            f"None of the documents is longer than one token ({len(e):,} tokens), so no residual has a neighbour."
        )
    return pd.DataFrame(rows, columns=["lag", "autocorrelation", "pairs", "std_error"])


def _check(table: pd.DataFrame) -> None:
    lacking = {"document", "uniform", "residual"} - set(table.columns)
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {sorted(lacking)}. Pass what quantile_residuals() gives."
        )
