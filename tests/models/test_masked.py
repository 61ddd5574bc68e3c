"""The masked transformer: gaps, their derivatives and errors, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import CorpusError, NoEstimate, SpecificationError

torch = pytest.importorskip("torch")

SMALL = {"layers": 1, "heads": 2, "width": 4, "context": 8, "steps": 30, "batch": 128, "precision": "float64", "seed": 1}


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(["abra", "barb", "cab", "crab"] * 4)


@pytest.fixture(scope="module")
def fit(corpus):
    return slm.damped(slm.MaskedTransformer(**SMALL).fit(corpus), precision=1.0)


def test_a_gap_is_scored_as_it_is_filled(fit, corpus):
    obs = fit.likelihood.pseudo_loglike_obs()
    assert obs.shape == (corpus.nobs,)
    filled = slm.fill(fit, "a", "ra").set_index("token").probability
    assert_allclose(filled.sum(), 1.0)
    assert_allclose(np.log(filled["b"]), obs[1], rtol=1e-12)  # the second letter of "abra"


def test_both_sides_of_a_gap_count(fit):
    middle = slm.fill(fit, "a", "ra").set_index("token").probability
    assert (middle - slm.fill(fit, "c", "ra").set_index("token").probability).abs().max() > 1e-6
    assert (middle - slm.fill(fit, "a", "rb").set_index("token").probability).abs().max() > 1e-6


def test_a_token_does_not_see_itself(fit, corpus):
    """Else its probability would depend on what stands there, and those of all types would not sum to one."""
    total = 0.0
    for token in corpus.vocabulary.types:
        text = slm.Corpus.from_texts([f"a{token}ra"], vocabulary=corpus.vocabulary)
        total += np.exp(fit.on(text).likelihood.pseudo_loglike_obs()[1])
    filled = slm.fill(fit, "a", "ra").set_index("token").probability
    assert_allclose(total, filled[list(corpus.vocabulary.types)].sum(), rtol=1e-12)


def test_long_documents_are_read_in_pieces_and_every_token_counts_once(fit, corpus):
    long = slm.Corpus.from_texts(["abracabarbcrab" * 3, "cab"], vocabulary=corpus.vocabulary)
    obs = fit.on(long).likelihood.pseudo_loglike_obs()
    assert obs.shape == (long.nobs,)
    assert np.isfinite(obs).all()
    alone = slm.Corpus.from_texts(["cab"], vocabulary=corpus.vocabulary)
    assert_allclose(obs[-alone.nobs :], fit.on(alone).likelihood.pseudo_loglike_obs(), rtol=1e-12)


def test_given_tokens_are_not_scored(fit, corpus):
    some = corpus.with_given(2)
    assert_allclose(
        fit.on(some).likelihood.pseudo_loglike_obs(), fit.likelihood.pseudo_loglike_obs()[corpus.positions >= 2], rtol=1e-12
    )


def test_the_score_is_the_derivative_of_the_pseudo_loglike(fit):
    model = fit.likelihood
    params, score = model.params, np.asarray(model.score() @ np.eye(model.dof)[:, :: model.dof // 7])
    for column, j in enumerate(range(0, model.dof, model.dof // 7)):
        up, down = params.copy(), params.copy()
        up[j] += 1e-6
        down[j] -= 1e-6
        slope = (model.at(up).pseudo_loglike_obs() - model.at(down).pseudo_loglike_obs()) / 2e-6
        assert_allclose(score[:, column], slope, atol=1e-6)


def test_errors_are_those_of_the_sandwich_written_out(fit, corpus):
    wanted = slm.Filled("a", "ra", "b")
    model = fit.likelihood
    _, gradient = wanted.measure(model)
    eye = np.eye(model.dof)
    bread = np.asarray(model.information() @ eye) + eye * 1.0
    sums = np.zeros((corpus.ndocuments, model.dof))
    np.add.at(sums, corpus.document_index, np.asarray(model.score() @ eye))
    along = sums @ np.linalg.solve(bread, gradient) * np.sqrt(corpus.ndocuments / (corpus.ndocuments - 1))
    table = slm.functional(fit, wanted, cov="cluster")
    p = table.estimate.iloc[0]
    assert_allclose(table.std_error.iloc[0], np.linalg.norm(along) * p * (1 - p), rtol=1e-6)


def test_pseudo_perplexity_is_labelled_as_such_and_has_an_interval(fit):
    found = slm.pseudo_perplexity(fit)
    assert repr(found).startswith("PseudoPerplexity(pseudo_perplexity=")
    assert_allclose(found.pseudo_perplexity, np.exp(-fit.likelihood.pseudo_loglike_obs().mean()))
    assert found.conf_low < found.pseudo_perplexity < found.conf_high


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda fit: fit.perplexity, "no likelihood or perplexity"),
        (lambda fit: fit.predict(["a"]), "no distribution of the next token"),
        (lambda fit: fit.generate("a"), "no distribution of the next token"),
        (lambda fit: fit.aic, "what was fitted is a pseudo-likelihood"),
        (lambda fit: fit.std_errors("cluster"), "not identified one by one"),
        (
            lambda fit: slm.functional(fit, slm.Filled("a", "ra", "b")),
            "holds for a likelihood and not for a pseudo-likelihood",
        ),
        (
            lambda fit: slm.functional(fit, slm.Filled("a", "ra", "b"), cov="opg"),
            "holds for a likelihood and not for a pseudo-likelihood",
        ),
        (lambda fit: slm.functional(fit, slm.Filled("a", "ra", "z"), cov="HC0"), "'z' is not one of"),
    ],
)
def test_what_needs_a_likelihood_is_refused_in_words(fit, asked, message):
    with pytest.raises((NoEstimate, SpecificationError), match=message):
        asked(fit)


def test_pseudo_perplexity_of_a_model_of_the_next_token_is_refused(corpus):
    with pytest.raises(NoEstimate, match="perplexity_interval"):
        slm.pseudo_perplexity(slm.NGram(n=2).fit(corpus))


def test_unknown_types_make_the_pseudo_perplexity_infinite_and_are_refused(fit, corpus):
    other = slm.Corpus.from_texts(["abz"], vocabulary=corpus.vocabulary)
    with pytest.raises(NoEstimate, match="1 of 4 tokens are of types"):
        slm.pseudo_perplexity(fit.on(other))


def test_a_gap_in_a_document_that_is_too_long_is_refused(fit):
    with pytest.raises(CorpusError, match="the model sees 8"):
        slm.fill(fit, "abraabra", "a")


def test_a_saved_fit_says_the_same(fit, corpus, tmp_path):
    made = slm.MaskedTransformer(**SMALL).fit(corpus)
    made.save(tmp_path / "fit")
    np.testing.assert_array_equal(
        slm.load(tmp_path / "fit").likelihood.pseudo_loglike_obs(), made.likelihood.pseudo_loglike_obs()
    )


def test_one_gap_at_a_time_learns_a_text_that_repeats():
    corpus = slm.Corpus.from_texts(["abab", "baba"] * 8)
    fit = slm.MaskedTransformer(**SMALL | {"width": 8, "steps": 200, "share": None}).fit(corpus, held_out=corpus)
    assert slm.pseudo_perplexity(fit).pseudo_perplexity < 1.1  # a neighbour says everything
    assert fit.path.held_out_loss.iloc[-1] < fit.path.held_out_loss.iloc[0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"share": 1.5}, "share=1.5"),
        ({"lags": 1}, "lags=1 has no meaning"),
        ({"prefix": True}, "prefix=True"),
        ({"context": 1}, "context=1"),
    ],
)
def test_settings_without_meaning_are_refused(wrong, message):
    with pytest.raises(SpecificationError, match=message):
        slm.MaskedTransformer(**wrong)
