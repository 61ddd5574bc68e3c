"""Where a Wald statistic falls though its estimate moves away from 0."""

from __future__ import annotations

import numpy as np

from statlm.numerics.grouped_logit import GroupedLogit
from statlm.numerics.types import Array


def wald_derivatives(data: GroupedLogit, probabilities: Array, coefficients: Array, covariance: Array, rows: Array) -> Array:
    r"""(q,) derivatives of the Wald statistics of some coefficients with respect to the coefficient itself.

    With :math:`\Sigma = I^{-1}` and :math:`\sigma` its column of the coefficient,

    .. math:: \frac{d}{d\beta} \frac{\beta}{\sqrt{\Sigma_{\beta\beta}}}
              = \frac{1}{\sqrt{\Sigma_{\beta\beta}}}
                \Big( 1 + \frac{\beta}{2 \Sigma_{\beta\beta}}\, \sigma' \frac{\partial I}{\partial \beta} \sigma \Big),

    the other coefficients held. Negative means that the statistic falls as the estimate moves away from 0 (Hauck and Donner 1977;
    the definition is that of Yee 2022).

    Parameters
    ----------
    data : GroupedLogit
    probabilities : (C, J) array
    coefficients : (P, J) array
    covariance : (p, p) array
        Inverse of the information (and of a penalty's curvature), of the free coefficients.
    rows : (q,) integer array
        Which of the free coefficients.

    References
    ----------
    Hauck and Donner (1977), Wald's test as applied to hypotheses in logit analysis. JASA 72. Yee (2022), On the
    Hauck-Donner effect in Wald tests: detection, tipping points, and parameter space characterization. JASA 117.
    """
    design = data.design.tocsc()
    columns, classes = data.index
    result = np.empty(len(rows))
    nclasses = data.free.shape[1]
    for a in np.unique(columns[rows]):
        at = np.flatnonzero(columns[rows] == a)
        m = rows[at]  # (k,) the parameters of this column
        j = classes[m]
        start, stop = design.indptr[a], design.indptr[a + 1]
        here, x = design.indices[start:stop], design.data[start:stop]  # contexts in which they matter
        p = probabilities[here]
        slopes = np.zeros((data.free.shape[0], len(m), nclasses))
        slopes[columns, :, classes] = covariance[:, m]
        moved = (data.design[here] @ slopes.reshape(len(slopes), -1)).reshape(len(here), len(m), nclasses)
        moved -= np.einsum("cj,ckj->ck", p, moved)[:, :, None]
        own = moved[:, np.arange(len(m)), j] ** 2
        third = p[:, j] * (own - np.einsum("cj,ckj->ck", p, moved**2))  # (contexts, k)
        variance = covariance[m, m]
        curve = (data.totals[here] * x) @ third
        result[at] = (1.0 + 0.5 * coefficients[a, j] / variance * curve) / np.sqrt(variance)
    return result
