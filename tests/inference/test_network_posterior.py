"""Draws of networks have the covariance that the dense matrices give, and say what the delta method says."""

import numpy as np
import pytest
import scipy.sparse.linalg
from numpy.testing import assert_allclose, assert_array_equal

import statlm as slm
from statlm.errors import ApproximateCurvatureWarning, NoEstimate, SpecificationError
from statlm.inference.network_draws import LowRankSteps, SolvedSteps, network_steps
from statlm.numerics.leading import leading_pairs

torch = pytest.importorskip("torch")

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab", "drab", "cabaca", "abba"] * 3


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


@pytest.fixture(scope="module")
def fit(corpus):
    return slm.TransformerDecoder(
        layers=1, heads=2, width=4, hidden=6, context=16, precision="float64", steps=60, batch=128
    ).fit(corpus)


@pytest.fixture(scope="module")
def information(fit):
    return fit.likelihood.information().matmat(np.eye(len(fit.params)))


@pytest.fixture(scope="module")
def damping(fit):
    return fit.likelihood.damping_curvature().diagonal()[0]


@pytest.fixture(scope="module")
def drawn(fit):
    return slm.posterior(fit, draws=160, seed=1)


@pytest.fixture(scope="module")
def wide():
    """Too many weights to write a matrix out, and next to nothing that text determines of most of them."""
    few = slm.Corpus.from_texts(TEXTS[:4])
    return slm.TransformerDecoder(layers=1, heads=2, width=16, context=16, precision="float64", steps=30, batch=128).fit(few)


def correlation(covariance, of):
    scale = np.sqrt(np.diag(of))
    return covariance / scale / scale[:, None]


# --- steps ----------------------------------------------------------------------------------------------------------------


def test_draws_have_the_covariance_of_the_dense_inverse(fit, information, damping):
    """A step is a fixed matrix times z, so that its covariance is known without drawing."""
    steps = network_steps(fit.likelihood, 3, None, damping, seed=1)
    assert isinstance(steps, LowRankSteps)
    weight = 1 / np.sqrt(steps.values + damping) - 1 / np.sqrt(damping)
    root = np.eye(len(information)) / np.sqrt(damping) + (steps.vectors * weight) @ steps.vectors.T
    dense = np.linalg.inv(information + damping * np.eye(len(information)))
    assert_allclose(root @ root.T, dense, atol=1e-10 * dense.max())
    z = np.random.default_rng([1, 2]).standard_normal(len(root))
    assert_allclose(steps[[2]][:, 0], root @ z, atol=1e-10)
    assert_allclose(steps.half_distance[2], 0.5 * z @ z)


def test_what_a_low_rank_leaves_out_has_the_variance_of_the_prior(fit, information, damping):
    with pytest.warns(ApproximateCurvatureWarning, match=r"determines more than 5 directions.*larger rank="):
        steps = network_steps(fit.likelihood, 4000, 5, damping, seed=1)
    values, vectors = np.linalg.eigh(information)
    found = steps[range(4000)].T @ vectors[:, ::-1]
    expected = np.where(np.arange(len(values)) < 5, 1 / (values[::-1] + damping), 1 / damping)
    assert_allclose(found.var(axis=0) / expected, 1.0, atol=5 * np.sqrt(2 / 4000))


def test_solved_draws_have_the_covariance_of_the_dense_inverse(fit, information, damping):
    from statlm.inference.network_draws import _solved

    steps = _solved(fit.likelihood, fit.likelihood.information(), 4000, damping, seed=3)
    assert isinstance(steps, SolvedSteps)
    dense = np.linalg.inv(information + damping * np.eye(len(information)))
    found = correlation(steps.steps @ steps.steps.T / 4000, dense)
    assert_allclose(found, correlation(dense, dense), atol=5.5 * np.sqrt(2 / 4000))
    quadratic = (steps.steps * ((information + damping * np.eye(len(information))) @ steps.steps)).sum(axis=0)
    assert_allclose(steps.half_distance, quadratic / 2, rtol=1e-6)


def test_noise_of_the_curvature_does_not_depend_on_how_many_are_drawn_together(fit):
    linear = fit.likelihood.linearised()
    together = linear.curvature_draws([np.random.default_rng([0, s]) for s in range(3)])
    alone = linear.curvature_draws([np.random.default_rng([0, 2])])
    assert_allclose(together[:, 2], alone[:, 0], atol=1e-9 * np.abs(alone).max())


def test_leading_pairs_of_a_large_operator_are_those_of_the_dense_matrix():
    rng = np.random.default_rng(0)
    p = 1_600
    basis = np.linalg.qr(rng.standard_normal((p, 30)))[0]
    values = 100.0 * 0.7 ** np.arange(30)
    matrix = scipy.sparse.linalg.LinearOperator((p, p), matvec=lambda v: basis @ (values * (basis.T @ v)), dtype=float)
    found, vectors = leading_pairs(matrix, 8)
    assert_allclose(found, values[:8], rtol=1e-6)
    assert_allclose(np.abs((vectors * basis[:, :8]).sum(axis=0)), 1.0, rtol=1e-6)


def test_few_directions_are_found_by_lanczos_and_many_are_solved_for(wide):
    tight, loose = slm.damped(wide, 30.0), slm.damped(wide, 3.0)
    assert len(wide.params) > 1_500
    few = slm.posterior(tight, draws=8, seed=1)
    assert "leading directions" in repr(few)
    values = few.source.steps.values
    dense = np.linalg.eigvalsh(tight.likelihood.information().matmat(np.eye(len(wide.params))))[::-1]
    assert_allclose(values, dense[: len(values)], rtol=1e-5)
    assert values[-1] < 2 * 0.1 * 30
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("statlm.inference.network_draws.MOST_PAIRS", 10)
        many = slm.posterior(loose, draws=4, seed=1)
    assert "by a solve for each draw" in repr(many)
    assert np.isfinite(many.loglike()).all()


# --- what draws say -------------------------------------------------------------------------------------------------------


def test_log_odds_vary_over_draws_as_the_delta_method_says(fit, corpus):
    """Log-odds are linear in the weights of the linear function, so that only Monte Carlo is between the two."""
    drawn = slm.posterior(fit, draws=640, seed=1)
    table = slm.functional(fit, [slm.LogOdds("ab", "r", against="a"), slm.LogOdds("b", "a", against="c")], cov="nonrobust")
    vocabulary = corpus.vocabulary
    a, b, c, r = vocabulary.ids_of(["a", "b", "c", "r"])
    contexts = np.array([[vocabulary.bos, a, b], [vocabulary.pad, vocabulary.bos, b]])
    logp = np.log(drawn.probabilities(contexts))
    for row, (one, other), estimate, error in zip((0, 1), ((r, a), (a, c)), table.estimate, table.std_error, strict=True):
        odds = logp[:, row, one] - logp[:, row, other]
        assert abs(odds.mean() - estimate) < 4.5 * error / np.sqrt(640)
        assert_allclose(odds.std(), error, rtol=4.5 / np.sqrt(2 * 640))


def test_predictive_intervals_are_the_delta_methods_where_the_text_says_much(fit, corpus):
    tight = slm.damped(fit, 1e4)
    drawn = slm.posterior(tight, draws=640, seed=2)
    predicted = tight.predict(["ab"], interval=0.95, method="wald", cov="nonrobust")
    vocabulary = corpus.vocabulary
    p = drawn.probabilities(np.concatenate([[vocabulary.bos], vocabulary.ids_of(["a", "b"])])[None])[:, 0]
    low, high = np.quantile(p, [0.025, 0.975], axis=0)
    order = vocabulary.ids_of(list(predicted.token))
    width = (predicted.conf_high - predicted.conf_low).to_numpy()
    assert_allclose((high - low)[order], width, rtol=0.2)
    assert_allclose(p.mean(axis=0)[order], predicted.probability, atol=0.005)


def test_rows_sum_to_1_and_terms_are_those_of_the_contexts(fit, drawn, corpus):
    contexts = np.array([[corpus.vocabulary.bos]])
    p = drawn.probabilities(contexts)
    assert p.shape == (160, 1, corpus.vocabulary.size)
    assert_allclose(p.sum(axis=2), 1.0, atol=1e-10)
    terms = drawn.loglike(by="token")
    first = np.flatnonzero(np.diff(corpus.document_index, prepend=-1))
    assert_allclose(terms[:, first], np.log(p[:, 0, corpus.targets[first]]), atol=1e-8)
    assert_allclose(drawn.loglike(), [np.bincount(corpus.document_index, row) for row in terms], atol=1e-8)
    assert_allclose(drawn.loglike(by="corpus"), terms.sum(axis=1), atol=1e-7)


def test_the_linear_function_predicts_better_than_the_network_at_drawn_weights(fit, drawn):
    """The curvature describes the network near its weights only, and draws leave that region (Immer et al. 2021)."""
    plain = slm.posterior(fit, draws=100, predictive="network", seed=1)
    assert plain.loglike(by="corpus").mean() < drawn.loglike(by="corpus").mean() - 50
    assert_allclose(plain.draws, drawn.draws[:100])
    at = fit.at(plain.draws[3]).loglike_obs()
    assert_allclose(plain.loglike(by="token")[3], at, atol=1e-9)
    contexts = np.array([[corpus_bos(fit), 0]])
    assert_allclose(np.log(plain.probabilities(contexts)[3]), fit.at(plain.draws[3]).logprobs(contexts), atol=1e-9)


def corpus_bos(fit):
    return fit.corpus.vocabulary.bos


def test_equal_seeds_give_equal_draws(fit, drawn):
    again = slm.posterior(fit, draws=160, seed=1)
    assert_array_equal(again.draws, drawn.draws)
    assert_allclose(slm.posterior(fit, draws=5, seed=1).draws, drawn.draws[:5])
    assert (slm.posterior(fit, draws=5, seed=2).draws != drawn.draws[:5]).any()


def test_text_with_unknown_tokens_has_probability_0(fit, drawn, corpus):
    new = slm.Corpus.from_texts(["abx", "ab"], vocabulary=corpus.vocabulary)
    terms = slm.posterior(fit, draws=4).loglike(new)
    assert np.isneginf(terms[:, 0]).all()
    assert np.isfinite(terms[:, 1]).all()


def test_weights_say_how_far_the_approximation_is_from_the_posterior(fit):
    """Under a tight prior draws stay where the linear function and the normal agree."""
    tight = slm.posterior(slm.damped(fit, 1e7), draws=200, seed=1).importance()
    assert tight.log_weights.shape == (200,)
    assert slm.posterior(fit, draws=200, seed=1).importance().pareto_k > 0.7
    assert "log_weights" not in repr(tight)


# --- the last layer -------------------------------------------------------------------------------------------------------


def test_draws_of_the_last_layer_have_the_covariance_of_the_penalised_information(fit, damping):
    layer = slm.head(fit)
    drawn = slm.posterior(layer, draws=6000, seed=1)
    size, d = layer.likelihood.coefficients.shape
    precision = np.kron(damping * (np.eye(size - 1) - 1 / size), np.eye(d))
    covariance = np.linalg.inv(layer.likelihood.information() + precision)
    found = correlation(np.cov(drawn.draws.T), covariance)
    assert_allclose(found, correlation(covariance, covariance), atol=5 * np.sqrt(2 / 6000))
    errors = drawn.draws.mean(axis=0) - layer.params
    assert (np.abs(errors) < 4.5 * np.sqrt(np.diag(covariance) / 6000)).all()
    assert list(drawn.tidy().columns) == ["response", "term", "mean", "std_dev", "low", "high"]


def test_the_prior_of_the_last_layer_does_not_depend_on_the_reference(fit, damping):
    from dataclasses import replace

    from statlm.inference.last_layer import last_layer_draws

    layer = slm.head(fit).likelihood
    contexts = np.array([[corpus_bos(fit), 0, 1]])
    spread = []
    for reference in (0, 3):
        made, _ = last_layer_draws(replace(layer, reference=reference), 4000, seed=1)
        spread.append(np.exp(made.logprobs_of(np.arange(4000), contexts)).std(axis=0))
    assert_allclose(*spread, rtol=0.07)


def test_terms_of_the_last_layer_are_those_at_the_draws(fit, corpus):
    layer = slm.head(fit)
    drawn = slm.posterior(layer, draws=5, seed=1)
    at = [layer.at(draw).loglike_obs() for draw in drawn.draws]
    assert_allclose(drawn.loglike(by="token"), at, atol=1e-10)
    contexts = np.array([[corpus_bos(fit), 0], [corpus_bos(fit), 2]])
    assert_allclose(np.log(drawn.probabilities(contexts)), [layer.at(d).logprobs(contexts) for d in drawn.draws], atol=1e-10)
    assert drawn.importance().log_weights.shape == (5,)


def test_the_last_layer_alone_is_surer_than_the_whole_network(fit, drawn):
    contexts = np.array([[corpus_bos(fit), 0, 1]])
    whole = drawn.probabilities(contexts).std(axis=0)
    alone = slm.posterior(slm.head(fit), draws=2000, seed=1).probabilities(contexts).std(axis=0)
    assert (alone < whole).mean() > 0.8


# --- refusals -------------------------------------------------------------------------------------------------------------


def test_a_table_of_weights_is_refused(drawn):
    with pytest.raises(NoEstimate, match="not identified one by one"):
        drawn.tidy()


def test_settings_that_make_no_sense_are_refused(fit, corpus):
    with pytest.raises(SpecificationError, match="predictive='plain' is unknown"):
        slm.posterior(fit, predictive="plain")
    with pytest.raises(SpecificationError, match=r"rank=0 is the number of leading directions"):
        slm.posterior(fit, rank=0)
    with pytest.raises(SpecificationError, match=r"other models have no use"):
        slm.posterior(slm.NGram(2, pseudo_count=1).fit(corpus), rank=3)
    with pytest.raises(SpecificationError, match=r"rank=1,000: at most 236 eigenvectors"):
        slm.posterior(fit, rank=1000)
    with pytest.raises(SpecificationError, match=r"prior is of damped\(fit"):
        slm.posterior(fit, prior=0.5)


def test_a_curvature_by_layers_has_no_draws_by_solves(wide):
    by_layers = slm.damped(wide, 1e-3, curvature="kronecker")
    with pytest.raises(NoEstimate, match=r"layer by layer.*curvature=20_000.*rank=20"):
        by_layers.likelihood.linearised().curvature_draws([np.random.default_rng(0)])
    with pytest.warns(ApproximateCurvatureWarning):
        assert np.isfinite(slm.posterior(by_layers, draws=2, rank=20).loglike()).all()


def test_weights_of_a_large_network_are_not_written_out(fit, drawn):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("statlm.inference.network_draws.MOST", 1000)
        with pytest.raises(SpecificationError, match=r"160 draws of 236 weights.*made as they are needed"):
            drawn.draws
