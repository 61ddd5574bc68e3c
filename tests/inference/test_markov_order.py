"""Orders of a Markov chain: counts by hand, contingency tables, and draws that keep the counts."""

from collections import Counter
from itertools import combinations, pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2_contingency, chisquare
from statsmodels.stats.multitest import multipletests

import statlm as slm
from statlm.errors import CorpusError, SmallCountsWarning, SpecificationError
from statlm.inference.markov_order import conditioned, markov_order_test, selected_order, trails_keeping_counts
from statlm.numerics.context_table import ContextTable
from statlm.numerics.markov_chain import _counted, _walk, table_loglike

DOCUMENTS = [list("abacabadabacaba"), list("bca"), list("ddacbadbcadbacbd"), list("a"), list("abcdabcd")]


def quiet(corpus, *args, **settings):
    with pytest.warns(SmallCountsWarning):
        return markov_order_test(corpus, *args, **settings)


def by_hand(documents, k, given):
    """Statistic and degrees of freedom of order k against k + 1, with dictionaries."""
    counts = Counter()
    for document in documents:
        for i in range(given, len(document)):
            counts[document[i - k - 1], tuple(document[i - k : i]), document[i]] += 1
    statistic = dof = 0
    for context in {c for _, c, _ in counts}:
        here = {(a, w): n for (a, c, w), n in counts.items() if c == context}
        before, after = Counter(), Counter()
        for (a, w), n in here.items():
            before[a] += n
            after[w] += n
        total = sum(here.values())
        statistic += 2 * sum(n * np.log(n * total / (before[a] * after[w])) for (a, w), n in here.items())
        dof += (len(before) - 1) * (len(after) - 1)
    return statistic, dof


@pytest.mark.parametrize("eos", [True, False])
def test_statistic_and_dof_equal_counting_by_hand(eos):
    corpus = slm.Corpus.from_tokens(DOCUMENTS, eos=eos)
    table = quiet(corpus, 3)
    documents = [document + ["$"] * eos for document in DOCUMENTS]
    for k in range(3):
        statistic, dof = by_hand(documents, k, given=3)
        assert_allclose(table.statistic[k], statistic, rtol=1e-10)
        assert table.dof[k] == dof
    assert table.null_order.tolist() == [0, 1, 2]
    assert table.alternative_order.tolist() == [1, 2, 3]


def test_statistic_is_twice_the_difference_of_ngram_log_likelihoods():
    corpus = slm.Corpus.from_tokens(DOCUMENTS)
    fits = [slm.NGram(n).fit(corpus.with_given(3)).loglike for n in (1, 2, 3, 4)]
    assert_allclose(quiet(corpus, 3).statistic, 2 * np.diff(fits), rtol=1e-10)


def test_order_0_against_1_is_the_test_of_a_contingency_table():
    states = np.random.default_rng(1).integers(3, size=301)
    table = np.zeros((3, 3))
    np.add.at(table, (states[:-1], states[1:]), 1)
    expected = chi2_contingency(table, correction=False, lambda_="log-likelihood")
    found = markov_order_test(slm.Corpus.from_tokens([states]), 1).iloc[0]
    assert_allclose(found.statistic, expected.statistic, rtol=1e-10)
    assert found.dof == expected.dof
    assert_allclose(found.p_value, expected.pvalue, rtol=1e-10)


def test_small_expected_counts_are_those_of_the_contingency_table():
    states = np.random.default_rng(1).choice(3, size=60, p=[0.8, 0.1, 0.1])
    table = np.zeros((3, 3))
    np.add.at(table, (states[:-1], states[1:]), 1)
    expected = chi2_contingency(table, correction=False).expected_freq
    small = int((expected < 5).sum())
    with pytest.warns(SmallCountsWarning, match=rf"order 0 against 1: {small} of 9 .*method='bootstrap'"):
        markov_order_test(slm.Corpus.from_tokens([states]), 1)


def test_adjusted_p_values_are_holms():
    table = markov_order_test(slm.Corpus.from_tokens([np.random.default_rng(2).integers(2, size=400)]), 3)
    assert_allclose(table.p_holm, multipletests(table.p_value, method="holm")[1])


def test_a_test_without_degrees_of_freedom_rejects_nothing():
    table = markov_order_test(slm.Corpus.from_tokens([list("ab" * 30)]), 2)
    assert table.dof.tolist() == [1, 0]
    assert table.statistic[1] == 0
    assert table.p_value[1] == 1


def test_tokens_given_by_the_corpus_stay_given():
    corpus = slm.Corpus.from_tokens([np.random.default_rng(2).integers(2, size=400)], given=100)
    alone = slm.Corpus.from_tokens([corpus.tokens[98:]], vocabulary=corpus.vocabulary)
    pd.testing.assert_frame_equal(markov_order_test(corpus, 2), markov_order_test(alone, 2))


# --- the bootstrap ------------------------------------------------------------------------------------------------------


def trails_of(documents, k, given, eos):
    corpus = conditioned(slm.Corpus.from_tokens(documents, eos=eos), given)
    columns = [column.astype(np.int64) for column in corpus.context_columns(given)]
    return corpus, columns, trails_keeping_counts(corpus, columns[:k])


def transitions(trails, path):
    """What the tests condition on: counts of (context, token), ends included."""
    return Counter(zip(trails.row[path].tolist(), trails.token[path].tolist(), strict=True))


def documents_of(trails, path):
    """The documents that a path of entries spells, each a tuple of (context, token)."""
    ends = np.isin(path, trails.last)
    pieces = np.split(path, np.flatnonzero(ends)[:-1] + 1)
    return [list(zip(trails.row[p].tolist(), trails.token[p].tolist(), strict=True)) for p in pieces]


@pytest.mark.parametrize("eos", [True, False])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_drawn_texts_keep_the_counts_and_the_beginnings(k, eos):
    _, _, trails = trails_of(DOCUMENTS, k, 3, eos)
    rng = np.random.default_rng(0)
    identity = np.arange(len(trails.row))
    original = documents_of(trails, identity)
    follows = {}
    for entry in identity[:-1]:
        if entry not in trails.last:
            follows.setdefault((trails.row[entry], trails.token[entry]), set()).add(trails.row[entry + 1])
    different = 0
    for _ in range(50):
        path = trails.draw(rng)
        assert sorted(path) == identity.tolist()
        drawn = documents_of(trails, path)
        assert len(drawn) == len(original)
        assert [d[0][0] for d in drawn] == [d[0][0] for d in original]
        for document in drawn:
            assert all(b[0] in follows[a] for a, b in pairwise(document))
        different += drawn != original
    assert different > 0


@pytest.mark.parametrize("eos", [True, False])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_the_text_itself_as_a_draw_has_the_statistic_of_the_table(k, eos):
    corpus, columns, trails = trails_of(DOCUMENTS, k, 3, eos)
    alternative = ContextTable.count(columns[: k + 1], corpus.targets.astype(np.int64), corpus.vocabulary.nids)
    assert_allclose(trails.loglike(np.arange(len(trails.row))), table_loglike(alternative), rtol=1e-12)


def test_draws_are_uniform_over_the_texts_with_the_same_counts():
    states = "abbaabab"
    counted = Counter(pairwise(states))
    texts = {"".join(p) for p in permutations(states) if p[0] == states[0] and Counter(pairwise(p)) == counted}
    corpus, _, trails = trails_of([list(states)], 1, 1, False)
    rng = np.random.default_rng(0)
    names = np.array([*corpus.vocabulary.tokens, "."])
    n = 4000
    found = Counter()
    for _ in range(n):
        token = trails.token[trails.draw(rng)]
        found[states[0] + "".join(names[token[token >= 0]])] += 1
    assert len(texts) > 5
    assert set(found) == texts
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_draws_are_uniform_over_sets_of_documents_with_the_same_counts():
    corpus, _, trails = trails_of([list("aab"), list("ab"), list("abba")], 1, 1, True)
    rng = np.random.default_rng(1)
    n = 6000
    found = Counter(tuple(map(tuple, documents_of(trails, trails.draw(rng)))) for _ in range(n))
    # Enumerated as walks: every way of using up the counted transitions, document after document.
    counts = transitions(trails, np.arange(len(trails.row)))
    starts = [d[0][0] for d in documents_of(trails, np.arange(len(trails.row)))]
    leads = {trails.token[i]: trails.row[i + 1] for i in range(len(trails.row)) if i not in trails.last}

    def walks(row, document, left, done):
        for token in range(corpus.vocabulary.nids):
            if left[row, token]:
                rest = left - Counter([(row, token)])
                here = (*done[:-1], (*done[-1], (row, token)))
                if token != corpus.vocabulary.eos:
                    yield from walks(leads[token], document, rest, here)
                elif document + 1 < len(starts):
                    yield from walks(starts[document + 1], document + 1, rest, (*here, ()))
                elif not rest:
                    yield here

    expected = set(walks(starts[0], 0, counts, ((),)))
    assert len(expected) > 5
    assert set(found) == expected
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_bootstrap_p_value_of_independence_is_that_of_permuting_tokens():
    states = list("aabbabaabbab")
    corpus = slm.Corpus.from_tokens([states])
    observed, _ = by_hand([states], 0, 1)
    arrangements = [np.isin(np.arange(11), places) for places in combinations(range(11), states[1:].count("b"))]
    values = np.array([by_hand([["a", *np.where(b, "b", "a")]], 0, 1)[0] for b in arrangements])
    share = np.mean(values >= observed - 1e-9)
    found = markov_order_test(corpus, 1, method="bootstrap", replicates=1999, seed=1).p_value[0]
    assert abs(found - share) < 4 * np.sqrt(share * (1 - share) / 1999) + 1 / 2000


def test_both_shows_both_and_rests_on_the_bootstrap():
    corpus = slm.Corpus.from_tokens([np.random.default_rng(3).integers(3, size=200)])
    both = markov_order_test(corpus, 2, method="both", replicates=99)
    alone = markov_order_test(corpus, 2, method="bootstrap", replicates=99)
    assert both.p_value.tolist() == both.p_bootstrap.tolist() == alone.p_value.tolist()
    assert_allclose(both.p_chi2, markov_order_test(corpus, 2).p_value)
    assert "p_chi2" not in alone


def test_equal_seeds_give_equal_p_values_and_other_seeds_others():
    corpus = slm.Corpus.from_tokens([np.random.default_rng(3).integers(3, size=200)])
    first, again, other = (markov_order_test(corpus, 2, method="bootstrap", replicates=199, seed=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert (first.p_value != other.p_value).any()


def test_documents_of_mixed_endings_are_accepted():
    whole = slm.Corpus.from_tokens([list("abaabbab" * 4), list("babba")], eos=True)
    table = markov_order_test(whole.blocks(10, context=2), 2, method="bootstrap", replicates=99)
    assert table.p_value.between(0.01, 1).all()


# --- reading ------------------------------------------------------------------------------------------------------------


def test_selected_order_is_the_one_after_the_largest_rejected():
    table = pd.DataFrame({"null_order": [0, 1, 2], "p_holm": [0.4, 0.01, 0.4]})
    assert selected_order(table) == 2
    assert selected_order(table, level=0.001) == 0
    with pytest.raises(SpecificationError, match=r"level=5: the level of the tests must lie between 0 and 1"):
        selected_order(table, level=5)


def test_parity_of_two_coins_is_found_at_order_2():
    coins = np.random.default_rng(0).integers(2, size=(200, 2))
    states = np.column_stack([coins, coins.sum(axis=1) % 2]).ravel()
    table = markov_order_test(slm.Corpus.from_tokens([states]), 2)
    assert selected_order(table) == 2


# --- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, -1, 1.5, True])
def test_max_order_must_be_a_whole_number(order):
    with pytest.raises(SpecificationError, match=r"max_order=.*must be a whole number, 1 or more"):
        markov_order_test(slm.Corpus.from_tokens([list("abab")]), order)


def test_unknown_methods_are_refused():
    with pytest.raises(SpecificationError, match=r"no method 'exact'. Use one of 'chi2', 'bootstrap', 'both'"):
        markov_order_test(slm.Corpus.from_tokens([list("abab")]), 1, method="exact")


def test_too_few_replicates_are_refused():
    with pytest.raises(SpecificationError, match=r"replicates=9.*at least 19"):
        markov_order_test(slm.Corpus.from_tokens([list("abab")]), 1, method="bootstrap", replicates=9)


def test_documents_shorter_than_the_order_are_refused():
    with pytest.raises(CorpusError, match=r"No document is longer than max_order=3 tokens \(the longest has 3\)"):
        markov_order_test(slm.Corpus.from_tokens([list("aba"), list("ab")], eos=False), 3)


def test_a_single_state_is_refused():
    corpus = slm.Corpus.from_tokens([list("ab") + ["b"] * 20])
    with pytest.raises(CorpusError, match=r"All 20 observations are the same token \('b'\)"):
        markov_order_test(corpus, 2)


def test_a_walk_leaves_each_context_by_its_exits_in_turn():
    # Exits of 0, 1, 2 to (1, 2, 0), (0, 0) and (1): 0 -> 1 -> 0 -> 2 -> 1 -> 0 -> 0.
    assert _walk(np.array([1, 2, 0, 0, 0, 1]), np.array([3, 2, 1]), 0).tolist() == [0, 1, 0, 2, 1, 0]


@pytest.mark.parametrize("size", [10, 10_000])
def test_counts_in_a_table_and_by_sorting_are_the_same(size):
    keys = np.array([7, 2, 2, 9, 7, 7])
    found, counts = _counted(keys, size)
    assert found.tolist() == [2, 7, 9]
    assert counts.tolist() == [2, 3, 1]
