"""Comparison of models: the table, its order, its refusals, and the sentence below it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, NotComparable, SpecificationError

RNG = np.random.default_rng(5)
TEXTS = ["".join(RNG.choice(list("abcd "), p=[0.4, 0.25, 0.15, 0.1, 0.1], size=80)) for _ in range(30)]


@pytest.fixture(scope="module")
def split():
    return slm.Corpus.from_texts(TEXTS).split(test=0.4)


@pytest.fixture(scope="module")
def fits(split):
    return [slm.NGram(n, pseudo_count=0.1).fit(split[0]) for n in (1, 2, 3)]


def test_rows_are_sorted_by_held_out_perplexity_and_compared_with_the_first(split, fits):
    table = slm.compare(fits, on=split[1])
    assert table.perplexity.is_monotonic_increasing
    assert table.difference[0] == 0
    assert np.isnan(table.p_value[0])
    best, second = (next(f for f in fits if str(f.specification) == name).on(split[1]) for name in table.model[:2])
    assert_allclose(table.difference[1], (second.loglike - best.loglike) / split[1].nobs, rtol=1e-12)


def test_the_paired_test_is_the_clustered_t_test_by_hand(split, fits):
    a, b = (fit.on(split[1]) for fit in fits[:2])
    test = slm.paired_test(a, b, dependence="cluster")
    d = a.loglike_obs() - b.loglike_obs()
    sums = np.bincount(split[1].document_index, weights=d - d.mean())
    groups = split[1].ndocuments
    assert_allclose(test.difference, d.mean())
    assert_allclose(test.std_error, np.sqrt(groups / (groups - 1) * (sums**2).sum()) / len(d))
    from scipy.stats import t

    assert_allclose(test.p_value, 2 * t.sf(abs(test.difference / test.std_error), groups - 1), rtol=1e-9)
    assert test.conf_int.low < test.difference < test.conf_int.high


def test_a_model_against_itself_is_no_different(split, fits):
    test = slm.paired_test(fits[0].on(split[1]), fits[0].on(split[1]))
    assert (test.difference, test.p_value) == (0.0, 1.0)
    assert "p = 1" in str(test)


def test_training_columns_hold_the_measures_and_no_criterion_for_a_smoothed_model(split):
    fit, smooth = slm.NGram(2).fit(split[0]), slm.NGram(2, pseudo_count=0.1).fit(split[0])
    table = slm.compare({"mle": fit, "smooth": smooth}).set_index("model")
    assert_allclose(table.aic["mle"], fit.aic)
    assert_allclose(table.bic["mle"], fit.bic)
    assert np.isnan(table.aic["smooth"])
    with pytest.raises(NoEstimate, match="AIC rests on maximum likelihood"):
        _ = smooth.aic


def test_a_distribution_without_parameters_is_compared_on_held_out_text(split):
    table = slm.compare([slm.NGram(3, smoothing="modified-kneser-ney").fit(split[0])], on=split[1])
    assert table.dof.isna().all()
    assert np.isfinite(table.perplexity).all()


def test_an_infinite_perplexity_comes_last_and_says_what_caused_it():
    train = slm.Corpus.from_texts(["abab", "abba", "aabb"])
    test = slm.Corpus.from_texts(["abc", "ab"] * 3, vocabulary=slm.Corpus.from_texts(["abc", "a"]).vocabulary)
    train = slm.Corpus.from_texts(["abab", "abba", "aabb"], vocabulary=test.vocabulary)
    table = slm.compare([slm.NGram(1).fit(train), slm.NGram(1, pseudo_count=1).fit(train)], on=test)
    assert table.model.tolist() == ["unigram + 1", "unigram"]
    assert table.impossible.tolist() == [0, 3]
    assert table.difference[1] == -np.inf
    assert any("unigram: 3 of 21" in note for note in table.attrs["notes"])
    with pytest.raises(NoEstimate, match=r"probability 0 to 3 of 21 observations and the second to 0"):
        slm.paired_test(slm.NGram(1).fit(train).on(test), slm.NGram(1, pseudo_count=1).fit(train).on(test))


def test_the_sentence_names_the_models_that_cannot_be_told_apart():
    fair = slm.Corpus.from_tokens(list(np.random.default_rng(1).integers(0, 3, (40, 60))), eos=False)
    train, test = fair.split(test=0.5)
    table = slm.compare([slm.NGram(n, pseudo_count=0.5).fit(train) for n in (1, 2)] + [slm.NGram(0).fit(train)], on=test)
    assert table.attrs["notes"][1].startswith(f"The held-out text cannot tell {table.model[0]} from ")


def test_different_observations_are_refused(split, fits):
    a = fits[0].on(split[1])
    with pytest.raises(NotComparable, match=r"scored on different observations"):
        slm.paired_test(a, fits[1].on(split[1].subset([0, 1, 2])))
    other = slm.NGram(1, pseudo_count=0.1).fit(split[1])
    with pytest.raises(NotComparable, match="were fitted to different observations"):
        slm.compare({"here": fits[0], "there": other}, on=split[1])


def test_two_models_of_one_name_and_none_at_all_are_refused(fits):
    with pytest.raises(SpecificationError, match="same specification"):
        slm.compare([fits[0], fits[0]])
    with pytest.raises(SpecificationError, match="no model to compare"):
        slm.compare({})


def test_the_ladder_adds_up(split):
    models = {str(n): slm.NGram(n).fit(split[0]) for n in (0, 1, 2, 3, 4)}
    steps = slm.ladder(models)
    assert_allclose(steps.statistic.sum(), 2 * (models["4"].loglike - models["0"].loglike), rtol=1e-9)
    assert steps.dof.sum() == models["4"].dof - models["0"].dof
    assert any("3 < 4" in note for note in steps.attrs["notes"])
    with pytest.raises(SpecificationError, match="at least two"):
        slm.ladder({"1": models["1"]})


def test_main_effects_stand_between_two_ngrams_on_the_ladder(split):
    models = {"bigram": slm.NGram(2), "softmax": slm.SoftmaxRegression(2), "trigram": slm.NGram(3)}
    steps = slm.ladder({name: model.fit(split[0]) for name, model in models.items()})
    assert (steps.statistic > 0).all()
    assert (steps.dof > 0).all()


def test_a_rung_with_nothing_to_test_says_so():
    corpus = slm.Corpus.from_text("abcab")
    steps = slm.ladder({str(n): slm.NGram(n).fit(corpus) for n in (3, 4)})
    assert steps.dof[0] in (0, 2)
    corpus = slm.Corpus.from_texts(["ab", "ab"], eos=False)
    same = slm.ladder({"1": slm.SoftmaxRegression(1).fit(corpus), "2": slm.NGram(2).fit(corpus)})
    assert same.dof[0] == 0
    assert np.isnan(same.p_value[0])
    assert "nothing to test" in same.attrs["notes"][-1]
