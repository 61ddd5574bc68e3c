"""Wald statistics that cannot be trusted: the Hauck-Donner effect."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.covariance.bread import bread
from statlm.errors import SpecificationError
from statlm.inference.parameters import likelihood_of
from statlm.likelihood import Likelihood
from statlm.numerics.linalg import factorise, identity
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array


@runtime_checkable
class WithWaldDerivatives(Protocol):
    """A likelihood that knows how its Wald statistics move with their estimates."""

    def wald_derivatives(self, covariance: Array, rows: Array) -> Array:
        """(q,) derivatives of the Wald statistics of the parameters numbered `rows`."""
        ...


def hauck_donner(fit: Likelihood) -> pd.DataFrame:
    r"""Which Wald statistics fall as their estimates move away from 0 (the Hauck-Donner effect).

    As a log-odds grows, its standard error in the end grows faster: the Wald statistic turns back towards 0, and a strong effect
    looks like none. For the estimate :math:`\hat\beta` the flag says that the derivative of :math:`\beta / \mathrm{se}(\beta)` is
    negative there, the other parameters held (Yee 2022).

    Parameters
    ----------
    fit : Fit or Likelihood
        A softmax regression at its estimate, on the corpus it was fitted to.

    Returns
    -------
    DataFrame
        A row a parameter: ``response``, ``term``, ``estimate``, ``statistic`` (model-based), ``derivative`` of the statistic, and
        ``hauck_donner``, whether it is negative. Do not read the p-value of a flagged row: use `lr_test` of two fits, or
        `profile_interval`.

    Raises
    ------
    SpecificationError
        If the model does not offer it: probabilities, as an n-gram has, have no null value 0 to move away from.

    See Also
    --------
    tidy : the coefficient table, with the flag on request.

    References
    ----------
    Hauck and Donner (1977), Wald's test as applied to hypotheses in logit analysis. JASA 72. Yee (2022), On the
    Hauck-Donner effect in Wald tests. JASA 117.

    Examples
    --------
    After b comes b 39 times and a once, so that the log-odds is far out, where its error grows faster than itself:

    >>> import statlm as slm
    >>> pairs = ["aa"] * 6 + ["ab"] * 6 + ["bb"] * 39 + ["ba"]
    >>> corpus = slm.Corpus.from_tokens([list(pair) for pair in pairs], given=1, eos=False)
    >>> fit = slm.SoftmaxRegression(lags=1, reference="a").fit(corpus)
    >>> print(hauck_donner(fit)[["term", "statistic", "derivative", "hauck_donner"]].round(2).to_string(index=False))
           term  statistic  derivative  hauck_donner
    (Intercept)       3.62       -0.73          True
        lag1[a]      -3.14        0.86         False
    """
    model = likelihood_of(fit)
    rows = np.arange(len(model.params))
    derivative, error = derivatives(model, rows)
    names = model.param_names
    return pd.DataFrame(
        {
            "response": names.get_level_values("response").to_numpy(),
            "term": names.get_level_values("term").to_numpy(),
            "estimate": model.params,
            "statistic": model.params / error,
            "derivative": derivative,
            "hauck_donner": derivative < 0,
        }
    )


def derivatives(model: Likelihood, rows: Array) -> tuple[Array, Array]:
    """(q,) derivatives of the model-based Wald statistics of some parameters, and (q,) their standard errors."""
    if not isinstance(model, WithWaldDerivatives):
        raise SpecificationError(
            f"The Hauck-Donner effect is about log-odds, and {type(model).__name__} does not say how its Wald statistics move "
            "with their estimates. It is defined for SoftmaxRegression."
        )
    if len(model.params) == 0:
        return np.zeros(0), np.zeros(0)
    covariance = dense(factorise(bread(model)).solve(identity(len(model.params))))
    return model.wald_derivatives(covariance, rows), np.sqrt(np.diag(covariance)[rows])
