"""Intervals at 95 % cover the truth in 95 % of simulated corpora, and fail where theory says they should."""

import numpy as np
import pytest

import statlm as slm
from statlm.inference.perplexity_interval import mean_estimate
from statlm.inference.predict import proportion_interval

pytestmark = pytest.mark.slow

CHAIN = np.array([[0.5, 0.3, 0.2], [0.25, 0.5, 0.25], [0.3, 0.2, 0.5]])
TOKENS = ["a", "b", "c"]


# --- transition probabilities ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bigrams(chains, letters):
    states = chains(np.broadcast_to(CHAIN, (1000, 3, 3)), 601, np.random.default_rng(11))
    return [slm.NGram(2).fit(slm.Corpus.from_tokens([row], vocabulary=letters(3), given=1)) for row in states]


def holds(low, high):
    return (np.reshape(low, (3, 3)) <= CHAIN) & (np.reshape(high, (3, 3)) >= CHAIN)


def rows_covered(fits, method):
    """(replicates, 3 contexts, 3 tokens) whether the interval holds the truth."""
    result = []
    for fit in fits:
        if method in ("wald", "logit"):
            table = fit.predict([["a"], ["b"], ["c"]], interval=0.95, method=method).sort_values(["context", "token"])
            result.append(holds(table.conf_low, table.conf_high))
        else:  # the function behind predict, which is faster alone
            rows = [proportion_interval(row, 0.95, method) for row in fit.likelihood.counts_of(np.arange(3)[:, None])]
            result.append(holds(*zip(*rows, strict=True)))
    return np.array(result)


@pytest.mark.parametrize("method", ["wald", "logit", "wilson", "jeffreys"])
def test_intervals_of_transition_probabilities_cover(bigrams, method, measured):
    # One cell of each context: rows of a chain are independent given their totals, cells of a row are not.
    covered = rows_covered(bigrams, method)[:, np.arange(3), [1, 2, 0]]
    assert measured(f"transition probability, `{method}`", "3 states, 600 observations", covered, 0.95).near


@pytest.mark.parametrize("method", ["goodman", "sison-glaz"])
def test_simultaneous_intervals_cover_whole_rows(bigrams, method, measured):
    fits = bigrams[:150] if method == "sison-glaz" else bigrams  # statsmodels takes 50 ms for each
    covered = rows_covered(fits, method).all(axis=2)
    assert measured(f"row of transition probabilities, `{method}`", "3 states, 600 observations", covered, 0.95).not_below


# --- documents that differ ------------------------------------------------------------------------------------------------

COMMON = np.array([[0.6, 0.25, 0.15], [0.2, 0.6, 0.2], [0.2, 0.15, 0.65]])
CONCENTRATION = 12.0


def document_matrices(n, rng):
    """(n, 3, 3) transition matrices of documents, rows from a Dirichlet distribution around the common matrix."""
    draws = rng.gamma(CONCENTRATION * COMMON, size=(n, 3, 3))
    return draws / draws.sum(axis=2, keepdims=True)


@pytest.fixture(scope="module")
def collections(chains, letters):
    """800 corpora of 40 documents of 30 to 150 tokens, and one of 40,000 documents for the truth."""
    rng = np.random.default_rng(12)

    def corpora(n, documents):
        states = chains(document_matrices(n * documents, rng), 151, rng)
        lengths = rng.integers(31, 152, size=n * documents)
        pieces = [row[:length] for row, length in zip(states, lengths, strict=True)]
        return [
            slm.Corpus.from_tokens(pieces[i : i + documents], vocabulary=vocabulary, given=1)
            for i in range(0, n * documents, documents)
        ]

    vocabulary = letters(3)
    return corpora(800, 40), corpora(1, 40_000)[0]


def covers(interval, truth):
    return interval[0] <= truth <= interval[1]


def test_perplexity_intervals_cover_by_cluster_and_fail_as_iid(collections, measured):
    samples, population = collections
    model = slm.NGram(2, pseudo_count=1).fit(samples[0])
    truth = model.on(population).perplexity  # its own error is 3 % of the samples' (40 documents against 40,000)
    evaluations = [model.on(sample) for sample in samples[1:]]
    setting = "40 documents of 30 to 150 tokens, each with its own chain"
    rates = {
        d: measured(
            f"perplexity, `{d}`", setting, [covers(e.perplexity_interval(0.95, d), truth) for e in evaluations], 0.95
        )
        for d in ("cluster", "bootstrap", "iid")
    }
    assert rates["cluster"].near
    assert rates["bootstrap"].near
    assert rates["iid"].value < 0.85


def test_parameter_errors_cover_by_cluster_and_fail_as_nonrobust(collections, measured):
    samples, population = collections
    cell = ("b", "a")
    truth = slm.NGram(2).fit(population).predict([["a"]]).set_index("token").probability["b"]
    setting = "p(b given a); 40 documents, each with its own chain"
    covered = {cov: [] for cov in ("cluster", "nonrobust")}
    for sample in samples:
        fit = slm.NGram(2).fit(sample)
        for cov, found in covered.items():
            found.append(covers(fit.conf_int(0.95, cov).loc[cell].to_numpy(), truth))
    rates = {cov: measured(f"parameter of a bigram, `{cov}`", setting, found, 0.95) for cov, found in covered.items()}
    assert rates["cluster"].near
    assert rates["nonrobust"].value < 0.85


# --- one long text --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regimes(letters):
    """400 texts of 4,000 tokens that switch between two unigram sources, each lasting 20 tokens on average."""
    rng = np.random.default_rng(13)
    sources = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    regime = (rng.integers(2, size=(400, 1)) + (rng.random((400, 4000)) < 0.05).cumsum(axis=1)) % 2
    states = (rng.random((400, 4000))[:, :, None] > sources.cumsum(axis=1)[regime]).sum(axis=2)
    model = slm.NGram(1).fit(slm.Corpus.from_tokens([states[0]], vocabulary=letters(3)))
    losses = -model.logprobs(np.zeros((1, 0), np.int64))[0]
    truth = float(np.exp((sources.mean(axis=0) * losses).sum()))
    return [model.on(slm.Corpus.from_tokens([row], vocabulary=letters(3))) for row in states[1:]], truth


def test_perplexity_of_one_dependent_text_is_covered_approximately_by_hac_and_bootstrap(regimes, measured):
    texts, truth = regimes
    setting = "one text of 4,000 tokens, regimes of 20"
    rates = {
        d: measured(f"perplexity, `{d}`", setting, [covers(e.perplexity_interval(0.95, d), truth) for e in texts], 0.95)
        for d in ("HAC", "bootstrap", "iid")
    }
    # Kernel and block estimates of a long-run variance are biased downwards; 90 % is what "approximately" means here.
    assert 0.90 < rates["HAC"].value < 0.98
    assert 0.90 < rates["bootstrap"].value < 0.98
    assert rates["iid"].value < 0.85


def test_mean_of_an_autoregression_is_covered_approximately_by_hac(measured, letters):
    rng = np.random.default_rng(14)
    n, rho = 2000, 0.5
    corpus = slm.Corpus.from_tokens([rng.integers(2, size=n)], vocabulary=letters(2))
    noise = rng.normal(size=(600, n))
    x = noise.copy()
    x[:, 0] /= np.sqrt(1 - rho**2)
    for t in range(1, n):
        x[:, t] += rho * x[:, t - 1]
    covered = [covers(mean_estimate(row, corpus, "HAC").interval(), 0.0) for row in x]
    rate = measured("mean of a series, `HAC`", "2,000 values, autocorrelation 0.5", covered, 0.95)
    assert 0.91 < rate.value < 0.98
