"""Many tests at once: p-values adjusted for their number."""

from __future__ import annotations

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.numerics.types import Array

METHODS = {"holm": "holm", "bh": "fdr_bh", "by": "fdr_by", "bonferroni": "bonferroni"}


def adjust_p_values(table: pd.DataFrame, method: str = "holm", *, column: str = "p_value") -> pd.DataFrame:
    """A table of tests with a column of adjusted p-values.

    Parameters
    ----------
    table : DataFrame
        A row a test.
    method : "holm", "bh", "by" or "bonferroni"
        "holm" (1979): among the tests that it rejects at 5 % there is any true null hypothesis with probability 5 % at most,
        whatever the dependence. "bh" (Benjamini and Hochberg 1995): at most 5 % of the rejections are false on average, for
        tests that are independent or positively dependent; "by" (Benjamini and Yekutieli 2001) for any dependence.
    column : str
        Where the p-values are. A test without one (nan) stays without, and does not count.

    Returns
    -------
    DataFrame
        The table with the column ``p_holm``, ``p_bh``, ``p_by`` or ``p_bonferroni`` at its end.

    Raises
    ------
    SpecificationError
        If there is no such method or column, or it holds no p-values.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6. Benjamini and
    Hochberg (1995), Controlling the false discovery rate. JRSS B 57. Benjamini and Yekutieli (2001), The control of the false
    discovery rate in multiple testing under dependency. Annals of Statistics 29.

    Examples
    --------
    >>> table = pd.DataFrame({"p_value": [0.01, 0.04, 0.03]})
    >>> adjust_p_values(adjust_p_values(table), "bh").round(3).values.tolist()
    [[0.01, 0.03, 0.03], [0.04, 0.06, 0.04], [0.03, 0.06, 0.04]]
    """
    check_adjustment(method)
    if column not in table:
        raise SpecificationError(
            f"The table has no column {column!r} to adjust; it has {', '.join(map(repr, table.columns))}. Name the one with the "
            "p-values: column=."
        )
    values = table[column].to_numpy(float)
    known = ~np.isnan(values)
    if ((values[known] < 0) | (values[known] > 1)).any():
        raise SpecificationError(
            f"The column {column!r} runs from {values[known].min():.3g} to {values[known].max():.3g}, and p-values lie "
            "between 0 and 1."
        )
    return table.assign(**{f"p_{method}": adjusted(values, method)})


def adjusted(p_values: Array, method: str) -> Array:
    """(m,) adjusted p-values; nan where there is none."""
    from statsmodels.stats.multitest import multipletests

    result = np.full(len(p_values), np.nan)
    known = ~np.isnan(p_values)
    if known.any():
        result[known] = multipletests(p_values[known], method=METHODS[method])[1]
    return result


def check_adjustment(method: str) -> None:
    """Raise SpecificationError for an unknown method."""
    if method not in METHODS:
        raise SpecificationError(f"There is no adjustment {method!r}. Use one of {', '.join(map(repr, METHODS))}.")
