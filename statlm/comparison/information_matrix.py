"""White's test of a model by its two estimates of the information."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from statlm.errors import NoEstimate, SmallCountsWarning, SpecificationError, StatlmError
from statlm.generation.simulate import simulate
from statlm.inference.maxima import Specified, check_maximum, name_of
from statlm.inference.parameters import likelihood_of
from statlm.inference.result import TestResult
from statlm.likelihood import Likelihood, is_likelihood, is_penalised, underlying
from statlm.numerics.repeated_rows import RepeatedRows, dense, weighted_rows
from statlm.numerics.types import Array, Matrix
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.text.prompts import continuations

INDICATORS = ("diagonal", "all")
METHODS = ("chi2", "bootstrap", "both")
MOST = 4_000  # indicators
RANK = 1e-9  # of the variance of an indicator
FEW = 20.0  # observations an indicator
FEWEST = 19


def information_matrix_test(
    fit: Likelihood, *, indicators: str = "diagonal", method: str = "chi2", replicates: int = 199, seed: int = 0
) -> TestResult:
    r"""White's information matrix test: whether the variance of the scores equals the information, as if the model is right.

    For observation i with score :math:`s_i` the indicators are the entries of

    .. math:: d_i = s_i s_i' - E(s_i s_i' \mid x_i),

    the second term under the fitted probabilities: the information of a softmax regression. Their sum is
    :math:`J - H`, and the statistic is n times the :math:`R^2` of a regression of 1 on indicators and scores (Chesher 1983;
    Lancaster 1984), :math:`\chi^2` with as many degrees of freedom as there are indicators that the scores do not span.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its maximum-likelihood estimate, on the corpus it was fitted to; of finite memory.
    indicators : "diagonal" or "all"
        Variances of the scores, or variances and covariances. All of them are many, and their power is spread thin.
    method : "chi2", "bootstrap" or "both"
        Reference distribution. The chi-square of this form rejects true models far too often unless there are many
        observations to an indicator. The bootstrap (Horowitz 1994) draws texts from the fit, refits, and refers the
        chi-square p-value to theirs; with very few observations it errs on the side of not rejecting (see Notes). With "both" the
        p-value is the bootstrap's, and the details have both.
    replicates : int
        Texts drawn, at least 19.
    seed : int
        Seed of the first text; the next ones take the next seeds.

    Returns
    -------
    TestResult

    Raises
    ------
    SpecificationError
        If the fit is penalised, not at its maximum, looks back without end, or there are too many indicators.
    NoEstimate
        If the model is saturated, so that H = J whatever the text; or most refits fail.

    Warns
    -----
    SmallCountsWarning
        With "chi2", below 20 observations an indicator.

    Notes
    -----
    An n-gram by maximum likelihood, or a softmax regression with all interactions, is saturated: the test has nothing to
    look at and is refused. For the main effects of several lags the indicators are contrasts weighted by the fitted
    probabilities, and find interactions that were left out, though they need not have the power of `lr_test` against them,
    which names the alternative. Dependence within documents that the contexts do not carry is a failure of the model that
    this test finds only where it shows in the variance of single scores; `stationarity_test` and `overdispersion_test` look
    for it.

    That the bootstrap rejects too rarely at small counts lies in drawing from an estimate: fitted probabilities are more extreme
    than the true ones, and the statistic is larger in texts drawn from them. At 150 observations and 8 indicators the
    chi-square rejects two true models in five, and over 60 texts the bootstrap's p-value is 0.64 on average, where texts drawn
    from the truth give 0.57; drawing from Firth's estimate, which is less extreme, gives 0.63. At 2,000 observations the
    chi-square holds its size.

    References
    ----------
    White (1982), Maximum likelihood estimation of misspecified models. Econometrica 50. Chesher (1983), The information
    matrix test. Economics Letters 13. Lancaster (1984), The covariance matrix of the information matrix test. Econometrica
    52. Horowitz (1994), Bootstrap-based critical values for the information matrix test. Journal of Econometrics 61.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.SoftmaxRegression(lags=2).fit(slm.Corpus.from_text("abbababbaabababbbaab" * 20).with_given(2))
    >>> print(information_matrix_test(fit))
    Information matrix (diagonal): statistic = 41.89, dof = 1, p = 9.67e-11
    Null hypothesis: the softmax 2 lags is right
    observations_per_indicator = 398
    """
    if indicators not in INDICATORS:
        raise SpecificationError(f"indicators={indicators!r} is unknown. Use one of {', '.join(map(repr, INDICATORS))}.")
    if method not in METHODS:
        raise SpecificationError(f"There is no method {method!r}. Use one of {', '.join(map(repr, METHODS))}.")
    if method != "chi2" and replicates < FEWEST:
        raise SpecificationError(
            f"replicates={replicates}: the smallest p-value possible is 1 / (replicates + 1), so a 5 % test needs at least "
            f"{FEWEST}. Choose 199 or more."
        )
    name, model = name_of(fit), underlying(fit)
    if not is_likelihood(model):
        raise SpecificationError(
            f"{name} has no parameters and derivatives, so there are no two estimates of an information to compare. Its "
            "calibration can be tested on held-out text."
        )
    if is_penalised(model):
        raise SpecificationError(
            f"The {name} is penalised: its scores do not sum to zero, and J and H differ though the model be right. Fit "
            "without the penalty."
        )
    check_maximum(model, name)
    found = _white(model, indicators)
    if found.dof == 0:
        raise NoEstimate(
            f"The {name} is saturated on this text: the variance of its scores equals its information whatever the text "
            "says, so the test has nothing to look at. Test a model with restrictions, such as SoftmaxRegression(lags=2), or "
            "compare this one with a longer memory: markov_order_test(corpus)."
        )
    each = model.corpus.nobs / found.dof
    details = {"observations_per_indicator": each}
    label, null = f"Information matrix ({indicators})", f"the {name} is right"
    if method == "chi2":
        if each < FEW:
            warnings.warn(
                f"Small counts: {model.corpus.nobs:,} observations for {found.dof:,} indicators, {each:.1f} each; below "
                f"{FEW:g} the chi-square approximation rejects true models far too often. Use method='bootstrap'.",
                SmallCountsWarning,
                stacklevel=2,
            )
        return TestResult(label, found.statistic, found.dof, found.p_value, null, details=details)
    if not isinstance(fit, Specified):
        raise SpecificationError(
            "The bootstrap fits the model again, and a likelihood alone does not say how it was estimated. Pass the fit."
        )
    p, failed = _bootstrap(fit, found, indicators, replicates, seed)
    if method == "both":
        details |= {"p_bootstrap": p, "p_chi2": found.p_value}
    note = f"p-value by {replicates - failed:,} texts drawn from the fit" + (
        f"; {failed:,} refits failed." if failed else "."
    )
    return TestResult(label, found.statistic, found.dof, p, null, note, details)


@dataclass(frozen=True)
class _Found:
    statistic: float
    dof: int

    @property
    def log_p(self) -> float:
        from scipy.stats import chi2

        return float(chi2.logsf(self.statistic, self.dof)) if self.dof else 0.0

    @property
    def p_value(self) -> float:
        return float(np.exp(self.log_p))


def _bootstrap(fit: Likelihood, found: _Found, indicators: str, replicates: int, seed: int) -> tuple[float, int]:
    """The p-value, and how many refits failed. Tests of different degrees of freedom are compared by their p-values."""
    assert isinstance(fit, Specified)
    reached = failed = 0
    for b in range(replicates):
        try:
            refit = fit.specification.fit(simulate(underlying(fit), seed=seed + b))
            reached += _white(likelihood_of(refit), indicators).log_p <= found.log_p + 1e-9
        except StatlmError:
            failed += 1
    if 2 * failed > replicates:
        raise NoEstimate(
            f"{failed:,} of {replicates:,} texts drawn from the fit could not be fitted, so they are no reference. Use more "
            "text or a smaller model."
        )
    return (1 + reached) / (replicates - failed + 1), failed


def _white(model: Likelihood, indicators: str) -> _Found:
    """The statistic, and the number of indicators that scores do not span."""
    p = len(model.params)
    number = p if indicators == "diagonal" else p * (p + 1) // 2
    if number > MOST:
        raise SpecificationError(
            f"{p:,} parameters have {number:,} indicators, and at most {MOST:,} are tested at once. "
            + ("Use indicators='diagonal'." if indicators == "all" else "Use a smaller model.")
        )
    score = model.score()
    if not isinstance(score, RepeatedRows):
        score = RepeatedRows(score, np.arange(score.shape[0]))
    pairs = (np.arange(p), np.arange(p)) if indicators == "diagonal" else np.triu_indices(p)
    expected, context = _expected_products(model, pairs)
    first = np.zeros(score.rows.shape[0], np.int64)
    first[score.index] = np.arange(len(score.index))  # an observation of each distinct row, which decides its context
    weight = np.sqrt(score.multiplicity.astype(float))[:, None]
    rows = dense(score.rows)
    d = (rows[:, pairs[0]] * rows[:, pairs[1]] - expected[context[first]]) * weight
    s = dense(weighted_rows(score))
    total = (d * weight).sum(axis=0)
    square = d.T @ d
    scale = np.sqrt(np.diag(square))
    kept = np.flatnonzero(scale > 0)
    cross = d[:, kept].T @ s
    explained = cross @ np.linalg.pinv(s.T @ s, rcond=RANK, hermitian=True) @ cross.T
    variance = (square[np.ix_(kept, kept)] - explained) / scale[kept] / scale[kept][:, None]
    roots, vectors = np.linalg.eigh((variance + variance.T) / 2) if len(kept) else (np.zeros(0), np.zeros((0, 0)))
    inside = roots > RANK * max(len(kept), 1)
    along = vectors[:, inside].T @ (total[kept] / scale[kept])
    return _Found(float((along**2 / roots[inside]).sum()), int(np.count_nonzero(inside)))


def _expected_products(model: Likelihood, pairs: tuple[Array, Array]) -> tuple[Array, Array]:
    """(C, m) expected products of scores after each distinct context, and the (nobs,) context of each observation."""
    corpus, vocabulary = model.corpus, model.corpus.vocabulary
    if model.memory is None:
        raise SpecificationError(
            "This model looks back without end, so no context occurs twice and the expectation given a context cannot be "
            "summed up. Use a model of finite memory."
        )
    columns = corpus.context_columns(model.memory)
    if columns:
        unique = unique_rows(columns, bits_for(vocabulary.nids), index=True)
        contexts, context = np.stack(unique.columns[::-1], axis=1), unique.index
    else:
        contexts, context = np.zeros((1, 0), np.int64), np.zeros(corpus.nobs, np.int64)
    assert context is not None
    probabilities = np.exp(model.logprobs(contexts))
    ids = [row[(row != vocabulary.bos) & (row != vocabulary.pad)] for row in contexts]
    tokens = [np.flatnonzero(row > 0) for row in probabilities]
    score = model.on(continuations(vocabulary, ids, tokens)).score()
    rows = score.rows[score.index] if isinstance(score, RepeatedRows) else score
    lengths = np.array([len(token) for token in tokens])
    owner = np.repeat(np.arange(len(contexts)), lengths)
    weights = np.concatenate([row[token] for row, token in zip(probabilities, tokens, strict=True)])
    expected = np.empty((len(contexts), len(pairs[0])))
    summing: Matrix = sparse.csr_array((weights, (owner, np.arange(len(owner)))), shape=(len(contexts), len(owner)))
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    for c in range(0, len(contexts), 64):
        last = min(c + 64, len(contexts))
        part = dense(rows[bounds[c] : bounds[last]])
        expected[c:last] = summing[c:last, bounds[c] : bounds[last]] @ (part[:, pairs[0]] * part[:, pairs[1]])
    return expected, context
