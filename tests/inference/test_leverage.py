"""Leverage: a hat matrix by dense arithmetic, sums that count parameters, refits that it foretells."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError
from statlm.inference import leverage as module

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


@pytest.mark.parametrize(
    "specification",
    [
        slm.SoftmaxRegression(0),
        slm.SoftmaxRegression(1),
        slm.SoftmaxRegression(2),
        slm.SoftmaxRegression(2, penalty="firth"),
        slm.NGram(1),
        slm.NGram(2),
        slm.NGram(3),
    ],
    ids=str,
)
def test_leverages_sum_to_the_number_of_finite_parameters(corpus, specification):
    fit = specification.fit(corpus)
    moving = (
        len(fit.params)
        if isinstance(fit.specification, slm.SoftmaxRegression)
        else len(slm.SoftmaxRegression(fit.memory, interactions="all").fit(corpus).params)
    )
    for by in ("context", "document", "observation"):
        table = slm.leverage(fit, by=by)
        assert_allclose(table.leverage.sum(), moving, rtol=1e-9)
        assert table.nobs.sum() == corpus.nobs
        assert (table.leverage >= -1e-12).all()


def test_it_is_the_trace_of_variance_and_covariance(corpus):
    fit = slm.SoftmaxRegression(2, penalty="firth").fit(corpus)
    model = fit.likelihood
    covariance, (columns, classes) = fit.vcov(), model.index
    x = model.design.matrix(corpus.contexts(2)[:, ::-1]).toarray()
    p = np.exp(fit.logprobs(corpus.contexts(2)))[:, model.responses]
    expected = []
    for row, probability in zip(x, p, strict=True):
        gradient = np.zeros((len(probability), len(columns)))  # of each log-odds
        gradient[classes, np.arange(len(columns))] = row[columns]
        w = np.diag(probability) - np.outer(probability, probability)
        expected.append(np.trace(w @ gradient @ covariance @ gradient.T))
    assert_allclose(fit.leverage(by="observation").leverage, expected, rtol=1e-8)


def test_in_a_saturated_model_a_context_pays_for_its_classes(corpus):
    fit = slm.SoftmaxRegression(1).fit(corpus)
    table = fit.leverage().set_index("context")
    counts = slm.NGram(2).fit(corpus).likelihood.counts_of(corpus.contexts(1))
    following = {
        c: int((counts[i] > 0).sum())
        for i, c in enumerate(np.array(corpus.vocabulary.tokens, object)[corpus.contexts(1)[:, 0]])
    }
    for context, row in table.iterrows():
        assert_allclose(row.leverage, following[context] - 1, atol=1e-8)
    assert list(table.leverage) == sorted(table.leverage, reverse=True)


def test_the_closed_form_is_that_from_scores(corpus):
    fit = slm.SoftmaxRegression(2).fit(corpus)
    assert_allclose(module._from_scores(fit.likelihood, 2), fit.likelihood.leverage_obs(), atol=1e-9)


def test_a_ridge_leaves_fewer_effective_parameters(corpus):
    sums = [
        slm.SoftmaxRegression(2, penalty="ridge", strength=s).fit(corpus).leverage().leverage.sum()
        for s in (0.01, 0.1, 1.0, 1e6)
    ]
    assert (np.diff(sums) < 0).all()
    assert_allclose(sums[-1], slm.SoftmaxRegression(0).fit(corpus).dof, rtol=1e-3)  # intercepts are not penalised


def test_the_rarest_context_has_the_highest_leverage():
    # Two observations share one parameter of their own: half of it each.
    rng = np.random.default_rng(3)
    documents = [list(rng.choice(list("ab"), 2, p=[0.7, 0.3])) for _ in range(60)] + [["c", "a"], ["c", "b"]]
    corpus = slm.Corpus.from_tokens(documents, given=1, eos=False)
    table = slm.SoftmaxRegression(1).fit(corpus).leverage().set_index("context")
    assert table["mean"].idxmax() == "c"
    assert_allclose(table["mean"]["c"], 0.5, rtol=1e-8)


def test_other_words_are_refused(corpus):
    fit = slm.SoftmaxRegression(1).fit(corpus)
    with pytest.raises(SpecificationError, match=r"by='token' is unknown. Use one of 'context', 'document', 'observation'"):
        slm.leverage(fit, by="token")


class Endless:
    """A likelihood that looks back without end."""

    params = param_names = dof = ()
    memory = None

    def __init__(self, corpus):
        self.corpus = corpus

    def score(self):
        raise NotImplementedError

    information = at = score


def test_without_a_finite_memory_it_is_refused(corpus):
    with pytest.raises(SpecificationError, match=r"looks back without end.*Leverage needs a finite memory"):
        slm.leverage(Endless(corpus))
