"""Tests at 5 % reject 5 % of true null hypotheses; where they do not, the documentation says so and here is the proof."""

import warnings

import numpy as np
import pytest

import statlm as slm
from statlm.errors import SmallCountsWarning
from statlm.inference.markov_order import markov_order_test
from statlm.numerics.context_table import ContextTable
from statlm.numerics.markov_chain import order_ratio

pytestmark = pytest.mark.slow

# Four states, order 1: dense enough that every transition is common.
CHAIN = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.4, 0.3, 0.2], [0.2, 0.1, 0.4, 0.3], [0.3, 0.2, 0.1, 0.4]])


def test_likelihood_ratio_of_bigram_against_unigram_has_its_size(letters, measured):
    rng = np.random.default_rng(21)
    rejected = []
    for states in rng.choice(3, size=(2000, 501), p=[0.5, 0.3, 0.2]):
        corpus = slm.Corpus.from_tokens([states], vocabulary=letters(3), given=1)
        rejected.append(slm.lr_test(slm.NGram(1).fit(corpus), slm.NGram(2).fit(corpus)).p_value <= 0.05)
    assert measured("`lr_test`, bigram against unigram", "3 states, 500 observations", rejected, 0.05).near


@pytest.fixture(scope="module")
def short_texts(chains, letters):
    states = chains(np.broadcast_to(CHAIN, (600, 4, 4)), 203, np.random.default_rng(22))
    return [slm.Corpus.from_tokens([row], vocabulary=letters(4)) for row in states]


@pytest.fixture(scope="module")
def p_values(short_texts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCountsWarning)
        tables = [markov_order_test(corpus, 3, method="both", replicates=99, seed=i) for i, corpus in enumerate(short_texts)]
    return {m: np.array([table[f"p_{m}"] for table in tables]) for m in ("chi2", "bootstrap")}


SETTING = "chain of order 1, 4 states, 200 observations"


@pytest.mark.parametrize("order", [1, 2])
def test_bootstrap_of_markov_orders_has_its_size_where_counts_are_small(order, p_values, measured):
    rejected = p_values["bootstrap"][:, order] <= 0.05
    what = f"`markov_order_test`, `bootstrap`, order {order} against {order + 1}"
    assert measured(what, SETTING, rejected, 0.05).near


@pytest.mark.parametrize("order", [1, 2])
def test_chi_square_of_markov_orders_is_off_where_counts_are_small(order, p_values, measured):
    rejected = p_values["chi2"][:, order] <= 0.05
    what = f"`markov_order_test`, `chi2`, order {order} against {order + 1}"
    assert not measured(what, SETTING, rejected, 0.05).near


@pytest.mark.parametrize("method", ["bootstrap", "chi2"])
def test_both_find_the_dependence_that_is_there(method, p_values):
    assert (p_values[method][:, 0] <= 0.05).mean() > 0.95


def test_chi_square_of_markov_orders_has_its_size_where_counts_are_large(chains, letters, measured):
    states = chains(np.broadcast_to(CHAIN, (600, 4, 4)), 5002, np.random.default_rng(23))
    p = [markov_order_test(slm.Corpus.from_tokens([row], vocabulary=letters(4)), 2).p_value[1] for row in states]
    setting = "chain of order 1, 4 states, 5,000 observations"
    assert measured("`markov_order_test`, `chi2`, order 1 against 2", setting, np.array(p) <= 0.05, 0.05).near


def test_drawing_from_the_estimated_chain_is_no_remedy_for_small_counts(short_texts, measured):
    """The parametric bootstrap that the package does not use: what did not occur in the text never occurs in its draws."""

    def statistic(corpus):
        columns = [column.astype(np.int64) for column in corpus.with_given(3).context_columns(3)]
        targets, nids = corpus.with_given(3).targets.astype(np.int64), corpus.vocabulary.nids
        tables = [ContextTable.count(columns[:k], targets, nids) for k in (2, 3)]
        return order_ratio(*tables).statistic

    rejected = []
    for corpus in short_texts[:100]:
        fit = slm.NGram(3).fit(corpus.with_given(3))
        reached = [statistic(slm.simulate(fit, seed=b)) >= statistic(corpus) for b in range(99)]
        rejected.append((1 + sum(reached)) / 100 <= 0.05)
    what = "drawing from the *estimated* chain (not used), order 2 against 3"
    assert measured(what, SETTING, rejected, 0.05).value > 0.2


def test_bootstrap_has_its_size_for_documents_that_end_by_themselves(letters, measured):
    rng = np.random.default_rng(24)
    p = []
    for seed in range(500):
        documents = [rng.choice(3, size=rng.geometric(1 / 8), p=[0.5, 0.3, 0.2]) for _ in range(20)]
        corpus = slm.Corpus.from_tokens(documents, vocabulary=letters(3, eos=True))
        p.append(markov_order_test(corpus, 2, method="bootstrap", replicates=99, seed=seed).p_value.to_numpy())
    for k in (0, 1):
        what = f"`markov_order_test`, `bootstrap`, order {k} against {k + 1}"
        assert measured(what, "20 documents of 8 tokens on average, with `<eos>`", np.array(p)[:, k] <= 0.05, 0.05).near


def test_bootstrap_has_its_size_for_documents_that_are_cut(chains, letters, measured):
    states = chains(np.broadcast_to(CHAIN, (500 * 20, 4, 4)), 12, np.random.default_rng(25)).reshape(500, 20, 12)
    p = [
        markov_order_test(
            slm.Corpus.from_tokens(list(documents), vocabulary=letters(4), eos=False),
            2,
            method="bootstrap",
            replicates=99,
            seed=i,
        ).p_value[1]
        for i, documents in enumerate(states)
    ]
    what = "`markov_order_test`, `bootstrap`, order 1 against 2"
    assert measured(what, "20 documents cut at 12 tokens, without `<eos>`", np.array(p) <= 0.05, 0.05).near
