"""The alarm: its statistic by hand, a change is found and dated, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

import statlm as slm
from statlm.diagnostics.drift import _path, _scores
from statlm.errors import NoEstimate, SpecificationError


@pytest.fixture(scope="module")
def stream(true):
    """60 documents of the truth, then 20 with a shift."""
    calm = [true.corpus.text(d % 40) for d in range(40)]
    more = slm.simulate(true, documents=20, length=60, seed=9)
    rng = np.random.default_rng(0)
    changed = ["".join(rng.choice(list("abcd "), size=60)) for _ in range(20)]
    texts = [*calm, *(more.text(d) for d in range(20)), *changed]
    return true.on(slm.Corpus.from_texts(texts, vocabulary=true.corpus.vocabulary))


@pytest.mark.parametrize("scores", ["ranks", "standardised"])
@pytest.mark.parametrize("settings", [{}, {"statistic": "cusum"}, {"direction": "either"}])
def test_a_change_is_found_soon_and_dated(stream, scores, settings):
    found = slm.drift_alarm(stream, 40, scores=scores, replicates=999, **settings)
    assert 60 <= found.alarm <= 70
    assert abs(found.change - 60) <= 3
    assert found.false_alarm <= 0.06
    assert "Alarm at" in str(found)


def test_a_calm_stream_raises_no_alarm(stream):
    found = slm.drift_alarm(stream.on(stream.corpus.subset(range(60))), 40, replicates=999)
    assert found.alarm is None
    assert "No alarm" in str(found)
    assert len(found.table) == 20


def test_the_statistic_by_hand():
    values = np.random.default_rng(3).normal(size=(2, 30))
    standardised = _scores(values, 12, "standardised")
    path, change = _path(standardised, 12, "sup-LR", "worse")
    either, _ = _path(standardised, 12, "sup-LR", "either")
    for r in range(2):
        z = (values[r, 12:] - values[r, :12].mean()) / values[r, :12].std(ddof=1)
        for t in range(1, 19):
            ratios = [max(z[k:t].sum(), 0) ** 2 / ((t - k) * (1 + (t - k) / 12)) for k in range(t)]
            assert_allclose(path[r, t - 1], max(ratios), rtol=1e-10, atol=1e-12)
            if max(ratios) > 0:
                assert change[r, t - 1] == int(np.argmax(ratios))
        two = [z[k:18].sum() ** 2 / ((18 - k) * (1 + (18 - k) / 12)) for k in range(18)]
        assert_allclose(either[r, 17], max(two), rtol=1e-10)
    cusum, since = _path(standardised, 12, "cusum", "worse")
    z = (values[0, 12:] - values[0, :12].mean()) / values[0, :12].std(ddof=1)
    c = 0.0
    for t in range(18):
        c = max(0.0, c + z[t] - 0.5)
        assert_allclose(cusum[0, t], c, atol=1e-12)
        assert since[0, t] <= t


def test_ranks_do_not_depend_on_the_scale_of_losses():
    values = np.random.default_rng(3).normal(size=(1, 30))
    scores = _scores(values, 12, "ranks")
    assert_allclose(scores, _scores(np.exp(3 * values), 12, "ranks"))
    below = [(values[0, :12] < x).sum() for x in values[0, 12:]]
    assert_allclose(norm.cdf(scores[0]), (np.array(below) + 0.5) / 13, rtol=1e-12)


def test_what_cannot_be_monitored_is_refused(stream, impossible):
    with pytest.raises(SpecificationError, match="baseline=5 of 80 documents"):
        slm.drift_alarm(stream, 5)
    with pytest.raises(SpecificationError, match="one after them"):
        slm.drift_alarm(stream, 80)
    with pytest.raises(SpecificationError, match="There is no 'glr' here"):
        slm.drift_alarm(stream, 40, statistic="glr")
    with pytest.raises(SpecificationError, match="looks one way"):
        slm.drift_alarm(stream, 40, statistic="cusum", direction="either")
    with pytest.raises(SpecificationError, match="from 99 replicates or more"):
        slm.drift_alarm(stream, 40, replicates=10)
    with pytest.raises(NoEstimate, match="their loss is no number"):
        slm.drift_alarm(impossible.on(impossible.corpus.subset([0, 1, 2] * 6)), 12)
    with pytest.raises(NoEstimate, match="nothing is unusual"):
        slm.drift_alarm(slm.NGram(0).fit(stream.corpus), 40)
