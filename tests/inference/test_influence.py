"""Influence of a document: the sign and size of actual refits, and the tie to cluster-robust variances."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError

MATRIX = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.25, 0.3, 0.45]])


def text(documents, length, seed=6):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(documents):
        row = [int(rng.integers(3))]
        for _ in range(int(length * rng.uniform(0.6, 1.4))):
            row.append(int(rng.choice(3, p=MATRIX[row[-1]])))
        rows.append(["abc"[i] for i in row])
    return slm.Corpus.from_tokens(rows, given=1, eos=False)


@pytest.fixture(scope="module")
def corpus():
    return text(60, 40)


@pytest.fixture(scope="module", params=["softmax", "ridge", "bigram"])
def specification(request):
    return {
        "softmax": slm.SoftmaxRegression(lags=1, reference="a"),
        "ridge": slm.SoftmaxRegression(lags=1, reference="a", penalty="ridge", strength=2.0),
        "bigram": slm.NGram(2),
    }[request.param]


def refits(specification, fit):
    """(G, p) changes of the estimate when each document is left out."""
    corpus = fit.corpus
    changes = []
    for g in range(corpus.ndocuments):
        other = specification.fit(corpus.subset(np.delete(np.arange(corpus.ndocuments), g)))
        assert (other.param_names == fit.param_names).all()
        changes.append(other.params - fit.params)
    return np.array(changes)


def test_one_step_changes_are_those_of_refits(corpus, specification):
    fit = specification.fit(corpus)
    table = slm.influence(fit)
    assert table.columns.tolist() == ["document", "nobs", "displacement", *fit.param_names]
    assert table.nobs.sum() == corpus.nobs
    changes = table[list(fit.param_names)].to_numpy(float)
    actual = refits(specification, fit)
    for j in range(len(fit.params)):
        assert np.corrcoef(changes[:, j], actual[:, j])[0, 1] > 0.995
        # A document holds 1/60 of the information, which is how far a single step falls short.
        assert_allclose((changes[:, j] * actual[:, j]).sum() / (actual[:, j] ** 2).sum(), 1, atol=0.04)


def test_the_step_falls_short_by_the_share_of_the_document():
    specification = slm.NGram(1)
    for documents in (20, 80):
        rng = np.random.default_rng(documents)
        rows = [rng.choice(list("abc"), rng.integers(20, 60), p=[0.6, 0.3, 0.1]).tolist() for _ in range(documents)]
        fit = specification.fit(slm.Corpus.from_tokens(rows, eos=False))
        name = list(fit.param_names)
        table = slm.influence(fit)
        left = 1 - table.nobs / fit.nobs
        assert_allclose(table[name], refits(specification, fit) * left.to_numpy()[:, None], rtol=1e-9)


def test_squares_of_changes_sum_to_the_cluster_robust_variances(corpus, specification):
    fit = specification.fit(corpus)
    changes = slm.influence(fit)[list(fit.param_names)].to_numpy(float)
    assert_allclose(changes.T @ changes * 60 / 59, fit.vcov("cluster"), rtol=1e-8, atol=1e-12)


def test_changes_sum_to_zero_at_the_maximum(corpus):
    fit = slm.SoftmaxRegression(lags=1).fit(corpus)
    assert_allclose(slm.influence(fit)[list(fit.param_names)].sum(), 0, atol=1e-8)


def test_displacement_is_twice_the_loss_of_log_likelihood(corpus):
    specification = slm.SoftmaxRegression(lags=1, reference="a")
    fit = specification.fit(corpus)
    table = slm.influence(fit)
    loss = [2 * (fit.loglike - fit.at(fit.params + change).loglike_obs().sum()) for change in refits(specification, fit)]
    assert np.corrcoef(table.displacement, loss)[0, 1] > 0.99
    assert_allclose(table.displacement, loss, rtol=0.2)


def test_functionals_by_name_and_by_gradient(corpus):
    fit = slm.SoftmaxRegression(lags=1).fit(corpus)
    whole = slm.influence(fit)
    name = fit.param_names[2]
    assert_allclose(slm.influence(fit, [name])[name], whole[name])
    contrast = np.zeros((1, len(fit.params)))
    contrast[0, [1, 2]] = 1, -1
    assert_allclose(slm.influence(fit, contrast).change, whole[fit.param_names[1]] - whole[name], rtol=1e-9)
    assert slm.influence(fit, np.eye(len(fit.params))[:2]).columns[3:].tolist() == ["change1", "change2"]


def test_any_groups_can_be_left_out(corpus):
    fit = slm.SoftmaxRegression(lags=1).fit(corpus)
    by_document = slm.influence(fit)
    labels = np.where(corpus.document_index < 20, "early", "late")
    table = slm.influence(fit, by=labels)
    assert table.document.tolist() == ["early", "late"]
    names = list(fit.param_names)
    assert_allclose(table[names].iloc[0].to_numpy(float), by_document[names].iloc[:20].sum().to_numpy(float), rtol=1e-6)


def test_documents_keep_their_names():
    corpus = slm.Corpus.from_texts(["aab", "abb", "bab"], names=["x", "y", "z"], eos=False)
    assert slm.influence(slm.NGram(1).fit(corpus)).document.tolist() == ["x", "y", "z"]


def test_a_column_names_the_scale_of_its_changes():
    texts = ["aab" * 10, "aba" * 12, "bba" * 9, "abb" * 11, "aaab" * 10, "babab" * 6]
    corpus = slm.Corpus.from_texts(texts, eos=False)
    fit = slm.NGram(1).fit(corpus)
    table = slm.influence(fit, slm.Probability("", "a"))
    column = table.columns[-1]
    assert column[0] == "log-odds of probability"
    shares = [
        np.mean([token == "a" for d, text in enumerate(texts) for token in text if d != left]) for left in (-1, *range(6))
    ]
    logit = np.log(np.array(shares) / (1 - np.array(shares)))
    assert_allclose(table[column].to_numpy(float), logit[1:] - logit[0], rtol=0.3, atol=2e-3)
    assert np.abs(logit[1:] - logit[0]).max() > 0.05


def test_unknown_groups_are_refused(corpus):
    fit = slm.NGram(1).fit(corpus)
    with pytest.raises(SpecificationError, match=r"by='author' is unknown"):
        slm.influence(fit, by="author")
    with pytest.raises(SpecificationError, match=r"by has shape \(3,\), but there are [\d,]+ observations"):
        slm.influence(fit, by=[1, 2, 3])


def test_a_table_too_large_is_refused(corpus, monkeypatch):
    from statlm.inference import influence as module

    monkeypatch.setattr(module, "MAX_ENTRIES", 100)
    fit = slm.NGram(1).fit(corpus)
    with pytest.raises(SpecificationError, match=r"60 groups by 2 parameters has 120 entries.*functionals you need"):
        slm.influence(fit)
