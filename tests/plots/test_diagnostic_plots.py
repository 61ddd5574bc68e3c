"""Pictures of diagnostics show the numbers of their tables, and refuse what is no such table."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError
from statlm.plots import (
    plot_anytime,
    plot_autocorrelation,
    plot_calibration,
    plot_contrast,
    plot_coverage,
    plot_drift,
    plot_groups,
    plot_memorisation,
    plot_mixture,
    plot_power,
    plot_residuals,
    plot_temperature,
)

RNG = np.random.default_rng(3)
TEXTS = ["".join(RNG.choice(list("abcd "), size=50, p=[0.4, 0.3, 0.1, 0.1, 0.1])) for _ in range(40)]


@pytest.fixture(scope="module")
def fit():
    return slm.NGram(2, pseudo_count=1).fit(slm.Corpus.from_texts(TEXTS))


@pytest.fixture
def ax():
    import matplotlib.pyplot as plt

    figure, made = plt.subplots()
    yield made
    figure.canvas.draw()  # a picture that cannot be rendered fails its test
    plt.close("all")


def drawn(ax, gid):
    return [line for line in ax.lines if line.get_gid() == gid]


def segments(ax, gid="intervals"):
    return [s for c in ax.collections if c.get_gid() == gid for s in c.get_segments()]


def test_reliability_shows_the_table_and_takes_several_models(fit, ax):
    found = slm.calibration(fit)
    assert plot_calibration(found, ax, label="one") is ax
    plot_calibration(found, ax, label="two")
    lines = drawn(ax, "reliability")
    assert_allclose(lines[0].get_ydata(), found.table.frequency)
    assert lines[0].get_color() != lines[1].get_color()
    assert_allclose(sorted(s[0][1] for s in segments(ax)), sorted([*found.table.conf_low] * 2))
    assert len(drawn(ax, "diagonal")) == 1
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["one", "two"]


def test_the_best_temperature_is_marked_with_its_interval(fit, ax):
    plot_temperature({"bigram": fit}, ax, temperatures=[0.5, 1.0, 2.0])
    test = slm.temperature_test(fit)
    (gain,), (best,) = drawn(ax, "gain"), drawn(ax, "best")
    assert_allclose(gain.get_ydata()[1], 0.0, atol=1e-12)
    assert_allclose(best.get_xdata()[0], test.temperature)
    assert_allclose([p[0] for p in segments(ax)[0]], test.conf_int)
    with pytest.raises(SpecificationError, match="nothing to draw"):
        plot_temperature({}, ax)
    with pytest.raises(SpecificationError, match="temperatures above 0"):
        plot_temperature({"bigram": fit}, ax, temperatures=[0.0, 1.0])


def test_residuals_are_a_density_and_their_autocorrelations(fit, ax):
    table = slm.quantile_residuals(fit)
    plot_residuals(table, ax, bins=10)
    (stairs,) = [p for p in ax.patches if p.get_gid() == "density"]
    assert_allclose(stairs.get_data().values.sum() / 10, 1.0)
    with pytest.raises(SpecificationError, match="nothing to draw in 1 bins"):
        plot_residuals(table, ax, bins=1)


def test_autocorrelations_are_those_of_the_table(fit, ax):
    table = slm.quantile_residuals(fit)
    plot_autocorrelation(table, ax, lags=5)
    assert_allclose(
        [s[1][1] for s in segments(ax, "autocorrelations")], slm.residual_autocorrelation(table, lags=5).autocorrelation
    )


def test_coverage_is_drawn_against_the_promise(fit, ax):
    plot_coverage(fit, fit, ax, levels=[0.5, 0.8])
    (dots,) = drawn(ax, "coverage")
    assert_allclose(dots.get_xdata(), [0.5, 0.8])
    assert_allclose(dots.get_ydata(), [slm.conformal_sets(fit, level).coverage().coverage for level in (0.5, 0.8)])


@pytest.mark.filterwarnings("ignore::statlm.errors.FewClustersWarning")
def test_contrasts_are_sorted_and_long_tables_cut_in_the_middle(fit, ax):
    found = slm.contrast(fit, list("abcd "), "a", "b")
    plot_contrast(found, ax, top=3)
    (dots,) = drawn(ax, "differences")
    ordered = sorted(found.table.difference, reverse=True)
    assert_allclose(dots.get_xdata(), [*ordered[:2], ordered[-1]])
    (mean,) = drawn(ax, "mean")
    assert mean.get_xdata()[0] == found.estimate


@pytest.mark.filterwarnings("ignore::statlm.errors.FewClustersWarning")
def test_pairs_of_contexts_are_named_by_both(fit, ax):
    plot_contrast(slm.contrast(fit, ["a", "b"], "c", against=["c", "d"]), ax)
    assert {t.get_text() for t in ax.get_yticklabels()} == {"a | c", "b | d"}


def test_suspects_stand_among_the_null_documents(fit, ax):
    table = pd.DataFrame({"document": ["x", "$y"], "ratio": [0.5, 0.1], "p_value": [0.1, 0.2]})
    table.attrs["null"] = np.linspace(0, 0.2, 9)
    plot_memorisation(table, ax)
    assert [s[0][0] for s in segments(ax, "suspects")] == [0.5, 0.1]
    with pytest.raises(SpecificationError, match="no ratios of null documents"):
        plot_memorisation(table.drop(columns="ratio"), ax)


def test_each_curve_of_a_mixture_has_its_lowest_point_at_the_best_weight(fit, ax):
    models = {"2": fit, "1": slm.NGram(1).fit(fit.corpus), "5": slm.NGram(5, pseudo_count=0.1).fit(fit.corpus)}
    held = slm.simulate(fit, seed=5)
    plot_mixture(models, held, ax)
    weights = slm.stacking_weights(models, held).set_index("model").weight
    for name, line, dot in zip(models, drawn(ax, "loss"), drawn(ax, "best"), strict=True):
        assert_allclose(dot.get_xdata()[0], weights[name])
        assert (line.get_ydata() >= dot.get_ydata()[0] - 1e-9).all()
    with pytest.raises(NoEstimate, match="Some token has probability 0"):
        plot_mixture({"a": slm.NGram(7).fit(fit.corpus), "b": slm.NGram(6).fit(fit.corpus)}, held, ax)


def test_power_has_a_line_an_effect(ax):
    noise = slm.Pilot(std_a=2.0, std_b=2.0, correlation=0.98, icc=0.002, tokens=1000)
    table = slm.power_curve(noise, effect=[0.02, 0.01])
    plot_power(table, ax)
    assert [line.get_label() for line in drawn(ax, "power")] == ["1 %", "2 %"]
    assert_allclose(drawn(ax, "power")[1].get_ydata(), table.power[table.effect == 0.02])
    with pytest.raises(SpecificationError, match=r"lacks \['power'\]"):
        plot_power(table.drop(columns="power"), ax)


def test_the_confidence_sequence_and_where_it_stopped(fit, ax):
    found = slm.anytime_test(fit, slm.NGram(0).fit(fit.corpus), bound=1.0)
    plot_anytime(found, ax)
    assert_allclose(drawn(ax, "mean")[0].get_ydata(), found.table["mean"])
    assert drawn(ax, "stopped")[0].get_xdata()[0] == found.stopped


def test_an_asymptotic_sequence_begins_after_its_burn_in(fit, ax):
    found = slm.anytime_test(fit, fit, method="normal")
    plot_anytime(found, ax)
    assert drawn(ax, "stopped") == []


@pytest.mark.parametrize("by", [["x", "y"] * 20, [1990, 2000] * 20])
def test_groups_show_means_and_intervals(fit, ax, by):
    table = slm.group_loss(fit, by)
    plot_groups(table, ax)
    (dots,) = drawn(ax, "means")
    along = dots.get_ydata() if by[0] == 1990 else dots.get_xdata()
    assert_allclose(along, table.loss)
    axis = 1 if by[0] == 1990 else 0
    assert_allclose([s[0][axis] for s in segments(ax)], table.conf_low)
    with pytest.raises(SpecificationError, match="not the columns that group_loss"):
        plot_groups(table.drop(columns="loss"), ax)


def test_the_alarm_and_its_change_are_marked(ax):
    corpus = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra", "abraca"] * 8 + ["zzz", "zebra zoo"] * 4)
    found = slm.drift_alarm(slm.NGram(1).fit(corpus), 20, replicates=199)
    plot_drift(found, ax)
    assert_allclose(drawn(ax, "statistic")[0].get_ydata(), found.table.statistic)
    assert drawn(ax, "alarm")[0].get_xdata()[0] == found.alarm - 20
    assert drawn(ax, "change")[0].get_xdata()[0] == found.change - 20


def test_settings_are_left_as_they_were(fit):
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    plot_calibration(slm.calibration(fit))
    plot_groups(slm.group_loss(fit, ["x", "y"] * 20))
    plt.close("all")
    assert dict(mpl.rcParams) == before
