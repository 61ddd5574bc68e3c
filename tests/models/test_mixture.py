"""The mixture: its maximum by a grid, its laws, its errors, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, NotComparable, SpecificationError
from statlm.models.mixture import MixtureModel
from statlm.testing import check_likelihood, check_predictive

RNG = np.random.default_rng(7)
CHAIN = RNG.dirichlet(np.full(4, 0.7), size=(4, 4))


def text(n):
    before, state, out = 0, 0, []
    for _ in range(n):
        before, state = state, RNG.choice(4, p=CHAIN[before, state])
        out.append("abcd"[state])
    return "".join(out)


@pytest.fixture(scope="module")
def parts():
    train, test = slm.Corpus.from_texts([text(40) for _ in range(24)]).split(test=0.5)
    return {str(n): slm.NGram(n, pseudo_count=0.2).fit(train) for n in (1, 2, 4)}, test


def test_weights_are_the_maximum_of_a_grid(parts):
    models, test = parts
    fit = slm.Mixture(models).fit(test)
    best = max(
        (fit.likelihood.at(np.array([i, j]) / 100).loglike_obs().sum(), i / 100, j / 100)
        for i in range(101)
        for j in range(101 - i)
    )
    assert fit.loglike >= best[0]
    assert_allclose(fit.params, best[1:], atol=0.01)
    assert_allclose(fit.likelihood.weights, np.r_[1 - fit.params.sum(), fit.params])


def test_weights_are_those_of_stacking(parts):
    models, test = parts
    fit = slm.Mixture(models).fit(test)
    table = slm.stacking_weights(models, test).set_index("model")
    assert_allclose(fit.likelihood.weights, table.weight[list(models)], atol=1e-9)
    assert_allclose(-fit.loglike / test.nobs, table.attrs["loss"] if table.attrs else fit.entropy, rtol=1e-10)


def test_a_mixture_obeys_the_contract(parts):
    models, test = parts
    fit = slm.Mixture({k: models[k] for k in "24"}).fit(test)
    assert 0.02 < fit.params[0] < 0.98
    check_likelihood(fit.likelihood)
    check_likelihood(slm.Mixture(models).fit(test).likelihood.at(np.array([0.5, 0.2])))
    check_predictive(fit.likelihood.on(models["1"].corpus))


def test_standard_errors_are_those_of_the_curvature(parts):
    models, test = parts
    fit = slm.Mixture({k: models[k] for k in "24"}).fit(test)

    def loglike(w):
        return fit.likelihood.at(np.array([w])).loglike_obs().sum()

    w, h = fit.params[0], 1e-4
    curvature = -(loglike(w + h) - 2 * loglike(w) + loglike(w - h)) / h**2
    assert_allclose(fit.std_errors()[0], curvature**-0.5, rtol=1e-4)
    assert fit.std_errors("cluster")[0] > 0


def test_probabilities_are_the_weighted_mean(parts):
    models, test = parts
    fit = slm.Mixture(models).fit(test)
    contexts = test.contexts(3)[:20]
    mean = sum(w * np.exp(m.logprobs(contexts)) for w, m in zip(fit.likelihood.weights, models.values(), strict=True))
    assert_allclose(np.exp(fit.logprobs(contexts)), mean, rtol=1e-12)
    assert fit.memory == 3


def test_a_component_may_exclude_what_another_allows(parts):
    models, test = parts
    raw = slm.NGram(4).fit(models["1"].corpus)
    fit = slm.Mixture({"raw": raw, "1": models["1"]}).fit(test)
    assert np.isfinite(fit.loglike)
    assert np.isfinite(fit.std_errors()).all()
    with pytest.raises(NoEstimate, match="have probability 0 under the mixture"):
        fit.likelihood.at(np.array([0.0])).score()


def test_a_weight_of_zero_is_noted(parts):
    models, test = parts
    fit = slm.Mixture({"2": models["2"], "uniform": slm.NGram(0).fit(models["1"].corpus)}).fit(test)
    if fit.params[0] == 0:
        assert any("on the boundary, for uniform" in note for note in fit.likelihood.notes())
    edge = fit.likelihood.at(np.array([0.0]))
    assert any("on the boundary, for uniform" in note for note in edge.notes())


def test_names_come_from_specifications_and_must_differ(parts):
    models, test = parts
    fit = slm.Mixture(list(models.values())).fit(test)
    assert list(fit.likelihood.weights.index) == ["unigram + 0.2", "bigram + 0.2", "4-gram + 0.2"]
    assert list(fit.param_names) == [("weight", "bigram + 0.2"), ("weight", "4-gram + 0.2")]
    assert repr(slm.Mixture(models)) == "Mixture(1, 2, 4)"
    assert str(slm.Mixture(models)) == "mixture of 1, 2, 4"
    with pytest.raises(SpecificationError, match="have the same specification"):
        slm.Mixture([models["1"], models["1"]])
    with pytest.raises(SpecificationError, match="two models or more, and 1 was given"):
        slm.Mixture([models["1"]])


def test_unequal_corpora_are_refused(parts):
    models, test = parts
    with pytest.raises(NotComparable, match="stand on different observations"):
        MixtureModel((models["1"].likelihood, models["2"].on(test).likelihood), np.array([0.5]), ("1", "2"))
    with pytest.raises(NotComparable, match="has another vocabulary"):
        slm.Mixture(models).fit(slm.Corpus.from_texts(["xyz", "zyx"]))


def test_what_no_mixture_can_predict_is_refused(parts):
    models, test = parts
    raw = [slm.NGram(n).fit(models["1"].corpus) for n in (5, 6)]
    with pytest.raises(NoEstimate, match="under every one of the 2 models"):
        slm.Mixture(raw).fit(test)


@pytest.mark.parametrize("wrong", [[0.5], [0.7, 0.7], [-0.1, 0.2]])
def test_what_are_no_weights_is_refused(parts, wrong):
    models, test = parts
    with pytest.raises(SpecificationError, match="are not the weights of 2, 4"):
        slm.Mixture(models).fit(test).likelihood.at(np.array(wrong))
