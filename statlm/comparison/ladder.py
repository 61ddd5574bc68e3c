"""The likelihood-ratio ladder: each rung a larger model of the same text."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import SmallCountsWarning, SpecificationError
from statlm.inference.lr_test import lr_test


def ladder(models: Mapping[str, Any]) -> pd.DataFrame:
    """Likelihood-ratio tests of nested models, each against the next larger one.

    Parameters
    ----------
    models : mapping of names to fits
        Maximum-likelihood fits of one corpus, from the smallest to the largest.

    Returns
    -------
    DataFrame
        A row a step: ``small``, ``large``, ``statistic``, ``dof``, ``p_value``, and ``per_dof``, the observations for each
        additional parameter. ``attrs["notes"]`` says for which steps they are so few that chi-square is a poor guide.

    Raises
    ------
    SpecificationError
        If there are fewer than two models.
    NotNested, NotComparable
        From `lr_test`.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra" * 20)
    >>> slm.ladder({str(n): slm.NGram(n).fit(corpus) for n in (0, 1, 2)})[["small", "large", "dof"]].values.tolist()
    [['0', '1', 4], ['1', '2', 20]]
    """
    names = list(models)
    if len(names) < 2:
        raise SpecificationError(f"A ladder needs at least two models and got {len(names)}.")
    rows = []
    sparse = []
    same = []
    for small, large in pairwise(names):
        if models[small].dof == models[large].dof:
            same.append(f"{small} and {large}")
            rows.append(
                {"small": small, "large": large, "statistic": np.nan, "dof": 0, "p_value": np.nan, "per_dof": float("inf")}
            )
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            test = lr_test(models[small], models[large])
        for warning in caught:
            if issubclass(warning.category, SmallCountsWarning):
                sparse.append(f"{small} < {large}")
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        rows.append(
            {
                "small": small,
                "large": large,
                "statistic": test.statistic,
                "dof": test.dof,
                "p_value": test.p_value,
                "per_dof": models[large].corpus.nobs / test.dof if test.dof else float("inf"),
            }
        )
    table = pd.DataFrame(rows)
    notes = []
    if sparse:
        notes.append(
            f"Fewer than 5 observations a parameter in {', '.join(sparse)}: the chi-square distribution is a poor guide there. "
            'Use markov_order_test(corpus, method="bootstrap"), whose degrees of freedom leave out cells that could not occur.'
        )
    if same:
        notes.append(
            f"{', '.join(same)} have equally many parameters on this text, so there is nothing to test between them."
        )
    table.attrs["notes"] = notes
    return table
