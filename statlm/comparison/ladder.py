"""The likelihood-ratio ladder: each rung a larger model of the same text."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.inference.anova import nested_steps


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
    tests, few = nested_steps(list(models.values()))  # few: numbers of the steps with small counts
    steps = [f"{small} < {large}" for small, large in pairwise(names)]
    rows = [
        {
            "small": small,
            "large": large,
            "statistic": np.nan if test is None else test.statistic,
            "dof": 0 if test is None else test.dof,
            "p_value": np.nan if test is None else test.p_value,
            "per_dof": np.inf if test is None else models[large].corpus.nobs / test.dof,
        }
        for (small, large), test in zip(pairwise(names), tests, strict=True)
    ]
    sparse = [steps[i] for i in few]
    same = [step.replace(" < ", " and ") for step, test in zip(steps, tests, strict=True) if test is None]
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
