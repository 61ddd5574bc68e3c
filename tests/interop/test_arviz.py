"""What ArviZ makes of our draws agrees with what can be computed without it. Both of its interfaces run these tests."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import gammaln

import statlm as slm
from statlm.errors import DependenceWarning, NoEstimate, SpecificationError

arviz = slm.interop.arviz
try:
    az = arviz.library()
except SpecificationError:
    pytest.skip("arviz is not installed", allow_module_level=True)

OLD = az.__version__.startswith("0.")
PRIOR = 0.5


def quiet(function, *args, **settings):
    """Call ArviZ, whose version 0.23 uses what pandas and matplotlib are about to drop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The inplace keyword")
        warnings.filterwarnings("ignore", message="Passing a dict or None as alias_mapping")
        return function(*args, **settings)


def elpd(loo):
    return float(loo.elpd_loo if OLD else loo.elpd)


def pointwise(loo):
    return np.asarray(loo.loo_i if OLD else loo.elpd_i)


@pytest.fixture(scope="module")
def chain():
    """60 documents of 40 tokens from one chain."""
    return slm.datasets.markov(states=3, documents=60, length=41, seed=1).corpus


@pytest.fixture(scope="module")
def bigram(chain):
    return slm.NGram(2, pseudo_count=PRIOR).fit(chain)


@pytest.fixture(scope="module")
def data(bigram):
    return arviz.to_arviz(bigram, draws=4000, seed=1, predictive=True)


def log_marginal(counts):
    """Log-probability of the transitions, (C, V) counts, under the prior."""
    total, size = counts.sum(axis=1), counts.shape[1]
    rows = gammaln(PRIOR * size) - gammaln(PRIOR * size + total)
    return float(rows.sum() + (gammaln(PRIOR + counts) - gammaln(PRIOR)).sum())


def test_groups_have_named_dimensions(data, bigram, chain):
    assert data["posterior"]["params"].dims == ("chain", "draw", "parameter")
    assert data["posterior"]["params"].shape == (4, 1000, len(bigram.params))
    assert data["log_likelihood"]["y"].dims == ("chain", "draw", "document")
    assert data["observed_data"]["y"].dims == ("document",)
    assert data["posterior_predictive"]["y"].shape == (4, 1000, chain.ndocuments)
    assert data["posterior"].attrs["prior"] == "Dirichlet(0.5)"
    assert "1 | 0" in data["posterior"]["parameter"].values


def test_old_arviz_gets_inference_data_and_new_a_tree(data):
    assert type(data).__name__ == ("InferenceData" if OLD else "DataTree")


def test_log_likelihoods_of_documents_sum_to_that_of_the_draw(bigram):
    drawn = slm.posterior(bigram, draws=8, seed=3)
    terms = np.asarray(arviz.to_arviz(drawn, chains=2)["log_likelihood"]["y"]).reshape(8, -1)
    for draw, row in zip(drawn.draws, terms, strict=True):
        assert_allclose(row.sum(), bigram.at(draw).loglike_obs().sum(), rtol=1e-10)


def test_loo_agrees_with_leaving_documents_out_in_closed_form(data, bigram, chain):
    """The Dirichlet-multinomial gives each document's probability given the others exactly."""
    counts = np.zeros((chain.ndocuments, 3, 3))
    np.add.at(counts, (chain.document_index, chain.contexts(1)[:, 0], chain.targets), 1)
    whole = counts.sum(axis=0)
    exact = np.array([log_marginal(whole) - log_marginal(whole - own) for own in counts])
    loo = quiet(az.loo, data, pointwise=True)
    assert np.asarray(loo.pareto_k).max() < 0.7
    assert_allclose(pointwise(loo), exact, atol=0.05)
    assert_allclose(elpd(loo), exact.sum(), atol=0.5)
    assert_allclose(float(loo.se), np.sqrt(len(exact) * exact.var()), rtol=0.01)


def test_compare_ranks_as_held_out_text_does(data, chain):
    unigram = arviz.to_arviz(slm.NGram(1, pseudo_count=PRIOR).fit(chain), seed=1)
    table = quiet(az.compare, {"unigram": unigram, "bigram": data}, method="pseudo-BMA")
    train, test = chain.split(0.5)
    one, two = (slm.NGram(n, pseudo_count=PRIOR).fit(train).on(test) for n in (1, 2))
    assert table.index[0] == "bigram"
    assert slm.paired_test(two, one).conf_int.low > 0


def test_pit_of_documents_from_the_model_is_uniform(data):
    pit = az.loo_pit(data, y="y") if OLD else az.loo_pit(data)["y"]
    pit = np.sort(np.asarray(pit))
    assert pit.shape == (60,)
    uniform = (np.arange(60) + 0.5) / 60
    assert np.abs(pit - uniform).max() < 1.36 / np.sqrt(60)  # Kolmogorov's 5 % point


def test_predictive_tokens_follow_the_posterior_mean(bigram, chain):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        data = arviz.to_arviz(bigram, draws=400, seed=2, by="token", predictive=True)
    drawn = np.asarray(data["posterior_predictive"]["y"]).reshape(400, -1)
    assert drawn.shape == (400, chain.nobs)
    after = chain.contexts(1)[:, 0]
    for context in range(3):
        share = np.bincount(drawn[:, after == context].ravel(), minlength=3) / drawn[:, after == context].size
        assert_allclose(share, np.exp(bigram.logprobs(np.array([[context]])))[0], atol=0.01)


def test_plots_are_drawn(data):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    loo = quiet(az.loo, data, pointwise=True)
    if OLD:
        quiet(az.plot_khat, loo)
        quiet(az.plot_loo_pit, data, y="y")
        quiet(az.plot_trace, data)
    else:
        az.plot_khat(loo)
        az.plot_loo_pit(data)
    pyplot.close("all")


def test_tokens_that_depend_on_each_other_are_warned_of_with_both_errors():
    corpus = slm.datasets.markov(states=3, documents=40, length=40, heterogeneity=0.3, seed=2).corpus
    fit = slm.NGram(2, pseudo_count=PRIOR).fit(corpus)
    with pytest.warns(
        DependenceWarning, match=r"takes the 1,560 tokens as independent.*clustered by document \(40 clusters\)"
    ):
        arviz.to_arviz(fit, draws=16, by="token")
    arviz.to_arviz(fit, draws=16)  # by document: no warning


def test_tokens_that_do_not_are_not():
    chain = slm.datasets.markov(states=3, documents=60, length=41, seed=4).corpus
    arviz.to_arviz(slm.NGram(2, pseudo_count=PRIOR).fit(chain), draws=16, by="token")


def test_one_document_is_no_sample_of_documents():
    fit = slm.NGram(2, pseudo_count=1).fit(slm.Corpus.from_text("abracadabra" * 5))
    with pytest.raises(NoEstimate, match=r"one document.*split='paragraph'"):
        arviz.to_arviz(fit)


def test_settings_that_make_no_sense_are_refused(bigram):
    with pytest.raises(SpecificationError, match="by='word'"):
        arviz.to_arviz(bigram, by="word")
    with pytest.raises(SpecificationError, match="10 draws do not divide into 4 chains of at least 4 draws"):
        arviz.to_arviz(bigram, draws=10)
    with pytest.raises(SpecificationError, match=r"would take 2\.3 GB"):
        arviz.to_arviz(slm.posterior(bigram, draws=120_000), by="token")


def test_draws_outside_of_the_parameter_space_are_refused():
    corpus = slm.Corpus.from_texts(["aab", "aba", "aaa"], eos=False)
    fit = slm.NGram(1).fit(corpus)
    drawn = slm.posterior(fit, draws=400, method="laplace", seed=1)
    with pytest.raises(NoEstimate, match="draws give some observation probability 0"):
        arviz.to_arviz(drawn)


# --- networks -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks():
    """Two decoders of different size on documents that share a rule."""
    pytest.importorskip("torch")
    chain = slm.datasets.markov(states=3, documents=30, length=21, concentration=0.5, seed=5).corpus
    settings = {"layers": 1, "heads": 1, "context": 24, "batch": 512, "precision": "float64", "seed": 1}
    small = slm.TransformerDecoder(width=2, steps=5, **settings).fit(chain)
    large = slm.TransformerDecoder(width=4, steps=150, **settings).fit(chain)
    return {name: slm.damped(fit, 30.0) for name, fit in (("small", small), ("large", large))}


@pytest.fixture(scope="module")
def drawn_networks(networks):
    return {name: arviz.to_arviz(fit, draws=64, seed=1) for name, fit in networks.items()}


def test_a_network_has_its_loss_in_place_of_weights(networks, drawn_networks):
    data, fit = drawn_networks["large"], networks["large"]
    assert data["posterior"]["entropy"].dims == ("chain", "draw")
    assert data["log_likelihood"]["y"].shape == (4, 16, fit.corpus.ndocuments)
    total = np.asarray(data["log_likelihood"]["y"]).sum(axis=2)
    assert_allclose(np.asarray(data["posterior"]["entropy"]), -total / fit.nobs)
    documents = np.bincount(fit.corpus.document_index, fit.likelihood.loglike_obs())
    assert_allclose(np.asarray(data["observed_data"]["y"]), documents)
    assert "linear function" in data["posterior"].attrs["method"]


def test_networks_are_compared_as_held_out_text_does(drawn_networks):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter")
        loo = quiet(az.loo, drawn_networks["large"], pointwise=True)
        table = quiet(az.compare, drawn_networks, method="pseudo-BMA")
    assert table.index[0] == "large"
    terms = np.asarray(drawn_networks["large"]["log_likelihood"]["y"]).reshape(64, -1)
    assert elpd(loo) < np.log(np.exp(terms).mean(axis=0)).sum()  # leaving out costs


def test_the_last_layer_has_named_coefficients(networks):
    layer = slm.head(networks["large"])
    data = arviz.to_arviz(layer, draws=16, seed=1)
    assert data["posterior"]["params"].shape == (4, 4, len(layer.params))
    assert np.isfinite(np.asarray(data["log_likelihood"]["y"])).all()


def test_new_tokens_after_each_context_of_a_network_are_refused(networks):
    with pytest.raises(SpecificationError, match=r"a pass an observation and draw\. Use predictive=False"):
        arviz.to_arviz(networks["large"], draws=16, predictive=True)
