"""Calibration: agreement with scikit-learn and closed forms, laws of the decompositions, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

import statlm as slm
from statlm.diagnostics.events import event_of
from statlm.errors import FewClustersWarning, NoEstimate, SpecificationError
from statlm.numerics.calibration_bins import bin_edges, bin_index, score_parts

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "diagnostics" / "calibration.json").read_text())
P, Y = np.array(REFERENCE["probability"]), np.array(REFERENCE["happened"], bool)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_bins_are_those_of_scikit_learn(strategy):
    index = bin_index(P, bin_edges(P, 10, strategy))
    _, index = np.unique(index, return_inverse=True)
    for name, values in (("frequency", Y), ("forecast", P)):
        assert_allclose(np.bincount(index, values) / np.bincount(index), REFERENCE["curves"][strategy][name], rtol=1e-12)


def test_scores_and_their_parts_are_those_of_scikit_learn():
    brier, log_score = score_parts(P, Y)
    assert_allclose([brier.score, log_score.score], [REFERENCE["brier"], REFERENCE["log_loss"]], rtol=1e-12)
    assert_allclose(brier.refinement, REFERENCE["brier_recalibrated"], rtol=1e-9)
    assert_allclose(log_score.refinement, REFERENCE["log_loss_recalibrated"], rtol=1e-9)
    share = Y.mean()
    assert_allclose(brier.uncertainty, share * (1 - share), rtol=1e-12)
    assert_allclose(log_score.uncertainty, -share * np.log(share) - (1 - share) * np.log(1 - share), rtol=1e-12)


def test_parts_sum_to_the_score_and_are_not_negative(true, sharpened):
    for model in (true, sharpened):
        found = slm.calibration(model)
        for part in (found.brier, found.log_score):
            assert_allclose(part.score, part.miscalibration - part.discrimination + part.uncertainty, rtol=1e-12)
            assert part.miscalibration >= 0
            assert part.discrimination >= 0


def test_the_table_is_what_counting_gives(true):
    found = slm.calibration(true, "a", bins=4, strategy="uniform", dependence="iid")
    p = np.exp(true.logprobs(true.corpus.contexts(1)))[:, true.corpus.vocabulary.tokens.index("a")]
    y = true.corpus.targets == true.corpus.vocabulary.tokens.index("a")
    for row in found.table.itertuples():
        inside = (p > row.low) & (p <= row.high)
        assert row.count == inside.sum()
        assert_allclose([row.forecast, row.frequency], [p[inside].mean(), y[inside].mean()], rtol=1e-12)
        assert_allclose(row.std_error, np.sqrt(y[inside].var() / inside.sum()), rtol=1e-12)
        assert 0 <= row.conf_low < row.frequency < row.conf_high <= 1
    share = found.table["count"] / len(y)
    assert_allclose(found.error, (share * (found.table.frequency - found.table.forecast).abs()).sum(), rtol=1e-12)


def test_overconfidence_is_seen_and_the_truth_is_not_accused(true, sharpened):
    good, bad = slm.calibration(true), slm.calibration(sharpened)
    assert good.error_interval.low == 0
    assert good.error_debiased < good.error
    assert bad.error_interval.low > 0
    assert (bad.table.forecast > bad.table.conf_high).any()
    assert not ((good.table.forecast < good.table.conf_low) | (good.table.forecast > good.table.conf_high)).any()
    assert "2,400 forecasts" in str(good)
    assert "clustered by document (40 clusters)" in str(good)


def test_several_tokens_are_one_event_of_their_summed_probability(true):
    a, b, union = (event_of(true, event) for event in ("a", "b", ["a", "b"]))
    assert_allclose(union.probability, a.probability + b.probability, rtol=1e-12)
    assert (union.happened == (a.happened | b.happened)).all()


def test_a_forecast_of_zero_that_was_contradicted_makes_the_log_score_infinite(impossible):
    found = slm.calibration(impossible, "a", bins=2, strategy="uniform", dependence="iid")
    assert found.log_score.score == np.inf
    assert np.isfinite(found.brier.score)


def test_hosmer_and_lemeshow_by_hand(true):
    test = slm.hosmer_lemeshow(true, "a", groups=5)
    p = np.exp(true.logprobs(true.corpus.contexts(1)))[:, true.corpus.vocabulary.tokens.index("a")]
    y = true.corpus.targets == true.corpus.vocabulary.tokens.index("a")
    edges = np.unique(np.quantile(p, np.linspace(0, 1, 6)))
    group = np.searchsorted(edges[1:-1], p)
    parts = [(y[group == g].sum() - p[group == g].sum()) ** 2 / (p * (1 - p))[group == g].sum() for g in np.unique(group)]
    assert_allclose(test.statistic, sum(parts), rtol=1e-10)
    assert_allclose(test.p_value, chi2.sf(sum(parts), len(parts)), rtol=1e-10)


def test_both_versions_of_the_test_reject_the_sharpened_model(true, sharpened):
    for dependence in ("model", "cluster", "iid"):
        assert slm.hosmer_lemeshow(sharpened, dependence=dependence).p_value < 1e-6
        assert slm.hosmer_lemeshow(true, dependence=dependence).p_value > 0.001


def test_what_is_no_event_is_refused(true):
    for event, words in (("z", "'z' is not among the 5 types"), ([], "nothing is not among")):
        with pytest.raises(SpecificationError, match=words):
            slm.calibration(true, event)
    words = slm.Corpus.from_texts(["top of the top", "the top"], "word")
    with pytest.raises(SpecificationError, match="has a token 'top'"):
        slm.calibration(slm.NGram(1).fit(words))
    assert slm.calibration(slm.NGram(2, pseudo_count=1).fit(words), ["top"], dependence="iid").event == "'top' comes next"


def test_settings_that_make_no_sense_are_refused(true):
    with pytest.raises(SpecificationError, match="use 2 bins or more"):
        slm.calibration(true, bins=1)
    with pytest.raises(SpecificationError, match="'quantile' or 'uniform'"):
        slm.calibration(true, strategy="equal")
    with pytest.raises(SpecificationError, match="covariances of several are needed"):
        slm.calibration(true, dependence="bootstrap")
    with pytest.raises(SpecificationError, match="2 or more"):
        slm.hosmer_lemeshow(true, groups=1)


def test_forecasts_and_outcomes_without_variation_are_refused():
    corpus = slm.Corpus.from_texts(["ab"] * 3, eos=False, given=1)
    with pytest.raises(NoEstimate, match="All 3 forecasts"):
        slm.calibration(slm.NGram(2).fit(corpus), dependence="iid")
    with pytest.raises(NoEstimate, match="All forecasts are exactly 0 or 1"):
        slm.hosmer_lemeshow(slm.NGram(2).fit(corpus))


def test_a_certain_forecast_that_was_contradicted_refutes_the_model():
    train = slm.Corpus.from_texts(["ab"] * 6, eos=False, given=1)
    test = slm.Corpus.from_texts(["ab", "aa"] * 3, vocabulary=train.vocabulary, given=1)
    with pytest.raises(NoEstimate, match="exactly 0 or 1 was contradicted"):
        slm.hosmer_lemeshow(slm.NGram(2).fit(train).on(test))


def test_more_groups_than_documents_are_refused(true):
    few = true.on(true.corpus.subset(range(3)))
    with pytest.warns(FewClustersWarning), pytest.raises(NoEstimate, match="3 groups need more than 3 documents"):
        slm.hosmer_lemeshow(few, "a", groups=4, dependence="cluster")
