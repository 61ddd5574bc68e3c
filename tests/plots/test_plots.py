import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from statlm.errors import SpecificationError
from statlm.models.ngram import NGram
from statlm.plots import (
    PALETTE,
    house_style,
    plot_next_token,
    plot_perplexity,
    plot_perplexity_by_n,
    plot_rates,
    plot_transitions,
    save_perplexity,
    save_picture,
)
from statlm.simulation import Probabilities, coverage
from statlm.text.corpus import Corpus
from statlm.text.tokenizers import BytePairs

TABLE = pd.DataFrame(
    {
        "model": ["decoder", "bigram_$x$", "uniform", "5-gram", "4-gram"],
        "perplexity": [5.2, 11.9, 65.0, np.inf, np.inf],
        "conf_low": [5.0, 11.8, np.nan, np.nan, np.nan],
        "conf_high": [5.5, 12.1, np.nan, np.nan, np.nan],
    }
)


@pytest.fixture(autouse=True)
def _headless():
    with mpl.rc_context({"backend": "Agg"}):
        import matplotlib.pyplot as plt

        plt.switch_backend("Agg")
        yield
        plt.close("all")


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture(scope="module")
def fit():
    return NGram(n=2).fit(Corpus.from_texts(["abracadabra", "barbara", "cabra da barra"]))


def drawn(ax, gid):
    return [line for line in ax.lines if line.get_gid() == gid]


def intervals(ax):
    """Ends of the intervals, (low, row, high)."""
    segments = [s for c in ax.collections if c.get_gid() == "intervals" for s in c.get_segments()]
    return sorted((s[0][0], s[0][1], s[1][0]) for s in segments)


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def render(ax):
    ax.figure.canvas.draw()


# --- perplexity -------------------------------------------------------------------------------------------------------


def test_a_dot_a_finite_model_an_interval_where_known_and_an_arrow_for_infinity(ax):
    assert plot_perplexity(TABLE, ax) is ax
    (dots,) = drawn(ax, "perplexities")
    assert dots.get_xdata().tolist() == [5.2, 11.9, 65.0]
    assert dots.get_ydata().tolist() == [0, 1, 2]
    assert intervals(ax) == [(5.0, 0, 5.5), (11.8, 1, 12.1)]
    (arrows,) = drawn(ax, "infinite")
    assert arrows.get_ydata().tolist() == [3, 4]
    assert [text.get_text() for text in ax.texts] == ["5.200", "11.90", "65.00", "∞", "∞"]
    assert labels(ax.yaxis) == TABLE["model"].tolist()
    render(ax)


def test_the_first_model_stands_at_the_top(ax):
    plot_perplexity(TABLE, ax)
    bottom, top = ax.get_ylim()
    assert top < 0 < bottom


@pytest.mark.parametrize(("largest", "scale"), [(65.0, "linear"), (900.0, "log")])
def test_the_axis_is_logarithmic_where_the_range_is_wide(ax, largest, scale):
    plot_perplexity(TABLE.assign(perplexity=[5.2, 11.9, largest, np.inf, np.inf]), ax)
    assert ax.get_xscale() == scale
    render(ax)


def test_a_table_without_intervals_or_without_finite_models_is_drawn(ax):
    plot_perplexity(TABLE[["model", "perplexity"]], ax)
    assert intervals(ax) == []
    assert ax.get_xlabel() == "Perplexity"
    other = plot_perplexity(TABLE.iloc[3:], Figure().add_subplot())
    assert len(drawn(other, "infinite")[0].get_xdata()) == 2
    render(other)


def test_what_is_no_table_of_perplexities_is_refused(ax):
    with pytest.raises(SpecificationError, match=r"lacks \['perplexity'\]"):
        plot_perplexity(TABLE[["model"]], ax)
    with pytest.raises(SpecificationError, match="0 rows"):
        plot_perplexity(TABLE.iloc[:0], ax)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_picture_is_saved_in_the_format_of_its_suffix(tmp_path, suffix):
    path = tmp_path / f"p{suffix}"
    save_perplexity(
        TABLE, path, "A long title that costs $5 or $6 and says what the models were fitted to and scored on, in full"
    )
    start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_cannot_be_saved_leaves_no_file(tmp_path, monkeypatch):
    with pytest.raises(SpecificationError, match=r"'.doc' names no format. Use .png, .pdf or .svg"):
        save_perplexity(TABLE, tmp_path / "p.doc")
    with pytest.raises(SpecificationError, match="There is no folder"):
        save_perplexity(TABLE, tmp_path / "nowhere" / "p.png")

    def fail(*_):
        raise OSError("full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="full"):
        save_perplexity(TABLE, tmp_path / "p.png")
    assert list(tmp_path.iterdir()) == []


# --- transitions ------------------------------------------------------------------------------------------------------


def test_the_heat_map_is_the_transition_matrix(ax, fit):
    plot_transitions(fit, ax)
    vocabulary = fit.corpus.vocabulary
    (image,) = ax.images
    assert labels(ax.xaxis) == ["␣", "a", "b", "c", "d", "r", "<eos>"]
    assert labels(ax.yaxis) == ["<bos>", "␣", "a", "b", "c", "d", "r"]
    ids = [vocabulary.bos, *range(6)]
    np.testing.assert_allclose(image.get_array(), np.exp(fit.logprobs(np.array(ids)[:, None])))
    render(ax)


def test_a_context_that_training_never_saw_is_left_out_not_uniform(ax):
    train = Corpus.from_tokens([["a", "b", "a", "c"]])
    plot_transitions(NGram(n=2).fit(train), ax)
    masked = np.ma.getmaskarray(ax.images[0].get_array()).all(axis=1)
    assert masked.tolist() == [False, False, False, True]  # nothing follows c
    render(ax)


def test_a_table_of_predictions_is_a_matrix_of_its_contexts(ax, fit):
    plot_transitions(fit.predict(["c", "a"]), ax)
    assert labels(ax.yaxis) == ["c", "a"]
    columns = labels(ax.xaxis)
    matrix = ax.images[0].get_array()
    assert matrix[0, columns.index("a")] == 1.0
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)


def test_a_matrix_that_cannot_be_read_is_refused(ax, fit):
    many = Corpus.from_text("".join(chr(0x100 + i) for i in range(90)))
    with pytest.raises(SpecificationError, match="A matrix of 91 by 90 cells cannot be read as a picture"):
        plot_transitions(NGram(n=2).fit(many), ax)
    with pytest.raises(SpecificationError, match="looks 2 tokens back"):
        plot_transitions(NGram(n=3).fit(fit.corpus), ax)
    with pytest.raises(SpecificationError, match="no matrix in it"):
        plot_transitions(pd.DataFrame({"context": ["a"]}), ax)


# --- next token -------------------------------------------------------------------------------------------------------


def test_the_most_probable_tokens_with_their_intervals(ax, fit):
    table = fit.predict(["a"], interval=0.95, method="wilson")
    plot_next_token(table, ax, top=3)
    best = table.head(3)
    (dots,) = drawn(ax, "probabilities")
    assert dots.get_xdata().tolist() == best.probability.tolist()
    assert dots.get_ydata().tolist() == [0, 1, 2]
    assert labels(ax.yaxis) == [t.replace(" ", "␣") for t in best.token]
    expected = sorted(zip(best.conf_low, range(3), best.conf_high, strict=True))
    assert intervals(ax) == expected
    assert ax.get_title(loc="left") == "After “a”"
    render(ax)


def test_several_contexts_share_the_tokens_and_are_told_apart(ax, fit):
    plot_next_token(fit.predict(["a", "r"]), ax)
    assert [line.get_label() for line in drawn(ax, "probabilities")] == ["after “a”", "after “r”"]
    assert len({(line.get_color(), line.get_marker()) for line in drawn(ax, "probabilities")}) == 2
    assert intervals(ax) == []
    render(ax)


def test_tokens_that_never_follow_are_left_out(ax, fit):
    plot_next_token(fit.predict(["c"]), ax)
    assert labels(ax.yaxis) == ["a"]


def test_byte_pairs_are_shown_as_text(ax):
    corpus = Corpus.from_text("não há razão — não há pão " * 4, BytePairs(size=290))
    plot_next_token(NGram(n=1).fit(corpus).predict([[]]), ax)
    assert not any("Ġ" in label or "Ã" in label for label in labels(ax.yaxis))
    assert ax.get_title(loc="left") == "At the start"


def test_what_is_no_table_of_predictions_is_refused(ax, fit):
    with pytest.raises(SpecificationError, match="nothing to draw"):
        plot_next_token(pd.DataFrame({"token": ["a"]}), ax)
    with pytest.raises(SpecificationError, match="top=0"):
        plot_next_token(fit.predict(["a"]), ax, top=0)
    with pytest.raises(SpecificationError, match="8 contexts in one picture"):
        plot_next_token(fit.predict(["a", "b", "c", "d", "r", " ", "ab", "ca"]), ax)


# --- style ------------------------------------------------------------------------------------------------------------


def test_settings_are_left_as_they_were(fit):
    before = dict(mpl.rcParams)
    plot_perplexity(TABLE)
    plot_transitions(fit)
    plot_next_token(fit.predict(["a"]))
    assert dict(mpl.rcParams) == before


def test_new_axes_are_of_the_house_style():
    ax = plot_perplexity(TABLE)
    assert not ax.spines["top"].get_visible()
    with house_style():
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == list(PALETTE)


# --- perplexity by n --------------------------------------------------------------------------------------------------

BY_N = pd.DataFrame(
    {
        "smoothing": ["katz"] * 3 + ["witten-bell"] * 3,
        "n": [3, 1, 2, 1, 2, 3],
        "perplexity": [5.0, 30.0, 11.0, 30.0, 12.0, np.inf],
        "conf_low": [4.8, 29.0, 10.5, 29.0, 11.5, np.nan],
        "conf_high": [5.2, 31.0, 11.5, 31.0, 12.5, np.nan],
    }
)


def test_a_line_a_smoothing_in_order_of_n_with_an_interval_at_each_dot(ax):
    assert plot_perplexity_by_n(BY_N, ax=ax) is ax
    render(ax)
    katz, witten_bell = (line for line in ax.lines if not line.get_label().startswith("_"))
    assert katz.get_ydata().tolist() == [30, 11, 5]
    assert witten_bell.get_ydata().tolist() == [30, 12]  # what is infinite is left out
    assert np.round(katz.get_xdata()).tolist() == [1, 2, 3]
    segments = [s for c in ax.collections if c.get_gid() == "intervals" for s in c.get_segments()]
    assert sorted((s[0][1], s[1][1]) for s in segments) == [(4.8, 5.2), (10.5, 11.5), (11.5, 12.5), (29, 31), (29, 31)]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["katz", "witten-bell"]
    assert ax.get_yscale() == "log"
    assert labels(ax.xaxis) == ["1", "2", "3"]


def test_lines_may_be_named_by_another_column_and_need_no_intervals(ax):
    table = BY_N[["n", "perplexity"]].assign(model="x", perplexity=[2.0, 3.0, 2.5, 3.0, 2.5, 2.0])
    plot_perplexity_by_n(table, by="model", ax=ax)
    assert ax.get_yscale() == "linear"
    assert not ax.collections


@pytest.mark.parametrize("table", [BY_N.drop(columns="n"), BY_N.head(0)])
def test_a_table_without_lengths_is_refused(table):
    with pytest.raises(SpecificationError, match="a model with n, perplexity and smoothing"):
        plot_perplexity_by_n(table)


# --- simulation studies, files ----------------------------------------------------------------------------------------

RATES = pd.DataFrame(
    {
        "kind": ["coverage", "size", "power"],
        "what": ["p(a | b)", "lr_test", "lr_test, another"],
        "method": ["wald, HC0", None, None],
        "nominal": [0.95, 0.05, np.nan],
        "rate": [0.90, 0.06, 0.8],
        "rate_error": [0.01, 0.01, 0.02],
    }
)


def test_a_dot_a_rate_its_distance_from_nominal_and_what_chance_allows(ax):
    plot_rates(RATES, ax)
    (agree,), (off,) = drawn(ax, "agree"), drawn(ax, "off")
    assert agree.get_ydata().tolist() == [1]
    assert off.get_ydata().tolist() == [0]
    np.testing.assert_allclose([*agree.get_xdata(), *off.get_xdata()], [0.01, -0.05])
    bars = [s for c in ax.collections if c.get_gid() == "allowed" for s in c.get_segments()]
    np.testing.assert_allclose([s[:, 0] for s in bars], [[-0.033, 0.033]] * 2)
    assert [text.get_text() for text in ax.texts] == ["90.0%", "6.0%", "80.0%"]
    assert labels(ax.yaxis) == ["coverage: p(a | b) (wald, HC0)", "size: lr_test", "power: lr_test, another"]
    render(ax)


def test_a_study_is_drawn_and_what_is_none_is_refused(ax):
    truth = NGram(n=2).fit(Corpus.from_texts(["abracadabra"] * 5))
    study = coverage(truth, [Probabilities(["a"], ["b"], ["wald", "wilson"], ["nonrobust"])], replicates=4)
    assert len(plot_rates(study, ax).get_yticklabels()) == len(study)
    with pytest.raises(SpecificationError, match=r"1 rows and lacks \['rate'\]"):
        plot_rates(RATES[:1].drop(columns="rate"), ax)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_picture_is_written_whole(fit, suffix, tmp_path):
    path = tmp_path / f"picture{suffix}"
    save_picture(fit.plot.next_token("a"), path)
    save_picture(fit.plot.sampler("a"), path)  # a Figure, over what stood there
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_size > 1000


def test_a_picture_that_cannot_be_written_is_refused(fit, tmp_path):
    picture = fit.plot.next_token("a")
    with pytest.raises(SpecificationError, match=r"suffix '.txt' names no format. Use .png, .pdf or .svg"):
        save_picture(picture, tmp_path / "picture.txt")
    with pytest.raises(SpecificationError, match="There is no folder"):
        save_picture(picture, tmp_path / "none" / "picture.png")
