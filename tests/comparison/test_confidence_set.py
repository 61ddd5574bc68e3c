"""The model confidence set: arch's numbers on our rows, which rows they are, and what is set apart."""

import numpy as np
import pandas as pd
import pytest
from arch.bootstrap import MCS, optimal_block_length
from numpy.testing import assert_allclose

import statlm as slm
from statlm.comparison.confidence_set import model_confidence_p_values
from statlm.errors import NoEstimate, SpecificationError

RNG = np.random.default_rng(6)
TEXTS = [
    "".join(RNG.choice(list("abcd "), p=[0.4, 0.25, 0.15, 0.1, 0.1], size=int(RNG.integers(20, 120)))) for _ in range(40)
]


@pytest.fixture(scope="module")
def split():
    return slm.Corpus.from_texts(TEXTS).split(test=0.5)


@pytest.fixture(scope="module")
def fits(split):
    return {f"{n}-gram": slm.NGram(n, pseudo_count=0.1).fit(split[0]) for n in (1, 2, 3)}


@pytest.fixture(scope="module")
def losses(split, fits):
    return pd.DataFrame({name: -fit.on(split[1]).loglike_obs() for name, fit in fits.items()})


def test_by_document_it_is_arch_on_sums_of_documents(split, fits, losses):
    table = slm.confidence_set(fits, on=split[1], level=0.9, replicates=499, seed=3).set_index("model")
    test = split[1]
    rows = losses.groupby(test.document_index).sum() * test.ndocuments / test.nobs
    reference = MCS(rows, size=0.1, reps=499, block_size=1, method="R", bootstrap="stationary", seed=3)
    reference.compute()
    assert_allclose(table.p_value, reference.pvalues.Pvalue[table.index], rtol=0, atol=0)
    assert sorted(table.index[table.included]) == reference.included
    assert "20 documents (chosen because there are 10 or more), 499 replicates" in table.attrs["notes"][1]


@pytest.mark.parametrize("method", ["R", "max"])
def test_by_token_it_is_arch_with_blocks_as_long_as_the_differences_depend(split, fits, losses, method):
    table = slm.confidence_set(fits, on=split[1], by="token", method=method, replicates=199, seed=4).set_index("model")
    pairs = [("1-gram", "2-gram"), ("1-gram", "3-gram"), ("2-gram", "3-gram")]
    lengths = [optimal_block_length(losses[a] - losses[b])["stationary"].iloc[0] for a, b in pairs]
    block = max(int(np.ceil(max(lengths))), 1)
    reference = MCS(losses, size=0.05, reps=199, block_size=block, method=method, bootstrap="stationary", seed=4)
    reference.compute()
    assert_allclose(table.p_value, reference.pvalues.Pvalue[table.index], rtol=0, atol=0)
    assert f"in blocks of {block} on average (that of the most dependent difference)" in table.attrs["notes"][1]


def test_losses_of_unequal_documents_average_to_nats_a_token(split, fits, losses):
    table = slm.confidence_set(fits, on=split[1], replicates=99)
    assert_allclose(table.loss, losses.mean()[table.model])
    assert_allclose(np.exp(table.loss), [fits[name].on(split[1]).perplexity for name in table.model])
    assert table.loss.is_monotonic_increasing
    assert (table.difference[0], table.p_value[0], table.included[0]) == (0.0, 1.0, True)


def test_the_set_at_a_higher_level_holds_the_set_at_a_lower(split, fits):
    low, high = (slm.confidence_set(fits, on=split[1], level=level, replicates=199) for level in (0.5, 0.99))
    assert set(low.model[low.included]) <= set(high.model[high.included])
    assert low.attrs["level"] == 0.5
    assert_allclose(low.p_value, high.p_value)


def test_a_share_that_equals_the_size_is_outside_as_arch_has_it():
    rows = pd.DataFrame(np.random.default_rng(0).normal([0.0, 0.1], 1.0, size=(50, 2)), columns=["a", "b"])
    assert set(model_confidence_p_values(rows, 0.1, 1, "R", 100, 0)) == {"a", "b"}
    assert round(1 - 0.9, 12) == 0.1


def test_one_long_text_is_resampled_in_blocks_and_a_block_length_can_be_given():
    train, test = slm.Corpus.from_text("".join(TEXTS)).split(0.4)
    models = {str(n): slm.NGram(n, pseudo_count=0.5).fit(train) for n in (1, 2)}
    note = slm.confidence_set(models, on=test, block_length=7.2, replicates=99).attrs["notes"][1]
    assert f"{test.nobs:,} tokens in blocks of 8 on average, 99 replicates" in note
    assert "most dependent" in slm.confidence_set(models, on=test, replicates=99).attrs["notes"][1]
    with pytest.raises(NoEstimate, match=r"1 document, and resampling documents needs at least 2"):
        slm.confidence_set(models, on=test, by="document")


def test_a_block_length_means_tokens_though_there_are_many_documents(split, fits):
    notes = slm.confidence_set(fits, on=split[1], block_length=5, replicates=99).attrs["notes"]
    assert "tokens in blocks of 5 on average" in notes[1]
    with pytest.raises(SpecificationError, match=r"block_length=5 is of tokens"):
        slm.confidence_set(fits, on=split[1], by="document", block_length=5)


def test_models_of_probability_zero_are_left_out_and_named(split, fits):
    models = fits | {"sharp": slm.NGram(4).fit(split[0])}
    table = slm.confidence_set(models, on=split[1], replicates=199, seed=1).set_index("model")
    without = slm.confidence_set(fits, on=split[1], replicates=199, seed=1).set_index("model")
    assert table.loss["sharp"] == np.inf
    assert (table.p_value["sharp"], table.included["sharp"]) == (0.0, False)
    assert table.index[-1] == "sharp"
    assert_allclose(table.p_value[without.index], without.p_value)
    assert any("give probability 0 to what happened (sharp: " in note for note in table.attrs["notes"])
    with pytest.raises(NoEstimate, match=r"Every one of the 1 models gives probability 0"):
        slm.confidence_set({"sharp": models["sharp"]}, on=split[1])


def test_the_same_model_twice_shares_a_place(split, fits):
    table = slm.confidence_set({"one": fits["1-gram"], "other": fits["1-gram"], "two": fits["2-gram"]}, on=split[1])
    p = table.set_index("model").p_value
    assert p["one"] == p["other"]
    assert "other gives every token the probability that one gives it; they share a p-value." in table.attrs["notes"]
    alone = slm.confidence_set({"one": fits["1-gram"], "other": fits["1-gram"]}, on=split[1])
    assert (alone.p_value == 1).all()
    assert alone.included.all()


def test_ties_of_different_models_are_refused():
    rows = pd.DataFrame({"a": [0.0, 1.0] * 10, "b": [1.0, 0.0] * 10})
    with pytest.raises(NoEstimate, match=r"a and b have exactly the same loss \(0.5 nats\)"):
        model_confidence_p_values(rows, 0.05, 1, "R", 99, 0)


def test_differences_without_variation_have_blocks_of_one():
    corpus = slm.Corpus.from_text("abab" * 10)
    small = {"fair": slm.NGram(1).fit(corpus), "uniform": slm.NGram(1, pseudo_count=1).fit(corpus)}
    table = slm.confidence_set(small, on=corpus)
    assert table.included.all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": "word"}, "by='word'"),
        ({"method": "min"}, "method='min'"),
        ({"level": 1.0}, r"level=1.0: a confidence level"),
        ({"replicates": 10}, "replicates=10 is too few"),
        ({"block_length": 0.5}, "block_length=0.5: a block holds"),
    ],
)
def test_settings_out_of_range_are_refused(split, fits, settings, message):
    with pytest.raises(SpecificationError, match=message):
        slm.confidence_set(fits, on=split[1], **settings)
