"""Pictures of coefficients and of the influence of documents."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import SpecificationError
from statlm.plots import plot_coefficients, plot_influence

TABLE = pd.DataFrame(
    {
        "response": ["b", "b", "c"],
        "term": ["(Intercept)", "lag1[a]", "lag1[a]"],
        "estimate": [0.5, -np.inf, 2.0],
        "conf_low": [0.0, -np.inf, 1.0],
        "conf_high": [1.0, -0.7, 3.0],
    }
)


@pytest.fixture
def ax():
    return Figure().add_subplot()


def drawn(ax, gid):
    return [artist for artist in [*ax.lines, *ax.collections] if artist.get_gid() == gid]


def test_a_dot_a_finite_estimate_a_bar_a_bounded_interval_and_an_arrow_an_open_one(ax):
    assert plot_coefficients(TABLE, ax) is ax
    (dots,) = drawn(ax, "estimates")
    assert dots.get_xdata().tolist() == [0.5, 2.0]
    assert dots.get_ydata().tolist() == [0, 2]
    (bars,) = drawn(ax, "intervals")
    assert [segment[:, 0].tolist() for segment in bars.get_segments()] == [[0.0, 1.0], [1.0, 3.0]]
    arrows = [line for line in drawn(ax, "arrows") if len(line.get_xdata())]
    assert [line.get_ydata().tolist() for line in arrows] == [[1]]
    ax.figure.canvas.draw()


def test_rows_are_named_and_the_first_stands_at_the_top(ax):
    plot_coefficients(TABLE, ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b, (Intercept)", "b, lag1[a]", "c, lag1[a]"]
    bottom, top = ax.get_ylim()
    assert top < bottom


def test_only_what_has_a_null_gets_its_line(ax):
    assert not drawn(plot_coefficients(TABLE, ax), "null")
    tested = plot_coefficients(TABLE.assign(statistic=1.0), Figure().add_subplot())
    assert drawn(tested, "null")[0].get_xdata() == [0, 0]
    assert drawn(plot_coefficients(TABLE, Figure().add_subplot(), null=0.5), "null")[0].get_xdata() == [0.5, 0.5]


def test_what_the_verbs_give_is_drawn(ax):
    fit = slm.SoftmaxRegression(lags=1).fit(slm.Corpus.from_text("abracadabra" * 20))
    plot_coefficients(fit.tidy(), ax, top=2)
    assert len(ax.get_yticklabels()) == 2
    plot_coefficients(fit.functional(lambda b: b[:2]), Figure().add_subplot()).figure.canvas.draw()


def test_what_is_no_table_of_intervals_is_refused(ax):
    with pytest.raises(SpecificationError, match=r"lacks \['conf_high'\]"):
        plot_coefficients(TABLE.drop(columns="conf_high"), ax)
    with pytest.raises(SpecificationError, match="0 rows"):
        plot_coefficients(TABLE[:0], ax)
    with pytest.raises(SpecificationError, match="None of the 1 estimates is finite"):
        plot_coefficients(TABLE[1:2], ax)


def test_a_stem_a_document_and_the_largest_are_named(ax):
    fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(["aab" * 30, "aba" * 30, "bba" * 30], eos=False, names=["x", "y", "z"]))
    table = slm.influence(fit)
    assert plot_influence(table, ax=ax, label=1) is ax
    (dots,) = drawn(ax, "changes")
    assert_allclose(dots.get_ydata(), table[("b", "")])
    assert [text.get_text() for text in ax.texts] == ["z"]
    assert ax.get_ylabel() == "Change of b without it"
    assert plot_influence(table, "displacement", Figure().add_subplot()).get_ylabel() == "Displacement"
    ax.figure.canvas.draw()


def test_a_backend_that_is_loaded_inside_the_style_keeps_notebooks_interactive():
    import matplotlib

    before = matplotlib.is_interactive()
    try:
        with slm.plots.house_style():
            matplotlib.interactive(not before)
        assert matplotlib.is_interactive() is not before
    finally:
        matplotlib.interactive(before)


def test_an_influence_that_is_not_there_is_refused(ax):
    table = pd.DataFrame({"document": ["x"], "nobs": [3], "displacement": [0.1]})
    with pytest.raises(SpecificationError, match="no column 'change'"):
        plot_influence(table, "change", ax)
    with pytest.raises(SpecificationError, match="0 rows"):
        plot_influence(table[:0], ax=ax)
