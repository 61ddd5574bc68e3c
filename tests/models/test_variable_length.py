"""Contexts of different lengths: the true ones are found, and what remains is a maximum likelihood estimate on a partition."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import statlm as slm
from statlm.errors import DamagedFile, SpecificationError
from statlm.testing import check_likelihood, check_predictive

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]
# After a or b one token of memory is enough; after c the one before it matters too, and after cc a third.
CHAIN = {
    "a": (0.1, 0.1, 0.8),
    "b": (0.2, 0.2, 0.6),
    "ac": (0.7, 0.2, 0.1),
    "bc": (0.1, 0.3, 0.6),
    "acc": (0.1, 0.8, 0.1),
    "bcc": (0.5, 0.0, 0.5),
    "ccc": (0.8, 0.1, 0.1),
}


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


@pytest.fixture(scope="module")
def drawn():
    """A long draw from a chain of which the contexts are known."""
    generator = np.random.default_rng(1)
    text = "ccc"
    tail = text
    pieces = []
    for u in generator.random(30_000):
        context = next(tail[-j:] for j in (1, 2, 3) if tail[-j:] in CHAIN)
        token = "abc"[int(np.searchsorted(np.cumsum(CHAIN[context]), u))]
        pieces.append(token)
        tail = tail[-2:] + token
    return slm.Corpus.from_text("".join(pieces))


@pytest.mark.parametrize("n", [4, 6])
def test_the_contexts_of_a_known_chain_are_found(drawn, n):
    fit = slm.VariableLengthNGram(n, cutoff="bic").fit(drawn)
    found = {name for name in fit.likelihood.context_names() if "<bos>" not in name and name}
    seen = dict(zip(fit.likelihood.context_names(), fit.likelihood.table.totals, strict=True))
    assert {name for name in found if seen[name] > 3} == set(CHAIN)
    for context, p in CHAIN.items():
        assert_allclose(np.exp(fit.logprobs(np.array([drawn.vocabulary.ids_of(context)])))[0], p, atol=0.03)


def test_it_needs_fewer_parameters_than_the_full_chain_and_loses_little(drawn):
    fit, full = slm.VariableLengthNGram(5, cutoff="bic").fit(drawn), slm.NGram(5).fit(drawn)
    assert fit.dof < full.dof / 5
    assert fit.bic < full.bic
    assert 2 * (full.loglike - fit.loglike) < 1.3 * (full.dof - fit.dof)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("cutoff", [0.0, 1.0, "chi2", "bic", 1e6])
def test_the_contract_holds(corpus, n, cutoff):
    fit = slm.VariableLengthNGram(n, cutoff=cutoff).fit(corpus)
    check_likelihood(fit)
    check_predictive(fit.on(slm.Corpus.from_texts(["cabbala", "drab zebra"], vocabulary=corpus.vocabulary)))


def test_the_contract_holds_with_given_tokens_and_a_prior(corpus):
    check_likelihood(slm.VariableLengthNGram(3, cutoff=0.5).fit(slm.Corpus.from_texts(TEXTS, given=2)))
    fit = slm.VariableLengthNGram(4, cutoff=1, pseudo_count=0.3).fit(corpus)
    check_likelihood(fit)
    other = slm.Corpus.from_texts(["rrcc dd"], vocabulary=corpus.vocabulary)
    assert np.isfinite(fit.on(other).perplexity)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_without_pruning_it_is_the_ngram_and_with_all_of_it_the_unigram(corpus, n):
    full = slm.VariableLengthNGram(n, cutoff=0, min_count=1).fit(corpus)
    assert_allclose(full.loglike, slm.NGram(n).fit(corpus).loglike, rtol=1e-12)
    none = slm.VariableLengthNGram(n, cutoff=1e9).fit(corpus)
    assert_allclose(none.loglike_obs(), slm.NGram(1).fit(corpus).loglike_obs(), rtol=1e-12)
    assert none.dof == slm.NGram(1).fit(corpus).dof


def test_the_gain_of_a_context_is_half_its_likelihood_ratio():
    corpus = slm.Corpus.from_text("abaababbabaabab" * 3)
    unigram, bigram = slm.NGram(1).fit(corpus), slm.NGram(2).fit(corpus)
    after_a = np.flatnonzero(np.append(-1, corpus.tokens[:-1]) == corpus.vocabulary.ids_of(["a"])[0])
    gain = (bigram.loglike_obs() - unigram.loglike_obs())[after_a].sum()
    for cutoff, kept in ((gain - 1e-9, True), (gain + 1e-9, False)):
        names = slm.VariableLengthNGram(2, cutoff=cutoff).fit(corpus).likelihood.context_names()
        assert ("a" in names) == kept


def test_estimates_are_frequencies_over_the_observations_of_each_context(corpus):
    fit = slm.VariableLengthNGram(3, cutoff=1).fit(corpus)
    table = fit.likelihood.table
    assert table.totals.sum() == corpus.nobs
    assert_allclose(np.exp(fit.likelihood.cells), table.counts / table.totals[table.row_of_cell])
    assert fit.dof == table.ncontexts * (len(np.unique(corpus.tokens)) - 1)


def test_a_context_that_training_always_left_deeper_falls_back_to_a_shorter_one():
    corpus = slm.Corpus.from_texts(["bac", "dae"] * 40, eos=False)
    fit = slm.VariableLengthNGram(3, cutoff="bic").fit(corpus)
    ids = corpus.vocabulary.ids_of
    assert {"ba", "da"} <= set(fit.likelihood.context_names())
    assert "a" not in fit.likelihood.context_names()
    fallen = fit.logprobs(np.array([ids("ca"), ids("cc")]))
    assert_array_equal(fallen[0], fallen[1])


def test_saved_and_loaded_it_is_the_same(corpus, tmp_path):
    fit = slm.VariableLengthNGram(4, cutoff=0.7).fit(corpus)
    fit.save(tmp_path / "fit")
    again = slm.load(tmp_path / "fit")
    assert again.specification == fit.specification
    assert_array_equal(again.loglike_obs(), fit.loglike_obs())
    assert_array_equal(again.logprobs(corpus.contexts(2)), fit.logprobs(corpus.contexts(2)))
    assert again.likelihood.notes() == fit.likelihood.notes()
    assert "The contexts were chosen with the training text" in again.likelihood.notes()[0]
    arrays, settings = fit.likelihood.state()
    for wrong in ({"tree2": arrays["tree2"][:-1]}, {"used1": arrays["used1"][:-1]}):
        with pytest.raises(DamagedFile, match="contexts do not fit together"):
            fit.specification.restore(corpus, arrays | wrong, settings)
    with pytest.raises(DamagedFile, match="lacks 'tree3'"):
        fit.specification.restore(corpus, {k: v for k, v in arrays.items() if k != "tree3"}, settings)


def test_verbs_work_on_it(corpus):
    fit = slm.VariableLengthNGram(3, cutoff=1).fit(corpus)
    assert fit.predict(["ab"], interval=0.95).conf_high.notna().any()
    assert "contexts pruned at a gain of 1 nats" in str(fit.summary())
    table = slm.compare(
        [slm.NGram(2, pseudo_count=1).fit(corpus), slm.VariableLengthNGram(3, pseudo_count=1).fit(corpus)], on=corpus
    )
    assert "variable-length 3-gram + 1" in set(table.model)
    assert fit.generate("a", max_tokens=3, seed=1) is not None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: slm.VariableLengthNGram(0), "has no contexts to choose"),
        (lambda: slm.VariableLengthNGram(17), "n=17 is not an n-gram length"),
        (lambda: slm.VariableLengthNGram(2, cutoff="aic"), "cutoff='aic' is unknown"),
        (lambda: slm.VariableLengthNGram(2, cutoff=-1), "cutoff=-1 is unknown"),
        (lambda: slm.VariableLengthNGram(2, level=0), "level=0 is the level of a test"),
        (lambda: slm.VariableLengthNGram(2, min_count=0), "min_count=0 keeps contexts"),
        (lambda: slm.VariableLengthNGram(2, pseudo_count=-1), "pseudo_count=-1"),
        (lambda: slm.VariableLengthNGram(9).fit(slm.Corpus.from_text("abab")), "n=9 is longer than the longest document"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(SpecificationError, match=message):
        make()
