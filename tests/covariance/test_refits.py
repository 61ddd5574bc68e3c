"""Bootstrap and jackknife: what refits say, how they are matched, and where they say nothing."""

import warnings
from dataclasses import dataclass, field
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import statlm as slm
from statlm.covariance import BlockBootstrap, DocumentBootstrap, LeaveOneDocumentOut
from statlm.covariance.block_bootstrap import BlockDraw
from statlm.covariance.document_bootstrap import DocumentDraw
from statlm.covariance.leave_one_out import WithoutGroup
from statlm.covariance.refits import made, values_of
from statlm.errors import CorpusError, FewClustersWarning, NoEstimate, SpecificationError, TooFewClusters


def corpus_of(ndocuments=30, seed=1, size=(30, 60), given=1):
    rng = np.random.default_rng(seed)
    rows = [rng.choice(3, size=rng.integers(*size), p=rng.dirichlet([20, 15, 10])) for _ in range(ndocuments)]
    return slm.Corpus.from_tokens(rows, eos=False, given=given)


@pytest.fixture(scope="module")
def corpus():
    return corpus_of()


SPECIFICATIONS = [
    slm.NGram(2),
    slm.NGram(2, pseudo_count=0.5),
    slm.SoftmaxRegression(1),
    slm.SoftmaxRegression(2, "pairwise"),
]
by_name = partial(pytest.mark.parametrize, "specification", SPECIFICATIONS, ids=str)


@by_name()
def test_a_fit_gives_its_own_parameters_to_itself(corpus, specification):
    model = specification.fit(corpus).likelihood
    found = values_of(model, model)
    assert found.open.shape[1] == 0
    assert_allclose(found.values, model.params, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("specification", [s for s in SPECIFICATIONS if s.__dict__.get("pseudo_count", 0) == 0], ids=str)
def test_parameters_mean_the_same_when_another_token_is_the_reference(specification):
    """The refit's own references are those of a corpus in which other tokens are frequent; its probabilities must come back."""
    rng = np.random.default_rng(6)
    rows = [rng.choice(3, size=200, p=p) for p in ([0.6, 0.2, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.2, 0.3, 0.5])]
    corpus = slm.Corpus.from_tokens([*rows[:2] * 3, *rows[2:]], eos=False, given=2)
    model = specification.fit(corpus).likelihood
    refit = specification.fit(corpus.subset([6, 7, 7])).likelihood
    assert list(refit.param_names) != list(model.param_names)
    found = values_of(refit, model)
    assert found.open.shape[1] == 0
    moved = model.at(found.values).on(refit.corpus)
    assert_allclose(moved.loglike_obs(), refit.loglike_obs(), atol=1e-6)


@by_name()
def test_bootstrap_jackknife_and_clustered_errors_agree_in_many_documents(specification):
    fit = specification.fit(corpus_of(50, given=2, size=(60, 90)))
    clustered = fit.std_errors(cov="cluster")
    assert_allclose(fit.std_errors(cov=DocumentBootstrap(replicates=100)), clustered, rtol=0.4)
    assert_allclose(fit.std_errors(cov="jackknife"), clustered, rtol=0.12)


def test_leaving_out_moves_the_estimate_by_its_influence_to_first_order():
    fit = slm.SoftmaxRegression(1).fit(corpus_of(80))
    fit.std_errors(cov="jackknife")
    refits = made(LeaveOneDocumentOut(specification=repr(fit.specification)), fit.likelihood).params - fit.params
    one_step = slm.influence(fit).drop(columns=["document", "nobs", "displacement"]).to_numpy(float)
    assert refits.shape == one_step.shape == (80, len(fit.params))
    assert np.abs(refits - one_step).max() < 0.1 * np.abs(refits).max()


def test_the_jackknife_of_a_share_is_its_formula(corpus):
    fit = slm.NGram(1).fit(corpus)
    g, token = corpus.ndocuments, corpus.vocabulary.ids_of([fit.param_names[0][0]])[0]
    sizes = np.bincount(corpus.document_index)
    hits = np.bincount(corpus.document_index, weights=corpus.targets == token)
    without = (hits.sum() - hits) / (sizes.sum() - sizes)
    expected = (g - 1) / g * ((without - without.mean()) ** 2).sum()
    assert_allclose(fit.std_errors(cov="jackknife")[0] ** 2, expected, rtol=1e-10)


def test_the_bootstrap_of_a_share_is_its_formula(corpus):
    fit = slm.NGram(1).fit(corpus)
    g, token = corpus.ndocuments, corpus.vocabulary.ids_of([fit.param_names[0][0]])[0]
    sizes = np.bincount(corpus.document_index)
    hits = np.bincount(corpus.document_index, weights=corpus.targets == token)
    draws = np.array([np.random.default_rng([5, b]).integers(g, size=g) for b in range(50)])
    shares = hits[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    found = fit.vcov(cov=DocumentBootstrap(replicates=50, seed=5))[0, 0]
    assert_allclose(found, shares.var(ddof=1) * g / (g - 1), rtol=1e-10)


# --- refits without the text ----------------------------------------------------------------------------------------------

FROM_COUNTS = [
    *SPECIFICATIONS,
    slm.NGram(1),
    slm.NGram(3),
    slm.SoftmaxRegression(2),
    slm.SoftmaxRegression(1, reference="1"),
    slm.SoftmaxRegression(2, penalty="ridge", strength=0.5),
    slm.SoftmaxRegression(1, penalty="firth"),
]
DRAWS = [DocumentDraw(0, 3, "document"), BlockDraw(0, 3, 40, 2), WithoutGroup(2, "document")]


def rare_corpus(given):
    """Tokens so rare that draws lack some of them, and some of what follows others."""
    rng = np.random.default_rng(1)
    rows = [rng.choice(5, size=rng.integers(20, 50), p=[0.4, 0.3, 0.2, 0.07, 0.03]) for _ in range(30)]
    return slm.Corpus.from_tokens(rows, eos=False, given=given)


@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: type(draw).__name__)
@pytest.mark.parametrize("given", [0, 2])
@pytest.mark.parametrize("specification", FROM_COUNTS, ids=str)
def test_a_refit_to_counts_is_the_refit_to_the_text(specification, given, draw):
    """Also where penalties, the reference level and what separates depend on the draw, and in what they leave open."""
    corpus = rare_corpus(given)
    model = specification.fit(corpus).likelihood
    text = values_of(specification.fit(draw(corpus)).likelihood, model)
    counts = specification.refit(model, draw.weights(corpus, model.memory))
    assert_allclose(counts.values, text.values, atol=1e-9)
    assert_allclose(counts.open.toarray(), text.open.toarray(), atol=1e-9)


def test_the_text_is_fitted_where_counts_are_not_enough(corpus):
    covariates = {"half": ["first"] * 15 + ["second"] * 15}
    told = slm.Corpus.from_tokens(
        [corpus.tokens[a:b] for a, b in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)],
        vocabulary=corpus.vocabulary,
        eos=False,
        given=1,
        covariates=pd.DataFrame(covariates),
    )
    specification = slm.SoftmaxRegression(formula="next ~ lag1 + half")
    ones = np.ones(told.nobs, np.int64)
    assert specification.refit(specification.fit(told).likelihood, ones) is None
    assert slm.NGram(2, "witten-bell").refit(slm.NGram(2).fit(told).likelihood, ones) is None
    assert slm.SoftmaxRegression(2).refit(slm.SoftmaxRegression(1).fit(told).likelihood, ones) is None
    assert slm.SoftmaxRegression(1).refit(slm.NGram(2).fit(told).likelihood, ones) is None
    assert slm.NGram(2).refit(slm.SoftmaxRegression(1).fit(told).likelihood, ones) is None
    assert BlockDraw(0, 0, 40, 1).weights(told, 2) is None


# --- seeds, parallel runs and what is kept --------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_results_do_not_depend_on_where_the_refits_run(corpus, backend):
    cov = DocumentBootstrap(replicates=20, seed=3)
    alone = slm.NGram(2).fit(corpus).std_errors(cov=cov)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        together = slm.NGram(2).fit(corpus).std_errors(cov=cov)
    assert_array_equal(alone, together)


def test_seeds_make_other_draws(corpus):
    fit = slm.NGram(2).fit(corpus)
    first, again, other = (fit.std_errors(cov=DocumentBootstrap(replicates=20, seed=seed)) for seed in (1, 1, 2))
    assert_array_equal(first, again)
    assert not np.allclose(first, other)


@dataclass(frozen=True)
class Counting:
    """A bigram that counts how often it is fitted."""

    calls: list = field(repr=False)

    def fit(self, corpus):
        self.calls.append(corpus.nobs)
        return slm.NGram(2).fit(corpus)


def test_refits_are_made_once_for_errors_intervals_and_tests(corpus):
    calls = []
    cov = DocumentBootstrap(replicates=20, specification=Counting(calls))
    likelihood = slm.NGram(2).fit(corpus).likelihood
    slm.std_errors(likelihood, cov)
    slm.conf_int(likelihood, cov=cov)
    slm.vcov(likelihood, cov)
    assert len(calls) == 20


def test_progress_changes_nothing_but_the_screen(corpus, capsys):
    quiet = slm.NGram(1).fit(corpus).std_errors(cov=DocumentBootstrap(replicates=20))
    shown = slm.NGram(1).fit(corpus).std_errors(cov=DocumentBootstrap(replicates=20, progress=True))
    assert_array_equal(quiet, shown)
    assert "Refits" in capsys.readouterr().out


# --- through the verbs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cov", ["jackknife", DocumentBootstrap(replicates=30)], ids=["jackknife", "bootstrap"])
def test_every_verb_takes_them(corpus, cov):
    fit = slm.SoftmaxRegression(1).fit(corpus)
    errors = fit.std_errors(cov=cov)
    assert errors.shape == fit.params.shape
    assert_allclose(np.sqrt(np.diag(fit.vcov(cov=cov))), errors, rtol=1e-8)
    assert_allclose(slm.std_errors(fit, cov), errors)
    assert_allclose(fit.tidy(cov=cov)["std_error"], errors)
    width = fit.conf_int(cov=cov).eval("conf_high - conf_low").to_numpy()
    assert_allclose(width / errors, width[0] / errors[0])
    assert (fit.predict([["0"]], interval=0.95, cov=cov)["std_error"] > 0).all()
    assert np.isfinite(fit.wald_test([fit.param_names[0]], cov=cov).statistic)
    assert fit.functional(lambda p: p[0], cov=cov)["std_error"][0] == pytest.approx(errors[0], rel=1e-6)
    assert (fit.marginal_effects(cov=cov)["std_error"] > 0).all()
    assert "refits" in str(fit.summary(cov=cov))


def test_a_probability_has_nearly_the_error_of_its_own_refits(corpus):
    fit = slm.NGram(2).fit(corpus)
    cov = DocumentBootstrap(replicates=200)
    table = fit.predict([["0"]], interval=0.95, cov=cov).set_index("token")["std_error"]
    g = corpus.ndocuments
    probabilities = []
    for b in range(200):
        draw = corpus.subset(np.random.default_rng([0, b]).integers(g, size=g))
        probabilities.append(slm.NGram(2).fit(draw).predict([["0"]]).set_index("token")["probability"][table.index])
    assert_allclose(table, np.std(probabilities, axis=0, ddof=1) * np.sqrt(g / (g - 1)), rtol=1e-6)


def test_a_likelihood_alone_does_not_say_how_to_refit(corpus):
    model = slm.NGram(2).fit(corpus).likelihood
    with pytest.raises(SpecificationError, match="does not say how it was estimated"):
        slm.std_errors(model, "bootstrap")
    assert (slm.std_errors(model, DocumentBootstrap(replicates=20, specification=slm.NGram(2))) > 0).all()


def test_a_penalised_fit_has_the_same_errors_as_a_function_and_as_a_method(corpus):
    fit = slm.SoftmaxRegression(1, penalty="ridge", strength=5.0).fit(corpus)
    assert_array_equal(slm.std_errors(fit), fit.std_errors())
    assert_array_equal(slm.vcov(fit), fit.vcov())


# --- where they say nothing ---------------------------------------------------------------------------------------------


def rare():
    """A context that occurs in one document, one that occurs in three, and others everywhere."""
    texts = ["abab" * 5] * 27 + ["abab" * 5 + "cacb"] * 3 + ["abab" * 5 + "dadb" * 2]
    return slm.NGram(2).fit(slm.Corpus.from_texts(texts, eos=False))


def test_what_rests_on_one_document_has_an_infinite_error_and_says_so():
    fit = rare()
    errors = []
    for cov in (DocumentBootstrap(replicates=200), LeaveOneDocumentOut()):
        with pytest.warns(FewClustersWarning, match="have no finite value in some refits"):
            errors.append(dict(zip(fit.param_names, fit.std_errors(cov=cov), strict=True)))
    for found in errors:
        assert np.isinf(next(error for (_, term), error in found.items() if term == "d"))
        assert all(np.isfinite(error) for (_, term), error in found.items() if term in "ab")
    assert np.isfinite(next(error for (_, term), error in errors[0].items() if term == "c"))


def test_a_covariance_with_what_rests_on_one_document_is_refused():
    fit = rare()
    with pytest.raises(NoEstimate, match=r"some of the . quantities have no finite value"):
        fit.vcov(cov=DocumentBootstrap(replicates=100))


def test_a_separated_draw_does_not_spoil_a_probability():
    """Token c follows a in one document only, so many draws exclude it; the error of the others' probability stands."""
    rng = np.random.default_rng(2)
    texts = ["".join(rng.choice(list("ab"), size=40)) for _ in range(28)] + ["abaac" + "ab" * 10]
    fit = slm.SoftmaxRegression(1).fit(slm.Corpus.from_texts(texts, eos=False, given=1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewClustersWarning)
        table = fit.predict(["a"], interval=0.95, cov=DocumentBootstrap(replicates=60)).set_index("token")
        clustered = fit.predict(["a"], interval=0.95, cov="cluster").set_index("token")
    assert_allclose(table.std_error[["a", "b"]], clustered.std_error[["a", "b"]], rtol=0.3)
    assert np.isinf(table.std_error["c"])


@dataclass(frozen=True)
class Fussy:
    """A bigram that refuses some corpora."""

    share: float

    def fit(self, corpus):
        if int(corpus.tokens[:50].astype(int).sum()) % 100 < 100 * self.share:
            raise CorpusError("It does not like this text.")
        return slm.NGram(2).fit(corpus)


def test_refits_that_fail_are_counted_and_reported(corpus):
    cov = DocumentBootstrap(replicates=60, specification=Fussy(0.3))
    model = slm.NGram(2).fit(corpus).likelihood
    with pytest.warns(FewClustersWarning, match=r"of 60 refits failed and are left out.*CorpusError: It does not like"):
        slm.std_errors(model, cov)
    assert "failed)" in cov.describe(model)


def test_mostly_failing_refits_are_refused(corpus):
    with pytest.raises(NoEstimate, match=r"60 of 60 refits failed.*It does not like this text"):
        slm.std_errors(slm.NGram(2).fit(corpus).likelihood, DocumentBootstrap(replicates=60, specification=Fussy(1.0)))


def test_other_errors_are_not_swallowed(corpus):
    class Broken:
        def fit(self, corpus):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        slm.std_errors(slm.NGram(2).fit(corpus).likelihood, DocumentBootstrap(specification=Broken()))


def test_settings_out_of_range_are_refused(corpus):
    with pytest.raises(SpecificationError, match="replicates=5 is too few"):
        DocumentBootstrap(replicates=5)
    with pytest.raises(SpecificationError, match="length=0"):
        BlockBootstrap(length=0)
    with pytest.raises(SpecificationError, match="context=-1"):
        BlockBootstrap(context=-1)
    with pytest.raises(SpecificationError, match="fewer than 5 to draw"):
        slm.NGram(1).fit(corpus).std_errors(cov=BlockBootstrap(length=1000))
    with pytest.raises(TooFewClusters, match="There is 1 document to draw, and the jackknife"):
        slm.NGram(1).fit(slm.Corpus.from_text("abab" * 9)).std_errors(cov="jackknife")
    with pytest.raises(TooFewClusters, match="BlockBootstrap"):
        slm.NGram(1).fit(slm.Corpus.from_text("abab" * 9)).std_errors(cov=DocumentBootstrap())


# --- blocks ---------------------------------------------------------------------------------------------------------------


def test_drawn_blocks_have_the_contexts_of_the_text():
    corpus = corpus_of(4, given=2)
    index = np.array([5, 6, 7, 0, 1, corpus.nobs - 2, corpus.nobs - 1, 0])
    drawn = corpus.observations(index, context=2)
    assert_array_equal(drawn.targets, corpus.targets[index])
    assert_array_equal(drawn.contexts(2), corpus.contexts(2)[index])
    assert drawn.ndocuments == 4


def test_a_run_never_crosses_documents():
    corpus = slm.Corpus.from_texts(["abc", "bca"], eos=False)
    drawn = corpus.observations(range(6), context=1)
    assert [drawn.text(d) for d in range(drawn.ndocuments)] == ["abc", "bca"]
    assert_array_equal(drawn.contexts(1), corpus.contexts(1))


def test_observations_that_are_not_there_are_refused():
    with pytest.raises(CorpusError, match="There are 3 observations"):
        slm.Corpus.from_text("abc").observations([3], context=1)
    with pytest.raises(CorpusError, match="are none"):
        slm.Corpus.from_text("abc").observations([], context=1)


def test_blocks_of_one_are_independent_observations():
    rng = np.random.default_rng(4)
    fit = slm.NGram(2).fit(slm.Corpus.from_tokens([rng.integers(3, size=3000)]))
    assert_allclose(fit.std_errors(cov=BlockBootstrap(length=1, replicates=400)), fit.std_errors(), rtol=0.15)


def test_block_bootstrap_sees_regimes_that_independent_errors_miss():
    rng = np.random.default_rng(5)
    regime = (rng.random(6000) < 0.02).cumsum() % 2
    fit = slm.NGram(1).fit(slm.Corpus.from_tokens([(rng.random(6000) < np.array([0.2, 0.8])[regime]).astype(int)]))
    blocks = fit.std_errors(cov=BlockBootstrap(length=300))
    assert blocks[0] > 3 * fit.std_errors()[0]
    assert_allclose(blocks, fit.std_errors(cov=slm.HAC(lags=300)), rtol=0.35)


def test_bootstrap_by_name_takes_documents_or_blocks(corpus):
    many, one = (
        slm.NGram(1).fit(corpus),
        slm.NGram(1).fit(slm.Corpus.from_tokens([np.random.default_rng(1).integers(2, size=200)])),
    )
    assert "bootstrap of documents (30; 199 refits)" in str(many.summary(cov="bootstrap"))
    assert "bootstrap of blocks of 6 observations (199 refits)" in str(one.summary(cov="bootstrap")).replace("\n  ", " ")


def test_an_unlimited_memory_asks_how_much_context_to_carry(corpus):
    model = slm.NGram(2).fit(corpus).likelihood
    cov = BlockBootstrap(specification=slm.NGram(2))

    class Endless(type(model)):
        @property
        def memory(self):
            return None

        @memory.setter
        def memory(self, value):
            pass

    endless = Endless(**{f: getattr(model, f) for f in ("n", "corpus", "table", "cells", "others", "ntypes", "size")})
    with pytest.raises(SpecificationError, match=r"BlockBootstrap\(context=1024\)"):
        cov.of(endless, np.eye(len(model.params)))


def test_the_score_test_does_not_refit(corpus):
    small, large = (slm.SoftmaxRegression(k).fit(corpus) for k in (0, 1))
    with pytest.raises(SpecificationError, match="stands at the estimate of the smaller one"):
        slm.score_test(small, large, cov="bootstrap")
