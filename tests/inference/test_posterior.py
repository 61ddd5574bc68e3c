"""Draws have the moments that theory gives, do not depend on what else is asked, and are refused where there is no posterior."""

import numpy as np
import pytest
import scipy.sparse as sparse
from numpy.testing import assert_allclose, assert_array_equal

import statlm as slm
from statlm.errors import NoEstimate, SingularInformation, SpecificationError
from statlm.numerics.linalg import ArrowBlocks, factorise
from statlm.numerics.pareto_tail import pareto_smoothed


@pytest.fixture(scope="module")
def texts():
    return slm.Corpus.from_texts(["abracadabra", "barbara", "cabaca", "abba"] * 5, eos=True, unk=True)


@pytest.fixture(scope="module")
def smooth(texts):
    return slm.NGram(2, pseudo_count=0.5).fit(texts)


@pytest.fixture(scope="module")
def drawn(smooth):
    return slm.posterior(smooth, draws=4000, seed=1)


@pytest.fixture(scope="module")
def chain():
    return slm.datasets.markov(states=3, lags=1, documents=40, length=60, concentration=3, seed=4).corpus


def within(draws, mean, variance):
    """Whether the mean of independent draws is as near to the truth as 4.5 Monte-Carlo errors."""
    return np.abs(draws.mean(axis=0) - mean) <= 4.5 * np.sqrt(variance / len(draws))


def test_exact_draws_have_the_moments_of_the_dirichlet(smooth, drawn, texts):
    counts = smooth.likelihood.counts_of(np.arange(texts.vocabulary.size)[:, None])
    total = counts.sum(axis=1) + 0.5 * texts.vocabulary.size
    for row, name in enumerate(texts.vocabulary.types):
        for token in texts.vocabulary.types:
            if (token, name) in smooth.param_names:
                place = smooth.param_names.get_loc((token, name))
                p = (counts[row, texts.vocabulary.ids_of([token])[0]] + 0.5) / total[row]
                variance = p * (1 - p) / (total[row] + 1)
                assert within(drawn.draws[:, place], p, variance)
                assert_allclose(drawn.draws[:, place].var(), variance, rtol=0.15)


def test_rows_of_probabilities_sum_to_1_and_average_to_the_prediction(smooth, drawn, texts):
    contexts = np.arange(texts.vocabulary.size)[:, None]  # <unk> among them, which training never saw
    rows = slm.posterior(smooth, draws=1500, seed=2).probabilities(contexts)
    assert rows.shape == (1500, texts.vocabulary.size, texts.vocabulary.size)
    assert_allclose(rows.sum(axis=2), 1.0, rtol=1e-10)
    predicted = np.exp(smooth.logprobs(contexts))
    assert within(rows, predicted, rows.var(axis=0)).all()


def test_text_with_what_training_never_saw_is_scored_by_the_same_posterior(smooth, drawn, texts):
    """Unlisted cells of a context share what is left, and contexts never seen have the prior: all as the full Dirichlet says."""
    new = slm.Corpus.from_texts(["aaccdrrx", "xdxxc"], vocabulary=texts.vocabulary, eos=True)
    terms = drawn.loglike(new, by="token")
    assert terms.shape == (4000, new.nobs)
    assert within(np.exp(terms), np.exp(smooth.on(new).loglike_obs()), np.exp(terms).var(axis=0)).all()
    # Two new continuations of one context: covariance -p q / (n + a V + 1).
    vocabulary = texts.vocabulary
    pair = slm.Corpus.from_tokens([vocabulary.ids_of(["c", "c", "d"])], vocabulary=vocabulary)
    x, y = np.exp(drawn.loglike(pair, by="token")[:, 1:3]).T
    counts = smooth.likelihood.counts_of(vocabulary.ids_of(["c"])[:, None])[0]
    total = counts.sum() + 0.5 * vocabulary.size
    assert counts[vocabulary.ids_of(["c", "d"])].sum() == 0
    product = (x - x.mean()) * (y - y.mean())
    assert abs(product.mean() + 0.25 / total**2 / (total + 1)) < 4 * product.std() / np.sqrt(4000)


def test_scoring_other_text_does_not_change_the_draws(drawn, texts):
    before = drawn.loglike()
    drawn.loglike(slm.Corpus.from_texts(["xxdd"], vocabulary=texts.vocabulary), by="token")
    assert_array_equal(drawn.loglike(), before)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_log_likelihoods_by_token_document_and_corpus_are_those_at_the_draws(chain, n):
    """Every cell of this chain occurs, so that the parameters decide all probabilities."""
    chain = chain.with_given(max(n - 1, 1))
    fit = slm.NGram(n, pseudo_count=0.3).fit(chain)
    drawn = slm.posterior(fit, draws=6, seed=3)
    at = np.array([fit.at(draw).loglike_obs() for draw in drawn.draws])
    assert_allclose(drawn.loglike(by="token"), at, rtol=1e-9)
    documents = np.array([np.bincount(chain.document_index, row) for row in at])
    assert_allclose(drawn.loglike(), documents, rtol=1e-9)
    assert_allclose(drawn.loglike(by="corpus"), at.sum(axis=1), rtol=1e-9)


def test_equal_seeds_give_equal_draws(smooth):
    assert_array_equal(slm.posterior(smooth, draws=10, seed=5).draws, slm.posterior(smooth, draws=10, seed=5).draws)
    assert (slm.posterior(smooth, draws=10, seed=5).draws != slm.posterior(smooth, draws=10, seed=6).draws).any()


def test_tiny_concentrations_do_not_underflow():
    fit = slm.NGram(2, pseudo_count=1e-4).fit(slm.Corpus.from_texts(["abab", "abcab"], eos=False))
    drawn = slm.posterior(fit, draws=500, seed=1)
    new = slm.Corpus.from_texts(["aac"], vocabulary=fit.corpus.vocabulary, eos=False)
    assert np.isfinite(drawn.loglike(new)).all()
    assert_allclose(np.exp(drawn.loglike(by="token")).max(), 1.0, atol=1e-6)


def test_a_table_of_the_posterior_has_a_row_a_parameter(smooth, drawn):
    table = drawn.tidy(0.9)
    assert list(table.columns) == ["response", "term", "mean", "std_dev", "low", "high"]
    assert len(table) == len(smooth.params)
    inside = (drawn.draws >= table.low.to_numpy()) & (drawn.draws <= table.high.to_numpy())
    assert_allclose(inside.mean(axis=0), 0.9, atol=0.01)
    assert "4,000 draws" in repr(drawn)
    assert "Dirichlet(0.5)" in repr(drawn)


# --- Laplace --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "specification",
    [slm.NGram(2), slm.SoftmaxRegression(1), slm.SoftmaxRegression(1, penalty="ridge", strength=2.0)],
    ids=str,
)
def test_laplace_draws_have_the_moments_of_the_normal(chain, specification):
    fit = specification.fit(chain)
    drawn = slm.posterior(fit, draws=6000, method="laplace", seed=1)
    covariance = fit.vcov()
    assert within(drawn.draws, fit.params, np.diag(covariance)).all()
    scale = np.sqrt(np.diag(covariance))
    found = np.cov(drawn.draws.T) / scale / scale[:, None]
    assert_allclose(found, covariance / scale / scale[:, None], atol=4.5 * np.sqrt(2 / 6000))


def test_laplace_and_exact_posterior_agree_where_there_is_much_text(chain):
    """The softmax with one lag is the bigram in other coordinates; its flat prior weighs less than a token a context."""
    softmax = slm.posterior(slm.SoftmaxRegression(1).fit(chain), draws=4000, seed=1)
    bigram = slm.posterior(slm.NGram(2).fit(chain), draws=4000, prior=1e-9, seed=1)
    contexts = np.arange(3)[:, None]
    one, other = softmax.probabilities(contexts), bigram.probabilities(contexts)
    assert_allclose(one.mean(axis=0), other.mean(axis=0), atol=0.003)
    assert_allclose(one.std(axis=0), other.std(axis=0), rtol=0.06)


def test_laplace_terms_are_those_at_the_draws_whether_contexts_recur_or_not(chain):
    fit = slm.SoftmaxRegression(1).fit(chain)
    few = slm.Corpus.from_tokens([[0, 1, 2]], vocabulary=chain.vocabulary, eos=False)
    drawn = slm.posterior(fit, draws=4, seed=1)
    for corpus in (chain, few):
        at = [fit.at(draw).on(corpus).loglike_obs() for draw in drawn.draws]
        assert_allclose(drawn.loglike(corpus, by="token"), at, rtol=1e-10)


def test_importance_weights_mend_a_skewed_posterior():
    """One share, 4 successes of 24: the flat posterior is Beta(5, 21), whose mean the normal approximation misses."""
    fit = slm.NGram(1).fit(slm.Corpus.from_text("aaaab" * 4 + "aaaa"))
    laplace = slm.posterior(fit, draws=8_000, method="laplace", seed=1)
    weights = laplace.importance()
    assert weights.pareto_k < 0.7
    assert 1000 < weights.effective < 8_000
    mended = laplace.resample(4_000, seed=2)
    assert_allclose(mended.draws.mean(), 5 / 26, atol=0.006)
    assert abs(laplace.draws.mean() - 5 / 26) > 0.015
    assert mended.importance().effective == 4_000
    assert "resampled" in repr(mended)
    assert np.isfinite(mended.loglike()).all()


def test_exact_draws_weigh_the_same(drawn):
    assert drawn.importance().effective == drawn.size


def test_weights_that_cannot_mend_are_refused():
    corpus = slm.datasets.markov(states=12, documents=4, length=120, concentration=0.3, seed=3).corpus
    fit = slm.SoftmaxRegression(1, penalty="ridge", strength=0.05).fit(corpus)
    with pytest.raises(NoEstimate, match=r"Pareto k = .*above 0\.7"):
        slm.posterior(fit, draws=1000, seed=1).resample()


# --- refusals -------------------------------------------------------------------------------------------------------------


def test_maximum_likelihood_of_an_ngram_names_no_prior(texts):
    with pytest.raises(NoEstimate, match=r"names no prior.*prior=0\.5.*smoothing='additive'"):
        slm.posterior(slm.NGram(2).fit(texts))


def test_separated_coefficients_have_no_posterior_under_a_flat_prior(texts):
    with pytest.raises(NoEstimate, match=r"have no finite estimate.*penalty='ridge'"):
        slm.posterior(slm.SoftmaxRegression(1).fit(texts))


def test_unidentified_parameters_have_no_posterior(chain):
    fit = slm.SoftmaxRegression(1).fit(chain).likelihood

    class Doubled:
        """The first parameter split into a sum of two, which the data cannot tell apart."""

        corpus, memory, dof = chain, fit.memory, fit.dof
        params = np.concatenate([[0.0], fit.params])
        param_names = fit.param_names.insert(0, ("again", "again"))

        def score(self):
            rows = fit.score().toarray()
            return np.concatenate([rows[:, :1], rows], axis=1)

        def information(self):
            matrix = fit.information()
            matrix = np.concatenate([matrix[:1], matrix])
            return np.concatenate([matrix[:, :1], matrix], axis=1)

        def loglike_obs(self):
            return fit.loglike_obs()

        logprobs = on = at = None

    Doubled.logprobs, Doubled.on, Doubled.at = (lambda *a: None,) * 3
    with pytest.raises((SingularInformation, SpecificationError)):
        slm.posterior(Doubled())


def test_smoothed_ngrams_without_likelihood_have_none(texts):
    with pytest.raises(NoEstimate, match="no parameters with a likelihood"):
        slm.posterior(slm.NGram(2, smoothing="witten-bell").fit(texts))


def test_other_text_is_not_what_the_estimate_was_made_from(chain):
    ridge = slm.SoftmaxRegression(1, penalty="ridge", strength=1.0).fit(chain)
    for fit in (ridge, slm.SoftmaxRegression(1).fit(chain)):
        with pytest.raises(SpecificationError, match=r"stand where|not at its maximum"):
            slm.posterior(fit.on(chain.subset(range(5))))


def test_settings_that_make_no_sense_are_refused(chain, smooth, drawn):
    softmax = slm.SoftmaxRegression(1).fit(chain)
    with pytest.raises(SpecificationError, match="draws=1 is no number"):
        slm.posterior(smooth, draws=1)
    with pytest.raises(SpecificationError, match=r"GB. Take .* draws or fewer"):
        slm.posterior(smooth, draws=10**9)
    with pytest.raises(SpecificationError, match="method='mcmc'"):
        slm.posterior(smooth, method="mcmc")
    with pytest.raises(NoEstimate, match="no posterior in closed form"):
        slm.posterior(softmax, method="exact")
    with pytest.raises(SpecificationError, match="concentration of an n-gram's Dirichlet prior"):
        slm.posterior(softmax, prior=1.0)
    with pytest.raises(SpecificationError, match="prior=-1"):
        slm.posterior(smooth, prior=-1)
    with pytest.raises(SpecificationError, match="by='word'"):
        drawn.loglike(by="word")
    with pytest.raises(SpecificationError, match="level=1"):
        drawn.tidy(1)
    long = slm.Corpus.from_text("abracadabra" * 10_000, vocabulary=smooth.corpus.vocabulary)
    with pytest.raises(SpecificationError, match=r"4,000 draws of .* tokens are 4 GB"):
        drawn.loglike(long, by="token")


# --- the numerics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, None], ids=["dense", "sparse", "blocks"])
def test_the_inverse_root_squares_to_the_inverse(form):
    rng = np.random.default_rng(0)
    blocks = ArrowBlocks(rng.uniform(1, 3, 6), np.array([0.5, 2.0]), np.array([0, 0, 1, 1, 1, 1]))
    root = factorise(blocks if form is None else form(blocks.toarray())).inverse_root(np.eye(6))
    assert_allclose(root @ root.T, np.linalg.inv(blocks.toarray()), atol=1e-13)


@pytest.mark.parametrize("size", [100, 1000, 5000])
def test_pareto_smoothing_is_that_of_arviz(size):
    try:
        az = slm.interop.arviz.library()
    except SpecificationError:
        pytest.skip("arviz is not installed")
    if not az.__version__.startswith("0."):
        pytest.skip("arviz 1 keeps its smoothing elsewhere")
    rng = np.random.default_rng(size)
    for log_weights in (rng.normal(size=size), rng.standard_t(3, size=size), 0.9 * rng.exponential(size=size)):
        ours, k = pareto_smoothed(log_weights)
        theirs, theirs_k = az.psislw(log_weights)
        assert_allclose(k, float(theirs_k), rtol=1e-10)
        assert_allclose(np.exp(ours), np.exp(np.asarray(theirs)), rtol=1e-8, atol=1e-14)


def test_equal_weights_have_no_tail():
    smoothed, k = pareto_smoothed(np.zeros(100))
    assert k == -np.inf
    assert_allclose(smoothed, -np.log(100))
