"""Formulas: the same fits as by lags and interactions, any subset of terms, nesting, and what cannot be read."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import DamagedFile, NotNested, SpecificationError
from statlm.models.softmax.formula import Terms, parse

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]


def by(formula, **settings):
    return slm.SoftmaxRegression(formula=formula, **settings)


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


@pytest.fixture(scope="module")
def dense_corpus():
    rng = np.random.default_rng(5)
    return slm.Corpus.from_tokens([rng.choice(list("abc"), 400, p=[0.5, 0.3, 0.2])], given=3, eos=False)


@pytest.mark.parametrize(
    ("formula", "settings"),
    [
        ("next ~ 1", {"lags": 0}),
        ("next ~ lag1", {"lags": 1}),
        ("~ lag1 + lag2", {"lags": 2}),
        ("lag2 + lag1", {"lags": 2}),
        ("next ~ lag1 * lag2", {"lags": 2, "interactions": "all"}),
        ("next ~ (lag1 + lag2 + lag3) ** 2", {"lags": 3, "interactions": "pairwise"}),
        ("next ~ lag1 * lag2 * lag3", {"lags": 3, "interactions": "all"}),
        ("next ~ lag1 * lag2 - lag1:lag2", {"lags": 2}),
        ("next ~ C(lag1)", {"lags": 1}),
    ],
)
@pytest.mark.parametrize("penalty", [{}, {"penalty": "ridge", "strength": 0.2}], ids=["ml", "ridge"])
def test_a_formula_is_the_fit_that_it_describes(corpus, formula, settings, penalty):
    one, two = by(formula, **penalty).fit(corpus), slm.SoftmaxRegression(**settings, **penalty).fit(corpus)
    assert_allclose(one.loglike_obs(), two.loglike_obs(), atol=1e-10)
    assert one.dof == two.dof
    assert set(one.param_names) == set(two.param_names)
    errors = [pd.Series(fit.std_errors(), fit.param_names) for fit in (one, two)]
    assert_allclose(errors[0][two.param_names], errors[1], rtol=1e-6)


@pytest.mark.parametrize("formula", ["next ~ lag1:lag2", "next ~ lag1 + lag1:lag2", "next ~ lag2 / lag1"])
def test_an_interaction_spans_all_combinations_whatever_smaller_terms_stand_beside_it(corpus, dense_corpus, formula):
    for data in (corpus, dense_corpus):
        one, two = by(formula).fit(data), by("next ~ lag1 * lag2").fit(data)
        assert_allclose(one.loglike_obs(), two.loglike_obs(), atol=1e-7)
        assert one.dof == two.dof


def test_a_subset_of_interactions_lies_between(dense_corpus):
    fits = [
        by(f).fit(dense_corpus)
        for f in ("next ~ lag1 + lag2 + lag3", "next ~ lag1 * lag2 + lag3", "next ~ lag1 * lag2 + lag3 + lag1:lag3")
    ]
    assert [fit.dof for fit in fits] == [2 * 7, 2 * 11, 2 * 15]
    assert (np.diff([fit.loglike for fit in fits]) > 0).all()
    assert slm.lr_test(fits[0], fits[1]).dof == 8


@pytest.mark.parametrize(
    ("large", "small", "nested"),
    [
        (by("next ~ lag1 * lag2"), by("next ~ lag1 + lag2"), True),
        (by("next ~ lag1 + lag2"), by("next ~ lag1 * lag2"), False),
        (by("next ~ lag1:lag2"), slm.SoftmaxRegression(1), True),
        (by("next ~ lag2"), slm.SoftmaxRegression(1), False),
        (by("next ~ lag2"), slm.NGram(1), True),
        (by("next ~ lag1 + lag2"), slm.NGram(2), True),
        (by("next ~ lag1 + lag3"), slm.NGram(3), False),
        (slm.NGram(3), by("next ~ lag2"), True),
        (slm.NGram(2), by("next ~ lag2"), False),
        (slm.NGram(2), by("next ~ author"), False),
        (by("next ~ lag1 * C(author)"), by("next ~ C(author)"), True),
        (by("next ~ lag1 * author"), by("next ~ lag1"), True),
        (by("next ~ author:lag1"), by("next ~ author"), True),
        (by("next ~ lag1:author"), by("next ~ lag1"), False),  # a number times the indicators need not hold them themselves
        (by("next ~ lag1:C(author)"), by("next ~ lag1"), True),
        (by("next ~ lag1", penalty="firth"), by("next ~ 1"), False),
        (by("next ~ lag1"), by("next ~ 1", penalty="firth"), False),
    ],
)
def test_which_models_contain_which(large, small, nested):
    assert large.contains(small) is nested


def test_a_model_that_is_not_contained_is_no_null(corpus):
    with pytest.raises(NotNested, match="not known to be a special case"):
        slm.lr_test(by("next ~ lag2").fit(corpus), by("next ~ lag1 + lag3").fit(corpus))


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("next ~ lag1 +", "cannot be read (Operator `+` has"),
        ("next ~ .", "cannot be read (The `.` operator requires"),
        ("token ~ lag1", "has the response 'token', but what is predicted is always the next token"),
        ("next ~ 0 + lag1", "has no intercept"),
        ("next ~ lag1 - 1", "has no intercept"),
        ("next ~ lag1 | lag2", "has several parts"),
        ("next ~ np.log(year)", "computes 'np.log(year)'. Formulas hold names and C(name) only"),
        ("next ~ poly(year, 2)", "computes 'poly(year, 2)'"),
        ("next ~ next", "has the response 'next' on its right side"),
        ("next ~ lag9", "looks back 9 tokens. At most 8"),
        (3, "formula=3 is not a string"),
    ],
)
def test_what_cannot_be_read_is_refused(formula, message):
    with pytest.raises(SpecificationError, match=re.escape(message)):
        by(formula)


def test_a_formula_is_never_run():
    with pytest.raises(SpecificationError, match="must not run as a program"):
        by("next ~ exit(3)")
    with pytest.raises(SpecificationError, match="cannot be read"):
        by("next ~ __import__('os').getcwd()")


def test_unknown_names_are_named_with_what_there_is(corpus):
    with pytest.raises(
        SpecificationError, match=r"names 'lags1', .* Did you mean 'lag1'\? Available: lag1, lag2, ..., document"
    ):
        by("next ~ lags1").fit(corpus)


def test_lags_or_a_formula_and_not_both():
    with pytest.raises(SpecificationError, match="lags=1 and formula='next ~ lag1': give one of them"):
        slm.SoftmaxRegression(1, formula="next ~ lag1")
    with pytest.raises(SpecificationError, match="lags=None and formula=None: give one of them"):
        slm.SoftmaxRegression()
    with pytest.raises(SpecificationError, match="interactions='all' with a formula"):
        by("next ~ lag1", interactions="all")


def test_its_name_is_the_formula():
    assert str(by("next ~ lag1 * lag2", penalty="ridge", strength=0.1)) == "softmax next ~ lag1 * lag2 + ridge 0.1"


def test_all_terms_up_to_a_degree():
    assert Terms.up_to(2, 2).terms == parse("next ~ lag1 * lag2").terms
    assert Terms.up_to(0, 0).terms == ()
    assert parse("next ~ lag3").lags == 3


def test_a_saved_fit_comes_back(corpus, tmp_path):
    fit = by("next ~ lag1 + lag1:lag2").fit(corpus)
    fit.save(tmp_path / "fit")
    back = slm.load(tmp_path / "fit")
    assert back.specification == fit.specification
    assert_allclose(back.loglike_obs(), fit.loglike_obs(), rtol=1e-14)
    arrays, settings = fit.likelihood.state()
    del settings["blocks"]
    with pytest.raises(DamagedFile, match="lacks 'blocks'"):
        fit.specification.restore(corpus, arrays, settings)
