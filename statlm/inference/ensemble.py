"""The same model from several seeds: what the seed decides, against what the sample does."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.functionals import SCALES, Functional, measured
from statlm.inference.parameters import likelihood_of
from statlm.text.corpus import Corpus


def seeded_fits(specification: Any, corpus: Corpus, seeds: Sequence[int] = tuple(range(5))) -> list[Any]:
    """Fits of one specification to one text from several seeds: a deep ensemble (Lakshminarayanan et al. 2017).

    Parameters
    ----------
    specification : object
        With a field ``seed``.
    corpus : Corpus
    seeds : sequence of int
        Different ones. Fits run by joblib: in parallel under ``joblib.parallel_config(n_jobs=...)``.

    Returns
    -------
    list of Fit

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell (2017), Simple and scalable predictive uncertainty estimation using deep ensembles.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra " * 20)
    >>> decoder = slm.TransformerDecoder(layers=0, heads=1, width=4, context=8, steps=5, batch=64)
    >>> [fit.specification.seed for fit in seeded_fits(decoder, corpus, seeds=[3, 4])]
    [3, 4]
    """
    from joblib import Parallel, delayed

    if not dataclasses.is_dataclass(specification) or not any(f.name == "seed" for f in dataclasses.fields(specification)):
        raise SpecificationError(
            f"{specification} has no seed: its fit does not depend on one, so that several would be the same fit."
        )
    if len(set(seeds)) != len(seeds) or len(seeds) < 2:
        raise SpecificationError(f"seeds={list(seeds)}: give at least 2 different ones.")
    made: Any = specification
    return list(Parallel()(delayed(_fitted)(dataclasses.replace(made, seed=seed), corpus) for seed in seeds))


def _fitted(specification: Any, corpus: Corpus) -> Any:
    return specification.fit(corpus)


def ensemble(
    fits: Sequence[Any],
    functionals: Sequence[Functional],
    *,
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Mean of functionals over an ensemble, with the variance between seeds and that of the sample apart.

    With M members, :math:`g_m` the functional under member m and :math:`v_m` its variance, on the scale on which it is measured,

    .. math:: \mathrm{Var}\,\bar g \approx \frac1M \sum_m v_m + \frac1M s^2_{\text{seed}}, \qquad
        s^2_{\text{seed}} = \frac{1}{M - 1} \sum_m (g_m - \bar g)^2

    as in multiple imputation (Rubin 1987): the first part is that of the sample, which all members share and averaging does not
    reduce; the second is that of the seed, which it does. A single member has :math:`v + s^2_{\text{seed}}`.

    Parameters
    ----------
    fits : sequence of Fit
        Of one specification to one text from several seeds; see `seeded_fits`.
    functionals : sequence of Functional
        As `Probability`.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        A row a functional: ``estimate`` and ``std_error`` of the mean, ``conf_low``, ``conf_high``, and on the scale
        on which it is measured ``sampling_error``, ``seed_error`` (of one member).

    References
    ----------
    Rubin (1987), Multiple imputation for nonresponse in surveys.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra " * 20)
    >>> decoder = slm.TransformerDecoder(layers=0, heads=1, width=4, context=8, steps=20, batch=64)
    >>> fits = seeded_fits(decoder, corpus, seeds=range(3))
    >>> table = ensemble(fits, [slm.Probability("ab", "r")])
    >>> bool(table.seed_error.iloc[0] > 0)
    True
    """
    if len(fits) < 2:
        raise SpecificationError(
            f"{len(fits)} fit has no variance between seeds. Give 2 or more: seeded_fits(specification, corpus)."
        )
    chosen = resolve_cov(cov, fits[0])
    values, variances = [], []
    for fit in fits:
        model = likelihood_of(fit)
        value, gradients = measured(functionals, model)
        values.append(value)
        variances.append(root_of_variances(chosen.variances(model, gradients)) ** 2)
    each, sampling = np.array(values), np.array(variances).mean(axis=0)
    between = each.var(axis=0, ddof=1)
    mean, error = each.mean(axis=0), np.sqrt(sampling + between / len(fits))
    half = half_width(level, chosen.reference_dof(likelihood_of(fits[0]))) * error
    rows = []
    for j, functional in enumerate(functionals):
        scale = SCALES[functional.scale]
        rows.append(
            {
                "estimate": scale.back(mean[j]),
                "std_error": error[j] * scale.slope(mean[j]),
                "conf_low": scale.back(mean[j] - half[j]),
                "conf_high": scale.back(mean[j] + half[j]),
                "sampling_error": np.sqrt(sampling[j]),
                "seed_error": np.sqrt(between[j]),
            }
        )
    return pd.DataFrame(rows, index=pd.MultiIndex.from_tuples([f.label for f in functionals], names=["quantity", "of"]))
