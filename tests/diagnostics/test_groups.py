"""Loss by group: means and errors by hand, Welch's test by statsmodels, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import t

import statlm as slm
from statlm.errors import NoEstimate, NotComparable, SpecificationError

LABELS = np.repeat(["x", "y", "z", "w"], 10)


def document_means(model):
    corpus = model.corpus
    return -np.bincount(corpus.document_index, model.loglike_obs()) / np.bincount(corpus.document_index)


def test_documents_of_one_length_give_welch_s_test_and_the_error_of_a_mean(true):
    from statsmodels.stats.oneway import anova_oneway

    table = slm.group_loss(true, LABELS)
    means = document_means(true)
    other = anova_oneway(means, LABELS, use_var="unequal", welch_correction=True)
    test = table.attrs["test"]
    assert_allclose([test.statistic, test.p_value], [other.statistic, other.pvalue], rtol=1e-8)
    for row in table.itertuples():
        own = means[row.group == LABELS]
        assert_allclose([row.loss, row.std_error], [own.mean(), own.std(ddof=1) / np.sqrt(10)], rtol=1e-10)
        half = t.ppf((1 + 0.95 ** (1 / 4)) / 2, 9) * row.std_error
        assert_allclose([row.conf_low, row.conf_high], [row.loss - half, row.loss + half], rtol=1e-10)
        assert_allclose(row.perplexity, np.exp(row.loss), rtol=1e-12)
    assert table.group.tolist() == ["w", "x", "y", "z"]


def test_columns_of_the_documents_and_single_documents_are_groups(true):
    corpus = slm.Corpus.from_texts(
        [true.corpus.text(d) for d in range(12)],
        vocabulary=true.corpus.vocabulary,
        covariates=pd.DataFrame({"year": [1990, 2000] * 6}),
    )
    by_year = slm.group_loss(true.on(corpus), "year")
    assert by_year.group.tolist() == [1990, 2000]
    assert "documents are the clusters" in by_year.attrs["dependence"]
    alone = slm.group_loss(true.on(corpus))
    assert len(alone) == 12
    assert "HAC within documents" in alone.attrs["dependence"]
    assert alone.attrs["test"].name == "Homogeneity"
    assert slm.group_loss(true.on(corpus), "year", dependence="iid").attrs["dependence"] == "iid within groups, as asked"


def test_a_hard_group_is_found_and_is_not_hard_against_a_model_that_finds_it_hard_too(true):
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(list("abcd"), size=80, p=[0.7, 0.1, 0.1, 0.1])) for _ in range(15)]
    texts += ["".join(rng.choice(list("abcd"), size=80, p=[0.25] * 4)) for _ in range(15)]
    corpus = slm.Corpus.from_texts(texts, vocabulary=true.corpus.vocabulary)
    by = ["easy"] * 15 + ["hard"] * 15
    table = slm.group_loss(true.on(corpus), by)
    assert table.loss[1] > table.loss[0]
    assert table.attrs["test"].p_value < 1e-6
    against = slm.group_loss(true.on(corpus), by, against=slm.NGram(0).fit(corpus))
    assert {"difference", "ratio"} <= set(against.columns)
    uniform = -slm.NGram(0).fit(corpus).loglike_obs().mean()
    assert_allclose(against.difference, uniform - table.loss, rtol=1e-10)


def test_what_are_no_groups_is_refused(true, impossible):
    with pytest.raises(SpecificationError, match="no column 'year'"):
        slm.group_loss(true, "year")
    with pytest.raises(SpecificationError, match="3 labels for 40 documents"):
        slm.group_loss(true, [1, 2, 3])
    with pytest.raises(SpecificationError, match="are in one group"):
        slm.group_loss(true, ["x"] * 40)
    with pytest.raises(NotComparable, match="different observations"):
        slm.group_loss(true, LABELS, against=true.on(true.corpus.subset(range(5))))
    with pytest.raises(NoEstimate, match="have probability 0 under a model"):
        slm.group_loss(impossible)
    with pytest.raises(NoEstimate, match="does not vary between its units"):
        slm.group_loss(slm.NGram(0).fit(true.corpus), LABELS)
