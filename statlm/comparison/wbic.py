"""Watanabe's BIC and the local learning coefficient: what a singular model's parameters cost, by Markov chain Monte Carlo."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse.linalg

from statlm.comparison.tempered import AFFORDABLE, MAX_DENSE, tempered_chains
from statlm.errors import NoEstimate, SamplerWarning, SingularInformation, SpecificationError
from statlm.inference.laplace import check_flat_prior, quadratic_prior
from statlm.inference.maxima import check_maximum, name_of
from statlm.likelihood import Likelihood, Unidentified, is_likelihood, is_penalised, underlying
from statlm.measures import loglike
from statlm.numerics.langevin import Chains, batch_means_error, split_r_hat
from statlm.numerics.linalg import factorise
from statlm.numerics.types import Array, Matrix

SAMPLERS = (None, "mala", "sgld")
DEAR = 1_000  # parameters from which fewer draws are taken unasked
AGREEMENT = 1.05  # split R-hat above which there is no answer


@dataclass(frozen=True)
class MonteCarloEstimate:
    """A number that chains were averaged for.

    Attributes
    ----------
    value : float
    std_error : float
        Monte-Carlo error, from the means of batches of all chains; how the number varies between corpora is not in it.
    r_hat : float
        Near 1 where chains agree.
    acceptance : float
        Share of proposals accepted; 1 for stochastic gradients, which accept all.
    temperature : float
        Inverse temperature at which the posterior was sampled.
    draws : int
        Kept, over all chains.
    sampler : str
    """

    value: float
    std_error: float
    r_hat: float
    acceptance: float
    temperature: float
    draws: int
    sampler: str

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return (
            f"{self.value:,.2f} (Monte-Carlo error {self.std_error:.2g}; {self.draws:,} draws by {self.sampler} at inverse "
            f"temperature {self.temperature:.3g}, R-hat {self.r_hat:.3f})"
        )


def wbic(
    fit: Any,
    *,
    prior_sd: float | None = None,
    n: str = "tokens",
    draws: int | None = None,
    warmup: int | None = None,
    chains: int = 4,
    sampler: str | None = None,
    batch: int = 1024,
    seed: int = 0,
) -> MonteCarloEstimate:
    r"""Watanabe's Bayesian information criterion, the mean deviance under a tempered posterior.

    .. math:: \mathrm{WBIC} = E_\beta[-2 \ell(w)], \qquad \beta = 1 / \log n, \qquad
        p_\beta(w) \propto e^{\beta \ell(w)} \varphi(w)

    It estimates minus twice the log marginal likelihood up to :math:`O_p(\sqrt{\log n})`. For a regular model that is BIC; for a
    singular one, whose parameters are not identified, it replaces the count of parameters by twice the learning coefficient
    :math:`\lambda`, which the model itself decides.

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to.
    prior_sd : float, optional
        Standard deviation of the normal prior around 0. By default the prior is the penalty that was fitted, and flat where
        there is none; a singular model needs one.
    n : "tokens" or "documents"
        What counts as an observation in log n, as of `measures.bic`.
    draws, warmup : int, optional
        Draws kept of each chain, and draws before them that adapt the step: 1,000 and 500; 200 and 100 where a draw is dear (more
        than 1,000 parameters, or a network). Where chains do not agree by then, what they visited counts as warm-up and
        they go on, for twice as many draws and then four times.
    chains : int
    sampler : None, "mala" or "sgld"
        Exact Langevin chains, each step over all of the text, or stochastic gradients on batches of it. None takes the second for
        more than 5,000 parameters or a network on more than 20,000 tokens.
    batch : int
        Tokens a step, for "sgld".
    seed : int

    Returns
    -------
    MonteCarloEstimate
        On the scale of `measures.bic`: smaller is better.

    Raises
    ------
    SingularInformation
        If the information has no inverse and the prior is flat.
    NoEstimate
        If parameters have no finite estimate and the prior is flat, the model has no parameters, or the chains do not agree.
    SpecificationError
        If the model is not at its maximum, or a setting is out of its range.

    Notes
    -----
    Chains start at normal draws around the estimate, and move in the metric of its information and the prior: the whole
    matrix, or for a network its leading eigenpairs. Stochastic gradients take steps so short that the spread is at most
    about 2 % too large. There is no answer while split R-hat exceeds 1.05.

    References
    ----------
    Watanabe (2013), A widely applicable Bayesian information criterion. JMLR 14.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abbab" * 80))
    >>> estimate = slm.wbic(fit, draws=200, warmup=100, seed=1)
    >>> abs(estimate.value - fit.bic) < 2
    True
    """
    model, start = _checked(fit, draws, warmup, chains, sampler, batch)
    if n not in ("tokens", "documents"):
        raise SpecificationError(f"n={n!r}: WBIC counts 'tokens' or 'documents'.")
    size = model.corpus.nobs if n == "tokens" else model.corpus.ndocuments
    beta = _temperature(size)
    if prior_sd is not None:
        if not (prior_sd > 0 and np.isfinite(prior_sd)):
            raise SpecificationError(f"prior_sd={prior_sd!r} is no standard deviation. Choose a positive number.")
        centre, precision = np.zeros(len(start)), _scalar(prior_sd**-2, len(start))
    elif is_penalised(model):
        centre, precision = np.zeros(len(start)), _dense(quadratic_prior(model, name_of(fit)))
    else:
        check_flat_prior(model, name_of(fit))
        centre, precision = np.zeros(len(start)), _scalar(0.0, len(start))
        try:
            if isinstance(model, Unidentified) and not model.identified:
                raise SingularInformation("Its weights are not identified.")
            factorise(model.information())
            check_maximum(model, name_of(fit))
        except SingularInformation as error:
            raise SingularInformation(
                f"The information of the {name_of(fit)} is singular, so under a flat prior its posterior does not integrate "
                "to 1. Give a prior: wbic(fit, prior_sd=10)."
            ) from error
    sampler, settings = _settings(model, draws, warmup, sampler)
    found = tempered_chains(
        model, beta, centre, precision, chains=chains, sampler=sampler, batch=batch, seed=seed, **settings
    )
    return _estimate(found, -2.0, 0.0, beta, sampler, "WBIC")


def local_learning_coefficient(
    fit: Any,
    *,
    localisation: float = 1.0,
    draws: int | None = None,
    warmup: int | None = None,
    chains: int = 4,
    sampler: str | None = None,
    batch: int = 1024,
    seed: int = 0,
) -> MonteCarloEstimate:
    r"""The local learning coefficient: how fast the volume of nearly as good parameters shrinks around an estimate.

    .. math:: \hat\lambda = \beta \left( \ell(w^*) - E_\beta[\ell(w)] \right), \qquad \beta = 1 / \log n

    with the mean over :math:`p(w) \propto e^{\beta \ell(w) - \gamma \|w - w^*\|^2 / 2}`. A regular model has
    :math:`\lambda = p / 2`; a smaller value says that directions around the estimate hardly change the fit.

    Parameters
    ----------
    fit : Fit or Likelihood
        Standing at :math:`w^*`, a local maximum, on its corpus.
    localisation : float
        The :math:`\gamma` that keeps chains near the estimate. Where it is not small beside :math:`\beta` times the
        information, the coefficient comes out too small.
    draws, warmup, chains, sampler, batch, seed
        As of `wbic`.

    Returns
    -------
    MonteCarloEstimate
        To be compared with half the number of parameters.

    Raises
    ------
    NoEstimate
        If the model has no parameters, an observation has probability 0, or the chains do not agree.
    SpecificationError
        If a setting is out of its range.

    Warns
    -----
    SamplerWarning
        If the chains found better parameters than the estimate on average.

    References
    ----------
    Lau, Furman, Wang, Murfet and Wei (2023), The local learning coefficient: a singularity-aware complexity measure.
    Watanabe (2009), Algebraic geometry and statistical learning theory.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abbab" * 80))
    >>> abs(slm.local_learning_coefficient(fit, draws=200, warmup=100, seed=1).value - 0.5) < 0.2
    True
    """
    model, start = _checked(fit, draws, warmup, chains, sampler, batch)
    if not (localisation > 0 and np.isfinite(localisation)):
        raise SpecificationError(f"localisation={localisation!r}: the pull towards the estimate is a positive number.")
    beta = _temperature(model.corpus.nobs)
    sampler, settings = _settings(model, draws, warmup, sampler)
    pull = _scalar(localisation, len(start))
    found = tempered_chains(model, beta, start, pull, chains=chains, sampler=sampler, batch=batch, seed=seed, **settings)
    result = _estimate(found, -beta, beta * loglike(model), beta, sampler, "The local learning coefficient")
    if result.value < -2 * result.std_error:
        warnings.warn(
            f"The chains fit better than the estimate on average (coefficient {result.value:.3g}): it is no local maximum, and "
            "the coefficient means nothing there. Train on, or lower the step by a larger localisation=.",
            SamplerWarning,
            stacklevel=2,
        )
    return result


def _settings(model: Likelihood, draws: int | None, warmup: int | None, sampler: str | None) -> tuple[str, dict[str, Any]]:
    """Which sampler, and how many draws: fewer where they are dear."""
    network = isinstance(model.information(), scipy.sparse.linalg.LinearOperator)
    large = len(model.params) > MAX_DENSE
    chosen = sampler or ("sgld" if (large and not network) or (network and model.corpus.nobs > AFFORDABLE) else "mala")
    dear = network or len(model.params) > DEAR
    default = (200, 100) if dear else (1000, 500)
    return chosen, {
        "draws": default[0] if draws is None else draws,
        "warmup": default[1] if warmup is None else warmup,
        "agreement": AGREEMENT,
    }


def _checked(
    fit: Any, draws: int | None, warmup: int | None, chains: int, sampler: str | None, batch: int
) -> tuple[Likelihood, Array]:
    model = underlying(fit)
    if not is_likelihood(model) or len(model.params) == 0:
        raise NoEstimate(
            f"{name_of(fit)} has no parameters with a likelihood, so there is no posterior to temper. Compare on held-out "
            "text: compare(..., on=test)."
        )
    if np.isneginf(loglike(model)):
        raise NoEstimate(
            f"The {name_of(fit)} gives some observation probability 0, so there is no likelihood to sample from. Use the "
            "corpus it was fitted to."
        )
    if (draws is not None and draws < 20) or (warmup is not None and warmup < 1) or chains < 2:
        raise SpecificationError(
            f"draws={draws}, warmup={warmup}, chains={chains}: an error needs 20 draws or more of at least 2 chains, and a "
            "warm-up."
        )
    if batch < 1:
        raise SpecificationError(f"batch={batch}: a step needs a token at least.")
    if sampler not in SAMPLERS:
        raise SpecificationError(f"sampler={sampler!r} is unknown. Use None, 'mala' or 'sgld'.")
    return model, np.asarray(model.params, float)


def _temperature(n: int) -> float:
    if n < 3:
        raise NoEstimate(
            f"The inverse temperature 1 / log n needs n of 3 or more, and n is {n}. Use more text, or n='tokens'."
        )
    return 1.0 / float(np.log(n))


def _scalar(value: float, p: int) -> Array:
    """(p,) diagonal of a multiple of the identity."""
    return np.full(p, value)


def _dense(matrix: Matrix) -> Array:
    if isinstance(matrix, scipy.sparse.linalg.LinearOperator):
        return matrix.matmat(np.eye(matrix.shape[0]))
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def _estimate(found: Chains, factor: float, shift: float, beta: float, sampler: str, name: str) -> MonteCarloEstimate:
    values = shift + factor * found.values
    r_hat = split_r_hat(values)
    error = batch_means_error(values)
    if not r_hat <= AGREEMENT:
        kept = values.shape[1]
        raise NoEstimate(
            f"{name} would rest on chains that do not agree: R-hat is {r_hat:.2f} over the last {kept:,} of "
            f"{kept + found.warmup:,} draws of each ({sampler}, acceptance {found.acceptance:.0%}), and an answer needs "
            f"{AGREEMENT} or less. Their mean is {values.mean():,.4g}, with an error that is larger than the {error:.2g} it "
            f"would be given. Raise draws= to {4 * kept:,}, or what keeps chains together: a smaller prior_sd= of wbic, a larger "
            "localisation= of local_learning_coefficient."
        )
    return MonteCarloEstimate(float(values.mean()), error, r_hat, found.acceptance, beta, values.size, sampler)
