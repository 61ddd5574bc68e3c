"""Covariates of documents and positions: statsmodels, real speeches, prediction at values, and what is missing or unknown."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import statlm as slm
from statlm.errors import CorpusError, SmallCountsWarning, SpecificationError, UnseenContextWarning
from statlm.testing import check_predictive


def by(formula, **settings):
    return slm.SoftmaxRegression(formula=formula, **settings)


@pytest.fixture(scope="module")
def corpus():
    """Sixty documents of three letters: of two authors, who differ, and of some year."""
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"author": rng.choice(["Ada", "Bo"], 60), "year": rng.integers(0, 10, 60) / 10})
    documents = []
    for author, year in table.itertuples(index=False):
        document = ["a"]
        for _ in range(40):
            odds = np.array([0.0, 0.5 + year, -0.3]) + (document[-1] == "b") * np.array([0.0, 0.8, 0.2])
            if author == "Bo":
                odds = odds + np.array([0.0, -0.7, 0.4])
            document.append(str(rng.choice(list("abc"), p=np.exp(odds) / np.exp(odds).sum())))
        documents.append(document)
    return slm.Corpus.from_tokens(documents, given=1, eos=False, covariates=table)


@pytest.fixture(scope="module")
def fit(corpus):
    return by("next ~ lag1 * author + year").fit(corpus)


def written_out(corpus):
    """A row an observation."""
    tokens = np.array(corpus.vocabulary.tokens, dtype=object)
    frame = corpus.documents.iloc[corpus.document_index].reset_index(drop=True)
    return frame.assign(next=tokens[corpus.targets], lag1=tokens[corpus.contexts(1)[:, 0]], position=corpus.positions)


@pytest.mark.parametrize(
    ("formula", "design"),
    [
        (
            "next ~ lag1 * author + year",
            lambda d: {
                "lag1[a]": d.lag1 == "a",
                "lag1[c]": d.lag1 == "c",
                "author[Bo]": d.author == "Bo",
                "year": d.year,
                "lag1[a]:author[Bo]": (d.lag1 == "a") & (d.author == "Bo"),
                "lag1[c]:author[Bo]": (d.lag1 == "c") & (d.author == "Bo"),
            },
        ),
        (
            "next ~ lag1:year + position",
            lambda d: {
                "lag1[a]:year": (d.lag1 == "a") * d.year,
                "lag1[b]:year": (d.lag1 == "b") * d.year,
                "lag1[c]:year": (d.lag1 == "c") * d.year,
                "position": d.position,
            },
        ),
    ],
    ids=["levels", "numbers"],
)
def test_statsmodels(corpus, formula, design):
    import statsmodels.api as sm

    rows = written_out(corpus)
    x = pd.DataFrame({"(Intercept)": 1.0} | {name: np.asarray(v, float) for name, v in design(rows).items()})
    ours = by(formula, reference="a").fit(corpus)
    assert set(ours.param_names.get_level_values("term")) == set(
        x.columns
    )  # b, the most frequent letter, is the reference level
    theirs = sm.MNLogit(pd.Categorical(rows.next).codes, x).fit(disp=False, method="newton", tol=1e-12, maxiter=100)
    table = ours.tidy().set_index(["response", "term"])
    assert_allclose(ours.loglike, theirs.llf, rtol=1e-10)
    assert ours.dof == theirs.params.size
    for j, response in enumerate("bc"):
        for term in x.columns:
            assert_allclose(table.estimate[response, term], theirs.params.loc[term, j], rtol=1e-6, atol=1e-8)
            assert_allclose(table.std_error[response, term], theirs.bse.loc[term, j], rtol=1e-6)
    clusters = theirs.model.fit(
        disp=False, method="newton", cov_type="cluster", cov_kwds={"groups": corpus.document_index, "use_correction": True}
    )
    wanted = pd.Series(ours.std_errors("cluster"), ours.param_names)
    n, p = corpus.nobs, ours.dof  # statsmodels multiplies by (n - 1) / (n - p) too
    assert_allclose(wanted["b", "(Intercept)"], clusters.bse.loc["(Intercept)", 0] * np.sqrt((n - p) / (n - 1)), rtol=1e-6)


def test_a_covariate_interacted_with_everything_is_a_fit_to_each_level(corpus):
    whole = by("next ~ lag1 * author").fit(corpus)
    parts = [
        slm.SoftmaxRegression(1).fit(corpus.subset(np.flatnonzero(corpus.documents.author == a))) for a in ("Ada", "Bo")
    ]
    assert_allclose(whole.loglike, sum(part.loglike for part in parts), rtol=1e-10)
    assert whole.dof == sum(part.dof for part in parts)
    for author, part in zip(("Ada", "Bo"), parts, strict=True):
        one = whole.predict([["b"]], at={"author": author}, interval=0.9)
        two = part.predict([["b"]], interval=0.9)
        for column in ("probability", "std_error", "conf_low", "conf_high"):
            assert_allclose(one[column], two[column], rtol=1e-6)


def test_a_number_written_as_levels_has_levels(corpus):
    fit = by("next ~ C(year)").fit(corpus)
    assert fit.dof == 2 * corpus.documents.year.nunique()
    assert "C(year)[0.1]" in fit.param_names.get_level_values("term")
    assert fit.specification.contains(by("next ~ 1"))
    assert by("next ~ year").fit(corpus).loglike < fit.loglike


def test_a_categorical_column_keeps_its_order_and_truth_values_have_levels(corpus):
    table = corpus.documents[["author", "year"]]
    ordered = table.assign(author=pd.Categorical(table.author, ["Cy", "Bo", "Ada"]), early=table.year < 0.5)
    fit = by("next ~ author + early").fit(corpus.with_covariates(ordered))
    assert set(fit.param_names.get_level_values("term")) == {"(Intercept)", "author[Ada]", "early[True]"}
    assert "'Bo' of author" in fit.likelihood.notes()[0]


def test_document_and_position_are_there_without_being_given(corpus):
    few = corpus.subset(range(3))
    by_document, by_position = (by(f"next ~ {name}").fit(few) for name in ("document", "position"))
    assert by_document.dof == 2 * 3
    assert by_position.dof == 2 * 2
    parts = sum(slm.NGram(1).fit(few.subset([d])).loglike for d in range(3))
    assert_allclose(by_document.loglike, parts, rtol=1e-10)


def test_does_the_model_differ_by_author(corpus):
    small, large = by("next ~ lag1").fit(corpus), by("next ~ lag1 * author").fit(corpus)
    assert slm.lr_test(small, large).p_value < 1e-10
    assert slm.lr_test(small, large).dof == 6
    rng = np.random.default_rng(1)
    shuffled = corpus.with_covariates(pd.DataFrame({"author": rng.permutation(corpus.documents.author)}))
    assert slm.lr_test(small, by("next ~ lag1 * author").fit(shuffled)).p_value > 0.01


def test_parties_differ_in_what_follows_a_letter():
    text = slm.datasets.load("sotu", years=(1961, 2000))
    letters = ["".join(re.findall("[a-z ]", text.text(d).lower()))[:3000] for d in range(text.ndocuments)]
    corpus = slm.Corpus.from_texts(letters, covariates=text.documents[["party", "year"]], given=1, eos=False)
    common = by("next ~ lag1").fit(corpus)
    parties = by("next ~ lag1 + party").fit(corpus)
    assert_allclose(common.loglike, slm.NGram(2).fit(corpus).loglike, rtol=1e-9)
    test = slm.lr_test(common, parties)
    assert test.dof == len(np.unique(corpus.targets)) - 1
    assert test.p_value < 0.05
    held = parties.on(corpus.subset([0, 1]))
    assert np.isfinite(held.perplexity)


# --- the derivatives and verbs --------------------------------------------------------------------------------------------


def test_score_and_information_are_derivatives(fit):
    model = fit.likelihood
    rng = np.random.default_rng(2)
    away = model.at(fit.params + 0.1 * rng.normal(size=len(fit.params)))
    step = 1e-5
    gradient = [
        (away.at(away.params + step * e).loglike_obs() - away.at(away.params - step * e).loglike_obs()) / (2 * step)
        for e in np.eye(len(away.params))
    ]
    assert_allclose(away.score().toarray(), np.transpose(gradient), atol=1e-8)
    second = [
        sum(sign * (away.at(away.params + sign * step * e).score().T @ np.ones(fit.nobs)) for sign in (1, -1)) / (2 * step)
        for e in np.eye(len(away.params))
    ]
    assert_allclose(away.information(), -np.array(second), rtol=1e-5, atol=1e-4)


def test_held_at_values_it_is_a_distribution(fit, corpus):
    held = fit.holding(author="Ada", year=0.5)
    check_predictive(held.likelihood)
    here = np.flatnonzero((corpus.documents.author == "Ada") & (corpus.documents.year == 0.5))
    part = corpus.subset(here)
    assert_allclose(held.on(part).loglike_obs(), fit.on(part).loglike_obs(), rtol=1e-12)
    assert len(slm.generate(held, [], max_tokens=4, seed=1).tokens[0]) == 4


def test_held_on_a_corpus_without_covariates(fit):
    plain = slm.Corpus.from_tokens([list("abcab")], vocabulary=fit.corpus.vocabulary, given=1)
    assert np.isfinite(fit.holding(author="Bo", year=0.1).on(plain).loglike_obs()).all()
    with pytest.raises(SpecificationError, match="names 'author', which is neither a lag nor a covariate of this corpus"):
        fit.on(plain).loglike_obs()


@pytest.mark.parametrize("cov", ["nonrobust", "cluster"])
def test_intervals_at_values_are_the_delta_method(fit, cov):
    table = fit.predict([["b"]], at={"author": "Bo", "year": 0.3}, interval=0.95, cov=cov).set_index("token")
    probability = table.probability

    def of(params):
        held = fit.likelihood.at(params).holding({"author": "Bo", "year": 0.3})
        return np.exp(held.logprobs(np.array([[1]])))[0]

    assert_allclose(of(fit.params), probability[list("abc")], rtol=1e-12)
    errors = slm.functional(fit.parametric, of, cov=cov).std_error
    assert_allclose(table.std_error[list("abc")], errors, rtol=1e-6)


def test_marginal_effects_at_values(fit):
    effects = (
        fit.marginal_effects(1, at={"author": "Ada", "year": 0.2}, tokens="b", reference="a").set_index("response").effect
    )
    b, a = (fit.predict([[x]], at={"author": "Ada", "year": 0.2}).set_index("token").probability for x in "ba")
    assert_allclose(effects[list("abc")], (b - a)[list("abc")], rtol=1e-10)


def test_each_token_has_its_entropy_and_rank_at_its_own_covariates(fit, corpus):
    table = fit.augment()
    expected = {}
    for author, year in {tuple(row) for row in corpus.documents[["author", "year"]].itertuples(index=False)}:
        p = np.exp(fit.holding(author=author, year=year).logprobs(np.arange(3)[:, None]))
        expected[author, year] = -(p * np.log2(p)).sum(axis=1)
    rows = written_out(corpus)
    want = [expected[a, y]["abc".index(t)] for a, y, t in rows[["author", "year", "lag1"]].itertuples(index=False)]
    assert_allclose(table.entropy, want, rtol=1e-10)
    assert ((table["rank"] >= 1) & (table["rank"] <= 3)).all()
    assert_allclose(table.loglike, fit.loglike_obs())


def test_leverage_sums_to_the_parameters_and_influence_to_nothing(fit):
    assert_allclose(fit.leverage().leverage.sum(), fit.dof, rtol=1e-9)
    assert len(fit.influence()) == fit.corpus.ndocuments


def test_firth_and_ridge_take_covariates(corpus):
    for settings in ({"penalty": "firth"}, {"penalty": "ridge", "strength": 0.5}):
        fit = by("next ~ lag1 * author", **settings).fit(corpus.subset(range(6)))
        assert np.isfinite(fit.std_errors()).all()


def test_separation_by_author_is_followed_to_the_limit():
    table = pd.DataFrame({"author": ["Ada", "Bo"]})
    corpus = slm.Corpus.from_tokens([list("abcabc" * 5), list("ababba" * 5)], given=1, eos=False, covariates=table)
    fit = by("next ~ lag1 + author").fit(corpus)
    assert fit.predict([["b"]], at={"author": "Bo"}).set_index("token").probability["c"] == 0.0
    table = fit.predict([["b"]], at={"author": "Bo"}, interval=0.95).set_index("token")
    assert 0 < table.conf_high["c"] < 1
    assert fit.report.converged


def test_a_saved_fit_comes_back(fit, tmp_path):
    fit.save(tmp_path / "fit")
    back = slm.load(tmp_path / "fit")
    assert back.specification == fit.specification
    assert_array_equal(back.loglike_obs(), fit.loglike_obs())
    assert back.likelihood.covariates == ("author", "year")
    at = {"author": "Ada", "year": 0.5}
    assert_array_equal(
        back.predict([["a"]], at=at, interval=0.9).std_error, fit.predict([["a"]], at=at, interval=0.9).std_error
    )


# --- what is missing or unknown -------------------------------------------------------------------------------------------


def test_without_values_there_is_no_distribution(fit):
    for ask in (
        lambda: fit.predict([["a"]]),
        lambda: fit.generate([], max_tokens=2, seed=1),
        lambda: fit.marginal_effects(1),
    ):
        with pytest.raises(
            SpecificationError, match=r"depend on 'author', 'year' beside the context.*fit.holding\(author=..., year="
        ):
            ask()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"author": "Ada"}, SpecificationError, "there is no value of 'year'"),
        (
            {"author": "Ada", "year": 0.1, "month": 3},
            SpecificationError,
            "there is a value of 'month', which is none of them",
        ),
        ({"author": "Cy", "year": 0.1}, CorpusError, "Training never saw the level 'Cy' of the covariate 'author'"),
        ({"author": "Ada", "year": float("nan")}, SpecificationError, "year=nan is not one value"),
        ({"author": "Ada", "year": [0.1, 0.2]}, SpecificationError, "is not one value"),
        ({"author": "Ada", "year": "late"}, SpecificationError, "which is no number"),
        ({"author": "Ada", "year": float("inf")}, CorpusError, "holds infinite values"),
    ],
)
def test_values_that_say_nothing_are_refused(fit, values, error, message):
    with pytest.raises(error, match=re.escape(message)):
        fit.predict([["a"]], at=values)


def test_a_model_without_covariates_holds_none(corpus):
    with pytest.raises(SpecificationError, match="This model has no covariates"):
        slm.SoftmaxRegression(1).fit(corpus).predict([["a"]], at={"author": "Ada"})
    with pytest.raises(SpecificationError, match="This model has no covariates"):
        slm.NGram(2).fit(corpus).holding(author="Ada")


def test_missing_values_are_counted_and_named(corpus):
    table = corpus.documents.assign(author=corpus.documents.author.where(corpus.documents.index != 3))
    holed = corpus.with_covariates(table[["author"]])
    with pytest.raises(CorpusError, match=r"1 of 60 documents have no value of the covariate 'author' \(the first: '3'\)"):
        by("next ~ author").fit(holed)
    kept = holed.subset(holed.documents.author.notna().to_numpy())
    assert by("next ~ author").fit(kept).dof == 4
    assert by("next ~ year").fit(holed).dof == 4  # what is not asked for may be missing


def test_a_level_that_training_never_saw_is_refused(fit, corpus):
    other = corpus.subset([0, 1]).with_covariates(pd.DataFrame({"author": ["Ada", "Cy"], "year": [0.1, 0.2]}))
    with pytest.raises(CorpusError, match=r"never saw the level 'Cy' of the covariate 'author' \(it saw 'Ada', 'Bo'\)"):
        fit.on(other).loglike


def test_values_that_are_neither_words_nor_numbers_are_refused(corpus):
    dates = pd.DataFrame({"date": pd.date_range("1900-01-01", periods=60)})
    with pytest.raises(SpecificationError, match=r"'date' is of type datetime64.*which is no number"):
        by("next ~ date").fit(corpus.with_covariates(dates))
    with pytest.raises(SpecificationError, match="'date' holds values of type Timestamp"):
        by("next ~ C(date)").fit(corpus.with_covariates(dates))


def test_a_name_close_to_one_is_suggested(corpus):
    with pytest.raises(SpecificationError, match=r"names 'autor'.*Did you mean 'author'?.*document, author, year, position"):
        by("next ~ autor").fit(corpus)


def test_a_covariate_without_variation_adds_nothing(corpus):
    same = corpus.with_covariates(pd.DataFrame({"author": ["Ada"] * 60, "one": np.ones(60)}))
    plain = slm.SoftmaxRegression(1).fit(same)
    for formula in ("next ~ lag1 + author", "next ~ lag1 + one", "next ~ lag1 * author"):
        fit = by(formula).fit(same)
        assert fit.dof == plain.dof
        assert_allclose(fit.loglike, plain.loglike, rtol=1e-12)
        assert np.isfinite(fit.std_errors()).all()


def test_one_observation_a_level_is_separated_and_does_not_break():
    table = pd.DataFrame({"author": ["Ada", "Bo", "Cy"]})
    corpus = slm.Corpus.from_tokens([["a", "b"], ["a", "a"], ["b", "a"]], given=1, eos=False, covariates=table)
    fit = by("next ~ author").fit(corpus)
    assert fit.loglike == 0.0
    assert fit.dof == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCountsWarning)
        assert 0 <= slm.lr_test(by("next ~ 1").fit(corpus), fit).p_value <= 1


def test_an_unseen_token_is_still_read_as_the_reference_level(corpus):
    vocabulary = slm.Vocabulary(("a", "b", "z"))
    table = pd.DataFrame({"author": ["Ada", "Bo"]})
    train = slm.Corpus.from_tokens([list("abaabbab"), list("abbaabba")], vocabulary=vocabulary, given=1, covariates=table)
    fit = by("next ~ lag1 + author").fit(train)
    with pytest.warns(UnseenContextWarning, match="a convention and no estimate"):
        fit.predict([["z"]], at={"author": "Bo"})
