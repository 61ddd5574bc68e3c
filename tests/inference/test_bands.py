"""Simultaneous intervals of the probabilities after a context: their coverage, their order, and what they refuse."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2, f, norm, t

import statlm as slm
from statlm.errors import SpecificationError
from statlm.inference import bands

P = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(5)
    return slm.Corpus.from_tokens([rng.choice(list("abcd"), 60, p=P) for _ in range(12)], given=1, eos=False)


@pytest.fixture(scope="module")
def fit(corpus):
    return slm.SoftmaxRegression(1).fit(corpus)


def half_widths(fit, **settings):
    """In standard errors, by token."""
    table = fit.predict([["a"]], interval=0.95, **settings).set_index("token").loc[list("abcd")]
    return ((table.conf_high - table.conf_low) / 2 / table.std_error).to_numpy()


def test_wider_in_the_order_of_what_they_promise(fit):
    widths = [half_widths(fit, simultaneous=s) for s in (False, True, "bonferroni", "scheffe")]
    assert all((a < b).all() for a, b in pairwise(widths))
    assert_allclose(widths[0], norm.ppf(0.975), rtol=1e-9)
    assert_allclose(widths[2], norm.ppf(1 - 0.05 / 8), rtol=1e-9)
    assert_allclose(widths[3], np.sqrt(chi2.ppf(0.95, 3)), rtol=1e-9)


@pytest.mark.filterwarnings("ignore::statlm.errors.FewClustersWarning")
def test_few_clusters_widen_them_as_the_t_distribution_does(fit):
    widths = {s: half_widths(fit, simultaneous=s, cov="cluster") for s in (False, True, "bonferroni", "scheffe")}
    assert_allclose(widths[False], t.ppf(0.975, 11), rtol=1e-9)
    assert_allclose(widths["bonferroni"], t.ppf(1 - 0.05 / 8, 11), rtol=1e-9)
    assert_allclose(widths["scheffe"], np.sqrt(3 * f.ppf(0.95, 3, 11)), rtol=1e-9)
    assert (widths[False] < widths[True]).all()
    assert (widths[True] < widths["bonferroni"]).all()


def test_two_tokens_are_one():
    corpus = slm.Corpus.from_tokens([list("aababbabaabbab")], given=1, eos=False)
    fit = slm.SoftmaxRegression(1).fit(corpus)
    pointwise, joint = (fit.predict([["a"]], interval=0.95, simultaneous=s) for s in (False, True))
    assert_allclose(joint.conf_high, pointwise.conf_high, rtol=5e-3)


def test_independent_ratios_have_a_known_quantile():
    assert_allclose(bands._max_z(np.diag([1.0, 4.0, 9.0]), 0.95, np.inf), norm.ppf((1 + 0.95 ** (1 / 3)) / 2), atol=0.015)


def test_the_whole_row_is_covered_at_the_level(monkeypatch):
    monkeypatch.setattr(bands, "DRAWS", 10_000)
    # 200 samples of 500 draws: each probability, and all of them at once.
    rng = np.random.default_rng(8)
    covered = {False: 0, True: 0}
    for _ in range(200):
        fit = slm.SoftmaxRegression(0).fit(slm.Corpus.from_tokens([rng.choice(list("abcd"), 500, p=P)], eos=False))
        for simultaneous in covered:
            table = (
                fit.predict([[]], interval=0.95, method="logit", simultaneous=simultaneous)
                .set_index("token")
                .loc[list("abcd")]
            )
            covered[simultaneous] += bool(((table.conf_low <= P) & (table.conf_high >= P)).all())
    error = np.sqrt(0.95 * 0.05 / 200)
    assert abs(covered[True] / 200 - 0.95) < 3 * error
    assert covered[False] / 200 < 0.9


def test_tokens_on_the_boundary_share_half_of_the_error():
    corpus = slm.Corpus.from_tokens([list("aabaabbcaacbaab"), list("bbab")], given=1, eos=False)
    for fit in (slm.SoftmaxRegression(1).fit(corpus), slm.NGram(2).fit(corpus)):
        table = fit.predict([["c"]], interval=0.9, simultaneous=True).set_index("token")
        zero = table[table.probability == 0]
        assert len(zero) == 1
        n = int((corpus.contexts(1)[:, 0] == 2).sum())
        assert_allclose(zero.conf_high, 1 - (0.1 / 2 / 2) ** (1 / n), rtol=1e-6)
        inside = table[table.probability > 0]
        assert inside.method.str.contains("simultaneous").all()


def test_groups_are_bounded_one_by_one(fit, monkeypatch):
    contexts = [["a"], ["b"], ["c"], ["d"]]
    together = fit.predict(contexts, interval=0.95, simultaneous=True)
    monkeypatch.setattr(bands, "AT_ONCE", 5)
    assert_allclose(fit.predict(contexts, interval=0.95, simultaneous=True).conf_high, together.conf_high, rtol=1e-9)


def test_what_they_refuse(fit, corpus):
    with pytest.raises(SpecificationError, match=r"simultaneous='all' is unknown. Use True or one of 'max-z'"):
        fit.predict([["a"]], interval=0.95, simultaneous="all")
    with pytest.raises(SpecificationError, match="The goodman interval comes with its own coverage"):
        slm.NGram(2).fit(corpus).predict([["a"]], interval=0.95, method="goodman", simultaneous=True)
