"""Smoothed n-grams: proper distributions whatever the context, and the formulas of their authors by brute force."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import CorpusError, DamagedFile, NoEstimate, SpecificationError
from statlm.likelihood import is_likelihood
from statlm.models.ngram.smoothing import SMOOTHINGS
from statlm.models.ngram.smoothing.jelinek_mercer import JelinekMercer
from statlm.models.ngram.stream import count_corpus
from statlm.testing import check_likelihood, check_predictive

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"]
NAMES = list(SMOOTHINGS)
PLAIN = [name for name in NAMES if name not in ("additive", "jelinek-mercer")]


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


# --- a distribution after every context -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    documents=st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=12), min_size=2, max_size=5),
    n=st.integers(1, 4),
    eos=st.booleans(),
    unk=st.booleans(),
    leading=st.integers(0, 2),
    context=st.lists(st.integers(0, 7), max_size=5),
)
def test_probabilities_sum_to_one_after_every_context(name, documents, n, eos, unk, leading, context):
    vocabulary = slm.Vocabulary(("a", "b", "c", "d"), with_eos=eos, with_unk=unk)  # ids 4 to 7: <unk>, <eos>, <bos>, <pad>
    model = slm.NGram(n, smoothing=name).fit(slm.Corpus.from_tokens(documents, vocabulary=vocabulary, given=leading))
    bos, pad = vocabulary.bos, vocabulary.pad
    contexts = [context, [bos, *context], [pad, pad, bos], [pad, *context]]
    for ids in contexts:
        total = np.exp(model.logprobs(np.array([ids], np.int64).reshape(1, -1))).sum()
        assert_allclose(total, 1.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_the_contract_holds(corpus, name, n):
    fit = slm.NGram(n, smoothing=name).fit(corpus)
    check_predictive(fit)
    check_predictive(fit.on(slm.Corpus.from_texts(["cabbala", "drab zebra"], vocabulary=corpus.vocabulary)))


@pytest.mark.parametrize("name", PLAIN)
def test_given_and_unknown_tokens_are_conditioned_on_and_not_counted(corpus, name):
    train = slm.Corpus.from_texts([*TEXTS, "zebra"], vocabulary=corpus.vocabulary, given=1)
    check_predictive(slm.NGram(3, smoothing=name).fit(train))
    assert count_corpus(train, 2).raw[0][: corpus.vocabulary.size].sum() == train.nobs - train.nunknown


def test_every_type_has_a_probability(corpus):
    other = slm.Corpus.from_texts(["rrcc dd"], vocabulary=corpus.vocabulary)
    for name in NAMES:
        assert np.isfinite(slm.NGram(4, smoothing=name).fit(corpus).on(other).perplexity), name


@pytest.mark.parametrize("n", [10, 16])
def test_long_ngrams(n):
    train = slm.Corpus.from_texts(["the quick brown fox jumps over the lazy dog " * 2] * 3)
    fit = slm.NGram(n, smoothing="modified-kneser-ney").fit(train)
    check_predictive(fit)
    assert fit.perplexity < slm.NGram(2, smoothing="modified-kneser-ney").fit(train).perplexity


@pytest.mark.parametrize("name", NAMES)
def test_unigrams_have_a_probability_for_every_type(corpus, name):
    fit = slm.NGram(1, smoothing=name).fit(corpus)
    p = np.exp(fit.logprobs(np.zeros((1, 0), np.int64)))[0]
    assert_allclose(p.sum(), 1, rtol=0, atol=1e-12)
    assert (p > 0).all()
    assert np.unique(fit.logprobs(corpus.contexts(2)), axis=0).shape[0] == 1  # the context does not matter


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_single_type_beside_the_ends_of_documents(name, n):
    train = slm.Corpus.from_texts(["aaa", "a", "aaaaa", "aa"])
    fit = slm.NGram(n, smoothing=name).fit(train)
    check_predictive(fit)
    assert np.isfinite(fit.perplexity)


@pytest.mark.parametrize("name", [None, *NAMES])
def test_a_vocabulary_of_one_is_refused_before_it_reaches_a_smoothing(name):
    with pytest.raises(CorpusError, match=r"single type \('a'\): every model gives it probability 1"):
        slm.NGram(2, smoothing=name).fit(slm.Corpus.from_text("aaaa"))


# --- counts -----------------------------------------------------------------------------------------------------------


def windows(texts, m):
    """All m-grams of documents with their mark of the start, and how often they occur."""
    found = Counter()
    for text in texts:
        tokens = ["^", *text, "$"]
        found.update(tuple(tokens[i : i + m]) for i in range(len(tokens) - m + 1))
    return found


@pytest.mark.parametrize("n", [2, 3, 4, 6])
def test_counts_and_continuation_counts_equal_brute_force(corpus, n):
    counts = count_corpus(corpus, n)
    names = dict(enumerate(corpus.vocabulary.tokens)) | {corpus.vocabulary.bos: "^", corpus.vocabulary.eos: "$"}
    for m in range(2, n + 1):
        rows = [tuple(names[i] for i in row) for row in counts.index.tokens(m).tolist()]
        expected = windows(TEXTS, m)
        assert dict(zip(rows, counts.raw[m - 1].tolist(), strict=True)) == expected
        before = defaultdict(set)
        for gram in windows(TEXTS, m + 1):
            before[gram[1:]].add(gram[0])
        for gram, found in zip(rows, counts.continuation[m - 1].tolist(), strict=True):
            assert found == (expected[gram] if m == n or gram[0] == "^" else len(before[gram]))


def test_counting_does_not_depend_on_how_the_sort_is_cut(monkeypatch):
    from statlm.numerics import window_order as order

    generator = np.random.default_rng(1)
    stream = generator.integers(0, 4, 3000).astype(np.int32)
    stream[0] = 3
    whole = order.window_order(stream, 9, 3, 4, 2**12)
    monkeypatch.setattr(order, "CHUNK", 1 << 6)
    cut = order.window_order(stream, 9, 3, 4, 2**12)
    assert (whole.shared == cut.shared).all()
    windows = [tuple(stream[max(p - 8, 0) : p + 1][::-1]) for p in cut.position]
    assert [w[: w.index(3) + 1] if 3 in w else w for w in windows] == [
        w[: w.index(3) + 1] if 3 in w else w for w in (tuple(stream[max(p - 8, 0) : p + 1][::-1]) for p in whole.position)
    ]


# --- formulas ---------------------------------------------------------------------------------------------------------


def by_hand(texts, n, alphabet, share):
    """Interpolated probability of a token after a context, by recursion; `share(context, token)` gives alpha and gamma."""

    def p(context, token):
        if len(context) + 1 > n:
            context = context[len(context) - n + 1 :]
        alpha, gamma = share(context, token)
        lower = p(context[1:], token) if context else 1 / len(alphabet)
        return alpha + gamma * lower

    return p


def test_witten_bell_by_hand(corpus):
    alphabet = {*"".join(TEXTS), "$"}
    counts = {m: windows(TEXTS, m) for m in (1, 2, 3)}

    def share(context, token):
        following = {g[-1]: c for g, c in counts[len(context) + 1].items() if g[:-1] == context and g[-1] != "^"}
        total, kinds = sum(following.values()), len(following)
        return (following.get(token, 0) / (total + kinds), kinds / (total + kinds)) if total else (0, 1)

    p = by_hand(TEXTS, 3, alphabet, share)
    fit = slm.NGram(3, smoothing="witten-bell").fit(corpus)
    expected = [p(tuple(["^", *t][max(0, i - 1) : i + 1]), x) for t in TEXTS for i, x in enumerate([*t, "$"])]
    assert_allclose(np.exp(fit.loglike_obs()), expected, rtol=1e-12)


@pytest.mark.parametrize("discount", [0.3, 0.8])
def test_kneser_ney_by_hand(corpus, discount):
    alphabet = {*"".join(TEXTS), "$"}
    counts = {m: windows(TEXTS, m) for m in (1, 2, 3)}
    kinds = {m: Counter(g[1:] for g in counts[m + 1]) for m in (1, 2)}

    def count(gram):
        return counts[3][gram] if len(gram) == 3 else counts[len(gram)][gram] if gram[0] == "^" else kinds[len(gram)][gram]

    def share(context, token):
        following = {x: c for x in alphabet if (c := count((*context, x)))}
        total = sum(following.values())
        alpha = max(following.get(token, 0) - discount, 0)
        return (alpha / total, discount * len(following) / total) if total else (0, 1)

    p = by_hand(TEXTS, 3, alphabet, share)
    fit = slm.NGram(3, smoothing=slm.KneserNey(discount=discount)).fit(corpus)
    expected = [p(tuple(["^", *t][max(0, i - 1) : i + 1]), x) for t in TEXTS for i, x in enumerate([*t, "$"])]
    assert_allclose(np.exp(fit.loglike_obs()), expected, rtol=1e-12)


def test_three_equal_discounts_are_one(corpus):
    one = slm.NGram(4, smoothing=slm.KneserNey(discount=0.6)).fit(corpus)
    three = slm.NGram(4, smoothing=slm.ModifiedKneserNey(discounts=(0.6, 0.6, 0.6))).fit(corpus)
    assert_allclose(one.loglike_obs(), three.loglike_obs(), rtol=1e-13)


def test_absolute_discounting_and_kneser_ney_agree_for_unigrams(corpus):
    one, other = (slm.NGram(1, smoothing=name).fit(corpus).loglike for name in ("absolute-discounting", "kneser-ney"))
    assert one == other


def test_pitman_yor_without_strength_is_kneser_ney(corpus):
    one = slm.NGram(4, smoothing=slm.PitmanYor(discount=0.6, strength=0)).fit(corpus)
    assert_allclose(
        one.loglike_obs(), slm.NGram(4, smoothing=slm.KneserNey(discount=0.6)).fit(corpus).loglike_obs(), rtol=1e-12
    )


def test_pitman_yor_finds_the_parameters_that_made_a_seating():
    generator = np.random.default_rng(5)
    d, theta, tables = 0.5, 10.0, []
    for customer in range(40_000):
        counts = np.array(tables)
        if customer == 0 or generator.random() < (theta + d * len(tables)) / (theta + customer):
            tables.append(1)
        else:
            tables[generator.choice(len(tables), p=(counts - d) / (counts - d).sum())] += 1
        if len(tables) == 400:
            break
    text = np.repeat(np.arange(len(tables)), tables)
    fit = slm.NGram(1, smoothing="pitman-yor").fit(slm.Corpus.from_tokens([text], eos=False))
    assert_allclose(fit.likelihood.discounts.discount, d, atol=0.1)


def test_katz_keeps_good_turings_share_of_what_was_seen():
    types = [f"w{i}" for i in range(40)]
    tokens = [w for i, w in enumerate(types[:30]) for _ in range([1, 1, 1, 1, 1, 1, 2, 2, 3, 9][i % 10])]
    corpus = slm.Corpus.from_tokens([tokens], vocabulary=slm.Vocabulary(tuple(types)))
    fit = slm.NGram(1, smoothing=slm.Katz(max_count=2)).fit(corpus)
    record = fit.likelihood.discounts.iloc[0]
    n1, n2, n3 = 18, 6, 3
    common = 3 * n3 / n1
    assert record.source == "Good-Turing"
    assert_allclose(record.ratio_1, (2 * n2 / n1 - common) / (1 - common))


def test_the_additive_smoothing_is_the_pseudo_count(corpus):
    check_likelihood(slm.NGram(2, smoothing=slm.Additive(0.5)).fit(corpus))
    same = slm.NGram(3, pseudo_count=0.5).fit(corpus).loglike
    assert slm.NGram(3, smoothing=slm.Additive(0.5)).fit(corpus).loglike == same


def test_the_estimated_pseudo_count_maximises_the_marginal_likelihood(corpus):
    from scipy.special import gammaln

    from statlm.models.ngram.smoothing.additive import _marginal_maximum

    table = slm.NGram(2).fit(corpus).likelihood.table
    size = corpus.vocabulary.size
    a, _ = _marginal_maximum(table, size)

    def marginal(a):
        contexts = (gammaln(a * size) - gammaln(a * size + table.totals)).sum()
        return contexts + (gammaln(a + table.counts) - gammaln(a)).sum()

    assert marginal(a) > max(marginal(a * 1.05), marginal(a / 1.05))


# --- discounts --------------------------------------------------------------------------------------------------------


def test_discounts_say_where_they_come_from(corpus):
    fit = slm.NGram(3, smoothing="modified-kneser-ney").fit(corpus)
    assert fit.likelihood.discounts.n.tolist() == [1, 2, 3]
    assert "fallback at n = 1" in fit.report.method
    assert any("Counts of counts give no discounts at n = 1" in note for note in fit.likelihood.notes())


def test_the_discount_formula_of_chen_and_goodman():
    generator = np.random.default_rng(0)
    corpus = slm.Corpus.from_tokens([generator.geometric(0.02, 4000) % 300], eos=False)
    fit = slm.NGram(2, smoothing=slm.ModifiedKneserNey(as_lmplz=False)).fit(corpus)
    counts = Counter(Counter(zip(corpus.tokens[:-1].tolist(), corpus.tokens[1:].tolist(), strict=True)).values())
    counts[1] += 1  # <bos> and the first token
    y = counts[1] / (counts[1] + 2 * counts[2])
    expected = [i - (i + 1) * y * counts[i + 1] / counts[i] for i in (1, 2, 3)]
    assert_allclose(fit.likelihood.discounts.iloc[1][["discount_1", "discount_2", "discount_3"]].astype(float), expected)


@pytest.mark.parametrize(
    ("smoothing", "message"),
    [
        (slm.ModifiedKneserNey(fallback=False), r"discounts of the 1-grams cannot be estimated: .* small vocabulary"),
        (slm.KneserNey(fallback=False), r"discount of the 1-grams cannot be estimated: 0 of them occur once and 0 twice"),
        (slm.Katz(fallback=False), r"Good-Turing ratios of the 1-grams are not between 0 and 1"),
    ],
)
def test_counts_of_counts_that_break_the_formula_are_refused_without_a_fallback(smoothing, message):
    with pytest.raises(NoEstimate, match=message):
        slm.NGram(1, smoothing=smoothing).fit(slm.Corpus.from_text("aaaaabbbbb"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: slm.KneserNey(discount=1.5), r"discount=1.5: it is taken off every count"),
        (lambda: slm.AbsoluteDiscounting(discount=-1), r"discount=-1"),
        (lambda: slm.ModifiedKneserNey(discounts=(0.5, 2.5, 1)), "none may be negative or take more than the count"),
        (lambda: slm.ModifiedKneserNey(discounts=(0.5, 1)), "modified Kneser-Ney has three"),
        (lambda: slm.Katz(max_count=0), "max_count=0 is not the largest count"),
        (lambda: slm.Additive(0), "pseudo_count=0 is not a prior count"),
        (lambda: slm.PitmanYor(discount=1), "discount=1: choose"),
        (lambda: slm.PitmanYor(strength=-1), "strength=-1"),
        (lambda: slm.JelinekMercer(weights=(0.5, 2)), "each is a share"),
        (lambda: slm.JelinekMercer(held_out=1), "held_out=1 is a share"),
        (lambda: slm.JelinekMercer(tolerance=0), "tolerance must be positive"),
        (lambda: slm.HeldOutDiscount("katz"), "base='katz' has no single discount"),
        (lambda: slm.HeldOutDiscount(level=1), "level=1 is a share"),
        (lambda: slm.NGram(2, smoothing="magic"), "There is no smoothing 'magic'. Choose one of 'additive'"),
        (lambda: slm.NGram(2, smoothing=3), "smoothing=3 is no smoothing"),
        (lambda: slm.NGram(0, smoothing="katz"), "n=0 is the uniform distribution"),
        (lambda: slm.NGram(2, smoothing="katz", pseudo_count=1), "two smoothings of the same counts"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(SpecificationError, match=message):
        make()


def test_the_held_out_discount_is_a_maximum_with_an_interval_around_it():
    corpus = slm.datasets.load("sotu", years=(1790, 1791), split="paragraph")
    fit = slm.NGram(4, smoothing="held-out-discount").fit(corpus)
    found = fit.likelihood.discounts.iloc[0]
    train, held = corpus.split(0.1)

    def held_out(discount):
        return slm.NGram(4, smoothing=slm.KneserNey(discount=discount)).fit(train).on(held).loglike

    assert held_out(found.discount) > max(held_out(found.discount + 0.01), held_out(found.discount - 0.01))
    assert 0 < found.std_error < 0.2
    assert_allclose(found.conf_high - found.conf_low, 2 * 1.959964 * found.std_error, rtol=1e-6)
    same = slm.NGram(4, smoothing=slm.KneserNey(discount=found.discount)).fit(corpus)
    assert_allclose(fit.loglike, same.loglike, rtol=1e-12)
    assert "7 held-out documents; afterwards these were counted too" in fit.likelihood.notes()[0]


def test_a_discount_at_the_edge_has_no_error():
    fit = slm.NGram(1, smoothing=slm.HeldOutDiscount("absolute-discounting")).fit(slm.Corpus.from_text("ab" * 50))
    assert np.isnan(fit.likelihood.discounts.std_error[0])
    assert "at the edge of its range or nowhere, so it has no standard error" in fit.likelihood.notes()[0]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_one_type_and_ends_of_documents_are_smoothed(name, n):
    fit = slm.NGram(n, smoothing=name).fit(slm.Corpus.from_texts(["aaa", "aaaaa", "a"] * 10))
    assert fit.corpus.vocabulary.size == 2
    rows = np.exp(fit.likelihood.logprobs(np.array([[0], [fit.corpus.vocabulary.bos]])[:, : n - 1]))
    assert_allclose(rows.sum(axis=1), 1, atol=1e-12)


def test_counting_does_not_depend_on_the_parts_that_are_sorted_in_threads(corpus, monkeypatch):
    whole = count_corpus(corpus, 4)
    monkeypatch.setattr("statlm.numerics.window_order.PART", 3)
    monkeypatch.setattr("statlm.numerics.window_order.CHUNK", 2)
    monkeypatch.setattr("statlm.numerics.threads.PART", 2)
    parts = count_corpus(corpus, 4)
    for one, other in zip(whole.raw + whole.continuation, parts.raw + parts.continuation, strict=True):
        assert (one == other).all()
    for one, other in zip(whole.index.levels, parts.index.levels, strict=True):
        assert (one.suffix == other.suffix).all()
        assert (one.oldest == other.oldest).all()
        assert (one.context == other.context).all()


# --- Jelinek and Mercer's weights -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixture():
    """A fit whose weights lie inside."""
    generator = np.random.default_rng(0)
    draws = generator.geometric(0.2, size=(200, 10)).cumsum(axis=1) % 20
    noise = generator.integers(0, 20, draws.shape)
    documents = np.where(generator.random(draws.shape) < 0.3, noise, draws)
    return slm.NGram(3, smoothing="jelinek-mercer").fit(slm.Corpus.from_tokens(list(documents), eos=False))


def test_em_never_loses_likelihood(mixture):
    weights, before = np.full(3, 0.5), -np.inf
    for _ in range(30):
        loglike, weights = mixture.likelihood.em_step(weights)
        assert loglike >= before - 1e-14
        before = loglike


def test_the_weights_are_a_maximum_with_the_laws_of_a_likelihood(mixture):
    check_likelihood(mixture.likelihood.at(np.array([0.4, 0.5, 0.3])))
    inside = (mixture.params > 1e-6) & (mixture.params < 1 - 1e-6)
    assert inside[1]
    assert mixture.report.gradient_norm < 1e-8
    assert_allclose(mixture.score().sum(axis=0)[inside], 0, atol=1e-5)
    assert mixture.dof == 3


def test_the_weights_are_fitted_to_documents_that_were_not_counted(mixture):
    assert mixture.corpus.ndocuments == 20
    assert "EM on 20 held-out documents" in mixture.report.method
    assert "held-out documents" in mixture.likelihood.notes()[0]


def test_given_weights_make_a_distribution_only(corpus):
    fit = slm.NGram(2, smoothing=JelinekMercer(weights=(0.9, 0.5))).fit(corpus)
    assert not is_likelihood(fit)
    check_predictive(fit)
    with pytest.raises(SpecificationError, match="There are 2 weights for n=3"):
        slm.NGram(3, smoothing=JelinekMercer(weights=(0.9, 0.5))).fit(corpus)


def test_weights_outside_their_range_and_impossible_observations_are_refused(corpus):
    model = slm.NGram(2, smoothing="jelinek-mercer").fit(corpus).likelihood
    with pytest.raises(SpecificationError, match="are not 2 weights between 0 and 1"):
        model.at([0.5, 1.5])
    with pytest.raises(NoEstimate, match=r"1 of 4 observations have probability 0"):
        model.on(slm.Corpus.from_texts(["abz"], vocabulary=corpus.vocabulary)).score()


def test_a_single_token_cannot_be_split(corpus):
    with pytest.raises(CorpusError):
        slm.NGram(1, smoothing="jelinek-mercer").fit(slm.Corpus.from_tokens([["a"]], vocabulary=slm.Vocabulary(("a", "b"))))


# --- what they are ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_likelihoods_are_those_with_a_theory(corpus, name):
    fit = slm.NGram(2, smoothing=name).fit(corpus)
    assert is_likelihood(fit) == (name in ("additive", "jelinek-mercer"))
    if not is_likelihood(fit):
        with pytest.raises(NoEstimate, match="without a likelihood theory"):
            fit.params


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_is_the_same(corpus, name, tmp_path):
    fit = slm.NGram(3, smoothing=name).fit(corpus)
    fit.save(tmp_path / "fit")
    again = slm.load(tmp_path / "fit")
    assert again.specification == fit.specification
    assert (again.loglike_obs() == fit.loglike_obs()).all()
    assert_allclose(again.logprobs(corpus.contexts(2)), fit.logprobs(corpus.contexts(2)), rtol=1e-14)
    assert again.likelihood.notes() == fit.likelihood.notes()


@pytest.mark.parametrize("name", ["witten-bell", "jelinek-mercer"])
def test_damaged_tables_are_refused(corpus, name):
    specification = slm.NGram(3, smoothing=name)
    model = specification.fit(corpus).likelihood
    arrays, settings = model.state()
    with pytest.raises(DamagedFile, match="lacks 'suffix2'"):
        specification.restore(corpus, {k: v for k, v in arrays.items() if k != "suffix2"}, settings)
    with pytest.raises(DamagedFile, match="does not fit together"):
        specification.restore(corpus, arrays | {"context3": arrays["context3"] + 10_000}, settings)


def test_the_unsmoothed_model_says_what_is_held_fixed(corpus):
    assert any(
        "never occurred; they are held at probability 0" in note for note in slm.NGram(2).fit(corpus).likelihood.notes()
    )
    prior = slm.NGram(2, pseudo_count=1).fit(corpus).likelihood
    assert "posterior means under a symmetric Dirichlet prior" in prior.notes()[0]
    other = slm.Corpus.from_texts(["ddd"], vocabulary=corpus.vocabulary)
    assert (
        "3 of 4 observations have a context that training never saw"
        in slm.NGram(3).fit(corpus).likelihood.on(other).notes()[-1]
    )
