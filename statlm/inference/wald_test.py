"""The Wald test of linear and nonlinear restrictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sparse

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.bread import bread
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.delta import jacobian, values_of
from statlm.inference.parameters import likelihood_of, linear_functionals
from statlm.inference.result import TestResult
from statlm.likelihood import Likelihood, is_penalised
from statlm.numerics.linalg import solve
from statlm.numerics.repeated_rows import dense
from statlm.numerics.types import Array, Matrix

DEPENDENT = 1e-12  # an eigenvalue of a correlation matrix this small is rounding error
BEYOND = 1e-9  # share of the distance from the estimate
SPELLED = 3  # restrictions written out in the null hypothesis


def wald_test(
    fit: Likelihood,
    restrictions: Matrix | Sequence[tuple[str, str]] | Callable[[Array], Any],
    values: float | Sequence[float] | Array = 0.0,
    *,
    cov: str | Covariance | Dependence = "nonrobust",
) -> TestResult:
    r"""Wald test of restrictions on the parameters.

    .. math:: W = (R\hat\theta - r)' (R \hat V R')^{-1} (R\hat\theta - r)

    is a :math:`\chi^2_q` under the q restrictions :math:`R\theta = r` (Wald 1943). Where the covariance refers ratios to
    Student's t with :math:`\nu` degrees of freedom (clusters: :math:`\nu = G - 1`), the statistic is :math:`W / q`, referred
    to F with q and :math:`\nu`; for one restriction it is the square of t.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to.
    restrictions : matrix, names, or callable
        A (q, p) or (p,) matrix R, dense or sparse. Or (response, term) pairs, each of which is to equal its value, such as
        some of ``fit.param_names``. Or a function g from (p,) parameters to (q,) values, :math:`g(\theta) = r`: then R is
        its derivative at the estimate, by central differences (the delta method).
    values : float or (q,) array
        The r.
    cov : str or object
        Covariance; see `std_errors`.

    Returns
    -------
    TestResult
        ``dof`` is q. With an F reference the details hold ``dof_denominator`` and W as ``chi2``.

    Raises
    ------
    SpecificationError
        If a name is unknown, shapes do not fit, or the restrictions are not linearly independent.
    NoEstimate
        If a value is on the boundary, as a probability of 0, where no such chi-square holds; or the covariance has too low a
        rank to test so many restrictions at once (clusters: at most G - 1).

    Notes
    -----
    A nonlinear restriction can be written in many ways (:math:`\theta = 1`, :math:`\log \theta = 0`), and in small samples
    the Wald test depends on which; the likelihood-ratio test does not. For large coefficients of a logit it loses power
    (Hauck and Donner 1977).

    References
    ----------
    Wald (1943), Tests of statistical hypotheses concerning several parameters. Transactions of the AMS 54. Hauck and Donner
    (1977), Wald's test as applied to hypotheses in logit analysis. JASA 72.

    Examples
    --------
    Are an a and a b equally likely?

    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abbab" * 20))
    >>> print(wald_test(fit, [("a", "")], 0.5))
    Wald: statistic = 4.167, dof = 1, p = 0.0412
    Null hypothesis: a = 0.5
    Covariance: nonrobust (the model is right).
    """
    model = likelihood_of(fit)
    params = np.asarray(model.params, float)
    names: list[Any] | None = None
    gradients: Matrix
    if callable(restrictions):
        found, gradients = values_of(restrictions(params.copy())), jacobian(restrictions, params)
    else:
        gradients, names = linear_functionals(model, restrictions)
        found = np.asarray(gradients @ params)
    q = len(found)
    wanted = np.asarray(values, float)
    if wanted.ndim > 1 or wanted.size not in (1, q) or not np.isfinite(wanted).all():
        raise SpecificationError(
            f"values={values!r} for {q:,} restrictions: give one finite number for all, or one for each."
        )
    wanted = np.broadcast_to(wanted, (q,))
    _check_independent(gradients)
    if not callable(restrictions):
        _check_interior(model, gradients, wanted)
    chosen = resolve_cov(cov, fit)
    statistic = quadratic_form(found - wanted, chosen.of(model, gradients), chosen.describe(model))
    note = f"Covariance: {chosen.describe(model)}."
    if is_penalised(model):
        note += " The estimate is penalised: the test knows nothing of its bias."
    null = _in_words(names, wanted, nonlinear=callable(restrictions))
    return referred("Wald", statistic, q, chosen.reference_dof(model), null, note)


def quadratic_form(distance: Array, variance: Array, description: str) -> float:
    """``d' V^-1 d``, refused where V has no inverse."""
    scale = np.sqrt(np.maximum(np.diag(variance), 0.0))
    if not np.isfinite(variance).all() or not (scale > 0).all():
        raise NoEstimate(
            f"{np.count_nonzero(~(scale > 0)):,} of the {len(distance):,} restrictions have no variance under the "
            f"covariance {description!r}, so their distance from the null has no scale. Leave them out."
        )
    root, vectors = np.linalg.eigh(variance / scale / scale[:, None])
    rank = int(np.count_nonzero(root > DEPENDENT * len(distance)))
    if rank < len(distance):
        raise NoEstimate(
            f"The covariance of the {len(distance):,} restrictions has rank {rank:,} ({description}), so they cannot be "
            "tested at once: G clusters allow at most G - 1 restrictions. Test fewer of them, or use cov='HC0' or "
            "'nonrobust'."
        )
    return float((((vectors.T @ (distance / scale)) ** 2) / root).sum())


def referred(name: str, statistic: float, q: int, reference_dof: float, null: str, note: str) -> TestResult:
    """A quadratic form of q distances, referred to chi-square, or to F where variances have few degrees of freedom."""
    from scipy.special import chdtrc, fdtrc

    if np.isinf(reference_dof):
        return TestResult(name, statistic, q, float(chdtrc(q, statistic)), null, note)
    p_value = float(fdtrc(q, reference_dof, statistic / q))
    details = {"dof_denominator": reference_dof, "chi2": statistic}
    return TestResult(f"{name} (F)", statistic / q, q, p_value, null, note, details)


def _check_independent(gradients: Matrix) -> None:
    rows = sparse.csr_array(gradients)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    scaled = sparse.diags_array(1.0 / np.where(length > 0, length, 1.0)) @ rows
    roots = np.linalg.eigvalsh(dense(scaled @ scaled.T))
    q, rank = len(length), int(np.count_nonzero(roots > DEPENDENT * len(length)))
    if rank < q:
        raise SpecificationError(
            f"The {q:,} restrictions have rank {rank:,}: {q - rank:,} of them follow from the others, contradict them, or "
            f"restrict nothing, so the degrees of freedom are not {q:,}. Leave out {q - rank:,}."
        )


def _check_interior(model: Likelihood, gradients: Matrix, values: Array) -> None:
    """Refuse values of single parameters that the model cannot take, or at which what was observed is impossible."""
    rows = sparse.csr_array(gradients)
    rows.eliminate_zeros()
    single = np.flatnonzero(np.diff(rows.indptr) == 1)
    if not len(single):
        return
    params = np.asarray(model.params, float)
    which = rows.indices[rows.indptr[single]]
    value = values[single] / rows.data[rows.indptr[single]]
    unit = sparse.csr_array((np.ones(len(which)), (np.arange(len(which)), which)), shape=(len(which), len(params)))
    inverse = dense(solve(bread(model), unit.T))  # (p, q)
    # The others move along as their covariance with the restricted ones says, so that probabilities still sum to 1.
    # A value is in the interior where a little beyond it is possible too.
    further = (1 + BEYOND) * (value - params[which])
    if _possible(model, params + inverse @ np.linalg.solve(inverse[which], further)):
        return
    for j, column, there, distance in zip(which, inverse.T, value, further, strict=True):
        if not _possible(model, params + column * distance / column[j]):
            response, term = model.param_names[j]
            raise NoEstimate(
                f"The null hypothesis puts the parameter {(response, term)!r} (estimated {params[j]:.4g}) at {there:.4g}, "
                "which is on the boundary of what it can be or beyond: observations that occurred would have probability "
                "0, and the Wald statistic is no chi-square there. Such a value is refuted by a single occurrence; test "
                "one in the interior."
            )


def _possible(model: Likelihood, params: Array) -> bool:
    try:
        return bool(np.isfinite(model.at(params).loglike_obs()).all())
    except SpecificationError:
        return False


def _in_words(names: list[Any] | None, values: Array, *, nonlinear: bool) -> str:
    if names is None:
        what = "g(params) = r" if nonlinear else "R params = r"
        return f"{what} ({len(values):,} restriction{'s' if len(values) > 1 else ''})"
    spelled = [f"{response}{f': {term}' if term else ''} = {v:g}" for (response, term), v in zip(names, values, strict=True)]
    more = f", and {len(spelled) - SPELLED:,} more" if len(spelled) > SPELLED else ""
    return ", ".join(spelled[:SPELLED]) + more
