"""Cosines, distances and singular values on data from a log-bilinear truth: intervals cover, the test of rank has its size."""

import numpy as np
import pytest

import statlm as slm

pytestmark = pytest.mark.slow

SETTING = "rank 2, 6 states, 6,000 observations"


def truth():
    """(6, 6) transition probabilities whose log-odds have rank 2, and their centred coefficients."""
    rng = np.random.default_rng(4)
    left, right = (np.linalg.qr(rng.standard_normal((6, 2)))[0] for _ in range(2))
    coefficients = left * [3.0, 2.0] @ right.T
    p = np.exp(coefficients + 0.3 * rng.standard_normal(6))
    centred = coefficients - coefficients.mean(axis=0)
    return p / p.sum(axis=1, keepdims=True), centred - centred.mean(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def texts(chains, letters):
    p, _ = truth()
    states = chains(np.broadcast_to(p, (600, 6, 6)), 6001, np.random.default_rng(41))
    return [slm.Corpus.from_tokens([row], vocabulary=letters(6), given=1) for row in states]


@pytest.fixture(scope="module")
def fits(texts):
    return [slm.SoftmaxRegression(1, rank=2).fit(text) for text in texts]


@pytest.mark.parametrize("cov", ["nonrobust", "HC0"])
@pytest.mark.parametrize("side", ["context", "response"])
def test_intervals_of_cosines_cover(fits, side, cov, measured):
    rows = truth()[1] if side == "context" else truth()[1].T
    a, b = rows[0], rows[1]
    cosine = a @ b / np.sqrt((a @ a) * (b @ b))
    covered = []
    for fit in fits:
        row = slm.cosine_similarity(fit, "a", "b", side=side, cov=cov).iloc[0]
        covered.append(row.conf_low <= cosine <= row.conf_high)
    assert measured(f"`cosine_similarity`, {side}, `{cov}`", SETTING, covered, 0.95).near


def test_intervals_of_distances_cover(fits, measured):
    rows = truth()[1]
    distance = np.linalg.norm(rows[2] - rows[3])
    found = [slm.embedding_distance(fit, "c", "d").iloc[0] for fit in fits]
    covered = [row.conf_low <= distance <= row.conf_high for row in found]
    assert measured("`embedding_distance`", SETTING, covered, 0.95).near


def test_intervals_of_singular_values_cover(fits, measured):
    largest = np.linalg.svd(truth()[1])[1][0]
    found = [slm.singular_values(fit).iloc[0] for fit in fits]
    covered = [row.conf_low <= largest <= row.conf_high for row in found]
    assert measured("`singular_values`, the first", SETTING, covered, 0.95).near


def test_the_likelihood_ratio_of_the_rank_against_the_unrestricted_has_its_size(texts, fits, measured):
    rejected = [
        slm.lr_test(fit, slm.SoftmaxRegression(1).fit(text)).p_value <= 0.05 for text, fit in zip(texts, fits, strict=True)
    ]
    assert measured("`lr_test`, rank 2 against unrestricted", SETTING, rejected, 0.05).near
