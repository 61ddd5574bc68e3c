"""The Hauck-Donner effect: VGAM's hdeff, finite differences, and where it is not defined."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError

REFERENCE = Path(__file__).parents[1] / "reference" / "softmax"


@pytest.fixture(scope="module")
def fit():
    rows = pd.read_csv(REFERENCE / "sparse.csv")
    rows = rows[rows.corpus == "steep"]
    corpus = slm.Corpus.from_tokens([list(row) for row in rows[["lag2", "lag1", "token"]].to_numpy()], given=2, eos=False)
    return slm.SoftmaxRegression(2, reference="a").fit(corpus)


def test_vgam(fit):
    theirs = pd.read_csv(REFERENCE / "hauck_donner.csv").set_index(["response", "term"])
    ours = slm.hauck_donner(fit).set_index(["response", "term"]).loc[theirs.index]
    assert len(ours) == len(fit.params)
    assert_allclose(ours.estimate, theirs.estimate, rtol=1e-7)
    assert_allclose(ours.derivative, theirs.derivative, rtol=1e-5)  # VGAM's derivatives are numerical
    assert ours.hauck_donner.tolist() == theirs.hauck_donner.tolist()
    assert 0 < ours.hauck_donner.sum() < len(ours)


@pytest.mark.parametrize(
    "specification",
    [slm.SoftmaxRegression(1), slm.SoftmaxRegression(2), slm.SoftmaxRegression(2, penalty="firth")],
    ids=str,
)
def test_derivatives_are_those_of_the_statistic(specification):
    fit = specification.fit(slm.Corpus.from_texts(["abracadabra", "barbara", "a cab", "bad card", "crab"]))
    model, step = fit.likelihood, 1e-4

    def statistic(k, value):
        params = fit.params.copy()
        params[k] += value
        there = model.at(params)
        return params[k] / np.sqrt(np.linalg.inv(there.information())[k, k])

    numerical = [(statistic(k, step) - statistic(k, -step)) / (2 * step) for k in range(len(fit.params))]
    assert_allclose(fit.hauck_donner().derivative, numerical, rtol=1e-5, atol=1e-6)


def test_the_flag_is_a_column_of_the_coefficient_table_on_request(fit):
    table = fit.tidy(hauck_donner=True)
    assert table.hauck_donner.tolist() == fit.hauck_donner().hauck_donner.tolist()
    assert "hauck_donner" not in fit.tidy()
    assert "Hauck-Donner effect: 2 of 10 Wald statistics" in " ".join(fit.likelihood.notes())


def test_a_flagged_effect_is_strong_by_its_likelihood_ratio(fit):
    flagged = fit.hauck_donner().query("hauck_donner").iloc[0]
    low, high = fit.profile_interval((flagged.response, flagged.term))
    assert low > 0
    assert high - flagged.estimate > flagged.estimate - low  # the likelihood is flat on the far side


def test_it_is_about_log_odds(fit):
    with pytest.raises(
        SpecificationError, match="The Hauck-Donner effect is about log-odds, and NGramLikelihood does not say"
    ):
        slm.hauck_donner(slm.NGram(2).fit(fit.corpus))
