"""Tokens that separation excludes: probability 0 in the limit, with a one-sided upper limit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_with_one_lag_the_limits_are_those_of_clopper_and_pearson(level):
    corpus = slm.Corpus.from_texts(TEXTS * 3)
    tables = [
        model.fit(corpus).predict(["a", "d", "br"], interval=level).sort_values(["context", "token"])
        for model in (slm.SoftmaxRegression(1), slm.NGram(2))
    ]
    for column in ("probability", "conf_low", "conf_high"):
        assert_allclose(*(table[column].to_numpy() for table in tables), rtol=1e-6, atol=1e-9)


def test_no_interval_is_missing_and_no_excluded_token_has_a_standard_error():
    corpus = slm.Corpus.from_texts(TEXTS * 3)
    table = slm.SoftmaxRegression(2).fit(corpus).predict(["ab", "ra", "b"], interval=0.95)
    assert table[["conf_low", "conf_high"]].notna().all(axis=None)
    excluded = table[table.probability == 0]
    assert len(excluded)
    assert excluded.std_error.isna().all()
    assert (excluded.conf_low == 0).all()
    assert excluded.conf_high.between(0, 1, inclusive="neither").all()
    assert (excluded.method == "one-sided (separation)").all()


def test_more_text_excludes_more_surely():
    limits = []
    for copies in (3, 30):
        table = slm.SoftmaxRegression(2).fit(slm.Corpus.from_texts(TEXTS * copies)).predict(["ab"], interval=0.95)
        limits.append(table[table.probability == 0].set_index("token").conf_high.sort_index())
    assert limits[0].index.equals(limits[1].index)
    assert (limits[1] < limits[0]).all()


def test_a_type_that_training_never_saw_is_bounded_by_the_size_of_the_corpus():
    wide = slm.Vocabulary(("a", "b", "c"))
    corpus = slm.Corpus.from_tokens([list("abbaabab")], vocabulary=wide)
    table = slm.SoftmaxRegression(1).fit(corpus).predict([["a"]], interval=0.95).set_index("token")
    assert table.probability["c"] == 0
    assert_allclose(table.conf_high["c"], 1 - 0.025 ** (1 / 8))


def test_the_limit_covers_a_rare_token_as_often_as_it_promises():
    """A token with a small true probability after one level; among samples that never show it the limit must hold often."""
    rng = np.random.default_rng(4)
    truth = np.array([[0.5, 0.3, 0.2], [0.6, 0.38, 0.02], [0.3, 0.3, 0.4]])
    covered = trials = 0
    for _ in range(400):
        previous = rng.integers(3, size=150)
        following = (rng.random(150)[:, None] > truth[previous].cumsum(1)).sum(1)
        corpus = slm.Corpus.from_tokens(np.stack([previous, following], 1).tolist(), given=1, eos=False)
        if corpus.vocabulary.size < 3 or ((previous == 1) & (following == 2)).any():
            covered += 1  # it was seen: no limit of this kind is given, and 0.02 lies inside whatever is
            trials += 1
            continue
        table = slm.SoftmaxRegression(1).fit(corpus).predict([["1"]], interval=0.95).set_index("token")
        covered += table.conf_high["2"] >= 0.02
        trials += 1
    assert covered / trials >= 0.975 - 3 * np.sqrt(0.975 * 0.025 / trials)


def test_a_token_never_seen_at_its_lag_is_read_as_the_reference_and_said_so():
    alphabet = slm.Vocabulary(("a", "b", "c"))
    train = slm.Corpus.from_tokens([list("abbaabab")], vocabulary=alphabet)
    fit = slm.SoftmaxRegression(1).fit(train)
    with pytest.warns(slm.errors.UnseenContextWarning, match=r"1 of 2 contexts hold a token .* \(the first: 'c'\)"):
        fit.predict([["a"], ["c"]])
    held = fit.on(slm.Corpus.from_tokens([list("acab")], vocabulary=alphabet)).likelihood
    assert held.nunseen == 1
    assert any("1 of 4 observations follow a token that training never saw" in note for note in held.notes())
    assert fit.likelihood.nunseen == 0
