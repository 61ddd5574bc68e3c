"""Products with the derivatives of a network equal those by finite differences and by dense automatic differentiation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.numerics.repeated_rows import dense, sum_by

torch = pytest.importorskip("torch")

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab"] * 2
SHAPES = {
    "rotary": {},
    "gpt2": {
        "positions": "learned",
        "tied": True,
        "norm": "layer",
        "affine": True,
        "bias": True,
        "activation": "gelu",
        "lags": 0,
        "embedding_norm": False,
        "query_key_norm": False,
    },
    "experts": {"experts": 2},
    "prefix": {"prefix": True},
    "no blocks": {"layers": 0},
}


def fitted(**changes):
    corpus = slm.Corpus.from_texts(TEXTS, given=2 if changes.get("prefix") else 0)
    settings = {
        "layers": 1,
        "heads": 2,
        "width": 4,
        "hidden": 6,
        "context": 16,
        "precision": "float64",
        "steps": 20,
        "batch": 128,
    }
    return slm.TransformerDecoder(**settings | changes).fit(corpus)


@pytest.fixture(scope="module", params=SHAPES)
def model(request):
    return fitted(**SHAPES[request.param]).likelihood


def logits_of(model, params):
    """(nobs, V) logits as a plain function of one vector of weights: what dense differentiation needs."""
    moved, start = {}, 0
    for name, w in model.network.named_parameters():
        moved[name] = params[start : start + w.numel()].view_as(w)
        start += w.numel()
    d = model.differentiated.derivatives
    rows = torch.empty(d.nobs, model.predicted, dtype=torch.float64)
    parts, places = [], []
    for batch in d.reading.batches(1 << 20):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            found = torch.func.functional_call(model.network, moved, (batch.inputs, batch.visible, batch.unknown))
        parts.append(found[batch.here])
        places.append(torch.from_numpy(batch.rows))
    return rows.index_copy(0, torch.cat(places), torch.cat(parts))


def test_scores_and_gauss_newton_products_equal_dense_differentiation(model):
    params = torch.from_numpy(model.params)
    jacobian = torch.autograd.functional.jacobian(lambda x: logits_of(model, x), params, vectorize=True)  # (n, V, p)
    logits = logits_of(model, params)
    p = torch.softmax(logits, -1)
    targets = torch.from_numpy(model.corpus.targets.astype(np.int64))
    onehot = torch.nn.functional.one_hot(targets, model.predicted).double()
    score = torch.einsum("nv,nvp->np", onehot - p, jacobian).numpy()
    curvature = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    information = torch.einsum("nvp,nvw,nwq->pq", jacobian, curvature, jacobian).numpy()

    rng = np.random.default_rng(0)
    v, u = rng.normal(size=(len(params), 3)), rng.normal(size=(len(targets), 3))
    scale = np.abs(score).max()
    assert_allclose(model.score() @ v, score @ v, atol=1e-9 * scale)
    assert_allclose(model.score().T @ u, score.T @ u, atol=1e-9 * scale)
    assert_allclose(dense(model.score()), score, atol=1e-9 * scale)
    assert_allclose(model.information() @ v, information @ v, atol=1e-9 * np.abs(information).max())
    documents = model.corpus.document_index
    grouped = sum_by(model.score(), documents, model.corpus.ndocuments)
    expected = sum_by(score, documents, model.corpus.ndocuments)
    assert_allclose(grouped @ v, expected @ v, atol=1e-8 * scale)  # by the gradients of windows
    assert_allclose(grouped @ v[:, 0], expected @ v[:, 0], atol=1e-8 * scale)  # by observation
    assert_allclose(grouped.T @ u[: len(TEXTS)], expected.T @ u[: len(TEXTS)], atol=1e-8 * scale)


def test_scores_equal_finite_differences(model):
    params, rows = model.params, dense(model.score())
    for j in np.linspace(0, len(params) - 1, 12).astype(int):
        step = np.zeros(len(params))
        step[j] = 1e-6
        slope = (model.at(params + step).loglike_obs() - model.at(params - step).loglike_obs()) / 2e-6
        assert_allclose(rows[:, j], slope, atol=1e-6 * max(1.0, np.abs(rows).max()))


def test_a_network_obeys_the_contract_of_a_likelihood(model):
    slm.testing.check_likelihood(model)


def test_in_float32_products_are_those_of_float64_to_its_precision():
    exact = fitted().likelihood
    rounded = slm.TransformerDecoder(layers=1, heads=2, width=4, hidden=6, context=16, steps=1, batch=128).fit(exact.corpus)
    single = rounded.likelihood.at(exact.params)
    v = np.random.default_rng(1).normal(size=(len(exact.params), 1))
    assert single.dtype == np.float32
    assert_allclose(single.score() @ v, exact.score() @ v, atol=1e-4 * np.abs(exact.score() @ v).max())
    assert_allclose(single.information() @ v, exact.information() @ v, atol=1e-4 * np.abs(exact.information() @ v).max())


def test_observations_without_a_logit_have_no_score():
    fit = fitted()
    other = slm.Corpus.from_texts(["cab", "zebra"], vocabulary=fit.corpus.vocabulary)
    with pytest.raises(slm.errors.NoEstimate, match=r"2 of 10 observations are tokens without a logit"):
        fit.likelihood.on(other).score()


class Wrong:
    """A likelihood whose Gauss-Newton information is off by a factor."""

    def __init__(self, model):
        self.model = model
        self.gauss_newton = True

    def __getattr__(self, name):
        return getattr(self.model, name)

    def information(self):
        return dense(self.model.information()) * 1.001


def test_the_contract_catches_a_gauss_newton_information_that_is_not_fishers():
    with pytest.raises(AssertionError, match="expected outer product of the scores"):
        slm.testing.check_likelihood(Wrong(fitted(layers=0).likelihood))


def test_a_second_derivative_must_declare_its_form():
    """Without the declaration the stricter law holds: minus the second derivative."""

    class Undeclared(Wrong):
        def __init__(self, model):
            self.model = model
            self.gauss_newton = False

        def information(self):
            return self.model.information()

    with pytest.raises(AssertionError, match="minus the derivative of the summed score"):
        slm.testing.check_likelihood(Undeclared(fitted().likelihood))
