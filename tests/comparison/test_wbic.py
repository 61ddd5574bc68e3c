"""WBIC is BIC for regular models, and costs a singular one what theory says; both against closed forms."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import digamma, logsumexp

import statlm as slm
from statlm.errors import NoEstimate, SamplerWarning, SingularInformation, SpecificationError
from statlm.numerics.langevin import DenseMetric, LowRankMetric, Mala, Separate, batch_means_error, mala, run, split_r_hat


@dataclass(frozen=True, eq=False)
class ReducedRank:
    """Normal regression ``y = B A x + noise`` with unit variance and H hidden units: singular where the true rank is below H."""

    corpus: Any
    x: Any  # (n, M)
    y: Any  # (n, N)
    params: Any
    hidden: int

    memory = 0

    @property
    def matrices(self):
        size = self.hidden * self.x.shape[1]
        return self.params[:size].reshape(self.hidden, -1), self.params[size:].reshape(-1, self.hidden)

    @property
    def dof(self):
        return len(self.params)

    @property
    def param_names(self):
        return pd.MultiIndex.from_product([["w"], range(len(self.params))], names=["response", "term"])

    def loglike_obs(self):
        a, b = self.matrices
        residual = self.y - self.x @ a.T @ b.T
        return -0.5 * (residual**2).sum(axis=1) - 0.5 * self.y.shape[1] * np.log(2 * np.pi)

    def score(self):
        a, b = self.matrices
        hidden = self.x @ a.T
        residual = self.y - hidden @ b.T
        along_a = (residual @ b)[:, :, None] * self.x[:, None, :]
        along_b = residual[:, :, None] * hidden[:, None, :]
        return np.concatenate([along_a.reshape(len(self.x), -1), along_b.reshape(len(self.x), -1)], axis=1)

    def information(self):
        a, b = self.matrices
        n, m, hidden = len(self.x), self.x.shape[1], self.x @ a.T
        outputs = self.y.shape[1]
        along_a = np.einsum("oh,nm->nohm", b, self.x).reshape(n * outputs, self.hidden * m)
        along_b = np.einsum("op,nh->noph", np.eye(outputs), hidden).reshape(n * outputs, outputs * self.hidden)
        jacobian = np.concatenate([along_a, along_b], axis=1)
        return jacobian.T @ jacobian

    def at(self, params):
        return replace(self, params=params)

    def logprobs(self, contexts):
        raise NotImplementedError

    def on(self, corpus):
        return self


def learning_coefficient(inputs, outputs, hidden, rank):
    """Aoyagi and Watanabe (2005), Stochastic complexities of reduced rank regression; the case of multiplicity 1."""
    assert outputs + rank <= inputs + hidden
    assert inputs + rank <= outputs + hidden
    assert hidden + rank <= inputs + outputs
    assert (inputs + outputs + hidden + rank) % 2 == 0
    h = hidden + rank
    return (-(h**2) - inputs**2 - outputs**2 + 2 * h * (inputs + outputs) + 2 * inputs * outputs) / 8


def drawn(inputs, outputs, hidden, rank, seed, n=400):
    """A model standing at the true parameters: `rank` of the hidden units at work, the others at 0; x'x is n times I."""
    rng = np.random.default_rng(seed)
    a, b = np.zeros((hidden, inputs)), np.zeros((outputs, hidden))
    a[range(rank), range(rank)] = b[range(rank), range(rank)] = 1.0
    x = np.sqrt(n) * np.linalg.qr(rng.standard_normal((n, inputs)))[0]
    y = x @ a.T @ b.T + rng.standard_normal((n, outputs))
    corpus = slm.Corpus.from_tokens([rng.integers(2, size=n)], vocabulary=slm.Vocabulary(("0", "1")))
    return ReducedRank(corpus, x, y, np.concatenate([a.ravel(), b.ravel()]), hidden)


def log_evidence(model, betas, draws=400_000):
    """Logarithm of the tempered marginal likelihood under standard normal priors, at each inverse temperature.

    A is integrated out in closed form, given B; B is averaged over its prior, with the same draws at all temperatures.
    """
    n, inputs, outputs = *model.x.shape, model.y.shape[1]
    b = np.random.default_rng(0).standard_normal((draws, outputs, model.hidden))
    cross = model.y.T @ model.x  # (N, M)
    squares = b.transpose(0, 2, 1) @ b
    projected = b.transpose(0, 2, 1) @ cross
    constant = -0.5 * (model.y**2).sum() - 0.5 * n * outputs * np.log(2 * np.pi)
    result = []
    for beta in betas:
        precision = np.eye(model.hidden) + beta * n * squares
        solved = np.linalg.solve(precision, projected)
        log_given_b = 0.5 * beta**2 * (projected * solved).sum(axis=(1, 2)) - 0.5 * inputs * np.linalg.slogdet(precision)[1]
        result.append(beta * constant + logsumexp(log_given_b) - np.log(draws))
    return np.array(result)


def exact_wbic(model):
    beta = 1 / np.log(len(model.x))
    low, high = log_evidence(model, [beta * (1 - 1e-4), beta * (1 + 1e-4)])
    return -2 * (high - low) / (2e-4 * beta)


CASES = [(3, 3, 2, 0), (3, 4, 2, 1)]


def test_the_singular_model_obeys_its_derivatives():
    model = drawn(3, 4, 2, 1, seed=1, n=30)
    model = model.at(model.params + 0.3)
    for j in range(len(model.params)):
        step = np.zeros(len(model.params))
        step[j] = 1e-5
        difference = (model.at(model.params + step).loglike_obs() - model.at(model.params - step).loglike_obs()) / 2e-5
        assert_allclose(model.score()[:, j], difference, atol=1e-7)


def test_the_closed_form_has_the_learning_coefficient_of_the_literature():
    """Without noise and with ever more text, the evidence falls as n to the power of minus lambda."""
    model = drawn(3, 3, 2, 0, seed=0)
    model = replace(model, y=0 * model.y)
    large = np.array([10.0, 100.0])
    low, high = log_evidence(model, large) - large * model.loglike_obs().sum()
    assert_allclose(-(high - low) / np.log(10), learning_coefficient(3, 3, 2, 0), atol=0.06)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_wbic_of_a_singular_model_is_that_of_its_closed_form(case):
    model = drawn(*case, seed=1)
    estimate = slm.wbic(model, prior_sd=1.0, draws=3000, warmup=1000, seed=1)
    assert abs(estimate.value - exact_wbic(model)) < 4 * estimate.std_error + 0.3
    # Half the parameters, as BIC would charge, is far off.
    charged = (estimate.value / 2 + model.loglike_obs().sum()) / np.log(len(model.x))
    assert charged < 0.7 * len(model.params) / 2


def test_local_learning_coefficient_is_that_of_the_closed_form():
    """Around 0, a pull of 1 towards the estimate is a standard normal prior."""
    model = drawn(3, 3, 2, 0, seed=2)
    estimate = slm.local_learning_coefficient(model, draws=3000, warmup=1000, seed=1)
    exact = (exact_wbic(model) / 2 + model.loglike_obs().sum()) / np.log(len(model.x))
    assert abs(estimate.value - exact) < 4 * estimate.std_error + 0.03


# --- regular models ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain():
    return slm.datasets.markov(states=3, documents=20, length=51, concentration=3, seed=4).corpus


@pytest.fixture(scope="module")
def bigram(chain):
    return slm.NGram(2).fit(chain)


@pytest.fixture(scope="module")
def estimate(bigram):
    return slm.wbic(bigram, draws=800, seed=1)


def test_wbic_of_an_ngram_is_that_of_its_dirichlet_posterior(bigram, estimate):
    """Under a flat prior the tempered posterior of a row is Dirichlet with parameters ``beta n + 1``."""
    counts = bigram.likelihood.counts_of(np.arange(3)[:, None])
    shape = counts / np.log(bigram.nobs) + 1
    exact = -2 * (counts * (digamma(shape) - digamma(shape.sum(axis=1, keepdims=True)))).sum()
    assert abs(estimate.value - exact) < 4 * estimate.std_error
    assert estimate.std_error < 1.0


def test_wbic_of_a_regular_model_is_bic(bigram, estimate):
    assert abs(float(estimate) - bigram.bic) < 4
    assert bigram.bic - bigram.deviance > 40


def test_wbic_says_how_it_was_found(estimate):
    assert estimate.draws == 3200
    assert "mala at inverse temperature 0.145" in str(estimate)
    assert 0.3 < estimate.acceptance < 0.9
    assert estimate.r_hat < 1.05


def test_local_learning_coefficient_of_a_regular_model_is_half_its_parameters(bigram):
    found = slm.local_learning_coefficient(bigram, draws=800, seed=2)
    assert_allclose(found.value, len(bigram.params) / 2, atol=4 * found.std_error + 0.2)


def test_a_penalty_is_the_prior():
    """Of an intercept, which is not penalised, and a slope, which the penalty all but fixes."""
    corpus = slm.datasets.markov([[0.7, 0.3], [0.4, 0.6]], documents=10, length=31, seed=1).corpus
    tight = slm.SoftmaxRegression(1, penalty="ridge", strength=1e4).fit(corpus)
    estimate = slm.wbic(tight, draws=400, seed=1)
    # One parameter is free in effect: the deviance rises by about log n for it.
    assert abs(estimate.value - tight.deviance - np.log(corpus.nobs)) < 1.5
    assert len(tight.params) == 2


def test_stochastic_gradients_agree_with_exact_chains(chain):
    fit = slm.NGram(1).fit(chain)
    exact, stochastic = (slm.wbic(fit, sampler=sampler, draws=600, batch=200, seed=1) for sampler in ("mala", "sgld"))
    assert stochastic.sampler == "sgld"
    assert abs(exact.value - stochastic.value) < 4 * np.hypot(exact.std_error, stochastic.std_error) + 0.1 * 2 * len(
        fit.params
    )


def test_a_network_that_is_a_bigram_has_the_learning_coefficient_of_one():
    """A table of logits, which only their differences within a row decide: of V weights a context V - 1 count."""
    torch = pytest.importorskip("torch")
    chain = slm.datasets.markov(states=3, documents=20, length=51, concentration=3, seed=4).corpus.with_given(1)
    bigram = slm.NGram(2).fit(chain)
    module = torch.nn.Embedding(4, 3, dtype=torch.float64)
    with torch.no_grad():
        module.weight[:3] = torch.from_numpy(bigram.logprobs(np.arange(3)[:, None]))
        module.weight[3:] = 0.0
    table = slm.TorchLikelihood(module, chain, context=64)
    found = slm.local_learning_coefficient(table, localisation=0.1, draws=200, warmup=200, seed=1)
    assert found.sampler == "mala"
    assert_allclose(found.value, len(bigram.params) / 2, atol=4 * found.std_error + 0.3)


def test_documents_can_be_what_counts(bigram):
    by_documents = slm.wbic(bigram, n="documents", draws=400, seed=1)
    assert_allclose(by_documents.temperature, 1 / np.log(20))
    assert abs(by_documents.value - slm.measures.bic(bigram, "documents")) < 4


# --- refusals and warnings ----------------------------------------------------------------------------------------------


def test_a_singular_model_needs_a_prior():
    with pytest.raises(SingularInformation, match=r"does not integrate to 1\. Give a prior: wbic\(fit, prior_sd=10\)"):
        slm.wbic(drawn(3, 3, 2, 0, seed=1, n=50))


def test_infinite_estimates_need_one_too():
    fit = slm.SoftmaxRegression(1).fit(slm.Corpus.from_texts(["abracadabra", "barbara"] * 4, eos=False))
    with pytest.raises(NoEstimate, match="have no finite estimate"):
        slm.wbic(fit)


def test_chains_that_disagree_give_no_answer_and_say_what_to_raise():
    with pytest.raises(
        NoEstimate, match=r"do not agree: R-hat is .* of 280 draws.*Raise draws= to 640.*a smaller prior_sd="
    ):
        slm.wbic(drawn(3, 4, 2, 1, seed=3), prior_sd=30.0, draws=40, warmup=5, seed=1)


def test_a_point_that_is_no_maximum_is_warned_of():
    model = drawn(3, 3, 2, 0, seed=1)
    with pytest.warns(SamplerWarning, match="it is no local maximum"):
        slm.local_learning_coefficient(model.at(model.params + 0.5), draws=400, warmup=400, seed=1)


def test_settings_that_make_no_sense_are_refused(bigram, chain):
    with pytest.raises(SpecificationError, match="draws=10, warmup=None, chains=4"):
        slm.wbic(bigram, draws=10)
    with pytest.raises(SpecificationError, match="sampler='nuts'"):
        slm.wbic(bigram, sampler="nuts")
    with pytest.raises(SpecificationError, match="prior_sd=-1"):
        slm.wbic(bigram, prior_sd=-1.0)
    with pytest.raises(SpecificationError, match="n='words'"):
        slm.wbic(bigram, n="words")
    with pytest.raises(SpecificationError, match="localisation=0"):
        slm.local_learning_coefficient(bigram, localisation=0)
    with pytest.raises(SpecificationError, match="batch=0"):
        slm.wbic(bigram, sampler="sgld", batch=0)
    with pytest.raises(NoEstimate, match="no parameters with a likelihood"):
        slm.wbic(slm.NGram(2, smoothing="witten-bell").fit(chain))
    with pytest.raises(NoEstimate, match="probability 0"):
        slm.wbic(slm.NGram(2).fit(slm.Corpus.from_text("aabab" * 3)).on(slm.Corpus.from_text("abba")))
    with pytest.raises(NoEstimate, match="needs n of 3 or more, and n is 1"):
        slm.wbic(slm.NGram(1).fit(slm.Corpus.from_text("abab")), n="documents")


# --- the numerics -------------------------------------------------------------------------------------------------------


def test_chains_find_the_moments_of_a_correlated_normal():
    covariance = np.array([[4.0, 1.8], [1.8, 1.0]])
    precision = np.linalg.inv(covariance)

    def target(w):
        return -0.5 * float(w @ precision @ w), float(w[0] ** 2), -precision @ w

    found = mala(target, np.zeros(2), np.eye(2), draws=4000, warmup=500, chains=4, rng=np.random.default_rng(1))
    assert abs(found.values.mean() - 4.0) < 4 * batch_means_error(found.values)
    assert abs(found.acceptance - 0.574) < 0.15


def test_a_chain_visits_the_same_places_whatever_runs_beside_it():
    precision = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 3.0]])

    def target(w):
        if w[0] < -1.0:
            return -np.inf, -np.inf, np.zeros(3)
        return -0.5 * float(w @ precision @ w), float(w[0]), -precision @ w

    def visited(chosen):
        streams = [stream for number, stream in enumerate(np.random.default_rng(3).spawn(3)) if number in chosen]
        return Mala(target, np.zeros(3), DenseMetric(0.5 * precision), 50, streams).advance(50)

    assert_allclose(visited([0, 1, 2]), np.concatenate([visited([0]), visited([1]), visited([2])]), rtol=1e-8)


def test_a_metric_of_leading_pairs_is_the_matrix_it_stands_for():
    rng = np.random.default_rng(0)
    vectors = np.linalg.qr(rng.standard_normal((6, 2)))[0]
    metric = LowRankMetric(np.array([50.0, 8.0]), vectors, 0.5)
    root = np.stack([metric.moved(row) for row in np.eye(6)], axis=1)
    matrix = vectors @ np.diag([50.0, 8.0]) @ vectors.T + 0.5 * np.eye(6)
    assert_allclose(root @ root.T, np.linalg.inv(matrix), atol=1e-12)
    assert_allclose(metric.whitened(np.arange(6.0)), root.T @ np.arange(6.0), atol=1e-12)
    assert_allclose(metric.moved(np.eye(6)[:, :4]), root[:, :4], atol=1e-12)


def test_chains_go_on_until_they_agree_and_what_came_before_is_warmup():
    class Drifting:
        """Far away for the first 50 draws."""

        def __init__(self, seed):
            self.rng, self.accepted, self.past = np.random.default_rng(seed), 0, 0

        def advance(self, draws):
            places = np.arange(self.past, self.past + draws)
            self.past, self.accepted = self.past + draws, self.accepted + draws
            return self.rng.standard_normal(draws) + np.where(places < 50, 50.0 - places, 0.0)

    found = run(Separate([Drifting(s) for s in range(4)]), 100, agreement=1.05)
    assert found.warmup == 100
    assert found.values.shape == (4, 200)
    assert abs(found.values.mean()) < 0.2
    assert run(Separate([Drifting(s) for s in range(4)]), 100, agreement=1.05, rounds=1).values.shape == (4, 100)


def test_the_error_of_batch_means_is_that_of_an_autoregression():
    """An AR(1) mean has variance sigma^2 (1 + rho) / (1 - rho) / n."""
    rng, rho, draws = np.random.default_rng(1), 0.8, 10_000
    x = rng.standard_normal((8, draws))
    for t in range(1, draws):
        x[:, t] += rho * x[:, t - 1]
    exact = np.sqrt(1 / (1 - rho) ** 2 / x.size)
    assert_allclose(batch_means_error(x), exact, rtol=0.15)


def test_r_hat_tells_chains_that_disagree():
    rng = np.random.default_rng(2)
    agree = rng.standard_normal((4, 1000))
    assert abs(split_r_hat(agree) - 1) < 0.01
    assert split_r_hat(agree + np.arange(4)[:, None]) > 1.3
    assert split_r_hat(np.zeros((2, 10))) == 1.0
    assert split_r_hat(np.repeat([[0.0], [1.0]], 10, axis=1)) == np.inf
