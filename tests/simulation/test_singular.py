"""AIC charges a model of reduced rank its parameters: enough where the truth has that rank, too little where it is lower."""

import numpy as np
import pytest

import statlm as slm

pytestmark = pytest.mark.slow

N, STATES, REPLICATES = 2_000, 4, 300


def optimism(transitions, chains, letters, seed):
    """How much better than on new text a regression of rank 1 looks on its own, nats, over replicates; and its parameters.

    The differences to the truth are taken on both texts, which takes the noise of the truth's own log-likelihood away. New text
    is the whole population's.
    """
    states = chains(np.broadcast_to(transitions, (REPLICATES, STATES, STATES)), N + 1, np.random.default_rng(seed))
    contexts = np.arange(STATES)[:, None]
    truth = np.log(transitions)
    found = []
    for row in states:
        fit = slm.SoftmaxRegression(1, rank=1).fit(slm.Corpus.from_tokens([row], vocabulary=letters(STATES), given=1))
        gain = fit.loglike - truth[row[:-1], row[1:]].sum()
        cost = N * (transitions * (truth - fit.logprobs(contexts))).sum() / STATES  # the chains are uniform in the long run
        found.append(gain + cost)
    return np.array(found), fit.dof


def test_optimism_is_the_number_of_parameters_where_the_rank_is_right(chains, letters):
    sign = np.array([1.0, -1.0, 1.0, -1.0])
    found, dof = optimism(0.25 + 0.12 * np.outer(sign, sign), chains, letters, 61)
    assert dof == STATES - 1 + 2 * (STATES - 1) - 1
    assert abs(found.mean() - dof) <= 3.3 * found.std() / np.sqrt(REPLICATES)


def test_optimism_is_more_than_aic_charges_where_the_rank_is_lower(chains, letters):
    """The regular part is the unigram's; the singular one is the mean of the largest squared singular value of 3 x 3 normals."""
    found, dof = optimism(np.full((STATES, STATES), 0.25), chains, letters, 62)
    error = found.std() / np.sqrt(REPLICATES)
    assert found.mean() - dof > 5 * error
    normals = np.random.default_rng(0).standard_normal((20_000, STATES - 1, STATES - 1))
    largest = np.linalg.svd(normals, compute_uv=False)[:, 0] ** 2
    assert abs(found.mean() - (STATES - 1 + largest.mean())) <= 3.3 * error
