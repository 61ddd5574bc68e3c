"""What a network says has standard errors, and where the network is a multinomial logit they are the logit's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.models.torch_likelihood import TorchLikelihood
from statlm.numerics.conjugate_gradients import conjugate_gradients
from statlm.numerics.damped import Damped, OperatorFactor
from statlm.numerics.spectrum import dense_spectrum, lanczos_spectrum
from statlm.testing import check_likelihood

torch = pytest.importorskip("torch")

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab", "drab", "cabaca", "abba"] * 3
COVARIANCES = ["nonrobust", "HC0", "cluster", "HAC"]


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


@pytest.fixture(scope="module")
def fit(corpus):
    return slm.TransformerDecoder(
        layers=1, heads=2, width=4, hidden=6, context=16, precision="float64", steps=60, batch=128
    ).fit(corpus)


@pytest.fixture(scope="module")
def bigram(corpus):
    return slm.NGram(2, pseudo_count=0.5).fit(corpus)


@pytest.fixture(scope="module")
def table(corpus, bigram):
    """A module that is the bigram model: a row of logits for each previous token."""
    size = corpus.vocabulary.size
    contexts = np.array([[i] for i in [*range(size), corpus.vocabulary.bos]])
    embedding = torch.nn.Embedding(size + 1, size, dtype=torch.float64)
    with torch.no_grad():
        embedding.weight.copy_(torch.from_numpy(bigram.logprobs(contexts)))
    return TorchLikelihood(embedding, corpus, context=16, precision=1e-9)


@pytest.mark.parametrize("cov", COVARIANCES)
def test_a_network_that_is_a_bigram_model_has_its_standard_errors(corpus, bigram, table, cov):
    """Both stand at the same probabilities; the damping of the network is next to nothing."""
    quantities = [slm.Probability("a", "b"), slm.LogOdds("b", "r", against="a"), slm.Perplexity(corpus)]
    network = table.at(table.params)
    plain = slm.NGram(2).fit(corpus)
    at = plain.likelihood
    size = corpus.vocabulary.size
    contexts = np.array([[i] for i in [*range(size), corpus.vocabulary.bos]])
    with torch.no_grad():
        network.module.weight.copy_(torch.from_numpy(np.maximum(at.logprobs(contexts), -40.0)))
    expected = slm.functional(plain, quantities[:2], cov=cov)
    found = slm.functional(network, quantities[:2], cov=cov)
    assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-6)


@pytest.mark.parametrize("cov", COVARIANCES)
def test_errors_of_functionals_are_those_of_dense_matrices(fit, cov):
    model = fit.likelihood
    _, gradients = slm.inference.functionals.log_probabilities(model, "ab", ["r", "a"])
    errors = np.sqrt(slm.covariance.resolve_cov(cov).variances(model, gradients))
    score, information = model.score().toarray(), model.information() @ np.eye(model.dof)
    solved = np.linalg.solve(information + model.differentiated.damping * np.eye(model.dof), gradients.T)
    along = score @ solved
    documents = model.corpus.document_index
    if cov == "nonrobust":
        expected = np.sqrt(np.diag(gradients @ solved))
    elif cov == "HC0":
        expected = np.sqrt((along**2).sum(axis=0))
    elif cov == "cluster":
        g = model.corpus.ndocuments
        sums = np.stack([np.bincount(documents, weights=column) for column in along.T], axis=1)
        expected = np.sqrt((sums**2).sum(axis=0) * g / (g - 1))
    else:
        expected = np.sqrt(
            [slm.covariance.HAC().factor(score, model.corpus).__matmul__(s[:, None]).__pow__(2).sum() for s in solved.T]
        )
    assert_allclose(errors, expected, rtol=1e-7)


def test_predicted_probabilities_have_the_errors_of_the_functional(fit):
    shown = fit.predict(["ab"], interval=0.95, method="logit", cov="cluster").set_index("token").loc["r"]
    row = fit.functional(slm.Probability("ab", "r"), cov="cluster").iloc[0]
    assert_allclose(
        [shown.std_error, shown.conf_low, shown.conf_high], row[["std_error", "conf_low", "conf_high"]], rtol=1e-9
    )


@pytest.mark.parametrize(
    "quantity",
    [
        slm.Probability("ab", "r"),
        slm.LogOdds("ab", "r", "a"),
        slm.Difference(slm.Probability("ab", "r"), slm.Probability("cr", "r")),
        slm.CosineSimilarity("a", "b"),
        slm.Perplexity(slm.Corpus.from_texts(["abra", "cab"], vocabulary=slm.Corpus.from_texts(TEXTS).vocabulary)),
    ],
    ids=lambda f: f.label[0],
)
def test_gradients_of_functionals_are_their_derivatives(fit, quantity):
    model = fit.likelihood
    _, gradient = quantity.measure(model)
    direction = np.random.default_rng(2).normal(size=model.dof)
    up, down = (quantity.measure(model.at(model.params + sign * 1e-6 * direction))[0] for sign in (1, -1))
    assert_allclose(gradient @ direction, (up - down) / 2e-6, rtol=1e-5, atol=1e-7)


def test_influence_sums_to_the_clustered_variance(fit):
    g = fit.corpus.ndocuments
    quantity = slm.LogOdds("ab", "r")
    table = fit.influence([quantity])
    assert "displacement" not in table
    variance = fit.functional(quantity, cov="cluster").std_error.iloc[0] ** 2
    assert_allclose((table[quantity.label] ** 2).sum() * g / (g - 1), variance, rtol=1e-9)


def test_a_table_of_weights_is_refused_in_words(fit):
    for ask in (fit.std_errors, fit.conf_int, fit.vcov, fit.tidy, fit.influence):
        with pytest.raises(
            slm.errors.NoEstimate, match=r"weights of this network are not identified one by one.*head\(fit\)"
        ):
            ask()


def test_the_summary_of_a_network_has_functionals_in_place_of_weights(fit):
    plain = str(fit.summary())
    assert "not identified" in plain
    assert "embedding.weight" not in plain
    shown = str(slm.summary(fit, functionals=[slm.Probability("ab", "r")], cov="cluster"))
    assert "'r' after 'ab'" in shown
    assert "determines about" in shown


def test_more_damping_makes_smaller_model_based_errors(fit):
    errors = [slm.damped(fit, x).functional(slm.LogOdds("ab", "r")).std_error.iloc[0] for x in (0.1, 1.0, 10.0)]
    assert errors[0] > errors[1] > errors[2]


def test_the_default_damping_is_that_of_the_largest_evidence(fit):
    chosen = fit.likelihood.differentiated.damping
    curve = slm.damping_evidence(fit, chosen * np.array([0.5, 0.9, 1.0, 1.1, 2.0]))
    assert curve.log_evidence.idxmax() == 2
    # MacKay's fixed point: the precision times the squared length is the effective number of parameters.
    assert_allclose(chosen * (fit.params**2).sum(), curve.effective_parameters[2], rtol=1e-3)


def test_a_fitted_prior_is_the_damping(corpus):
    decoder = slm.TransformerDecoder(
        layers=0, heads=1, width=4, context=16, precision="float64", optimizer="sgd", weight_decay=0.01, steps=2
    )
    assert_allclose(decoder.fit(corpus).likelihood.differentiated.damping, 0.01 * corpus.nobs)


def test_damping_is_for_models_without_an_inverse(bigram):
    with pytest.raises(slm.errors.SpecificationError, match="has an inverse"):
        slm.damped(bigram, 1.0)
    with pytest.raises(slm.errors.SpecificationError, match="no precision to choose"):
        slm.damping_evidence(bigram)


@pytest.mark.parametrize("precision", [0.0, -1.0, np.inf])
def test_a_precision_is_positive(fit, precision):
    with pytest.raises(slm.errors.SpecificationError, match="positive number"):
        slm.damped(fit, precision).functional(slm.Probability("ab", "r"))


@pytest.mark.parametrize("curvature", [0, "exact"])
def test_the_curvature_is_a_number_of_observations_or_kronecker(fit, curvature):
    with pytest.raises(slm.errors.SpecificationError, match="curvature="):
        slm.damped(fit, curvature=curvature).functional(slm.Probability("ab", "r"))


def test_evidence_takes_positive_precisions(fit):
    with pytest.raises(slm.errors.SpecificationError, match="positive numbers"):
        slm.damping_evidence(fit, [-1.0])


def test_curvature_by_layers_is_near_the_whole_and_says_that_it_is_not(fit):
    whole, layers = slm.damped(fit, 1.0), slm.damped(fit, 1.0, curvature="kronecker")
    ratio = (
        layers.functional(slm.LogOdds("ab", "r")).std_error.iloc[0]
        / whole.functional(slm.LogOdds("ab", "r")).std_error.iloc[0]
    )
    assert 1 / 3 < ratio < 3
    assert "layer by layer" in " ".join(layers.likelihood.damping_notes())
    with pytest.raises(slm.errors.NoEstimate, match="no table of weights"):
        slm.covariance.NonRobust().variances(layers.likelihood)


def without_curvature(fit, precision):
    """The fit with another precision, its curvature yet to be made."""
    return slm.damped(slm.damped(fit, precision, curvature="kronecker"), precision)


def test_another_precision_takes_over_the_curvature_and_no_solution(fit):
    quantities = [slm.LogOdds("ab", "r"), slm.Probability("a", "b")]
    for precision in (0.3, 30.0):
        shared = slm.damped(fit, precision)
        assert shared.likelihood.information() is fit.likelihood.information()
        for cov in ("nonrobust", "cluster"):
            expected = without_curvature(fit, precision).functional(quantities, cov=cov)
            assert_allclose(shared.functional(quantities, cov=cov).to_numpy(), expected.to_numpy(), rtol=1e-9)


def test_too_much_work_is_approximated_with_a_warning(fit, monkeypatch):
    monkeypatch.setattr("statlm.networks.differentiated.WORK", 1)
    fresh = without_curvature(fit, 1.0)
    with pytest.warns(slm.errors.ApproximateCurvatureWarning, match="approximated layer by layer"):
        fresh.functional(slm.LogOdds("ab", "r"))


def test_a_part_of_the_curvature_is_scaled_up(fit):
    part = slm.damped(fit, 1.0, curvature=60).likelihood
    information = part.information()
    assert 60 <= information.derivatives.nobs < 90
    assert information.scale == fit.nobs / information.derivatives.nobs


# --- solves -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def system():
    rng = np.random.default_rng(3)
    root = rng.normal(size=(60, 40))
    return root.T @ root + np.eye(40), rng.normal(size=(40, 3))


def test_conjugate_gradients_solve_and_report(system):
    matrix, right = system
    found = conjugate_gradients(lambda x: matrix @ x, right, tolerance=1e-14)
    assert_allclose(found.solution, np.linalg.solve(matrix, right), rtol=1e-6)
    assert found.error <= 1e-14
    assert found.residual < 1e-6
    better = conjugate_gradients(lambda x: matrix @ x, right, preconditioner=lambda x: np.linalg.solve(matrix, x))
    assert better.iterations <= 4


def test_a_solve_that_does_not_converge_is_refused_with_its_numbers(system):
    matrix, right = system
    with pytest.raises(
        slm.errors.NoEstimate, match=r"of 3 of 3 functionals has not converged after 5 iterations.*slm\.damped"
    ):
        conjugate_gradients(lambda x: matrix @ x, right, most=5)


def test_a_solve_of_an_indefinite_matrix_is_refused(system):
    with pytest.raises(slm.errors.NoEstimate, match="not positive definite"):
        conjugate_gradients(lambda x: -x, system[1])


def test_large_operators_are_solved_without_being_written_out(fit, monkeypatch):
    model = fit.likelihood
    quantity = slm.LogOdds("ab", "r")
    expected = fit.functional(quantity, cov="cluster")
    monkeypatch.setattr("statlm.numerics.damped.SMALL", 0)
    fresh = without_curvature(fit, model.differentiated.damping)
    found = fresh.functional(quantity, cov="cluster")
    assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-5)
    factor = (fresh.likelihood.information() + fresh.likelihood.damping_curvature()).factor
    assert isinstance(factor, OperatorFactor)
    count = len(factor.reports)
    fresh.functional(quantity, cov="HC0")
    assert len(factor.reports) == count == 1  # one solve serves every covariance
    with pytest.raises(slm.errors.NoEstimate, match="known by its products only"):
        factor.inverse_diagonal()
    with pytest.raises(slm.errors.NoEstimate, match="draws of the parameters"):
        factor.inverse_root(np.zeros((model.dof, 1)))


def test_many_solves_write_the_matrix_out_where_that_is_less_work(fit, monkeypatch):
    p = fit.likelihood.dof
    monkeypatch.setattr("statlm.numerics.damped.SMALL", p // 4 + 1)
    monkeypatch.setattr("statlm.numerics.damped.ITERATIONS", p / 3)
    quantities = [slm.LogOdds("ab", "r"), slm.LogOdds("a", "b"), slm.LogOdds("c", "a")]
    expected = without_curvature(fit, 2.0).functional(quantities)
    few, many = (without_curvature(fit, 2.0).likelihood for _ in range(2))
    factors = [(model.information() + model.damping_curvature()).factor for model in (few, many)]
    slm.functional(few, quantities[:2])
    assert len(factors[0].reports) == 1
    found = slm.functional(many, quantities)
    assert not factors[1].reports
    assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-9)
    assert_allclose(slm.functional(few, quantities).to_numpy(), expected.to_numpy(), rtol=1e-5)


def test_a_quadrature_of_the_spectrum_is_near_the_spectrum():
    rng = np.random.default_rng(4)
    root = rng.normal(size=(80, 200)) * np.logspace(0, -2, 200)
    matrix = root.T @ root
    exact = dense_spectrum(matrix)
    found = lanczos_spectrum(lambda x: matrix @ x, 200, rng, probes=20, steps=30)
    assert_allclose(found.size, 200)
    # 20 random vectors; the error is a share of the number of eigenvalues.
    assert_allclose(found.log_determinant(0.1), exact.log_determinant(0.1), atol=0.1 * 200)
    assert_allclose(found.effective(0.1), exact.effective(0.1), rtol=0.1)
    whole = lanczos_spectrum(lambda x: matrix @ x, 200, rng, probes=400, steps=30)
    assert_allclose(whole.log_determinant(0.1), exact.log_determinant(0.1), atol=0.02 * 200)


def test_damped_operators_are_symmetric_and_written_out_where_small(system):
    from scipy.sparse.linalg import aslinearoperator

    matrix, right = system
    damped = Damped(aslinearoperator(matrix), np.full(40, 2.0))
    assert_allclose(damped.T @ right, (matrix + 2 * np.eye(40)) @ right)
    assert_allclose(damped.factor.inverse_diagonal(), np.diag(np.linalg.inv(matrix + 2 * np.eye(40))), rtol=1e-8)


# --- held-out errors, seeds, modules ----------------------------------------------------------------------------------


def test_held_out_errors_add_up(fit, corpus):
    test = slm.Corpus.from_texts(["cab", "abra", "bar", "card"] * 3, vocabulary=corpus.vocabulary)
    table = slm.held_out_error(fit, test, cov="cluster", seeds=[fit, fit])
    assert list(table.index) == ["evaluation sample", "training sample", "seed", "all"]
    parts = table.std_error.iloc[:-1]
    assert_allclose(table.loc["all", "std_error"], np.sqrt((parts**2).sum()))
    assert_allclose(table.share.iloc[:-1].sum(), 1.0)
    assert table.loc["seed", "std_error"] == 0
    low, high = fit.on(test).perplexity_interval()
    assert_allclose(table.loc["evaluation sample", ["conf_low", "conf_high"]].astype(float), [low, high])
    assert_allclose(
        fit.functional(slm.Perplexity(test), cov="cluster").std_error.iloc[0] / fit.on(test).perplexity,
        table.loc["training sample", "std_error"],
    )
    with pytest.raises(slm.errors.SpecificationError, match="at least 2"):
        slm.held_out_error(fit, test, seeds=[fit])


def test_an_ensemble_tells_the_seed_from_the_sample(corpus):
    decoder = slm.TransformerDecoder(layers=0, heads=1, width=4, context=16, precision="float64", steps=20, batch=128)
    fits = slm.seeded_fits(decoder, corpus, seeds=[0, 1, 2])
    row = slm.ensemble(fits, [slm.LogOdds("ab", "r")]).iloc[0]
    each = np.array([slm.LogOdds("ab", "r").measure(f.likelihood)[0] for f in fits])
    assert_allclose(row.estimate, each.mean())
    assert_allclose(row.seed_error, each.std(ddof=1))
    assert_allclose(row.std_error, np.sqrt(row.sampling_error**2 + row.seed_error**2 / 3))
    with pytest.raises(slm.errors.SpecificationError, match="no variance between seeds"):
        slm.ensemble(fits[:1], [slm.LogOdds("ab", "r")])
    with pytest.raises(slm.errors.SpecificationError, match="has no seed"):
        slm.seeded_fits(slm.NGram(2), corpus)
    with pytest.raises(slm.errors.SpecificationError, match="at least 2 different"):
        slm.seeded_fits(decoder, corpus, seeds=[1, 1])


def test_a_module_of_ones_own_obeys_the_contract(corpus):
    size = corpus.vocabulary.size

    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(size + 1, 2)
            self.recurrent = torch.nn.GRU(2, 2, batch_first=True)
            self.out = torch.nn.Linear(2, size)

        def forward(self, ids):
            return self.out(self.recurrent(self.embedding(ids))[0])

    torch.manual_seed(0)
    model = TorchLikelihood(Recurrent().double(), slm.Corpus.from_texts(TEXTS[:6], vocabulary=corpus.vocabulary), context=16)
    check_likelihood(model)
    assert slm.functional(model, slm.Probability("ab", "r"), cov="HC0").std_error.iloc[0] > 0


def test_modules_that_do_not_fit_are_refused(corpus):
    with pytest.raises(slm.errors.SpecificationError, match="it must give logits of shape"):
        TorchLikelihood(torch.nn.Embedding(9, 2), corpus, context=16).loglike_obs()
    with pytest.raises(slm.errors.SpecificationError, match="context=0"):
        TorchLikelihood(torch.nn.Embedding(9, 8), corpus, context=0)
    with pytest.raises(slm.errors.SpecificationError, match="precision of a prior"):
        TorchLikelihood(torch.nn.Embedding(9, 8), corpus, context=4, penalty=-1.0)
    other = slm.Corpus.from_texts(["zebra"], vocabulary=corpus.vocabulary)
    with pytest.raises(slm.errors.CorpusError, match="no type that the module has an embedding for"):
        TorchLikelihood(torch.nn.Embedding(9, 8), corpus, context=16).on(other).loglike_obs()


# --- functionals of other models, and refusals ------------------------------------------------------------------------


def test_functionals_of_an_ngram_are_those_of_its_table(corpus):
    fit = slm.NGram(2).fit(corpus)
    row = fit.functional(slm.Probability("a", "b")).iloc[0]
    shown = fit.predict(["a"], interval=0.95, method="logit").set_index("token").loc["b"]
    assert_allclose(row, shown[["probability", "std_error", "conf_low", "conf_high"]].astype(float), rtol=1e-9)


def test_functionals_without_an_answer_are_refused(corpus, fit):
    bigram = slm.NGram(2).fit(corpus)
    with pytest.raises(slm.errors.NoEstimate, match="probability 0"):
        bigram.functional(slm.Probability("d", "c"))
    with pytest.raises(slm.errors.SpecificationError, match="no embeddings"):
        bigram.functional(slm.CosineSimilarity("a", "b"))
    with pytest.raises(slm.errors.SpecificationError, match="with itself is 1"):
        fit.functional(slm.CosineSimilarity("a", "a"))
    with pytest.raises(slm.errors.SpecificationError, match="not one of the"):
        fit.functional(slm.Probability("a", "zz"))
    with pytest.raises(slm.errors.SpecificationError, match="difference has no meaning"):
        fit.functional(slm.Difference(slm.Perplexity(corpus), slm.Probability("a", "b")))
    certain = slm.NGram(1).fit(slm.Corpus.from_tokens([["x", "x"]], vocabulary=slm.Vocabulary(("x", "y"), with_eos=False)))
    with pytest.raises(slm.errors.NoEstimate, match="probability 1"):
        certain.functional(slm.LogOdds(["x"], "x"))
    other = slm.Corpus.from_texts(["dc"], vocabulary=corpus.vocabulary)
    with pytest.raises(slm.errors.NoEstimate, match="the perplexity is infinite"):
        bigram.functional(slm.Perplexity(other))
