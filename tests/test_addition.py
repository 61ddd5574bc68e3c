"""Addition by columns: the prompts, the certificate, and a decoder that earns it."""

import importlib.util
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import statlm as slm
from statlm.errors import SpecificationError

EXAMPLE = Path(__file__).parents[1] / "examples" / "addition.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("addition", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_the_rules(prompt):
    """The answer worked out with integers."""
    before, _, digits = prompt.rpartition("C")
    return str(int(digits[0]) + int(digits[1]) + (int(before or 0) >= 10))


def oracle(prompts):
    return [by_the_rules(prompt) for prompt in prompts]


def test_the_prompts_are_those_that_addition_can_meet():
    """Every prompt of long random sums is among them, and each of them but few is met."""
    known = set(slm.datasets.column_addition().truth.prompt)
    assert len(known) == 2100
    met, rng = set(), random.Random(0)
    total = None
    for _ in range(60_000):
        a, b = rng.randrange(10), rng.randrange(10)
        prompt = f"{a}{b}" if total is None else f"{total}C{a}{b}"
        met.add(prompt)
        total = None if rng.random() < 0.01 else by_the_rules(prompt)
    assert met <= known
    assert len(met) > 1900


def test_documents_are_prompts_that_are_given_and_answers_that_end():
    drawn = slm.datasets.column_addition()
    corpus, truth = drawn.corpus, drawn.truth
    assert corpus.ndocuments == len(truth)
    for d in (0, 99, 100, 2099):
        assert corpus.text(d) == truth.prompt[d] + truth.answer[d]
        assert corpus.given[d] == len(truth.prompt[d])
    assert corpus.nobs == sum(len(answer) + 1 for answer in truth.answer)
    assert truth.answer.tolist() == oracle(truth.prompt)


def test_prompts_can_be_left_out_by_the_sum_before():
    truth = slm.datasets.column_addition(without=[19, 3]).truth
    assert len(truth) == 1900
    assert not truth.prompt.str.startswith(("19C", "3C")).any()


def test_a_sum_that_cannot_be_is_refused():
    with pytest.raises(SpecificationError, match="20 is never the sum before"):
        slm.datasets.column_addition(without=[20])


def test_the_certificate_passes_what_is_right(example):
    table = example.certificate(oracle)
    assert len(table) == 2100
    assert table.right.all()


def test_the_certificate_finds_the_one_prompt_that_is_wrong(example):
    def nearly(prompts):
        return ["18" if prompt == "19C99" else by_the_rules(prompt) for prompt in prompts]

    table = example.certificate(nearly)
    assert table.prompt[~table.right].tolist() == ["19C99"]


def test_the_certificate_finds_a_model_that_forgets_to_carry(example):
    def careless(prompts):
        return [str(sum(map(int, prompt.rpartition("C")[2]))) for prompt in prompts]

    table = example.certificate(careless)
    assert (~table.right).sum() == 1000
    assert (table.right == (table.previous < 10)).all()


@pytest.mark.parametrize(("a", "b"), [("0", "0"), ("5", "5"), ("999", "1"), ("12", "9999"), ("90", "10"), ("007", "3")])
def test_columns_add_up_to_sums(example, a, b):
    total = example.add(a, b, by_the_rules)
    assert int(total) == int(a) + int(b)


def test_long_numbers_are_added_with_each_prompt_answered_once(example):
    asked = []

    def counting(prompts):
        asked.extend(prompts)
        return oracle(prompts)

    rng = np.random.default_rng(0)
    a, b = ("".join(map(str, rng.integers(0, 10, 1000))) for _ in range(2))
    answer = example.memoised(counting)
    assert int(example.add(a, b, answer)) == int(a) + int(b)
    assert len(asked) == len(set(asked))


def test_a_model_is_asked_in_its_own_words(example):
    """The saturated model of all prompts answers them; greedy reading gives what it was shown."""
    table = example.certificate(example.greedy(slm.NGram(n=8).fit(slm.datasets.column_addition().corpus)))
    assert table.right.all()


def test_the_published_configuration_has_the_published_number_of_parameters():
    assert slm.TransformerDecoder.preset("alga").count_parameters(14) == 102_464


def test_main_effects_know_nothing_of_the_digit_and_separate_on_the_sum():
    truth = slm.datasets.column_addition().truth
    later = truth[truth.previous >= 0]

    def fit(response):
        rows = zip(later.previous, later.a, later.b, response, strict=True)
        corpus = slm.Corpus.from_tokens([[f"s{s}", f"a{a}", f"b{b}", y] for s, a, b, y in rows], given=3, eos=False)
        return slm.SoftmaxRegression(lags=3).fit(corpus)

    assert abs(fit(later.answer.str[-1]).perplexity - 10) < 1e-9
    whole = fit(later.answer)
    assert abs(whole.perplexity - 1) < 1e-9
    assert "722 of 722 coefficients run off to infinity" in " ".join(whole.likelihood.notes())


@pytest.mark.slow
def test_the_published_decoder_passes_without_having_seen_19(example):
    pytest.importorskip("torch")
    fit = example.PUBLISHED.fit(slm.datasets.column_addition(without=[19]).corpus)
    assert example.certificate(example.greedy(fit)).right.all()


@pytest.mark.slow
def test_a_decoder_of_726_weights_passes(example):
    pytest.importorskip("torch")
    specification = replace(example.PUBLISHED, **{"steps": 3000} | example.LADDER["1 layer, width 6"])
    fit = specification.fit(slm.datasets.column_addition().corpus)
    assert fit.dof == 726
    assert example.certificate(example.greedy(fit)).right.all()
