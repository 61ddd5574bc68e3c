"""The picture of embeddings: what is drawn is what the table says."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statlm.errors import SpecificationError
from statlm.plots import plot_embeddings

TABLE = pd.DataFrame(
    {
        "token": ["a", "b"],
        "x": [1.0, -2.0],
        "y": [0.5, 1.0],
        "x_error": [0.3, 0.2],
        "y_error": [0.1, 0.2],
        "correlation": [0.0, 0.5],
        "kind": ["one", "two"],
    }
)


@pytest.fixture(autouse=True)
def close():
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def test_each_token_stands_in_its_ellipse():
    ax = plot_embeddings(TABLE)
    assert [text.get_text() for text in ax.texts] == ["a", "b"]
    first, second = ax.patches
    assert_allclose(first.get_center(), (1.0, 0.5))
    reach = np.sqrt(5.991464547)  # the 95 % quantile of chi-square with 2 degrees of freedom
    assert_allclose([first.width, first.height], [2 * reach * 0.3, 2 * reach * 0.1], rtol=1e-8)
    assert first.angle % 180 == pytest.approx(0.0, abs=1e-9)
    assert second.angle % 180 == pytest.approx(45.0)


def test_colours_tell_groups_apart():
    ax = plot_embeddings(TABLE, by="kind")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert ax.patches[0].get_facecolor() != ax.patches[1].get_facecolor()


def test_a_table_without_rows_or_columns_is_refused():
    with pytest.raises(SpecificationError, match="nothing to draw"):
        plot_embeddings(TABLE.iloc[:0])
    with pytest.raises(SpecificationError, match=r"lacks \['x_error'\]"):
        plot_embeddings(TABLE.drop(columns="x_error"))
    with pytest.raises(SpecificationError, match="a confidence level lies between"):
        plot_embeddings(TABLE, level=95)
