"""What a fit draws of itself is what the functions of `statlm.plots` draw of its tables."""

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import CorpusError, NoEstimate, SpecificationError


@pytest.fixture(autouse=True)
def _headless():
    with mpl.rc_context({"backend": "Agg"}):
        import matplotlib.pyplot as plt

        plt.switch_backend("Agg")
        yield
        plt.close("all")


@pytest.fixture(scope="module")
def texts():
    draw = np.random.default_rng(4)
    words = ["abracadabra", "barbara", "cabra", "barra", "da"]
    return slm.Corpus.from_texts([" ".join(draw.choice(words, 12)) for _ in range(40)]).split(test=0.5)


@pytest.fixture(scope="module")
def bigram(texts):
    return slm.NGram(n=2, pseudo_count=0.5).fit(texts[0])


@pytest.fixture(scope="module")
def kneser_ney(texts):
    return slm.NGram(n=3, smoothing="kneser-ney").fit(texts[0])


def points(ax):
    """Coordinates of all that is drawn with lines and dots, in order."""
    return [line.get_xydata() for line in ax.lines]


def same(ax, other):
    assert (ax.get_xlabel(), ax.get_ylabel()) == (other.get_xlabel(), other.get_ylabel())
    assert [t.get_text() for t in ax.get_yticklabels()] == [t.get_text() for t in other.get_yticklabels()]
    assert len(points(ax)) == len(points(other)) > 0
    for mine, theirs in zip(points(ax), points(other), strict=True):
        assert_allclose(mine, theirs)


def test_the_names_are_listed_and_printed(bigram, texts):
    on_text = [
        "attention",
        "autocorrelation",
        "calibration",
        "coverage",
        "groups",
        "next_token",
        "perplexity",
        "residuals",
        "sampler",
        "surprisal",
        "temperature",
        "transitions",
    ]
    assert dir(bigram.on(texts[1]).plot) == on_text
    assert dir(bigram.plot) == sorted([*on_text, "coefficients", "embeddings", "influence", "path"])
    assert repr(bigram.plot) == ", ".join(dir(bigram.plot))
    assert all(callable(getattr(bigram.plot, name)) for name in dir(bigram.plot))


def test_coefficients_are_the_rows_of_tidy(bigram):
    table = bigram.tidy("cluster", 0.9)
    same(bigram.plot.coefficients(cov="cluster", level=0.9, top=200), slm.plots.plot_coefficients(table, top=200))
    chosen = table[(table.term == "b") & table.response.isin(["a", "r"])]
    ax = bigram.plot.coefficients(term="b", response=["a", "r"], cov="cluster", level=0.9)
    same(ax, slm.plots.plot_coefficients(chosen))
    assert ax.get_title(loc="left") == ""
    cut = bigram.plot.coefficients(top=3)
    assert len(cut.get_yticklabels()) == 3
    assert cut.get_title(loc="left") == f"The first 3 of {len(table):,} parameters"


def test_next_tokens_are_those_of_predict_and_a_string_is_one_context(bigram):
    ax = bigram.plot.next_token("a", interval=0.9, cov="cluster", top=4)
    same(ax, slm.plots.plot_next_token(bigram.predict(["a"], interval=0.9, cov="cluster"), top=4))
    assert [c for c in ax.collections if c.get_gid() == "intervals"]
    held = bigram.on(bigram.corpus).plot.next_token(["a", "b"], top=4)
    same(held, slm.plots.plot_next_token(bigram.predict(["a", "b"]), top=4))


def test_a_model_on_a_text_is_drawn_on_that_text(bigram, kneser_ney, texts):
    held = bigram.on(texts[1])
    same(held.plot.calibration(bins=5), slm.plots.plot_calibration(slm.calibration(held, bins=5)))
    same(held.plot.residuals(seed=3, bins=7), slm.plots.plot_residuals(slm.quantile_residuals(held, seed=3), bins=7))
    residuals = slm.quantile_residuals(held, seed=3)
    same(held.plot.autocorrelation(seed=3, lags=5), slm.plots.plot_autocorrelation(residuals, lags=5))
    halves = np.arange(20) // 10
    same(held.plot.groups(halves), slm.plots.plot_groups(slm.group_loss(held, halves)))
    same(held.plot.temperature(), slm.plots.plot_temperature({"bigram + 0.5": held}))
    first, second = texts[1].split(test=0.5)
    both = bigram.on(first).plot.coverage(second, levels=[0.6, 0.8])
    same(both, slm.plots.plot_coverage(bigram.on(first), bigram.on(second), levels=[0.6, 0.8]))
    beside = held.plot.perplexity({"longer": kneser_ney.on(texts[1])})
    models = {"bigram + 0.5": bigram, "longer": kneser_ney}
    same(beside, slm.plots.plot_perplexity(slm.compare(models, on=texts[1])))
    assert len(held.plot.perplexity().get_yticklabels()) == 1


def test_transitions_are_of_all_types_or_of_chosen_contexts(bigram, kneser_ney):
    whole, chosen = bigram.plot.transitions(), kneser_ney.plot.transitions(["ab", "br"], tokens=["a", "r"])
    assert_allclose(whole.images[0].get_array(), slm.plots.plot_transitions(bigram).images[0].get_array())
    assert [t.get_text() for t in chosen.get_yticklabels()] == ["ab", "br"]
    assert [t.get_text() for t in chosen.get_xticklabels()] == ["a", "r"]
    columns = bigram.plot.transitions(tokens=["b", "r"])
    assert [t.get_text() for t in columns.get_xticklabels()] == ["b", "r"]
    assert len(columns.get_yticklabels()) == len(bigram.corpus.vocabulary.types)


def test_influence_and_sampler_are_those_of_their_tables(bigram):
    table = slm.influence(bigram, [("a", "b")])
    same(bigram.plot.influence([("a", "b")]), slm.plots.plot_influence(table))
    same(bigram.plot.influence(label=1), slm.plots.plot_influence(slm.influence(bigram), "displacement", label=1))
    drawn = bigram.plot.sampler("a", temperature=0.5, top_k=2, top=4)
    assert len(drawn.axes) == len(slm.plots.plot_sampler(slm.next_token_table(bigram, "a", temperature=0.5, top_k=2)).axes)


def test_a_network_draws_its_path_and_its_attention():
    corpus = slm.Corpus.from_texts(["abracadabra"] * 20)
    decoder = slm.TransformerDecoder(layers=1, heads=2, width=8, context=16, steps=4).fit(corpus)
    same(decoder.plot.path(), slm.plots.plot_path(decoder.path))
    weights = decoder.plot.attention("abr", head=1).get_title(loc="left")
    assert weights == slm.plots.plot_attention(slm.attention(decoder, "abr"), 0, 1).get_title(loc="left")
    with pytest.raises(NoEstimate, match="not identified one by one"):
        decoder.plot.coefficients()


def test_embeddings_are_those_of_the_plane():
    corpus = slm.Corpus.from_texts(["abracadabra barb" * 5] * 10)
    fit = slm.SoftmaxRegression(lags=1, rank=2, penalty="ridge", strength=1.0).fit(corpus)
    same(fit.plot.embeddings(["a", "b", "r"]), slm.plots.plot_embeddings(slm.embedding_plane(fit, ["a", "b", "r"])))


def test_a_document_is_coloured_by_its_own_text(bigram, texts):
    held = bigram.on(texts[1])
    shown = held.plot.surprisal(-1)
    assert str(shown) == shown.html == shown._repr_html_()
    assert shown.html.count('class="token"') == len(texts[1].text(-1)) + 1  # and the end of the document
    pairs = slm.Corpus.from_texts([texts[0].text(0), texts[0].text(1)], slm.BytePairs(size=270))
    one = slm.NGram(n=1).fit(pairs).plot.surprisal(1)
    words = [part.split("<")[0] for part in one.html.split('">')[1:]]
    assert "".join(words).replace("&lt;eos&gt;", "").strip("\n ").endswith(pairs.text(1)[-10:])
    assert "Ġ" not in "".join(words)
    assert repr(one).startswith("<ColouredText: ")
    with pytest.raises(CorpusError, match="no document 20: there are 20"):
        held.plot.surprisal(20)


def test_an_axes_that_is_given_is_drawn_on(bigram, texts):
    import matplotlib.pyplot as plt

    figure, given = plt.subplots()
    assert bigram.plot.coefficients(top=3, ax=given) is given
    assert bigram.on(texts[1]).plot.calibration(ax=given) is given
    assert plt.get_fignums() == [figure.number]


def test_what_cannot_be_drawn_is_refused_in_words(bigram, kneser_ney, texts):
    for name in ("coefficients", "influence"):
        with pytest.raises(NoEstimate, match="trigram kneser-ney is a distribution without a likelihood theory"):
            getattr(kneser_ney.plot, name)()
    with pytest.raises(NoEstimate, match=r"counting .*, which leaves no path"):
        bigram.plot.path()
    with pytest.raises(SpecificationError, match="does not weigh the places of a context"):
        bigram.plot.attention("ab")
    with pytest.raises(SpecificationError, match="has no embeddings"):
        bigram.plot.embeddings(["a"])
    with pytest.raises(SpecificationError, match="looks 2 tokens back"):
        kneser_ney.plot.transitions()
    with pytest.raises(SpecificationError, match=r"None of the [\d,]+ parameters has response 'x' and term None"):
        bigram.plot.coefficients(response="x")
    held = bigram.on(texts[1])
    with pytest.raises(SpecificationError, match=r"Two of the models are called bigram \+ 0.5"):
        held.plot.perplexity([held])
