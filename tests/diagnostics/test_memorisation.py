"""Memorisation: ranks by hand, what was seen is found, and what has no null distribution is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, NotComparable, SpecificationError

RNG = np.random.default_rng(2)
TEXTS = ["".join(RNG.choice(list("abcd"), size=60)) for _ in range(80)]


@pytest.fixture(scope="module")
def parts():
    corpus = slm.Corpus.from_texts(TEXTS)
    seen, other = corpus.subset(range(20)), corpus.subset(range(20, 80))
    return seen, other, slm.NGram(6, pseudo_count=0.1).fit(seen), slm.NGram(1).fit(seen)


def test_documents_of_the_training_text_stand_out_and_others_do_not(parts):
    seen, other, model, reference = parts
    found = slm.memorisation(model, reference, seen, other)
    assert (found.p_value == 1 / 61).all()
    assert found.attrs["auc"] == 1
    assert found.attrs["auc_p_value"] < 1e-8
    fresh = slm.memorisation(model, reference, other.subset(range(30)), other.subset(range(30, 60)))
    assert 0.3 < fresh.attrs["auc"] < 0.7
    assert fresh.p_value.min() > 1 / 32


def test_ratios_and_ranks_by_hand(parts):
    seen, other, model, reference = parts
    suspects, null = other.subset(range(5)), other.subset(range(5, 60))
    for statistic in ("mean", "total"):
        found = slm.memorisation(model, reference, suspects, null, statistic=statistic)

        def ratio(corpus, d, per_token=statistic == "mean"):
            one = corpus.subset([d])
            total = model.on(one).loglike - reference.on(one).loglike
            return total / one.nobs if per_token else total

        others = np.array([ratio(null, d) for d in range(null.ndocuments)])
        for d in range(5):
            assert_allclose(found.ratio[d], ratio(suspects, d), rtol=1e-10)
            assert_allclose(found.p_value[d], (1 + (others >= ratio(suspects, d)).sum()) / 56, rtol=1e-12)
        assert_allclose(np.sort(found.attrs["null"]), np.sort(others), rtol=1e-10)
        assert (found.p_holm >= found.p_value).all()
    assert seen.ndocuments == 20


def test_holm_is_that_of_statsmodels(parts):
    from statsmodels.stats.multitest import multipletests

    _, other, model, reference = parts
    found = slm.memorisation(model, reference, other.subset(range(10)), other.subset(range(10, 60)))
    assert_allclose(found.p_holm, multipletests(found.p_value, method="holm")[1], rtol=1e-12)


def test_lengths_that_differ_are_noted(parts):
    seen, other, model, reference = parts
    blocks = other.blocks(20)
    assert any("differ in length" in note for note in slm.memorisation(model, reference, seen, blocks).attrs["notes"])
    assert not any("differ in length" in note for note in slm.memorisation(model, reference, seen, other).attrs["notes"])


def test_what_has_no_null_distribution_is_refused(parts):
    seen, other, model, reference = parts
    with pytest.raises(NoEstimate, match="has 1 document"):
        slm.memorisation(model, reference, seen, other.subset([0]))
    with pytest.raises(NotComparable, match="2 documents are both suspects and in the null corpus"):
        slm.memorisation(model, reference, other.subset(range(2)), other)
    with pytest.raises(SpecificationError, match="statistic='max'"):
        slm.memorisation(model, reference, seen, other, statistic="max")
    with pytest.raises(NoEstimate, match="The model gives probability 0"):
        slm.memorisation(slm.NGram(6).fit(seen), reference, other.subset(range(3)), other.subset(range(3, 9)))
