"""Defaults of a decoder follow its budget, what is given stands, and the specification shows what was chosen."""

from dataclasses import replace

import pytest

import statlm as slm

SHORT = {"context": 128, "dropout": 0.0, "weight_decay": 0.0}


def shape(decoder):
    return {name: getattr(decoder, name) for name in SHORT}


def test_a_short_fit_is_not_regularised():
    assert shape(slm.TransformerDecoder()) == SHORT
    assert shape(slm.TransformerDecoder(time=60)) == SHORT


def test_in_seconds_a_small_network_takes_large_steps():
    quick, slow = slm.TransformerDecoder(steps=100), slm.TransformerDecoder(steps=1000)
    assert quick.layers < slow.layers
    assert quick.rate > slow.rate
    assert shape(quick) == shape(slow) == SHORT
    assert slm.TransformerDecoder(steps=100, optimizer="adamw").rate == 0.003
    assert slm.TransformerDecoder(steps=100, layers=2).rate == slow.rate


def test_longer_budgets_never_have_less_context_dropout_or_decay():
    previous = SHORT
    for minutes in (1, 3, 5, 8, 13, 20, 60, 600):
        found = shape(slm.TransformerDecoder(time=60 * minutes))
        assert all(found[name] >= previous[name] for name in SHORT)
        previous = found
    assert previous["dropout"] > 0
    assert previous["weight_decay"] > 0
    assert previous["context"] > 128


def test_the_same_budget_in_other_words_has_the_same_defaults():
    by_steps = slm.TransformerDecoder(steps=5000, batch=1500)
    assert shape(by_steps) == shape(slm.TransformerDecoder(tokens=7_500_000)) == shape(slm.TransformerDecoder(time=500))
    assert shape(slm.TransformerDecoder(steps=2500, batch=1500, accumulate=2)) == shape(by_steps)


@pytest.mark.parametrize("setting", [{"context": 32}, {"dropout": 0.3}, {"dropout": 0.0}, {"weight_decay": 0.2}])
def test_what_is_given_stands(setting):
    for time in (60, 600, 3600):
        decoder = slm.TransformerDecoder(time=time, **setting)
        assert {name: getattr(decoder, name) for name in setting} == setting


def test_a_change_of_the_budget_keeps_the_network():
    decoder = slm.TransformerDecoder(time=60)
    assert shape(replace(decoder, time=3600)) == SHORT


def test_a_fit_to_a_maximum_has_no_dropout():
    decoder = slm.TransformerDecoder(optimizer="lbfgs", precision="float64", steps=100_000)
    assert shape(decoder) == SHORT


def test_a_decay_by_default_is_muons_alone():
    assert slm.TransformerDecoder(time=3600).weight_decay > 0
    assert slm.TransformerDecoder(time=3600, optimizer="adamw").weight_decay == 0


def test_presets_keep_what_was_published():
    gpt2 = slm.TransformerDecoder.preset("gpt2", time=36_000)
    assert (gpt2.context, gpt2.dropout, gpt2.weight_decay) == (1024, 0.1, 0.0)
    alga = slm.TransformerDecoder.preset("alga", time=36_000)
    assert (alga.context, alga.dropout, alga.weight_decay) == (9, 0.0, 0.0)
