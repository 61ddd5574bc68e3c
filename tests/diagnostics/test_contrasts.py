"""Contrasts: the differences by hand, both kinds of error against what they should be, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import FewClustersWarning, NoEstimate, SpecificationError, TooFewClusters

CONTEXTS = ["a", "b", "c", "d", " "]


@pytest.fixture(scope="module")
def fit(true):
    return slm.NGram(2).fit(true.corpus)


def p_of(fit, context, token):
    return float(fit.predict([context]).set_index("token").probability[token])


@pytest.mark.filterwarnings("ignore::statlm.errors.FewClustersWarning")
def test_differences_are_those_of_predict(fit):
    found = slm.contrast(fit, CONTEXTS, "a", "b")
    by_hand = [p_of(fit, c, "a") - p_of(fit, c, "b") for c in CONTEXTS]
    assert_allclose(found.table.difference, by_hand, rtol=1e-12)
    assert_allclose(found.estimate, np.mean(by_hand), rtol=1e-12)
    assert_allclose(found.std_error, np.std(by_hand, ddof=1) / np.sqrt(5), rtol=1e-12)
    paired = slm.contrast(fit, CONTEXTS[:2], "a", "b", against=CONTEXTS[2:4], scale="log")
    odds = [np.log(p_of(fit, c, "a") / p_of(fit, c, "b")) for c in CONTEXTS]
    assert_allclose(paired.table.difference, [odds[0] - odds[2], odds[1] - odds[3]], rtol=1e-10)
    assert paired.what == "log P('a') - log P('b'), first context minus second"


@pytest.mark.filterwarnings("ignore::statlm.errors.FewClustersWarning")
def test_a_continuation_of_several_tokens_is_a_product(fit):
    found = slm.contrast(fit, ["a", "b"], "ba", against=["c", "d"])
    assert_allclose(found.table.p_a, [p_of(fit, c, "b") * p_of(fit, "b", "a") for c in "ab"], rtol=1e-12)
    assert_allclose(found.table.against_a, [p_of(fit, c, "b") * p_of(fit, "b", "a") for c in "cd"], rtol=1e-12)


def test_the_error_of_the_parameters_is_that_of_a_difference_of_shares(fit):
    """After one context, Var(p_a - p_b) = (p_a + p_b - (p_a - p_b)^2) / n."""
    found = slm.contrast(fit, ["a"], "b", "c", errors="model")
    b, c = p_of(fit, "a", "b"), p_of(fit, "a", "c")
    n = np.count_nonzero(fit.corpus.contexts(1)[:, 0] == fit.corpus.vocabulary.tokens.index("a"))
    assert_allclose(found.std_error, np.sqrt((b + c - (b - c) ** 2) / n), rtol=1e-8)
    with_cluster = slm.contrast(fit, ["a"], "b", "c", errors="model", cov="cluster")
    assert with_cluster.std_error != found.std_error


def test_a_continuation_on_the_boundary_adds_nothing_to_the_error():
    fit = slm.NGram(2).fit(slm.Corpus.from_text("abracadabra" * 20))
    found = slm.contrast(fit, ["a", "r"], "b", "c", errors="model")
    alone = slm.contrast(fit, ["a"], "b", "c", errors="model")
    assert_allclose(found.std_error, alone.std_error / 2, rtol=1e-10)
    with pytest.raises(NoEstimate, match="on the boundary"):
        slm.contrast(fit, ["r"], "b", "c", errors="model")


def test_contexts_of_one_cluster_count_once(fit):
    with pytest.warns(FewClustersWarning, match="Only 5 clusters"):
        clustered = slm.contrast(fit, CONTEXTS * 12, "a", "b", clusters=list(range(5)) * 12)
    with pytest.warns(FewClustersWarning):
        once = slm.contrast(fit, CONTEXTS, "a", "b")
    alone = slm.contrast(fit, CONTEXTS * 12, "a", "b")
    assert_allclose(clustered.std_error, once.std_error, rtol=1e-10)
    assert_allclose(clustered.p_value, once.p_value, rtol=1e-10)
    assert alone.std_error < clustered.std_error / 3


def test_what_cannot_be_contrasted_is_refused(fit, true, impossible):
    with pytest.raises(TooFewClusters, match="are 1 cluster"):
        slm.contrast(fit, CONTEXTS, "a", "b", clusters=["t"] * 5)
    with pytest.raises(SpecificationError, match="5 contexts and 1 against"):
        slm.contrast(fit, CONTEXTS, "a", against=["a"])
    with pytest.raises(SpecificationError, match="needs a second thing"):
        slm.contrast(fit, CONTEXTS, "a")
    with pytest.raises(SpecificationError, match="2 clusters for 5 contexts"):
        slm.contrast(fit, CONTEXTS, "a", "b", clusters=[1, 2])
    with pytest.raises(SpecificationError, match="the scales are"):
        slm.contrast(fit, CONTEXTS, "a", "b", scale="odds")
    with pytest.raises(SpecificationError, match="A continuation has no token"):
        slm.contrast(fit, CONTEXTS, "", "b")
    with pytest.raises(NoEstimate, match="has no logarithm"):
        slm.contrast(impossible, ["a", "b"], "a", "b" * 3, scale="log")
    smooth = slm.NGram(2, smoothing="witten-bell").fit(true.corpus)
    with pytest.raises(SpecificationError, match="without parameters"):
        slm.contrast(smooth, ["a"], "b", "c", errors="model")


@pytest.mark.filterwarnings("ignore::statlm.errors.FewClustersWarning")
def test_contexts_that_differ_only_beyond_the_memory_are_refused_with_the_reason(fit):
    with pytest.raises(NoEstimate, match="looks 1 tokens back"):
        slm.contrast(fit, ["ab", "cb", "db"], "a", "c")


def test_differences_that_are_rounding_errors_have_no_standard_error():
    """The model sees two words, which each pair shares: it is one context twice."""
    text = "she said that he knew that we saw that it was. " * 30
    fit = slm.NGram(n=3, smoothing="kneser-ney").fit(slm.Corpus.from_text(text, slm.Words()))
    verbs = ["said", "knew", "saw", "was"]
    with pytest.raises(NoEstimate, match="All 12 differences"):
        slm.contrast(
            fit,
            [f"{who} {verb} that" for verb in verbs for who in ("he", "she", "it")],
            "he",
            "it",
            against=[f"we {verb} that" for verb in verbs for _ in range(3)],
        )
