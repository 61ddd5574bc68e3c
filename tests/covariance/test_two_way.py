"""Errors clustered by columns of the documents, in one and in two ways."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.covariance import Clustered, InfinitesimalJackknife, TwoWayClustered
from statlm.errors import FewClustersWarning, NoEstimate, SpecificationError, TooFewClusters


def corpus_of(ndocuments=60, authors=15, years=12, seed=3):
    rng = np.random.default_rng(seed)
    covariates = pd.DataFrame(
        {
            "author": rng.integers(authors, size=ndocuments).astype(str),
            "year": rng.integers(years, size=ndocuments),
            "all": "x",
        }
    )
    rows = [rng.choice(3, size=rng.integers(20, 60), p=rng.dirichlet([8, 6, 4])) for _ in range(ndocuments)]
    return slm.Corpus.from_tokens(rows, eos=False, given=1, covariates=covariates)


@pytest.fixture(scope="module")
def fit():
    return slm.NGram(1).fit(corpus_of(120))


def test_clusters_by_a_column_are_those_of_documents_joined(fit):
    corpus = fit.corpus
    score = fit.score().toarray()
    author = corpus.documents["author"].to_numpy()[corpus.document_index]
    sums = np.array([score[author == one].sum(axis=0) for one in np.unique(author)])
    g = len(sums)
    inverse = np.linalg.inv(fit.information().toarray())
    assert_allclose(fit.vcov(cov=Clustered(by="author")), inverse @ sums.T @ sums @ inverse * g / (g - 1), rtol=1e-9)


def test_two_way_is_the_sum_of_both_less_that_of_their_intersection(fit):
    frame = fit.corpus.documents.assign(pair=lambda d: d["author"] + "-" + d["year"].astype(str))
    paired = slm.NGram(1).fit(
        slm.Corpus(*(getattr(fit.corpus, n) for n in ("vocabulary", "tokens", "offsets", "given")), frame)
    )
    one, two, both = (paired.vcov(cov=Clustered(by=by)) for by in ("author", "year", "pair"))
    expected = one + two - both
    assert np.linalg.eigvalsh(expected).min() > 0
    assert_allclose(paired.vcov(cov=TwoWayClustered("author", "year")), expected, rtol=1e-9)
    assert_allclose(paired.std_errors(cov=TwoWayClustered("author", "year")) ** 2, np.diag(expected), rtol=1e-9)


def test_a_grouping_inside_the_other_adds_nothing(fit):
    assert_allclose(
        fit.vcov(cov=TwoWayClustered("document", "author")), fit.vcov(cov=Clustered(by="author")), rtol=1e-8, atol=1e-14
    )


def test_the_order_of_the_groupings_does_not_matter(fit):
    assert_allclose(
        fit.vcov(cov=TwoWayClustered("year", "author")), fit.vcov(cov=TwoWayClustered("author", "year")), rtol=1e-9
    )


def test_ratios_are_referred_to_the_smaller_number_of_clusters(fit):
    assert TwoWayClustered("author", "year").reference_dof(fit.likelihood) == 11
    assert (
        TwoWayClustered("author", "year").describe(fit.likelihood) == "sandwich, clustered by author (15) and by year (12)"
    )


def test_more_parameters_than_clusters_are_made_semidefinite_with_a_warning():
    trigram = slm.NGram(3).fit(corpus_of(authors=5, years=4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        covariance = trigram.vcov(cov=TwoWayClustered("author", "year"))
    assert any("negative eigenvalues" in str(w.message) for w in caught)
    roots = np.linalg.eigvalsh(covariance)
    assert roots.min() > -1e-10 * roots.max()


def test_variances_of_zero_or_less_become_the_larger_one_way_variance():
    fit = slm.NGram(2).fit(corpus_of(12, authors=3, years=3, seed=0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = fit.std_errors(cov=TwoWayClustered("author", "year"))
        larger = np.maximum(*(fit.std_errors(cov=Clustered(by=by)) for by in ("author", "year")))
    assert any("come out at zero or less" in str(w.message) for w in caught)
    assert (found > 0).all()
    assert np.isclose(found, larger).any()


def test_two_groupings_must_differ():
    with pytest.raises(SpecificationError, match="Both groupings are 'year'"):
        TwoWayClustered("year", "year")


def test_a_column_that_is_not_there_or_incomplete_is_refused(fit):
    with pytest.raises(SpecificationError, match=r"no column 'town'.*'author'"):
        fit.std_errors(cov=Clustered(by="town"))
    corpus = fit.corpus
    frame = corpus.documents.assign(town=[None, *["x"] * (corpus.ndocuments - 1)])
    broken = slm.Corpus(corpus.vocabulary, corpus.tokens, corpus.offsets, corpus.given, frame)
    with pytest.raises(SpecificationError, match="'town' is missing for 1 of 120 documents"):
        slm.NGram(1).fit(broken).std_errors(cov=Clustered(by="town"))


def test_a_column_with_one_value_is_refused(fit):
    with pytest.raises(TooFewClusters, match="All 120 documents have the same all"):
        fit.std_errors(cov=Clustered(by="all"))


def test_few_clusters_are_warned_of():
    with pytest.warns(FewClustersWarning, match="Only 5 clusters: errors clustered by author"):
        slm.NGram(1).fit(corpus_of(authors=5)).std_errors(cov=Clustered(by="author"))


def test_what_does_not_vary_between_clusters_has_no_two_way_covariance(fit):
    with pytest.raises(NoEstimate, match="1 of 1 quantities do not vary"):
        TwoWayClustered("author", "year").of(fit.likelihood, np.zeros((1, len(fit.params))))


def test_the_infinitesimal_jackknife_is_the_sum_of_squared_influences(fit):
    influence = slm.influence(fit).drop(columns=["document", "nobs", "displacement"]).to_numpy(float)
    assert_allclose(fit.std_errors(cov="infinitesimal-jackknife") ** 2, (influence**2).sum(axis=0), rtol=1e-9)
    g = fit.corpus.ndocuments
    assert_allclose(fit.vcov(cov=InfinitesimalJackknife()) * g / (g - 1), fit.vcov(cov="cluster"), rtol=1e-10)
    said = " ".join(str(fit.summary(cov="infinitesimal-jackknife")).split())
    assert "infinitesimal jackknife by document (120 weights)" in said


def test_held_out_perplexity_takes_clusters_by_a_column(fit):
    by_author = fit.perplexity_interval(dependence=Clustered(by="author"))
    assert by_author != fit.perplexity_interval(dependence="cluster")
