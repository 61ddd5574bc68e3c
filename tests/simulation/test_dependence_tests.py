"""Size of the tests that texts share a model and keep it, of over-dispersion and the information matrix; coverage by refits."""

import warnings

import numpy as np
import pandas as pd
import pytest

import statlm as slm
from statlm.errors import FewClustersWarning, SmallCountsWarning

pytestmark = pytest.mark.slow

CHAIN = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5]])


@pytest.fixture(scope="module")
def short_texts(chains, letters):
    """400 texts of 200 tokens from one chain."""
    states = chains(np.broadcast_to(CHAIN, (400, 3, 3)), 201, np.random.default_rng(61))
    return [slm.Corpus.from_tokens([row], vocabulary=letters(3), given=1) for row in states]


def own_chains(rng, documents, length, concentration, chains):
    """Rows of documents that each have a chain of their own around the common one."""
    matrices = np.array([[rng.dirichlet(row * concentration) for row in CHAIN] for _ in range(documents)])
    return chains(matrices, length, rng)


def test_homogeneity_has_its_size_by_chi_square_where_tokens_are_independent_given_contexts(short_texts, measured):
    pairs = zip(short_texts[::2], short_texts[1::2], strict=True)
    rejected = [slm.homogeneity_test(list(pair)).p_value <= 0.05 for pair in pairs]
    assert measured("`homogeneity_test`, `chi2`", "2 texts of 200 tokens, one chain of 3 states", rejected, 0.05).near


def test_homogeneity_of_documents_that_differ_needs_permutations(chains, letters, measured):
    rng = np.random.default_rng(62)
    frame = pd.DataFrame({"half": np.repeat(["x", "y"], 15)})
    p = {"permutation": [], "chi2": []}
    for seed in range(400):
        rows = own_chains(rng, 30, 60, 20.0, chains)
        corpus = slm.Corpus.from_tokens(list(rows), vocabulary=letters(3), eos=False, given=1, covariates=frame)
        found = slm.homogeneity_test(corpus, by="half", method="both", replicates=99, seed=seed)
        for name in p:
            p[name].append(found.details[f"p_{name}"])
    setting = "2 x 15 documents of 60 tokens, each with its own chain"
    rates = {name: measured(f"`homogeneity_test`, `{name}`", setting, np.array(p[name]) <= 0.05, 0.05) for name in p}
    assert rates["permutation"].near
    assert rates["chi2"].value > 0.2


def test_stationarity_has_its_size(short_texts, measured):
    results = [slm.stationarity_test(text, 3, method="both", replicates=99, seed=i) for i, text in enumerate(short_texts)]
    for name in ("bootstrap", "chi2"):
        rejected = [result.details[f"p_{name}"] <= 0.05 for result in results]
        setting = "3 segments of a text of 200 tokens, chain of 3 states"
        assert measured(f"`stationarity_test`, `{name}`", setting, rejected, 0.05).near


def test_chi_square_of_stationarity_is_off_where_counts_are_small(chains, letters, measured):
    rng = np.random.default_rng(63)
    matrices = np.broadcast_to(np.full((6, 6), 1 / 6), (300, 6, 6))
    p = {"bootstrap": [], "chi2": []}
    for seed, row in enumerate(chains(matrices, 121, rng)):
        text = slm.Corpus.from_tokens([row], vocabulary=letters(6), given=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallCountsWarning)
            found = slm.stationarity_test(text, 4, method="both", replicates=99, seed=seed)
        for name in p:
            p[name].append(found.details[f"p_{name}"])
    setting = "4 segments of a text of 120 tokens, 6 states"
    rates = {name: measured(f"`stationarity_test`, `{name}`", setting, np.array(p[name]) <= 0.05, 0.05) for name in p}
    assert rates["bootstrap"].near
    assert not rates["chi2"].near


def test_a_change_along_one_text_is_found_with_the_right_error(short_texts, measured):
    p = [slm.change_point_test(text, replicates=99, seed=i).p_value for i, text in enumerate(short_texts)]
    rejected = np.array(p) <= 0.05
    assert measured("`change_point_test`, `bootstrap`", "text of 200 tokens, chain of 3 states", rejected, 0.05).near


def test_a_change_between_documents_is_found_with_the_right_error(chains, letters, measured):
    rng = np.random.default_rng(64)
    p = []
    for seed in range(400):
        rows = own_chains(rng, 20, 50, 20.0, chains)
        corpus = slm.Corpus.from_tokens(list(rows), vocabulary=letters(3), eos=False, given=1)
        p.append(slm.change_point_test(corpus, replicates=99, seed=seed).p_value)
    setting = "20 documents of 50 tokens, each with its own chain"
    assert measured("`change_point_test`, `permutation`", setting, np.array(p) <= 0.05, 0.05).near


def test_overdispersion_has_its_size_context_by_context(chains, letters, measured):
    rng = np.random.default_rng(65)
    p = []
    for _ in range(300):
        rows = chains(np.broadcast_to(CHAIN, (40, 3, 3)), 90, rng)
        corpus = slm.Corpus.from_tokens(list(rows), vocabulary=letters(3), eos=False, given=1)
        p.extend(slm.overdispersion_test(corpus)["p_value"])
    setting = "40 documents of 90 tokens, one chain of 3 states"
    assert measured("`overdispersion_test`", setting, np.array(p) <= 0.05, 0.05).near


def softmax_texts(n, count, rng):
    """Texts of a softmax regression on the main effects of two lags."""
    effects = 0.8 * np.eye(3), 0.5 * np.eye(3)
    states = np.zeros((count, n + 2), np.int64)
    states[:, 1] = 1
    for t in range(2, n + 2):
        odds = np.exp(effects[0][states[:, t - 1]] + effects[1][states[:, t - 2]]).cumsum(axis=1)
        states[:, t] = (rng.random(count)[:, None] * odds[:, -1:] > odds).sum(axis=1)
    return states


@pytest.mark.parametrize(("n", "right"), [(150, False), (2000, True)])
def test_the_information_matrix_has_its_size_by_chi_square_where_observations_are_many(n, right, letters, measured):
    p = []
    for row in softmax_texts(n, 400, np.random.default_rng(66)):
        fit = slm.SoftmaxRegression(2).fit(slm.Corpus.from_tokens([row], vocabulary=letters(3), given=2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SmallCountsWarning)
            p.append(slm.information_matrix_test(fit).p_value)
    setting = f"softmax of 2 lags, 3 states, {n:,} observations"
    rate = measured("`information_matrix_test`, `chi2`", setting, np.array(p) <= 0.05, 0.05)
    assert bool(rate.near) == right


def test_the_information_matrix_does_not_reject_too_often_by_bootstrap(letters, measured):
    """With few observations fitted probabilities are more extreme than the truth, and the statistic larger in their texts."""
    p = []
    for seed, row in enumerate(softmax_texts(150, 150, np.random.default_rng(66))):
        fit = slm.SoftmaxRegression(2).fit(slm.Corpus.from_tokens([row], vocabulary=letters(3), given=2))
        p.append(slm.information_matrix_test(fit, method="bootstrap", replicates=19, seed=1000 * seed).p_value)
    setting = "softmax of 2 lags, 3 states, 150 observations"
    rate = measured("`information_matrix_test`, `bootstrap`", setting, np.array(p) <= 0.05, 0.05)
    assert rate.value <= 0.05 + 3.3 * rate.error


def test_refits_cover_under_clustering_where_naive_errors_do_not(letters, measured):
    rng = np.random.default_rng(67)
    covs = {
        "DocumentBootstrap": slm.DocumentBootstrap(replicates=60),
        "jackknife": "jackknife",
        "infinitesimal-jackknife": "infinitesimal-jackknife",
        "nonrobust": "nonrobust",
    }
    covered = {name: [] for name in covs}
    for _ in range(400):
        # Each document is an a and then b, c or d, 20 times: equally many visits to a, so that the share estimated is the mean.
        draws = [rng.choice(3, size=20, p=rng.dirichlet(CHAIN[0] * 6.0)) for _ in range(40)]
        pairs = [np.stack([np.zeros(20, np.int64), draw + 1]).T.ravel() for draw in draws]
        corpus = slm.Corpus.from_tokens(pairs, vocabulary=letters(4), eos=False)
        fit = slm.NGram(2).fit(corpus)
        cell = next(name for name in fit.param_names if name[1] == "a")
        table = {name: fit.conf_int(cov=cov).loc[cell] for name, cov in covs.items()}
        token = "bcd".index(cell[0])
        for name, row in table.items():
            covered[name].append(row["conf_low"] <= CHAIN[0, token] <= row["conf_high"])
    setting = "p(. given a) of a bigram; 40 documents of 20 such observations, each with its own shares"
    rates = {name: measured(f"parameter of a bigram, `{name}`", setting, found, 0.95) for name, found in covered.items()}
    for name in ("DocumentBootstrap", "jackknife", "infinitesimal-jackknife"):
        assert rates[name].near
    assert rates["nonrobust"].value < 0.8


def test_two_way_clusters_cover_where_one_way_does_not(letters, measured):
    rng = np.random.default_rng(68)
    covs = {
        "TwoWayClustered": slm.TwoWayClustered("author", "year"),
        "Clustered, one way": slm.Clustered(by="author"),
        "Clustered, document": "cluster",
    }
    covered = {name: [] for name in covs}
    author, year = np.divmod(np.arange(900), 30)
    frame = pd.DataFrame({"author": author, "year": year})
    effects = rng.normal(size=(300, 2, 30))
    truth = float(np.mean(1 / (1 + np.exp(-np.random.default_rng(0).normal(0, np.sqrt(2) * 0.4, 2_000_000)))))
    for authors, years in effects:
        share = 1 / (1 + np.exp(-0.4 * (authors[author] + years[year])))
        rows = (rng.random((900, 8)) < share[:, None]).astype(int)
        fit = slm.NGram(1).fit(slm.Corpus.from_tokens(list(rows), vocabulary=letters(2), eos=False, covariates=frame))
        target = truth if fit.param_names[0][0] == "b" else 1 - truth
        for name, cov in covs.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FewClustersWarning)
                low, high = fit.conf_int(cov=cov).iloc[0]
            covered[name].append(low <= target <= high)
    setting = "a share; 900 documents of 30 authors in 30 years, each with its own habits"
    rates = {name: measured(f"share, `{name}`", setting, found, 0.95) for name, found in covered.items()}
    assert rates["TwoWayClustered"].near
    assert rates["Clustered, one way"].value < 0.9
    assert rates["Clustered, document"].value < 0.8
