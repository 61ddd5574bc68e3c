"""What a model says, measured again on fits to resampled documents: the check of a network's errors that assumes least."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.covariance.document_bootstrap import DocumentDraw, check_documents, check_replicates
from statlm.covariance.groups import DOCUMENT, document_groups
from statlm.errors import NoEstimate, SpecificationError, StatlmError, StatlmWarning
from statlm.inference.conf_int import half_width
from statlm.inference.functionals import SCALES, Functional, as_functionals
from statlm.inference.parameters import likelihood_of
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

STEPS = 1_000  # at most, of a refit from the weights of the fit


@runtime_checkable
class Continuing(Protocol):
    """A specification whose descent can go on from a fit."""

    def update(self, likelihood: Any, corpus: Corpus, **settings: Any) -> Any:
        """The fit that starts where `likelihood` stands."""
        ...


def refit_bootstrap(
    fit: Any,
    functionals: Functional | Sequence[Functional],
    *,
    replicates: int = 99,
    seed: int = 0,
    by: str = DOCUMENT,
    warm: bool | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Errors of functionals over refits to documents drawn with replacement, each functional measured under each refit.

    .. math:: \widehat{\mathrm{Var}}\, g = \frac{G}{G - 1} \cdot \frac{1}{R - 1} \sum_{r=1}^{R} (g^*_r - \bar g^*)^2

    Unlike ``cov="bootstrap"``, which compares parameters, it compares what the fits say, and so serves networks,
    whose weights have no
    meaning one by one.

    Parameters
    ----------
    fit : Fit
    functionals : Functional or sequence of Functional
        As `Probability`.
    replicates : int
        Number R of refits, 20 or more.
    seed : int
        Each draw has a stream of its own.
    by : str
        What is drawn: "document", or a column of ``corpus.documents``.
    warm : bool, optional
        Whether refits start from the weights of the fit. By default where these are a maximum or a mode (a full-batch fit that
        converged), and then refits run to theirs. Elsewhere refits start anew, from the seed of the specification.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        A row a functional: ``estimate``, ``std_error``, ``conf_low``, ``conf_high`` (Student's t with G - 1 degrees of freedom,
        on the scale of the functional), ``bias`` on that scale (mean of the refits less the estimate), and ``refits``.

    Raises
    ------
    SpecificationError
        If a warm start is asked of a fit that had not converged.
    NoEstimate
        If fewer than half of the refits have a value.

    Notes
    -----
    A descent that stops early has not forgotten where it started: from the weights of the fit, which have read all
    documents, refits
    would differ by too little, and their spread would understate the error. That is refused. The seed is that of the fit in
    all refits: what it decides is told by `ensemble`. Refits run by joblib: in parallel under
    ``joblib.parallel_config(n_jobs=...)``.

    References
    ----------
    Efron (1979), Bootstrap methods: another look at the jackknife. Annals of Statistics 7. Davison and Hinkley (1997), Bootstrap
    methods and their application, section 3.8.

    Examples
    --------
    >>> import statlm as slm
    >>> texts = ["aab", "ab", "abb", "bb", "a", "aa", "aba", "b", "ba", "aaab", "bba", "ab"] * 3
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(texts, eos=False))
    >>> asked = slm.Probability("", "b")
    >>> float(refit_bootstrap(fit, asked, replicates=199).std_error.iloc[0].round(3))
    0.042
    >>> float(fit.functional(asked, cov="cluster").std_error.iloc[0].round(3))
    0.043
    """
    check_replicates(replicates)
    wanted = as_functionals(functionals)
    if wanted is None:
        raise SpecificationError(
            f"{functionals!r} is no functional. Give one or several, such as slm.Probability('the ', 'e')."
        )
    check_documents(fit.corpus, by, "bootstrap")
    groups = document_groups(fit.corpus, by)[1]
    started = _starts_warm(fit, warm)
    from joblib import Parallel, delayed

    draws = [DocumentDraw(seed, number, by) for number in range(replicates)]
    found = list(Parallel()(delayed(_measured)(fit, draw(fit.corpus), wanted, started) for draw in draws))
    lost = [one for one in found if isinstance(one, str)]
    kept = [one for one in found if not isinstance(one, str)]
    if 2 * len(kept) < replicates:
        raise NoEstimate(
            f"{len(lost):,} of {replicates:,} refits have no value, so their spread says little. The first said: "
            f"{lost[0]} Use longer "
            'documents, or cov="cluster".'
        )
    unfinished = sum(not converged for _, converged in kept) if started else 0
    if lost or unfinished:
        warnings.warn(
            f"Of {replicates:,} refits {len(lost):,} have no value and are left out, and {unfinished:,} ended before "
            f"their mode, which "
            "makes the spread too small where they started from the fit. A larger weight_decay converges faster.",
            StatlmWarning,
            stacklevel=2,
        )
    values = np.array([value for value, _ in kept])
    error = values.std(axis=0, ddof=1) * np.sqrt(groups / (groups - 1))
    estimate = np.array([f.measure(likelihood_of(fit))[0] for f in wanted])
    half = half_width(level, groups - 1.0) * error
    rows = []
    for j, functional in enumerate(wanted):
        scale = SCALES[functional.scale]
        rows.append(
            {
                "estimate": scale.back(estimate[j]),
                "std_error": error[j] * scale.slope(estimate[j]),
                "conf_low": scale.back(estimate[j] - half[j]),
                "conf_high": scale.back(estimate[j] + half[j]),
                "bias": values[:, j].mean() - estimate[j],
                "refits": len(kept),
            }
        )
    return pd.DataFrame(rows, index=pd.MultiIndex.from_tuples([f.label for f in wanted], names=["quantity", "of"]))


def _starts_warm(fit: Any, warm: bool | None) -> bool:
    """Whether refits go on from the fit."""
    possible = isinstance(fit.specification, Continuing) and bool(fit.report.converged)
    if warm and not possible:
        raise SpecificationError(
            "warm=True starts refits from the weights of the fit, and this fit did not run to a maximum or a mode: "
            "refits that stop early "
            'would stay near weights that have read all documents, and spread too little. Fit with optimizer="lbfgs" and '
            "weight_decay until it converges, or leave warm= out: refits then start anew."
        )
    return possible if warm is None else warm


def _measured(fit: Any, corpus: Corpus, functionals: Sequence[Functional], warm: bool) -> tuple[Array, bool] | str:
    """Values under a refit, and whether it converged; or why there are none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StatlmWarning)  # counted by the caller
            again = fit.update(corpus, optimizer="lbfgs", steps=STEPS) if warm else fit.specification.fit(corpus)
        model = likelihood_of(again)
        return np.array([f.measure(model)[0] for f in functionals]), bool(again.report.converged)
    except StatlmError as error:
        return f"{type(error).__name__}: {error}"
