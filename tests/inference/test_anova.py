"""Analysis of deviance is likelihood-ratio tests in a row."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NotComparable, NotNested, SmallCountsWarning, SpecificationError


@pytest.fixture(scope="module")
def fits():
    tokens = np.random.default_rng(3).choice(list("abc"), 900, p=[0.5, 0.3, 0.2])
    corpus = slm.Corpus.from_tokens([tokens.tolist()], given=2)
    return [
        m.fit(corpus) for m in (slm.NGram(1), slm.SoftmaxRegression(lags=1), slm.SoftmaxRegression(lags=2), slm.NGram(3))
    ]


def test_each_row_is_the_test_against_the_row_before(fits):
    table = slm.anova(*fits)
    assert table.columns.tolist() == ["model", "dof", "loglike", "deviance", "change", "dof_change", "p_value"]
    assert table.model.tolist() == ["unigram", "softmax 1 lag", "softmax 2 lags", "trigram"]
    assert table.dof.tolist() == [2, 6, 10, 18]
    assert_allclose(table.deviance, [fit.deviance for fit in fits])
    assert table.iloc[0][["change", "dof_change", "p_value"]].isna().all()
    for i in (1, 2, 3):
        test = slm.lr_test(fits[i - 1], fits[i])
        row = table.iloc[i]
        assert_allclose([row.change, row.dof_change, row.p_value], [test.statistic, test.dof, test.p_value])


def test_changes_add_up_to_the_whole(fits):
    table = slm.anova(*fits)
    whole = slm.lr_test(fits[0], fits[3])
    assert_allclose(table.change.sum(), whole.statistic)
    assert table.dof_change.sum() == whole.dof


def test_between_models_with_equally_many_parameters_nothing_is_tested(fits):
    table = slm.anova(fits[0], fits[1], slm.NGram(2).fit(fits[0].corpus))  # one lag is the bigram
    assert table.dof_change.tolist()[1:] == [4, 0]
    assert np.isnan(table.p_value[2])
    assert_allclose(table.change[2], 0, atol=1e-6)
    with pytest.raises(NotComparable, match=r"different observations"):
        slm.anova(fits[0], slm.NGram(1).fit(fits[0].corpus.with_given(3)))


def test_models_out_of_order_are_refused(fits):
    with pytest.raises(NotNested, match=r"Swap the arguments"):
        slm.anova(fits[2], fits[1])


def test_one_model_is_no_sequence(fits):
    with pytest.raises(SpecificationError, match=r"at least two and got 1. Give the smallest first"):
        slm.anova(fits[0])


def test_small_counts_are_warned_of_once_with_the_models():
    corpus = slm.Corpus.from_tokens([list("abcdabdcacbdabcd")], given=2)
    with pytest.warns(SmallCountsWarning, match=r"fewer than 5 observations a parameter in bigram, trigram;") as caught:
        slm.anova(*(slm.NGram(n).fit(corpus) for n in (1, 2, 3)))
    assert len(caught) == 1
