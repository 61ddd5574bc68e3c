"""Prediction sets: their threshold by its definition, what they hold, and what cannot be promised."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError


def scores_by_hand(model, score):
    p = np.exp(model.logprobs(model.corpus.contexts(1)))
    own = p[np.arange(len(p)), model.corpus.targets]
    if score == "lac":
        return 1 - own
    first = np.arange(p.shape[1])[None, :] <= model.corpus.targets[:, None]
    return np.where((p > own[:, None]) | ((p == own[:, None]) & first), p, 0).sum(axis=1)


@pytest.mark.parametrize("score", ["lac", "aps"])
def test_the_threshold_by_token_is_an_order_statistic(true, score):
    sets = slm.conformal_sets(true, 0.8, score=score, by="token")
    scores = np.sort(scores_by_hand(true, score))
    assert_allclose(sets.threshold, scores[int(np.ceil(0.8 * (len(scores) + 1))) - 1], rtol=1e-12)


def test_documents_of_one_length_weigh_as_tokens_but_for_the_new_one(true):
    sets = slm.conformal_sets(true, 0.8)
    scores = np.sort(scores_by_hand(true, "lac"))  # 40 documents of 60 tokens, a 41st at infinity
    assert_allclose(sets.threshold, scores[int(np.ceil(0.8 * 41 / 40 * 2400)) - 1], rtol=1e-12)
    assert "exchangeable with the 40 calibration documents" in sets.guarantee


def test_a_long_document_does_not_count_for_more(true):
    texts = [true.corpus.text(d) for d in range(20)]
    vocabulary = true.corpus.vocabulary
    short = slm.Corpus.from_texts([*texts, "d" * 60], vocabulary=vocabulary)
    long = slm.Corpus.from_texts([*texts, "d" * 6000], vocabulary=vocabulary)
    by_document = [slm.conformal_sets(true.on(c), 0.5).threshold for c in (short, long)]
    by_token = [slm.conformal_sets(true.on(c), 0.5, by="token").threshold for c in (short, long)]
    assert_allclose(*by_document, rtol=0.02)
    assert by_token[1] > by_document[1]


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize("randomise", [False, True])
def test_a_token_is_in_its_set_where_its_score_is_at_most_the_threshold(true, score, randomise):
    sets = slm.conformal_sets(true, 0.9, score=score, randomise=randomise)
    found = sets.coverage()
    assert abs(found.coverage - 0.9 * 41 / 40) < 0.03  # of the calibration text itself
    contexts = ["a", "d"]
    table = sets.predict(contexts)
    for row in table.itertuples():
        p = slm.predict(true, [row.context]).set_index("token").probability
        assert row.size == len(row.tokens)
        assert row.tokens == p.index[: row.size].tolist()  # the most probable ones
        assert_allclose(row.probability, p.iloc[: row.size].sum(), rtol=1e-12)


def test_larger_promises_need_larger_sets(true):
    sizes = [slm.conformal_sets(true, level).coverage().size for level in (0.5, 0.7, 0.9, 0.95)]
    assert sizes == sorted(sizes)


def test_coverage_on_new_text_has_an_interval_over_documents(true):
    held = true.on(slm.simulate(true, seed=8))
    found = slm.conformal_sets(true, 0.8).coverage(held)
    hits = np.array([np.nan] * held.corpus.ndocuments)
    threshold = slm.conformal_sets(true, 0.8).threshold
    for d in range(len(hits)):
        hits[d] = (scores_by_hand(held.on(held.corpus.subset([d])), "lac") <= threshold).mean()
    assert_allclose(found.coverage, hits.mean(), rtol=1e-12)
    half = 2.0226909 * hits.std(ddof=1) / np.sqrt(len(hits))
    assert_allclose(found.conf_int, [hits.mean() - half, hits.mean() + half], rtol=1e-6)
    assert "each with the same weight" in str(found)


def test_unknown_tokens_are_never_covered(true):
    odd = slm.Corpus.from_texts(["aaz", "abz", "baa"] * 10, vocabulary=true.corpus.vocabulary)
    found = slm.conformal_sets(true, 0.9, by="token").coverage(true.on(odd))
    assert found.coverage <= 1 - 20 / odd.nobs
    assert slm.conformal_sets(true.on(odd), 0.6, by="token").threshold < 1
    with pytest.raises(NoEstimate, match="at most"):
        slm.conformal_sets(true.on(odd.subset(range(5))), 0.95)


def test_too_few_documents_for_a_level_are_refused(true):
    few = true.on(true.corpus.subset(range(5)))
    with pytest.raises(NoEstimate, match=r"5 documents can promise a coverage of 0\.833 at most"):
        slm.conformal_sets(few, 0.9)
    with pytest.raises(NoEstimate, match="Use 9 documents or more"):
        slm.conformal_sets(few, 0.9)
    assert slm.conformal_sets(few, 0.8).level == 0.8
    sets = slm.conformal_sets(true, 0.8)
    with pytest.raises(NoEstimate, match="a mean over documents: one has no standard error"):
        sets.coverage(true.on(true.corpus.subset([0])))


def test_settings_that_do_not_exist_are_refused(true):
    with pytest.raises(SpecificationError, match="the scores are 'lac' and 'aps'"):
        slm.conformal_sets(true, score="raps")
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        slm.conformal_sets(true, 1.0)
    with pytest.raises(SpecificationError, match="There is no context"):
        slm.conformal_sets(true).predict([])
