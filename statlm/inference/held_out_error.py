"""The two errors of a held-out perplexity, apart: of the text it is measured on, and of the text that was learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, SeriesDependence, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.functionals import Perplexity
from statlm.inference.parameters import likelihood_of
from statlm.inference.perplexity_interval import perplexity_estimate
from statlm.likelihood import Likelihood, Predictive
from statlm.text.corpus import Corpus


def held_out_error(
    fit: Likelihood,
    corpus: Corpus,
    *,
    cov: str | Covariance | Dependence = "nonrobust",
    dependence: str | Dependence | SeriesDependence | None = None,
    seeds: Sequence[Predictive] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Perplexity of held-out text with its sources of error apart.

    With :math:`\bar\ell` the mean log-loss on the held-out text,

    .. math::

        \mathrm{Var}\,\bar\ell \approx
        \underbrace{\mathrm{Var}\bigl(\bar\ell \mid \hat\theta\bigr)}_{\text{evaluation sample}}
        + \underbrace{\nabla' \,\mathrm{Var}(\hat\theta)\, \nabla}_{\text{training sample}}
        + \underbrace{\sigma^2_{\text{seed}}}_{\text{seed}}

    since the two texts are independent. The first part is what `perplexity_interval` gives; the second says how different the
    perplexity would be had another text of the same kind been learned from.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to.
    corpus : Corpus
        Held-out text, independent of it.
    cov : str or object
        Covariance of the estimate, for the training sample; see `std_errors`.
    dependence : str or object, optional
        Dependence within the held-out text; see `perplexity_interval`.
    seeds : sequence of fits, optional
        The same specification fitted to the same text with other seeds: the variance of their losses is the seed's.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        Rows "evaluation sample", "training sample", "seed" (with `seeds`) and "all"; columns ``perplexity``,
        ``std_error`` (nats a
        token), ``conf_low``, ``conf_high`` (perplexity, made on the log scale), ``share`` of the variance, ``assumption``.

    Notes
    -----
    To first order the gradient of the expected loss vanishes where a model that is right is estimated without error, so that the
    training sample's part is of second order there and understated: the perplexity's own excess over the truth,
    about (effective parameters) / (2 n) nats, is a bias and not in any of these errors.

    References
    ----------
    Dietterich (1998), Approximate statistical tests for comparing supervised classification learning algorithms. Neural
    Computation 10. Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks. MLSys.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra" * 40).split(test=0.5)
    >>> found = held_out_error(slm.NGram(n=1).fit(train), test, dependence="iid")
    >>> found.index.tolist(), bool(found.loc["all", "std_error"] > found.loc["training sample", "std_error"])
    (['evaluation sample', 'training sample', 'all'], True)
    """
    model = likelihood_of(fit)
    chosen = resolve_cov(cov, fit)
    evaluation = perplexity_estimate(model.on(corpus), dependence)
    _, gradient = Perplexity(corpus).measure(model)
    training = float(root_of_variances(chosen.variances(model, gradient[None]))[0])
    rows: list[dict[str, Any]] = [
        _row("evaluation sample", evaluation.std_error, evaluation.reference_dof, evaluation.dependence),
        _row("training sample", training, chosen.reference_dof(model), chosen.describe(model)),
    ]
    if seeds is not None:
        losses = np.array([-float(one.on(corpus).loglike_obs().mean()) for one in seeds])
        if len(losses) < 2:
            raise SpecificationError(
                f"There is {len(losses)} fit among seeds=, and the variance between seeds needs at least 2 (5 or more "
                f"to be of use)."
            )
        rows.append(_row("seed", float(losses.std(ddof=1)), len(losses) - 1.0, f"{len(losses)} seeds"))
    table = pd.DataFrame(rows).set_index("source")
    variances = table.std_error**2
    total = float(variances.sum())
    # Satterthwaite: the degrees of freedom of a sum of variances.
    finite = np.isfinite(table.dof)
    weight = float((variances[finite] ** 2 / table.dof[finite]).sum())
    dof = total**2 / weight if weight > 0 else np.inf
    table.loc["all"] = [np.sqrt(total), dof, "the parts are independent"]
    mean = evaluation.mean
    half = [half_width(level, d) * e for d, e in zip(table.dof, table.std_error, strict=True)]
    return pd.DataFrame(
        {
            "perplexity": np.exp(mean),
            "std_error": table.std_error,
            "conf_low": np.exp(mean - np.array(half)),
            "conf_high": np.exp(mean + np.array(half)),
            "share": table.std_error**2 / total if total > 0 else np.nan,
            "assumption": table.assumption,
        }
    )


def _row(source: str, error: float, dof: float, assumption: str) -> dict[str, Any]:
    return {"source": source, "std_error": error, "dof": dof, "assumption": assumption}
