"""The encoder-decoder: the contract, what sees what, derivatives, and addition."""

import numpy as np
import pytest

import statlm as slm
from statlm.errors import CorpusError, NoEstimate, SpecificationError
from statlm.testing import check_likelihood, check_predictive

torch = pytest.importorskip("torch")

SMALL = {"layers": 1, "heads": 2, "width": 8, "context": 16, "steps": 10, "batch": 128, "precision": "float64", "seed": 1}
LEARNED = {
    "norm": "layer",
    "affine": True,
    "bias": True,
    "positions": "learned",
    "tied": True,
    "initialisation": "gpt2",
    "query_key_norm": False,
}
SHAPES = {"default": {}, "learned positions": LEARNED, "experts": {"experts": 2}, "no blocks": {"layers": 0}}


@pytest.fixture(scope="module")
def questions():
    """One answer token each, so that what is scored is what `logprobs` says after the question."""
    return slm.Corpus.from_texts(["abca", "bacb", "cabc", "aacb", "bbca"] * 4, given=3, eos=False)


@pytest.fixture(scope="module")
def sums():
    return slm.datasets.addition(digits=1, documents=60, given=4, eos=True).corpus


@pytest.mark.parametrize("shape", SHAPES)
def test_the_contract_holds_for_every_shape(questions, shape):
    fit = slm.EncoderDecoder(**SMALL | SHAPES[shape]).fit(questions)
    check_predictive(fit)
    assert fit.likelihood.params.shape == (
        fit.specification.count_parameters(len(questions.vocabulary.types) + 1, questions.vocabulary.size),
    )


def test_the_derivatives_obey_the_contract(questions):
    check_likelihood(slm.EncoderDecoder(**SMALL | {"width": 4}).fit(questions.subset(np.arange(8))).likelihood)


def test_questions_are_read_in_both_directions_and_answers_do_not_see_ahead(sums):
    fit = slm.EncoderDecoder(**SMALL | {"steps": 60}).fit(sums)

    def loglike_obs(text):
        return fit.on(slm.Corpus.from_texts([text], given=4, vocabulary=sums.vocabulary)).loglike_obs()

    np.testing.assert_allclose(loglike_obs("3+4=07")[0], loglike_obs("3+4=01")[0], atol=1e-12)
    assert abs(loglike_obs("3+4=07")[0] - loglike_obs("9+4=07")[0]) > 1e-6
    ids, asked = torch.tensor([[12, 3, 10, 4], [12, 3, 10, 5]]), torch.ones(2, 4, dtype=torch.bool)
    with torch.no_grad():
        first, second = fit.likelihood.network.encode(ids, asked, torch.arange(4), False)[:, 1]
    assert float((first - second).abs().max()) > 1e-6  # a place in the question sees what comes after it


def test_a_longer_neighbour_in_the_batch_changes_nothing(sums):
    fit = slm.EncoderDecoder(**SMALL).fit(sums)
    short, long = "3+4=07", "3+4=0712"
    both = slm.Corpus.from_texts([short, long], given=4, vocabulary=sums.vocabulary)
    alone = slm.Corpus.from_texts([short], given=4, vocabulary=sums.vocabulary)
    np.testing.assert_allclose(fit.on(both).loglike_obs()[: alone.nobs], fit.on(alone).loglike_obs(), atol=1e-12)


def test_what_is_drawn_is_what_is_scored(sums):
    fit = slm.EncoderDecoder(**SMALL | {"steps": 40}).fit(sums)
    drawn = fit.generate("3+4=", max_tokens=6, samples=3, seed=2)
    prompt = sums.vocabulary.encode("3+4=").ids
    for tokens, loglike in zip(drawn.tokens, drawn.loglike, strict=True):
        ids = np.concatenate([prompt, tokens]).astype(sums.vocabulary.dtype)
        text = slm.Corpus(sums.vocabulary, ids, np.array([0, len(ids)]), np.array([4]), sums.documents[:1])
        np.testing.assert_allclose(fit.on(text).loglike_obs().sum(), loglike, atol=1e-9)


def test_a_saved_fit_says_the_same(sums, tmp_path):
    fit = slm.EncoderDecoder(**SMALL).fit(sums)
    fit.save(tmp_path / "fit")
    np.testing.assert_array_equal(slm.load(tmp_path / "fit").loglike_obs(), fit.loglike_obs())


def test_probabilities_have_errors(questions):
    fit = slm.EncoderDecoder(**SMALL | {"steps": 40}).fit(questions)
    table = slm.functional(fit, slm.Probability("abc", "a"), cov="cluster")
    assert 0 <= table.conf_low.iloc[0] < table.estimate.iloc[0] < table.conf_high.iloc[0] <= 1


def test_without_questions_it_is_a_model_of_the_text(questions):
    fit = slm.EncoderDecoder(**SMALL).fit(slm.Corpus.from_texts(["ab", "ba"] * 10))
    assert np.isfinite(fit.loglike)


def test_a_document_longer_than_the_context_is_refused(sums):
    with pytest.raises(CorpusError, match="longest document has 7 tokens"):
        slm.EncoderDecoder(**SMALL | {"context": 4}).fit(sums)


def test_an_answer_that_outgrows_the_context_is_refused():
    questions = slm.Corpus.from_texts(["abcd", "bacd"] * 3, given=2, eos=False)
    with pytest.raises(NoEstimate, match="grown beyond the context of 8"):
        slm.EncoderDecoder(**SMALL | {"context": 8}).fit(questions).generate("ab", max_tokens=20)


@pytest.mark.parametrize(
    ("wrong", "message"), [({"lags": 1}, "Leave lags=0"), ({"prefix": False}, "use TransformerDecoder")]
)
def test_settings_that_contradict_an_encoder_are_refused(wrong, message):
    with pytest.raises(SpecificationError, match=message):
        slm.EncoderDecoder(**wrong)


@pytest.mark.slow
def test_it_learns_to_add():
    drawn = slm.datasets.addition(digits=1, documents=400, given=4, seed=1).corpus
    fit = slm.EncoderDecoder(layers=1, heads=2, width=32, context=8, steps=400, batch=1024, seed=1).fit(drawn)
    assert fit.perplexity < 1.05
