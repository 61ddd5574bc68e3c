"""The decoder: the contract, the windows, generation, and its meeting points."""

import subprocess
import sys

import numpy as np
import pytest

import statlm as slm
from statlm.errors import CorpusError, DamagedFile, NoEstimate, SpecificationError
from statlm.testing import check_predictive

pytest.importorskip("torch")

SMALL = {"layers": 2, "heads": 2, "width": 16, "context": 32, "steps": 20, "batch": 128, "precision": "float64", "seed": 1}
GPT2 = {
    "norm": "layer",
    "affine": True,
    "bias": True,
    "positions": "learned",
    "activation": "gelu-tanh",
    "tied": True,
    "lags": 0,
    "initialisation": "gpt2",
    "embedding_norm": False,
    "query_key_norm": False,
    "dropout": 0.1,
}
SHAPES = {
    "default": {},
    "gpt2": GPT2,
    "exact gelu": GPT2 | {"activation": "gelu", "tied": False},
    "swiglu": {"activation": "swiglu", "hidden": 24},
    "experts": {"experts": 4, "experts_per_token": 2},
    "one expert of four": {"experts": 4},
    "no blocks": {"layers": 0, "norm": "none", "embedding_norm": False, "head_bias": True},
    "layer norm": {"norm": "layer"},
}


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(["abracadabra" * 2, "barbara bar", "abba", "cadabra"] * 4)


@pytest.fixture(scope="module")
def long_text():
    rng = np.random.default_rng(0)
    return slm.Corpus.from_text("".join(rng.choice(list("abc d"), 700)))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_contract_holds_for_every_shape(corpus, shape):
    fit = slm.TransformerDecoder(**SMALL | SHAPES[shape]).fit(corpus)
    check_predictive(fit)
    counted = fit.specification.count_parameters(corpus.vocabulary.size + 1, corpus.vocabulary.size)
    assert fit.likelihood.params.shape == (counted,)


@pytest.mark.parametrize(
    ("preset", "embedded", "parameters"),
    [("gpt2", 50_257, 124_439_808), ("gpt4r", 66, 10_796_544), ("gpt4r", 68, 10_798_080), ("nanogpt-cpu", 65, 804_096)],
)
def test_presets_have_the_published_number_of_weights(preset, embedded, parameters):
    assert slm.TransformerDecoder.preset(preset).count_parameters(embedded) == parameters


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(corpus):
    first, again, other = (slm.TransformerDecoder(**SMALL | {"seed": s, "dropout": 0.1}).fit(corpus) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.loglike_obs(), again.loglike_obs())
    assert np.abs(first.loglike_obs() - other.loglike_obs()).max() > 1e-3


def test_fitting_leaves_torchs_generator_alone(corpus):
    import torch

    before = torch.get_rng_state()
    slm.TransformerDecoder(**SMALL).fit(corpus)
    assert torch.equal(before, torch.get_rng_state())


# --- windows ----------------------------------------------------------------------------------------------------------


def test_a_stride_of_one_gives_every_token_all_the_context_there_is(long_text):
    fit = slm.TransformerDecoder(**SMALL).fit(long_text).likelihood.strided(1)
    full = fit.logprobs(long_text.contexts(32))
    np.testing.assert_allclose(fit.loglike_obs(), full[np.arange(long_text.nobs), long_text.targets], atol=1e-10)


def test_what_is_given_does_not_change_the_probability_of_the_rest(long_text):
    fit = slm.TransformerDecoder(**SMALL).fit(long_text)
    np.testing.assert_allclose(fit.on(long_text.with_given(100)).loglike_obs(), fit.loglike_obs()[100:], atol=1e-10)


def test_the_convention_stands_in_the_summary_and_below_the_comparison(long_text):
    fit = slm.TransformerDecoder(**SMALL).fit(long_text)
    convention = "windows of 32 that advance by 16: each token is predicted from at least 16 tokens before it"
    assert any(convention in note for note in fit.summary().notes)
    assert any(convention in note for note in slm.compare({"d": fit}, on=long_text).attrs["notes"])


def test_documents_that_fit_need_no_convention(corpus):
    assert slm.TransformerDecoder(**SMALL).fit(corpus).likelihood.convention() is None


def test_a_corpus_shorter_than_the_context_is_fitted_and_scored():
    tiny = slm.Corpus.from_texts(["ab", "a", "ba"])
    fit = slm.TransformerDecoder(**SMALL).fit(tiny)
    assert fit.loglike_obs().shape == (tiny.nobs,)
    assert np.isfinite(fit.perplexity)


def test_an_unknown_token_has_probability_zero_and_adds_nothing_as_context(corpus):
    fit = slm.TransformerDecoder(**SMALL).fit(corpus)
    held = slm.Corpus.from_texts(["abzab"], vocabulary=corpus.vocabulary)
    obs = fit.on(held).loglike_obs()
    assert np.isneginf(obs).tolist() == [False, False, True, False, False, False]


def test_dropout_is_off_in_evaluation(corpus):
    fit = slm.TransformerDecoder(**SMALL | {"dropout": 0.5}).fit(corpus)
    np.testing.assert_array_equal(fit.on(corpus).loglike_obs(), fit.loglike_obs())


# --- prefix -----------------------------------------------------------------------------------------------------------


def test_given_tokens_see_each_other_and_answers_do_not_see_ahead():
    questions = slm.Corpus.from_texts(["abcd", "bacd", "abdc", "badc"] * 3, given=2)
    fit = slm.TransformerDecoder(**SMALL | {"prefix": True, "lags": 0}).fit(questions)
    changed = slm.Corpus.from_texts(["abcc"], given=2, vocabulary=questions.vocabulary)
    original = slm.Corpus.from_texts(["abcd"], given=2, vocabulary=questions.vocabulary)
    np.testing.assert_allclose(fit.on(changed).loglike_obs()[0], fit.on(original).loglike_obs()[0], atol=1e-12)
    answers = fit.logprobs(questions.contexts(3))  # (nobs, V), the whole context given
    first = questions.positions == 2
    np.testing.assert_allclose(answers[first, questions.targets[first]], fit.loglike_obs()[first], atol=1e-10)


def test_a_document_longer_than_the_context_is_refused_with_a_prefix_mask(long_text):
    with pytest.raises(CorpusError, match="longest document has 700 tokens"):
        slm.TransformerDecoder(**SMALL | {"prefix": True}).fit(long_text)


# --- generation -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_drawn_is_what_is_scored(corpus, shape):
    """The cache in numpy, its windows and the network agree: the draw's log-probability is that of the text."""
    fit = slm.TransformerDecoder(**SMALL | {"context": 12} | SHAPES[shape]).fit(corpus)
    drawn = fit.generate("abra", max_tokens=40, samples=2, seed=2)
    prompt = corpus.vocabulary.encode("abra").ids
    for tokens, loglike in zip(drawn.tokens, drawn.loglike, strict=True):
        ids = np.concatenate([prompt, tokens]).astype(corpus.vocabulary.dtype)
        text = slm.Corpus(corpus.vocabulary, ids, np.array([0, len(ids)]), np.array([4]), corpus.documents[:1])
        np.testing.assert_allclose(fit.on(text).loglike_obs().sum(), loglike, atol=1e-9)


def test_replicates_of_documents_of_different_beginnings_follow_the_model(corpus):
    fit = slm.TransformerDecoder(**SMALL).fit(corpus)
    mixed = slm.Corpus.from_texts(["abracadabra", "ba", "cad"], vocabulary=corpus.vocabulary, given=1)
    replicate = fit.simulate(like=mixed, seed=1)
    assert replicate.ndocuments == 3
    assert np.isfinite(fit.on(replicate).loglike)


def test_a_document_that_outgrows_the_context_is_refused_with_a_prefix_mask():
    questions = slm.Corpus.from_texts(["abcd", "bacd"] * 3, given=2, eos=False)
    fit = slm.TransformerDecoder(**SMALL | {"prefix": True, "context": 8}).fit(questions)
    with pytest.raises(NoEstimate, match="grown beyond the context of 8"):
        fit.generate("ab", max_tokens=20)


def test_an_unknown_prompt_is_refused(corpus):
    with pytest.raises(CorpusError, match="'z'"):
        slm.TransformerDecoder(**SMALL).fit(corpus).generate("abz")


# --- criteria ---------------------------------------------------------------------------------------------------------


def test_criteria_of_maximum_likelihood_are_refused_where_the_descent_ended_early(corpus):
    fit = slm.TransformerDecoder(**SMALL).fit(corpus)
    with pytest.raises(NoEstimate, match=r"descent ended where its budget did|without a likelihood theory"):
        _ = fit.aic


def test_a_summary_has_the_path_and_no_table_of_weights(corpus):
    shown = slm.TransformerDecoder(**SMALL).fit(corpus).summary()
    assert "muon, 20 steps of 128 tokens" in dict(shown.header)["Method"]
    assert len(shown.coefficients) == 0


# --- meeting points ---------------------------------------------------------------------------------------------------


def test_without_blocks_and_at_full_width_it_is_the_bigram():
    """Every pair occurs, so that the maximum of the likelihood is finite; the width is the number of tokens."""
    rng = np.random.default_rng(0)
    chain = [[int(x) for x in np.cumsum(rng.integers(0, 4, 300)) % 6] for _ in range(2)]
    states = slm.Corpus.from_tokens([[str(x) for x in doc] for doc in chain], eos=False, given=1)
    fit = slm.TransformerDecoder(
        layers=0, heads=1, width=6, context=300, lags=0, norm="none", embedding_norm=False, head_bias=True,
        optimizer="lbfgs", precision="float64", steps=3000,
    ).fit(states)  # fmt: skip
    assert fit.report.converged
    np.testing.assert_allclose(fit.loglike_obs(), slm.NGram(n=2).fit(states).loglike_obs(), atol=1e-5)
    assert abs(fit.loglike - slm.NGram(n=2).fit(states).loglike) < 1e-6 * states.nobs


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_saved_fit_is_the_same(corpus, tmp_path):
    fit = slm.TransformerDecoder(**SMALL | {"experts": 2}).fit(corpus)
    fit.save(tmp_path / "fit")
    again = slm.load(tmp_path / "fit")
    np.testing.assert_array_equal(again.loglike_obs(), fit.loglike_obs())
    assert again.specification == fit.specification
    assert again.path.equals(fit.path)


def test_weights_that_do_not_fit_the_settings_are_refused(corpus, tmp_path):
    import json

    fit = slm.TransformerDecoder(**SMALL).fit(corpus)
    fit.save(tmp_path / "fit")
    described = json.loads((tmp_path / "fit" / "fit.json").read_text())
    described["specification"]["width"] = 32
    (tmp_path / "fit" / "fit.json").write_text(json.dumps(described))
    with pytest.raises(DamagedFile, match="its settings need"):
        slm.load(tmp_path / "fit")


def test_neither_the_package_nor_ngrams_import_torch():
    code = (
        "import sys, statlm as slm; f = slm.NGram(n=2).fit(slm.Corpus.from_text('abracadabra'));"
        "slm.SoftmaxRegression(lags=1).fit(slm.Corpus.from_text('abracadabra' * 5)); f.summary(); f.generate('a');"
        "slm.TransformerDecoder(layers=1); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


# --- bad settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": -1}, "layers=-1: choose a whole number, 0 or more"),
        ({"width": 10, "heads": 4}, "not a multiple of heads=4"),
        ({"width": 6, "heads": 2}, "is odd"),
        ({"experts_per_token": 2}, "more than there are"),
        ({"dropout": 1.0}, "share of the activations"),
        ({"balance": -1.0}, "weight of a penalty"),
        ({"positions": "sinusoidal"}, "positions='sinusoidal' is unknown"),
        ({"hidden": 0}, "hidden=0"),
        ({"steps": 10, "time": 5.0}, "two budgets"),
        ({"time": -1.0}, "choose a positive number"),
        ({"momentum": 1.5}, "out of range"),
        ({"optimizer": "lbfgs"}, "rounding hides that"),
        ({"stride": 200}, "none share a token"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_words(settings, message):
    with pytest.raises(SpecificationError, match=message):
        slm.TransformerDecoder(**settings)


def test_an_unknown_preset_is_refused():
    with pytest.raises(SpecificationError, match="no preset 'gpt9'"):
        slm.TransformerDecoder.preset("gpt9")
