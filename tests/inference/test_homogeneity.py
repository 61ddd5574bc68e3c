"""Do texts share a model, does one keep it, and where does it change: against tables written out, and on planted truth."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2_contingency

import statlm as slm
from statlm.errors import CorpusError, SmallCountsWarning, SpecificationError
from statlm.inference.stationarity import cut
from statlm.inference.text_order import TextOrder


def chain(matrix, n, rng):
    row = [0]
    for u in rng.random(n - 1):
        row.append(int((u > np.cumsum(matrix[row[-1]])[:-1]).sum()))
    return row


ONE = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
TWO = np.array([[0.3, 0.4, 0.3], [0.4, 0.2, 0.4], [0.2, 0.6, 0.2]])
VOCABULARY = slm.Vocabulary(("a", "b", "c"))


def corpus_of(*matrices, n=400, seed=0, given=1, **settings):
    rng = np.random.default_rng(seed)
    rows = [chain(matrix, n, rng) for matrix in matrices]
    return slm.Corpus.from_tokens(rows, vocabulary=VOCABULARY, eos=False, given=given, **settings)


# --- homogeneity ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lags", [0, 1, 2])
def test_the_statistic_sums_those_of_the_contingency_tables_of_each_context(lags):
    first, second = corpus_of(ONE, given=2), corpus_of(TWO, seed=1, given=2)
    found = slm.homogeneity_test([first, second], lags)
    contexts = np.concatenate([corpus.contexts(2)[:, 2 - lags :] for corpus in (first, second)])
    targets = np.concatenate([first.targets, second.targets])
    group = np.repeat([0, 1], [first.nobs, second.nobs])
    statistic = dof = 0
    for context in np.unique(contexts, axis=0):
        here = (contexts == context).all(axis=1)
        table = pd.crosstab(group[here], targets[here])
        if table.shape[0] == 2:
            result = chi2_contingency(table, correction=False, lambda_="log-likelihood")
            statistic, dof = statistic + result.statistic, dof + result.dof
    assert_allclose(found.statistic, statistic, rtol=1e-10)
    assert found.dof == dof


def test_it_is_the_difference_of_separate_and_common_maxima():
    parts = [corpus_of(ONE), corpus_of(TWO, seed=1), corpus_of(ONE, seed=2)]
    together = slm.Corpus.from_tokens([corpus.tokens for corpus in parts], vocabulary=VOCABULARY, eos=False, given=1)
    apart = sum(slm.NGram(2).fit(corpus).loglike for corpus in parts)
    found = slm.homogeneity_test(dict(zip("xyz", parts, strict=True)))
    assert_allclose(found.statistic, 2 * (apart - slm.NGram(2).fit(together).loglike), rtol=1e-9)
    assert found.null == "'x', 'y' and 'z' share one table of transition probabilities"


def test_a_column_divides_a_corpus_as_separate_corpora_do():
    frame = pd.DataFrame({"author": list("xyxyxy")})
    corpus = corpus_of(*[ONE, TWO] * 3, covariates=frame)
    divided = slm.homogeneity_test(corpus, by="author", method="both", replicates=99)
    separate = slm.homogeneity_test({"x": corpus.subset([0, 2, 4]), "y": corpus.subset([1, 3, 5])})
    assert_allclose(divided.statistic, separate.statistic)
    assert_allclose(divided.details["p_chi2"], separate.p_value)


def test_permutations_find_authors_that_differ_and_not_labels_that_do_not():
    frame = pd.DataFrame({"author": list("xxxxxyyyyy"), "label": list("xyxyxyxyxy")})
    corpus = corpus_of(*[ONE] * 5, *[TWO] * 5, n=60, covariates=frame)
    assert slm.homogeneity_test(corpus, by="author", method="permutation", replicates=199).p_value <= 0.02
    assert slm.homogeneity_test(corpus, by="label", method="permutation", replicates=199).p_value > 0.05


def test_an_exact_p_value_counts_the_text_itself():
    corpus = corpus_of(*[ONE] * 6, n=40, covariates=pd.DataFrame({"author": list("xxxyyy")}))
    p = slm.homogeneity_test(corpus, by="author", method="permutation", replicates=39).p_value
    assert (p * 40) % 1 == pytest.approx(0, abs=1e-9)
    assert p >= 1 / 40


def test_small_counts_are_warned_of():
    with pytest.warns(SmallCountsWarning, match=r"expected counts .* are below 5"):
        slm.homogeneity_test([corpus_of(ONE, n=12), corpus_of(TWO, n=12)])


def test_what_homogeneity_refuses():
    corpus = corpus_of(ONE, TWO, covariates=pd.DataFrame({"author": list("xy"), "same": list("zz")}))
    with pytest.raises(SpecificationError, match="One corpus was given"):
        slm.homogeneity_test(corpus)
    with pytest.raises(SpecificationError, match="There is 1 text"):
        slm.homogeneity_test(corpus, by="same")
    with pytest.raises(SpecificationError, match="divides a single corpus"):
        slm.homogeneity_test([corpus, corpus], by="author")
    with pytest.raises(SpecificationError, match="in 2 ways only, so no permutation"):
        slm.homogeneity_test(corpus, by="author", method="permutation")
    with pytest.raises(SpecificationError, match="no method 'exact'"):
        slm.homogeneity_test(corpus, by="author", method="exact")
    with pytest.raises(SpecificationError, match="lags=-1"):
        slm.homogeneity_test(corpus, -1, by="author")
    with pytest.raises(SpecificationError, match="replicates=5"):
        slm.homogeneity_test(corpus, by="author", method="permutation", replicates=5)
    with pytest.raises(CorpusError, match="nothing to compare"):
        slm.homogeneity_test([slm.Corpus.from_tokens([[s] * 9], vocabulary=VOCABULARY, given=1) for s in ("a", "b")])
    with pytest.raises(CorpusError):
        slm.homogeneity_test([corpus, slm.Corpus.from_text("abba")])


# --- stationarity -----------------------------------------------------------------------------------------------------------


def test_segments_of_one_text_are_corpora_of_their_own():
    text = corpus_of(ONE, n=601)
    found = slm.stationarity_test(text, 3)
    separate = slm.homogeneity_test([text.blocks(200, context=1).subset([i]) for i in range(3)])
    assert_allclose([found.statistic, found.dof, found.p_value], [separate.statistic, separate.dof, separate.p_value])


def test_documents_are_cut_between_them():
    assert cut(np.array([10, 10, 10, 30]), 2).tolist() == [0, 0, 0, 1]
    assert cut(np.array([90, 5, 5]), 3).tolist() == [0, 1, 2]
    assert cut(np.array([5, 5, 90]), 3).tolist() == [0, 1, 2]
    assert cut(np.ones(7, int), 3).tolist() == [0, 0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("method", ["chi2", "bootstrap"])
def test_a_text_that_changes_is_not_stationary(method):
    rng = np.random.default_rng(3)
    text = slm.Corpus.from_tokens([chain(ONE, 300, rng) + chain(TWO, 300, rng)], vocabulary=VOCABULARY)
    assert slm.stationarity_test(text, method=method, replicates=99).p_value <= 0.01
    assert slm.stationarity_test(corpus_of(ONE, n=600), method=method, replicates=99).p_value > 0.05


def test_documents_in_order_of_a_drift_are_not_stationary():
    shares = np.linspace(0, 1, 20)
    corpus = corpus_of(*[(1 - s) * ONE + s * TWO for s in shares], n=60)
    result = slm.stationarity_test(corpus, method="both", replicates=99)
    assert result.p_value == result.details["p_permutation"] <= 0.02
    assert "99 permutations of 20 documents" in result.note


def test_what_stationarity_refuses():
    text, documents = corpus_of(ONE), corpus_of(*[ONE] * 8)
    with pytest.raises(SpecificationError, match="cut into 2 segments or more"):
        slm.stationarity_test(text, 1)
    with pytest.raises(SpecificationError, match="The corpus is one document, and permutations"):
        slm.stationarity_test(text, method="permutation")
    with pytest.raises(SpecificationError, match="has 8 documents, and the bootstrap rearranges one text"):
        slm.stationarity_test(documents, method="bootstrap")
    with pytest.raises(CorpusError, match="8 documents to cut into 9 segments"):
        slm.stationarity_test(documents, 9)
    with pytest.raises(CorpusError, match="No context of 9 tokens occurs in two segments"):
        slm.stationarity_test(corpus_of(ONE, n=30), lags=9)


# --- a change along the text ------------------------------------------------------------------------------------------------


def test_the_path_is_the_likelihood_ratio_at_each_place():
    order = TextOrder.of(corpus_of(ONE, n=80), 1)
    path = order.counts.path(np.arange(order.nunits))
    for place in (3, 20, 41, 77):
        expected = order.ratio((np.arange(order.nunits) > place).astype(int)).statistic
        assert_allclose(path[place], expected, atol=1e-9)


def test_the_path_of_documents_in_another_order_is_theirs():
    corpus = corpus_of(*[ONE, TWO] * 4, n=30)
    shuffled = np.random.default_rng(1).permutation(8)
    place = np.empty(8, int)
    place[shuffled] = np.arange(8)
    here = TextOrder.of(corpus, 1).counts.path(place)
    there = TextOrder.of(corpus.subset(shuffled), 1).counts.path(np.arange(8))
    assert_allclose(here, there, atol=1e-9)


def test_a_rearranged_text_keeps_its_transitions():
    order = TextOrder.of(corpus_of(ONE, n=120), 1)
    place = order.shuffled(np.random.default_rng(0))
    assert sorted(place) == list(range(order.nunits))
    tokens = order.targets[np.argsort(place)]
    before = order.columns[0][np.argsort(place)]
    assert (before[1:] == tokens[:-1]).all()


def test_a_planted_change_is_found_where_it_is():
    rng = np.random.default_rng(7)
    text = slm.Corpus.from_tokens([chain(ONE, 700, rng) + chain(TWO, 300, rng)], vocabulary=VOCABULARY)
    found = slm.change_point_test(text, replicates=99)
    assert found.p_value == 0.01
    assert abs(found.observation - 700) < 25
    assert found.statistic == found.path["statistic"].max() > found.critical
    assert found.to_frame().loc[0, "share"] == found.observation / found.nobs


def test_a_change_between_documents_names_the_first_after_it():
    corpus = corpus_of(*[ONE] * 8, *[TWO] * 12, n=50, names=[f"letter {i}" for i in range(20)])
    found = slm.change_point_test(corpus, replicates=99)
    assert found.document == "letter 8"
    assert found.observation == 8 * 49
    assert "19 permutations" in slm.change_point_test(corpus, replicates=19).method


def test_no_change_no_rejection():
    assert slm.change_point_test(corpus_of(ONE, n=500), replicates=99).p_value > 0.05


def test_what_change_points_refuse():
    with pytest.raises(SpecificationError, match=r"between 0 and 0\.5"):
        slm.change_point_test(corpus_of(ONE), trim=0.5)
    with pytest.raises(SpecificationError, match="no place for a change is left between the 2 documents"):
        slm.change_point_test(slm.Corpus.from_texts(["ab" * 4, "ab" * 90], eos=False))
    with pytest.raises(SpecificationError, match="no method 'chi2'"):
        slm.change_point_test(corpus_of(ONE), method="chi2")


def test_a_p_value_among_the_details_is_never_printed_as_zero():
    result = slm.stationarity_test(corpus_of(ONE, n=300), method="both", replicates=19)
    assert f"p_chi2 = {result.details['p_chi2']:.3g}" in str(result)
    frame = pd.DataFrame({"author": list("xxxyyy")})
    corpus = corpus_of(*[ONE] * 3, *[TWO] * 3, n=900, covariates=frame)
    assert "p_chi2 < 1e-16" in str(slm.homogeneity_test(corpus, by="author", method="both", replicates=19))
