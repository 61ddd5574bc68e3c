"""Intervals of next-token probabilities: closed forms, statsmodels, and what is said on the boundary."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtri
from statsmodels.stats.proportion import multinomial_proportions_confint, proportion_confint

import statlm as slm
from statlm.covariance.verbs import root_of_variances
from statlm.errors import NoEstimate, SpecificationError, UnseenContextWarning
from statlm.inference.predict import proportion_interval
from statlm.numerics.linalg import solve
from statlm.text.prompts import continuations

Z = float(ndtri(0.975))


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(5)
    return slm.Corpus.from_tokens([rng.choice(list("abcd"), 300, p=[0.4, 0.3, 0.2, 0.1]).tolist()], given=1)


@pytest.fixture(scope="module")
def bigram(corpus):
    return slm.NGram(2).fit(corpus)


@pytest.fixture(scope="module")
def counts(corpus):
    table = np.zeros((4, 4), int)
    np.add.at(table, (corpus.contexts(1)[:, 0], corpus.targets), 1)
    return table


def after(fit, context, **settings):
    return fit.predict([context], **settings).set_index("token").loc[list("abcd")]


def test_wald_std_error_is_that_of_a_proportion(bigram, counts):
    n = counts[0].sum()
    p = counts[0] / n
    table = after(bigram, ["a"], interval=0.95)
    error = np.sqrt(p * (1 - p) / n)
    assert_allclose(table.probability, p)
    assert_allclose(table.std_error, error)
    assert_allclose(table.conf_low, np.maximum(p - Z * error, 0))
    assert_allclose(table.conf_high, p + Z * error)
    assert (table.method == "wald").all()


def test_logit_interval_is_that_of_the_log_odds(bigram, counts):
    n = counts[1].sum()
    p = counts[1] / n
    table = after(bigram, ["b"], interval=0.9, method="logit")
    width = float(ndtri(0.95)) / np.sqrt(n * p * (1 - p))
    assert_allclose(np.log(table.conf_low / (1 - table.conf_low)), np.log(p / (1 - p)) - width)
    assert_allclose(np.log(table.conf_high / (1 - table.conf_high)), np.log(p / (1 - p)) + width)


def test_log_odds_std_error_is_the_root_of_two_inverse_counts(corpus, bigram, counts):
    # The delta method: the gradient of log p(j|c) - log p(0|c) is a difference of two scores.
    model = bigram.likelihood
    score = model.on(continuations(corpus.vocabulary, [np.array([2])], [np.array([1, 0])])).score().toarray()
    gradient = score[0] - score[1]
    variance = gradient @ solve(model.information(), gradient)
    assert_allclose(np.sqrt(variance), np.sqrt(1 / counts[2, 1] + 1 / counts[2, 0]), rtol=1e-12)


def test_heteroscedasticity_changes_nothing_for_a_saturated_model(bigram):
    plain = after(bigram, ["a"], interval=0.95)
    for cov in ("opg", "HC0"):
        robust = after(bigram, ["a"], interval=0.95, cov=cov)
        assert_allclose(robust.std_error, plain.std_error, rtol=1e-10)


@pytest.mark.parametrize(("method", "name"), [("wilson", "wilson"), ("jeffreys", "jeffreys"), ("clopper-pearson", "beta")])
def test_intervals_of_proportions_are_those_of_statsmodels(bigram, counts, method, name):
    low, high = proportion_confint(counts[0], counts[0].sum(), alpha=0.05, method=name)
    table = after(bigram, ["a"], interval=0.95, method=method)
    assert_allclose(table.conf_low, low)
    assert_allclose(table.conf_high, high)


@pytest.mark.parametrize("method", ["goodman", "sison-glaz"])
def test_simultaneous_intervals_are_those_of_statsmodels(bigram, counts, method):
    expected = multinomial_proportions_confint(counts[0], alpha=0.05, method=method)
    table = after(bigram, ["a"], interval=0.95, method=method)
    assert_allclose(table[["conf_low", "conf_high"]], expected)


@pytest.mark.parametrize("method", ["wilson", "jeffreys", "clopper-pearson"])
def test_intervals_at_the_ends_are_closed_there(method):
    low, high = proportion_interval(np.array([0, 7, 0]), 0.95, method)
    assert low[0] == 0
    assert 0 < high[0] < 1
    assert 0 < low[1] < 1
    assert high[1] == 1


@pytest.mark.parametrize("method", ["wald", "logit"])
def test_cells_on_the_boundary_say_so_and_have_an_exact_interval(method):
    fit = slm.NGram(2).fit(slm.Corpus.from_tokens([list("abababcab")], given=1))
    table = fit.predict([["a"]], interval=0.95, method=method).set_index("token")
    assert (table.method == "clopper-pearson (on the boundary)").all()
    assert table.std_error.isna().all()
    low, high = proportion_confint(0, 4, alpha=0.05, method="beta")
    assert_allclose(table.loc["c", ["conf_low", "conf_high"]].astype(float), [0, high])
    low, high = proportion_confint(4, 4, alpha=0.05, method="beta")
    assert_allclose(table.loc["b", ["conf_low", "conf_high"]].astype(float), [low, 1])


def test_clusters_widen_by_the_t_distribution(corpus):
    from scipy.stats import t

    cut = corpus.blocks(10, context=1)
    table = after(slm.NGram(2).fit(cut), ["a"], interval=0.95, cov="cluster")
    half = t.ppf(0.975, cut.ndocuments - 1) * table.std_error
    assert_allclose(table.conf_high, table.probability + half)


def test_rows_are_sorted_by_probability_within_contexts_and_sum_to_1(bigram):
    table = bigram.predict([["a"], ["b"]])
    assert table.columns.tolist() == ["context", "token", "probability"]
    for _, rows in table.groupby("context"):
        assert rows.probability.is_monotonic_decreasing
        assert_allclose(rows.probability.sum(), 1)


def test_an_unseen_context_warns_and_has_no_interval():
    fit = slm.NGram(2).fit(slm.Corpus.from_tokens([list("ababc")], given=1))
    with pytest.warns(UnseenContextWarning, match=r"Training never saw the context 'c'.*uniform distribution is shown"):
        table = fit.predict([["c"]])
    assert_allclose(table.probability, 1 / 3)
    with pytest.raises(NoEstimate, match=r"Training never saw the context 'c'.*no interval"):
        fit.predict([["c"]], interval=0.95)


def test_unknown_methods_and_mixed_requests_are_refused(bigram):
    with pytest.raises(SpecificationError, match=r"no interval 'bayes'. Use one of 'wald', 'logit', 'wilson'"):
        bigram.predict([["a"]], interval=0.95, method="bayes")
    with pytest.raises(SpecificationError, match=r"wilson interval is computed from the counts.*'wald' or 'logit'"):
        bigram.predict([["a"]], interval=0.95, method="wilson", cov="HC0")
    with pytest.raises(SpecificationError, match=r"confidence level must lie between 0 and 1"):
        bigram.predict([["a"]], interval=95)
    with pytest.raises(SpecificationError, match=r"no context to predict from"):
        bigram.predict([])


def test_a_row_without_observations_has_no_share():
    with pytest.raises(NoEstimate, match="no share to put an interval on"):
        proportion_interval(np.zeros(3, int), 0.95, "wilson")


def test_variances_that_are_no_numbers_are_refused():
    with pytest.raises(NoEstimate, match=r"1 of 2 variances are not finite"):
        root_of_variances(np.array([1.0, np.nan]))


def test_a_smoothed_cell_that_never_occurred_has_no_standard_error():
    corpus = slm.Corpus.from_texts(["abab", "abba", "aabb", "cab"])
    table = slm.NGram(2, pseudo_count=0.5).fit(corpus).predict(["c"], interval=0.95).set_index("token")
    # "c" was followed by "a" once, and by nothing else: no cell of the row has a count strictly inside.
    assert table.std_error.isna().all()
    assert (table.conf_low < table.conf_high).all()
    assert (table.probability > 0).all()
    assert set(table.method) == {"clopper-pearson (on the boundary)"}


def test_intervals_of_shares_are_refused_for_smoothed_probabilities():
    fit = slm.NGram(1, pseudo_count=0.5).fit(slm.Corpus.from_text("abracadabra"))
    with pytest.raises(SpecificationError, match="smoothed by a pseudo-count"):
        fit.predict([""], interval=0.95, method="wilson")


def test_a_search_over_too_many_counts_is_refused():
    fit = slm.NGram(1).fit(slm.Corpus.from_text("ab" * 30_000))
    with pytest.raises(SpecificationError, match="searches over counts one by one"):
        fit.predict([""], interval=0.95, method="sison-glaz")
