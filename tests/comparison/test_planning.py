"""Planning: the formula at its limits, each of the four unknowns inverts the others, and what no sample size reaches."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, NotComparable, SpecificationError, TooFewClusters

NOISE = slm.Pilot(std_a=2.0, std_b=1.8, correlation=0.95, icc=0.002, tokens=1000, size_variation=0.3)
RNG = np.random.default_rng(4)
TEXTS = ["".join(RNG.choice(list("abcd "), size=int(n))) for n in RNG.integers(20, 120, 25)]


@pytest.fixture(scope="module")
def models():
    train, test = slm.Corpus.from_texts(TEXTS).split(test=0.5)
    return slm.NGram(2, pseudo_count=1).fit(train).on(test), slm.NGram(1, pseudo_count=1).fit(train).on(test)


def test_one_token_a_document_is_the_paired_t_test_of_statsmodels():
    from statsmodels.stats.power import TTestPower

    single = slm.Pilot(2.0, 1.8, 0.95, icc=0.3, tokens=1)
    for documents in (5, 40, 500):
        found = slm.plan(single, documents=documents, tokens=1, effect=0.1)
        other = TTestPower().power(np.log(1.1) / single.std_difference, documents, 0.05)
        assert_allclose(found.power, other, rtol=1e-8)
    needed = TTestPower().solve_power(np.log(1.1) / single.std_difference, None, 0.05, 0.9)
    assert slm.plan(single, tokens=1, effect=0.1, power=0.9).documents == int(np.ceil(needed))


def test_the_standard_error_is_that_of_clusters_of_equal_correlation():
    equal = slm.Pilot(2.0, 1.8, 0.95, icc=0.01, tokens=50)
    covariance = equal.std_difference**2 * (0.01 * np.ones((50, 50)) + 0.99 * np.eye(50))
    assert_allclose(equal.std_error(20, 50), np.sqrt(covariance.sum() / 50**2 / 20), rtol=1e-12)
    assert_allclose(equal.std_difference**2, 4 + 3.24 - 2 * 0.95 * 3.6, rtol=1e-9)


def test_each_unknown_inverts_the_others():
    whole = slm.plan(NOISE, documents=60, tokens=800, effect=0.02)
    assert_allclose(slm.plan(NOISE, documents=60, tokens=800, power=whole.power).effect, 0.02, rtol=1e-6)
    assert slm.plan(NOISE, tokens=800, effect=0.02, power=whole.power - 1e-9).documents == 60
    assert slm.plan(NOISE, documents=60, effect=0.02, power=whole.power - 1e-9).tokens == 800
    assert "60 documents of 800 tokens (48,000 in all) see a difference of 2 %" in str(whole)
    assert "assumed" in str(NOISE)


@pytest.mark.parametrize("name", ["documents", "tokens"])
def test_what_is_found_is_the_smallest_that_is_enough(name):
    other = {"documents": {"tokens": 300}, "tokens": {"documents": 80}}[name]
    found = slm.plan(NOISE, effect=0.02, power=0.8, **other)
    assert found.power >= 0.8
    fewer = slm.plan(NOISE, effect=0.02, **other, **{name: getattr(found, name) - 1})
    assert fewer.power < 0.8


def test_power_grows_with_all_it_should_grow_with():
    base = {"documents": 40, "tokens": 500, "effect": 0.02}
    power = slm.plan(NOISE, **base).power
    for change in ({"documents": 50}, {"tokens": 600}, {"effect": 0.03}):
        assert slm.plan(NOISE, **(base | change)).power > power
    assert slm.plan(NOISE, **base, level=0.01).power < power


def test_the_pilot_is_the_analysis_of_variance(models):
    from statsmodels.api import OLS

    found = slm.pilot(*models)
    a, b = (-m.loglike_obs() for m in models)
    assert_allclose([found.std_a, found.std_b, found.correlation], [a.std(ddof=1), b.std(ddof=1), np.corrcoef(a, b)[0, 1]])
    assert_allclose(found.std_difference, (b - a).std(ddof=1), rtol=1e-9)
    document = models[0].corpus.document_index
    dummies = (document[:, None] == np.arange(document.max() + 1)).astype(float)
    fit = OLS(b - a, dummies).fit()
    within = fit.mse_resid
    between = fit.ess / fit.df_model
    sizes = dummies.sum(axis=0)
    n0 = (len(a) - (sizes**2).sum() / len(a)) / (len(sizes) - 1)
    expected = max((between - within) / n0, 0)
    assert_allclose(found.icc, expected / (expected + within), rtol=1e-8)
    assert found.documents == len(sizes)
    assert "from 12 documents" in str(found)


def test_the_plan_for_the_pilot_s_own_size_has_about_its_clustered_error(models):
    found = slm.pilot(*models)
    corpus = models[0].corpus
    clustered = slm.paired_test(*models, dependence="cluster").std_error
    assert_allclose(found.std_error(corpus.ndocuments, corpus.nobs / corpus.ndocuments), clustered, rtol=0.35)


def test_a_curve_has_a_row_for_each_effect_and_number():
    table = slm.power_curve(NOISE, effect=[0.01, 0.02], documents=[10, 100])
    assert table.shape == (4, 4)
    for row in table.itertuples():
        assert row.power == slm.plan(NOISE, documents=row.documents, tokens=1000, effect=row.effect).power
    assert slm.power_curve(NOISE, effect=0.01).power.max() > 0.95


def test_power_is_a_number_however_large_the_effect():
    single = slm.Pilot(1.0, 1.0, 0.5, icc=0.0, tokens=1)
    for documents in (2, 3, 10, 50, 3000):
        power = [slm.plan(single, documents=documents, tokens=1, effect=e).power for e in np.geomspace(1e-3, 1e12, 80)]
        assert np.isfinite(power).all()
        assert (np.diff(power) >= -1e-9).all()
        assert 0.05 <= power[0] <= power[-1] <= 1


def test_more_tokens_do_not_replace_documents():
    with pytest.raises(NoEstimate, match=r"No number of tokens a document is enough.*At least \d+ documents"):
        slm.plan(slm.Pilot(2, 2, 0.9, icc=0.05, tokens=1000), documents=5, effect=0.02, power=0.8)
    with pytest.raises(NoEstimate, match=r"More than 1,000,000,000 documents"):
        slm.plan(NOISE, tokens=1, effect=1e-6, power=0.8)


def test_exactly_one_is_left_out():
    with pytest.raises(SpecificationError, match="2 of documents, tokens, effect and power were left out"):
        slm.plan(NOISE, tokens=100, effect=0.1)
    with pytest.raises(SpecificationError, match="0 of documents"):
        slm.plan(NOISE, documents=3, tokens=100, effect=0.1, power=0.8)
    for wrong in ({"documents": 1}, {"tokens": 0}, {"effect": -0.1}, {"level": 2}):
        with pytest.raises(SpecificationError, match="use 2 documents and 1 token or"):
            slm.plan(NOISE, **({"documents": 10, "tokens": 10, "effect": 0.1} | wrong))
    with pytest.raises(SpecificationError, match="a power between the level and 1"):
        slm.plan(NOISE, documents=10, tokens=10, power=0.01)


def test_a_pilot_that_says_nothing_is_refused(models):
    a, b = models
    with pytest.raises(NoEstimate, match="has no variance in the pilot"):
        slm.pilot(a, a)
    with pytest.raises(NoEstimate, match="has no variance in the pilot"):
        slm.Pilot(2.0, 2.0, correlation=1.0, icc=0, tokens=10)
    with pytest.raises(TooFewClusters, match="a single document"):
        slm.pilot(*(m.on(m.corpus.subset([0])) for m in models))
    with pytest.raises(NotComparable):
        slm.pilot(a, b.on(b.corpus.subset([0, 1])))
    with pytest.raises(SpecificationError, match="is no pilot"):
        slm.Pilot(2.0, 2.0, correlation=1.2, icc=0, tokens=10)
    train = slm.Corpus.from_texts(["ab", "ba"], eos=False)
    test = slm.Corpus.from_texts(["aa", "bb"], vocabulary=train.vocabulary)
    with pytest.raises(NoEstimate, match="losses in the pilot are infinite"):
        slm.pilot(slm.NGram(2).fit(train).on(test), slm.NGram(1).fit(train).on(test))
