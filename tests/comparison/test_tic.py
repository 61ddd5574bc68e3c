"""Takeuchi's criterion: exact where the model is saturated, right in simulation where it is wrong, and refused elsewhere."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.comparison import tic as module
from statlm.covariance.bread import bread
from statlm.errors import NoEstimate, SingularInformation, SpecificationError
from statlm.numerics.linalg import factorise
from statlm.numerics.repeated_rows import dense

RNG = np.random.default_rng(8)


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_tokens([RNG.choice(4, size=50, p=[0.4, 0.3, 0.2, 0.1]) for _ in range(60)], eos=False).with_given(
        2
    )


@pytest.fixture(scope="module")
def softmax(corpus):
    return slm.SoftmaxRegression(2).fit(corpus)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_it_is_the_number_of_finite_parameters_of_an_n_gram(corpus, n):
    fit = slm.NGram(n).fit(corpus)
    assert_allclose(slm.effective_parameters(fit), len(fit.params), rtol=1e-8)
    assert_allclose(slm.tic(fit), -2 * fit.loglike + 2 * len(fit.params), rtol=1e-10)


@pytest.mark.parametrize("cov", ["HC0", "cluster", slm.HAC(lags=3), slm.Sandwich(slm.Clustered())])
def test_it_is_the_trace_by_hand(softmax, cov):
    s = np.asarray(dense(softmax.score()))
    corpus = softmax.corpus
    if cov == "HC0":
        meat = s.T @ s
    elif isinstance(cov, slm.HAC):
        factor = cov.factor(s, corpus) @ np.eye(s.shape[1])
        meat = factor.T @ factor
    else:
        sums = np.zeros((60, s.shape[1]))
        np.add.at(sums, corpus.document_index, s)
        meat = 60 / 59 * sums.T @ sums
    by_hand = np.trace(np.linalg.solve(softmax.information(), meat))
    assert_allclose(slm.effective_parameters(softmax, cov), by_hand, rtol=1e-8)


@pytest.mark.parametrize(
    "specification", [slm.NGram(1), slm.NGram(3), slm.NGram(2, pseudo_count=0.7), slm.VariableLengthNGram(3)], ids=str
)
@pytest.mark.parametrize(
    "dependence", [slm.Independent(), slm.Clustered(), slm.InfinitesimalJackknife(), slm.HAC(lags=5)], ids=repr
)
def test_the_closed_form_of_an_n_gram_is_the_dense_trace(corpus, specification, dependence):
    fit = specification.fit(corpus)
    model = fit.likelihood
    along = dense(dependence.factor(model.score(), corpus) @ np.eye(len(fit.params)))
    by_hand = np.trace(np.linalg.solve(bread(model).toarray(), along.T @ along))
    assert isinstance(model, module.InCells)
    assert_allclose(slm.effective_parameters(fit, dependence), by_hand, rtol=1e-8)


def test_rows_and_columns_in_slices_give_the_same_trace(corpus, softmax, monkeypatch):
    import statlm.covariance.functionals as functionals

    for fit in (slm.NGram(2).fit(corpus), softmax):
        inverse = factorise(bread(fit.likelihood))
        for dependence in (slm.Independent(), slm.Clustered()):
            factor = dependence.factor(fit.score(), corpus)
            whole = float(np.trace(dense(factor @ inverse.solve(dense(factor).T))))
            for held in (1 << 24, 5 * max(factor.shape)):
                monkeypatch.setattr(functionals, "HELD", held)
                monkeypatch.setattr(module, "SPARSE_ROWS", held // max(factor.shape))
                assert_allclose(module._trace(factor, inverse), whole, rtol=1e-9)
                monkeypatch.undo()
    tall = np.random.default_rng(0).normal(size=(30, 3))
    wide = tall[:2]
    for factor in (tall, wide):
        assert_allclose(module._trace(factor, factorise(np.diag([1.0, 2.0, 4.0]))), (factor**2 / [1, 2, 4]).sum())


def test_a_right_model_has_about_as_many_as_parameters(softmax):
    assert_allclose(slm.effective_parameters(softmax), len(softmax.params), rtol=0.1)


def test_dependence_within_documents_costs_more():
    rng = np.random.default_rng(9)
    shares = rng.dirichlet([2.0, 2.0, 2.0], size=50)
    fit = slm.NGram(1).fit(slm.Corpus.from_tokens([rng.choice(3, size=40, p=p) for p in shares], eos=False))
    assert_allclose(slm.effective_parameters(fit), 2, rtol=1e-8)
    assert slm.effective_parameters(fit, "cluster") > 5
    assert slm.tic(fit, "cluster") > slm.tic(fit) + 6


def test_a_ridge_leaves_fewer_and_has_no_criterion(corpus, softmax):
    ridge = slm.SoftmaxRegression(2, penalty="ridge", strength=200.0).fit(corpus)
    assert 3 < slm.effective_parameters(ridge) < 0.8 * slm.effective_parameters(softmax)
    with pytest.raises(NoEstimate, match="TIC rests on maximum likelihood"):
        slm.tic(ridge)


def test_without_parameters_there_are_none(corpus):
    fit = slm.NGram(0).fit(corpus)
    assert slm.effective_parameters(fit) == 0.0
    assert_allclose(slm.tic(fit), 2 * corpus.nobs * np.log(4))


def test_refusals(corpus, softmax, monkeypatch):
    with pytest.raises(SpecificationError, match="'nonrobust' takes the model to be right"):
        slm.effective_parameters(softmax, "nonrobust")
    with pytest.raises(NoEstimate, match="bigram witten-bell has no parameters"):
        slm.tic(slm.NGram(2, smoothing="witten-bell").fit(corpus))
    half = slm.NGram(2).fit(corpus.subset(range(30)))
    with pytest.raises(SpecificationError, match="bigram is not at its maximum"):
        slm.effective_parameters(half.on(corpus.subset(range(30, 60))))
    p = len(softmax.params)
    monkeypatch.setattr(module, "bread", lambda model: np.ones((p, p)))
    with pytest.raises(SingularInformation, match=f"of the {p} parameters is singular to working precision"):
        slm.tic(softmax)


@pytest.mark.slow
def test_the_trace_is_the_optimism_of_clustered_text():
    """The gap between training and new text, over corpora whose documents differ, is the trace with clusters and not AIC's p."""
    rng = np.random.default_rng(10)
    vocabulary = slm.Vocabulary(tuple("abc"), with_eos=False)

    def draw():
        return [rng.choice(3, size=40, p=p) for p in rng.dirichlet([4.0, 4.0, 4.0], size=60)]

    gaps, traces = [], []
    for _ in range(600):
        train, new = (slm.Corpus.from_tokens(draw(), vocabulary=vocabulary) for _ in range(2))
        fit = slm.NGram(1).fit(train)
        gaps.append(fit.loglike - fit.on(new).loglike)
        traces.append(slm.effective_parameters(fit, "cluster"))
    error = np.std(gaps) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps) - np.mean(traces)) < 3.3 * error
    assert np.mean(gaps) - 2 > 3.3 * error


@pytest.mark.parametrize("cov", ["HC0", "cluster"])
def test_the_trace_of_a_large_network_is_taken_over_random_signs(cov, monkeypatch):
    """Against the rows written out, of a network small enough for it."""
    pytest.importorskip("torch")
    texts = slm.Corpus.from_texts(["abracadabra", "barbara", "a cab", "bad card", "crab", "drab"] * 4)
    fit = slm.TransformerDecoder(layers=1, heads=1, width=4, context=16, steps=20, batch=128, precision="float64").fit(texts)
    exact = slm.effective_parameters(fit, cov)
    monkeypatch.setattr(module, "SMALL", 10)
    monkeypatch.setattr(module, "PROBES", 64)
    assert abs(slm.effective_parameters(fit, cov) - exact) < 4.5 * np.sqrt(2 * exact / 64) + 0.02 * exact
    if cov == "HC0":
        with pytest.raises(NoEstimate, match=r"sums of scores with random signs.*Use cov='HC0' or 'cluster'"):
            slm.effective_parameters(fit, "HAC")
