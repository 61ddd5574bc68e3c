"""Analysis of deviance: a sequence of nested models in one table."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from statlm.errors import SmallCountsWarning, SpecificationError
from statlm.inference.lr_test import lr_test
from statlm.inference.maxima import check_observations, finite_loglike, name_of
from statlm.inference.parameters import likelihood_of
from statlm.inference.result import TestResult
from statlm.likelihood import Likelihood


def anova(*fits: Likelihood) -> pd.DataFrame:
    r"""Analysis of deviance of nested models, each tested against the next larger one.

    The deviance of a model is :math:`-2\ell`; what it falls by from one model to the next is the likelihood-ratio statistic.

    Parameters
    ----------
    *fits : Fit or Likelihood
        Maximum-likelihood fits of one corpus, from the smallest to the largest.

    Returns
    -------
    DataFrame
        A row a model: ``model``, ``dof``, ``loglike``, ``deviance``; and against the model before it ``change`` (by how much
        the deviance falls), ``dof_change``, ``p_value``, which the first row lacks. Between models with equally many
        parameters there is nothing to test, and no p-value.

    Raises
    ------
    SpecificationError
        If there are fewer than two models.
    NotNested, NotComparable, NoEstimate
        From `lr_test`.

    Warns
    -----
    SmallCountsWarning
        If some of the larger models have fewer than 5 observations a parameter.

    See Also
    --------
    lr_test : one step.
    ladder : the same steps for models with names, smallest against largest.

    References
    ----------
    Nelder and Wedderburn (1972), Generalized linear models. JRSS A 135.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abbababbaaab" * 20).with_given(2)
    >>> fits = [slm.SoftmaxRegression(lags=k).fit(corpus) for k in (0, 1, 2)]
    >>> anova(*fits)[["model", "dof", "deviance", "change", "dof_change"]].round(1)
                model  dof  deviance  change  dof_change
    0  softmax 0 lags    1     329.9     NaN         NaN
    1   softmax 1 lag    2     303.9    26.0         1.0
    2  softmax 2 lags    3     299.8     4.1         1.0
    """
    tests, small_counts = nested_steps(fits)
    if small_counts:
        named = ", ".join(name_of(fits[i + 1]) for i in small_counts)
        warnings.warn(
            f"Small counts: fewer than 5 observations a parameter in {named}; the chi-square approximation may be far off "
            "there. For n-grams use markov_order_test(corpus, method='bootstrap').",
            SmallCountsWarning,
            stacklevel=2,
        )
    dof = np.array([likelihood_of(fit).dof for fit in fits])
    deviance = np.array([-2 * finite_loglike(likelihood_of(fit), name_of(fit)) for fit in fits])
    return pd.DataFrame(
        {
            "model": [name_of(fit) for fit in fits],
            "dof": dof,
            "loglike": -deviance / 2,
            "deviance": deviance,
            "change": [np.nan, *-np.diff(deviance)],
            "dof_change": [np.nan, *np.diff(dof)],
            "p_value": [np.nan, *(np.nan if test is None else test.p_value for test in tests)],
        }
    )


def nested_steps(fits: Sequence[Likelihood]) -> tuple[list[TestResult | None], list[int]]:
    """Likelihood-ratio tests of each model against the next, and the numbers of the steps with small counts.

    A step between models with equally many parameters is not tested: None.

    Raises
    ------
    SpecificationError
        If there are fewer than two models.
    """
    if len(fits) < 2:
        raise SpecificationError(
            f"A sequence of nested models needs at least two and got {len(fits)}. Give the smallest first."
        )
    tests: list[TestResult | None] = []
    small_counts = []
    for step, (small, large) in enumerate(pairwise(fits)):
        if likelihood_of(small).dof == likelihood_of(large).dof:
            check_observations(small, large)
            tests.append(None)
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tests.append(lr_test(small, large))
        for warning in caught:
            if issubclass(warning.category, SmallCountsWarning):
                small_counts.append(step)
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return tests, small_counts
