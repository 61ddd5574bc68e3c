"""Vuong's test of two models that are not nested, on the text that both were fitted to."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from statlm.comparison.paired import check_same_observations
from statlm.covariance import Dependence
from statlm.covariance.bread import bread
from statlm.covariance.functionals import HELD
from statlm.errors import FewClustersWarning, NoEstimate, SingularInformation, SpecificationError
from statlm.inference.maxima import Specified, check_maximum, finite_loglike, name_of
from statlm.inference.perplexity_interval import choose_dependence, mean_estimate
from statlm.likelihood import Likelihood, Predictive, is_likelihood, is_penalised, spans, underlying
from statlm.numerics.linalg import solve
from statlm.numerics.p_values import p_value_text
from statlm.numerics.repeated_rows import RepeatedRows, dense, explicit
from statlm.numerics.types import Array, Matrix
from statlm.numerics.weighted_chi2 import weighted_chi2_sf
from statlm.text.corpus import Corpus

MAX_WEIGHTS = 2_000  # parameters of both models together whose dense eigenvalues are still computed: some seconds
SAME = 1e-9  # nats by which differences of log-likelihood may vary and still be constant
CORRECTIONS = (None, "aic", "bic")


@dataclass(frozen=True)
class VuongTest:
    """What Vuong's test found; log-likelihoods in nats.

    Attributes
    ----------
    statistic : float
        Difference of the log-likelihoods, less the correction, over its standard error; positive where the first model is
        better.
    p_value : float
        Two-sided, of equally good models that are *not* the same distribution.
    difference : float
        ``(loglike_a - loglike_b - penalty) / nobs``, nats a token.
    std_error : float
        Of the difference.
    correction : None, "aic" or "bic"
    penalty : float
        What the correction subtracts from the difference of the log-likelihoods, nats.
    variance_statistic : float
        ``n omega^2``, the estimated variance of the difference of the log-likelihoods.
    variance_p_value : float
        Of the hypothesis that both are the same distribution at their best, so that omega is 0; nan where the test cannot be
        made, and `notes` says why.
    relation : str
        "nested", "overlapping", or "unknown" where the specifications do not tell.
    lr_p_value : float
        For nested models, of the smaller one against the larger one though both may be wrong; else nan.
    dof : tuple of int
        Free parameters of the two models.
    dependence : str
        The assumption on dependence, in words.
    nobs : int
    notes : tuple of str
        Sentences to read with the numbers.
    """

    statistic: float
    p_value: float
    difference: float
    std_error: float
    correction: str | None
    penalty: float
    variance_statistic: float
    variance_p_value: float
    relation: str
    lr_p_value: float
    dof: tuple[int, int]
    dependence: str
    nobs: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        correction = "" if self.correction is None else f", {self.correction.upper()}-corrected"
        lines = [
            f"Vuong{correction}: z = {self.statistic:.4g}, p {p_value_text(self.p_value)}; difference "
            f"{self.difference:.5g} nats a token (std. error {self.std_error:.2g}) over {self.nobs:,} tokens",
        ]
        if np.isfinite(self.variance_p_value):
            lines.append(
                f"Variance test: {self.variance_statistic:.4g}, p {p_value_text(self.variance_p_value)} (null: one distribution)"
            )
        if np.isfinite(self.lr_p_value):
            lines.append(f"Nested: p {p_value_text(self.lr_p_value)} that the smaller one is enough, both perhaps wrong")
        return "\n".join([*lines, f"Dependence: {self.dependence}.", *self.notes])


def vuong_test(
    a: Likelihood,
    b: Likelihood,
    *,
    correction: str | None = None,
    dependence: str | Dependence | None = "iid",
) -> VuongTest:
    r"""Test whether two models, neither a special case of the other, are equally close to the truth (Vuong 1989).

    With :math:`d_i` the difference of the log-likelihoods of observation i, in nats, and K a correction for the numbers of
    parameters, the statistic is

    .. math:: z = \frac{\sum_i d_i - K}{\sqrt{n}\,\hat\omega}, \qquad n \hat\omega^2 = \widehat{\mathrm{Var}} \sum_i d_i,

    referred to the normal distribution (to Student's t with clusters). It needs :math:`\omega > 0`. So look first at the
    variance test: where the two models are one distribution at their best, :math:`n \hat\omega^2` is a sum of chi-squares with
    weights :math:`\lambda_j^2`, the :math:`\lambda_j` being eigenvalues of

    .. math::

        W = \begin{pmatrix} J_a H_a^{-1} & J_{ab} H_b^{-1} \\ -J_{ba} H_a^{-1} & -J_b H_b^{-1} \end{pmatrix}

    (Vuong's 3.6), J the variance of the summed scores of both and H the informations. If that is not rejected, the data
    cannot tell the models apart at all; if it is, z says which is better.

    Parameters
    ----------
    a, b : Fit or Likelihood
        At their maximum-likelihood estimates, on the same observations: the text that both were fitted to.
    correction : None, "aic" or "bic"
        K = 0, the difference in parameters, or half of it times log n.
    dependence : str or object, optional
        "iid", "cluster" or "HAC", or an object. It gives the variance of the sum of the differences and J alike. None chooses
        as `perplexity_interval` does.

    Returns
    -------
    VuongTest

    Raises
    ------
    NotComparable
        If the models stand on different observations.
    SpecificationError
        If a model is no likelihood, is penalised or smoothed, or is not at its maximum here (held-out text has `paired_test`);
        if the correction is unknown, or the dependence gives no variance of scores.
    NoEstimate
        If an observation has probability 0, or both models give every observation the same probability.

    See Also
    --------
    paired_test : on held-out text, for any two models.
    lr_test : for nested models, the larger of which is right.

    Notes
    -----
    The eigenvalues are those of the symmetric :math:`R\,\mathrm{diag}(H_a^{-1}, -H_b^{-1})\,R'` with :math:`R'R = J`, which are
    real. With more than 2,000 parameters in all they are not computed. For nested models :math:`2 \sum_i d_i` is itself a
    weighted sum, with weights :math:`\lambda_j` (Vuong's theorem 3.3): `lr_p_value` is the likelihood-ratio test that holds
    though the larger model is wrong too. With the automatic bandwidth of HAC the variance test uses that of scores.

    References
    ----------
    Vuong (1989), Likelihood ratio tests for model selection and non-nested hypotheses. Econometrica 57.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("the cat sat on the mat. the dog ate the cat. " * 20).with_given(3)
    >>> test = vuong_test(slm.NGram(n=3).fit(corpus), slm.SoftmaxRegression(lags=3).fit(corpus), correction="bic")
    >>> test.relation, test.dof[0] > 0, test.variance_p_value < 0.01
    ('overlapping', True, True)
    """
    if correction not in CORRECTIONS:
        raise SpecificationError(f"There is no correction {correction!r}. Use None, 'aic' or 'bic'.")
    check_same_observations(a, b)
    first, second = _maximum(a), _maximum(b)
    corpus = a.corpus
    chosen, reason = choose_dependence(dependence, corpus)
    if not isinstance(chosen, Dependence):
        raise SpecificationError(
            f"{type(chosen).__name__} gives the variance of one series, and the variance test needs that of the scores. Use "
            "dependence='iid', 'cluster' or 'HAC'."
        )
    d = first.loglike_obs() - second.loglike_obs()
    if np.ptp(d) <= SAME:
        raise NoEstimate(
            f"{name_of(a)} and {name_of(b)} give each of the {len(d):,} observations the same probability up to a constant "
            f"factor of {np.exp(d.mean()):.6g}, so there is no variation to test against. They are one distribution here: keep "
            "the simpler."
        )
    dof = (first.dof, second.dof)
    penalty = {None: 0.0, "aic": 1.0, "bic": 0.5 * float(np.log(len(d)))}[correction] * (dof[0] - dof[1])
    estimate = mean_estimate(d, corpus, chosen)
    estimate = replace(estimate, mean=estimate.mean - penalty / len(d))
    if estimate.std_error <= SAME:
        raise NoEstimate(
            f"The differences of log-likelihood sum to the same value in each cluster ({chosen.describe(corpus)}), so there is "
            "no variation to test against. Use another dependence."
        )
    relation = _relation(a, b)
    weights, notes = _weights(first, second, corpus, chosen)
    lr_p_value = variance_p_value = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)  # it was said above
        variance = _sum_of_squares(chosen.factor((d - d.mean())[:, None], corpus))
    if weights is not None:
        variance_p_value = weighted_chi2_sf(variance, weights**2)
        if relation == "nested":
            sign = 1.0 if dof[0] >= dof[1] else -1.0
            lr_p_value = weighted_chi2_sf(2.0 * sign * float(d.sum()), sign * weights)
    return VuongTest(
        statistic=estimate.mean / estimate.std_error,
        p_value=estimate.p_value,
        difference=estimate.mean,
        std_error=estimate.std_error,
        correction=correction,
        penalty=penalty,
        variance_statistic=variance,
        variance_p_value=variance_p_value,
        relation=relation,
        lr_p_value=lr_p_value,
        dof=dof,
        dependence=f"{chosen.describe(corpus)}, {reason}",
        nobs=len(d),
        notes=tuple(_about(relation) + notes),
    )


def _maximum(model: Predictive) -> Likelihood:
    held, name = underlying(model), name_of(model)
    if is_penalised(held) or not is_likelihood(held):
        what = "is penalised or smoothed" if is_likelihood(held) else "has no parameters or derivatives"
        raise SpecificationError(
            f"{name} {what}, and Vuong's test is about two maxima of the likelihood on the text that they were fitted to. "
            "Compare on held-out text: paired_test(a.on(test), b.on(test))."
        )
    finite_loglike(held, name)
    try:
        check_maximum(held, name)
    except SpecificationError as error:
        raise SpecificationError(
            f"{name} is not at its maximum on this corpus, as Vuong's test needs. On text that it was not fitted to, use "
            "paired_test(a.on(test), b.on(test))."
        ) from error
    return held


def _relation(a: Predictive, b: Predictive) -> str:
    pair = [model.specification if isinstance(model, Specified) else None for model in (a, b)]
    if spans(*pair) or spans(*reversed(pair)):
        return "nested"
    return "overlapping" if all(spans(specification, specification) for specification in pair) else "unknown"


def _about(relation: str) -> list[str]:
    if relation == "nested":
        return [
            "One model is a special case of the other: where the smaller one is enough they are the same distribution, and z has "
            "no normal distribution then. Read lr_p_value, or use lr_test."
        ]
    if relation == "overlapping":
        return [
            "The models overlap: they share special cases, where they would be the same distribution. Read z only if the "
            "variance test rejects: the two steps together then have at most the larger of their levels."
        ]
    return []


def _weights(a: Likelihood, b: Likelihood, corpus: Corpus, dependence: Dependence) -> tuple[Array | None, list[str]]:
    """The eigenvalues of W, or a sentence that says why there are none."""
    p, q = len(a.params), len(b.params)
    if p + q > MAX_WEIGHTS:
        return None, [
            f"No variance test: the models have {p:,} and {q:,} parameters, and its weights are the eigenvalues of a dense "
            f"matrix of that size (at most {MAX_WEIGHTS:,} in all). z assumes that they are not the same distribution."
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)
        meat = _gram(dependence.factor(_beside(a.score(), b.score()), corpus))
    scale = np.sqrt(np.diag(meat))
    scale[scale == 0] = 1.0
    values, vectors = scipy.linalg.eigh(meat / np.outer(scale, scale))
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T * scale  # root'root is the meat
    try:
        solved = np.vstack([_solve(a, root[:, :p].T), -_solve(b, root[:, p:].T)])
    except SingularInformation as error:
        return None, [f"No variance test: {error}"]
    product = root @ solved
    notes = []
    if dependence.reference_dof(corpus) < p + q:
        notes.append(
            f"{dependence.describe(corpus)}: fewer than the {p + q:,} parameters of both models, so the weights of the variance "
            "test are uncertain."
        )
    return scipy.linalg.eigvalsh((product + product.T) / 2.0), notes


def _solve(model: Likelihood, right: Array) -> Array:
    return dense(solve(bread(model), right)) if len(right) else right


def _beside(a: Matrix, b: Matrix) -> Matrix:
    """Two matrices of scores side by side, (nobs, p + q)."""
    if isinstance(a, RepeatedRows) and isinstance(b, RepeatedRows):
        width = b.rows.shape[0]
        pairs, index = np.unique(np.asarray(a.index, np.int64) * width + b.index, return_inverse=True)
        one, other = np.divmod(pairs, width)
        return RepeatedRows(_joined(a.rows, b.rows, one, other), index)
    return _joined(explicit(a), explicit(b))


def _joined(a: Matrix, b: Matrix, one: Array | slice = slice(None), other: Array | slice = slice(None)) -> Matrix:
    parts = [sparse.csr_array(matrix)[rows] for matrix, rows in ((a, one), (b, other))]
    return sparse.csr_array(sparse.hstack(parts))


def _gram(factor: Matrix) -> Array:
    """``F'F`` as a dense array, for a factor that may offer nothing but products."""
    if sparse.issparse(factor) or isinstance(factor, np.ndarray):
        return dense(factor.T @ factor)
    rows, p = factor.shape
    unit, width = np.eye(p), max(HELD // max(rows, 1), 1)
    starts = range(0, p, width)
    result = np.zeros((p, p))
    for i in starts:
        left = dense(factor @ unit[:, i : i + width])
        for j in range(i, p, width):
            block = left.T @ (left if i == j else dense(factor @ unit[:, j : j + width]))
            result[i : i + width, j : j + width] = block
            result[j : j + width, i : i + width] = block.T
    return result


def _sum_of_squares(factor: Matrix) -> float:
    return float((np.asarray(factor @ np.ones((1, 1))) ** 2).sum())
