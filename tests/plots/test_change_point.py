"""The picture of a change along a text."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import statlm as slm


@pytest.fixture(scope="module")
def found():
    text = slm.Corpus.from_tokens([list("abaab" * 60 + "abbab" * 30)], names=["a $tale$"])
    return slm.change_point_test(text, replicates=19)


def drawn(ax, gid):
    return next(line for line in ax.lines if line.get_gid() == gid)


def test_it_draws_the_path_its_peak_and_the_critical_value(found):
    ax = slm.plots.plot_change_point(found)
    np.testing.assert_array_equal(drawn(ax, "path").get_ydata(), found.path["statistic"])
    assert drawn(ax, "change").get_xydata().tolist() == [[found.observation, found.statistic]]
    assert set(drawn(ax, "critical").get_ydata()) == {found.critical}
    assert ax.get_xlim() == (0, found.nobs)
    plt.close("all")


def test_it_names_the_document_as_it_is_written(found):
    ax = slm.plots.plot_change_point(found)
    texts = [text.get_text() for text in ax.texts]
    assert any(text.startswith("a $tale$, ") for text in texts)
    ax.figure.canvas.draw()
    plt.close("all")


def test_it_draws_where_it_is_told(found):
    _, ax = plt.subplots()
    assert slm.plots.plot_change_point(found, ax) is ax
    plt.close("all")
