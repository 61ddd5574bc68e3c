"""At a mode the second derivative says what leaving out a document does, and away from one it is refused."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.numerics.mode_factor import ModeFactor

pytest.importorskip("torch")

PLAIN = {"norm": "none", "embedding_norm": False, "query_key_norm": False, "activation": "gelu", "lags": 0}
CHAIN = np.array([[0.6, 0.3, 0.1], [0.1, 0.6, 0.3], [0.4, 0.1, 0.5]])


def drawn(ndocuments, length=24, seed=0):
    rng = np.random.default_rng(seed)
    documents = []
    for _ in range(ndocuments):
        states = [int(rng.integers(3))]
        for _ in range(length):
            states.append(int(rng.choice(3, p=CHAIN[states[-1]])))
        documents.append(["abc"[s] for s in states])
    return slm.Corpus.from_tokens(documents, vocabulary=slm.Vocabulary(("a", "b", "c"), with_eos=False), given=1, eos=False)


def decoder(**changes):
    settings = {
        "layers": 1,
        "heads": 1,
        "width": 4,
        "hidden": 8,
        "context": 26,
        "precision": "float64",
        "optimizer": "lbfgs",
        "weight_decay": 2.0,
        "steps": 1000,
    }
    return slm.TransformerDecoder(**settings | PLAIN | changes)


@pytest.fixture(scope="module")
def fit():
    found = decoder().fit(drawn(40))
    assert found.report.converged
    return found


def test_products_equal_differences_of_the_gradient(fit):
    model = fit.likelihood
    information = slm.damped(fit, 2.0, curvature="hessian").likelihood.information()
    directions = np.random.default_rng(1).normal(size=(model.dof, 3))
    ones = np.ones((model.corpus.nobs, 1))
    expected = np.stack(
        [
            (model.at(model.params - 1e-5 * v).score().T @ ones - model.at(model.params + 1e-5 * v).score().T @ ones)[:, 0]
            / 2e-5
            for v in directions.T
        ],
        axis=1,
    )
    assert_allclose(information @ directions, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    assert_allclose(information @ directions[:, 0], expected[:, 0], rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def rank_correlation(x, y):
    return np.corrcoef(np.argsort(np.argsort(x)), np.argsort(np.argsort(y)))[0, 1]


def compared(fit, documents):
    """Influence by both curvatures and the changes of refits, of three quantities: (documents, 3) each."""
    quantities = [slm.LogOdds(["a"], "b"), slm.LogOdds(["a", "b"], "c"), slm.LogOdds(["c"], "a")]
    start = np.array([q.measure(fit.likelihood)[0] for q in quantities])
    changes = []
    for left in documents:
        others = np.setdiff1d(np.arange(fit.corpus.ndocuments), left)
        again = fit.update(fit.corpus.subset(others), optimizer="lbfgs", steps=1000)  # from the weights of the fit
        assert again.report.gradient_norm <= 1e-6  # and to its own mode
        changes.append([q.measure(again.likelihood)[0] for q in quantities])
    tables = [f.influence(quantities) for f in (slm.damped(fit, 2.0, curvature="hessian"), fit)]
    labels = [q.label for q in quantities]
    exact, gauss_newton = (t[labels].to_numpy(float)[documents] for t in tables)
    return exact, gauss_newton, np.array(changes) - start


def test_influence_has_the_size_of_refits_without_a_document(fit):
    exact, _, changes = compared(fit, np.arange(6))
    assert_allclose(exact, changes, atol=0.2 * np.abs(changes).max())


@pytest.mark.slow
def test_influence_agrees_with_refits_without_each_document(fit):
    exact, gauss_newton, changes = compared(fit, np.arange(40))
    for j in range(3):
        agreement = rank_correlation(exact[:, j], changes[:, j])
        assert agreement > 0.9
        assert agreement > rank_correlation(gauss_newton[:, j], changes[:, j])  # which leaves out part of the curvature
        slope = exact[:, j] @ changes[:, j] / (exact[:, j] @ exact[:, j])
        assert 0.85 < slope < 1.15


def test_large_networks_are_solved_by_products(fit, monkeypatch):
    quantity = slm.LogOdds(["a"], "b")
    expected = slm.damped(fit, 2.0, curvature="hessian").functional(quantity, cov="cluster")
    monkeypatch.setattr("statlm.networks.hessian_operator.SMALL", 0)
    monkeypatch.setattr("statlm.numerics.damped.SMALL", 0)
    found = slm.damped(fit, 2.0, curvature="hessian").functional(quantity, cov="cluster")
    assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-2)


def test_the_notes_say_which_curvature_it_is(fit):
    assert "second derivative" in " ".join(slm.damped(fit, 2.0, curvature="hessian").likelihood.damping_notes())


def test_a_network_at_no_mode_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", slm.errors.StatlmWarning)  # that it is not at its maximum is the case
        early = decoder(steps=3, weight_decay=0.01).fit(drawn(10))
    with pytest.raises(slm.errors.NoEstimate, match=r"bends upwards in [0-9]+ of [0-9]+ directions"):
        slm.damped(early, 0.01, curvature="hessian").functional(slm.LogOdds(["a"], "b"))


def test_a_fit_without_prior_has_no_mode_to_take_the_curvature_at():
    plain = slm.TransformerDecoder(layers=0, heads=1, width=4, context=26, precision="float64", steps=2).fit(drawn(5))
    with pytest.raises(slm.errors.SpecificationError, match="this fit has no prior"):
        slm.damped(plain, curvature="hessian").functional(slm.LogOdds(["a"], "b"))


def test_flat_directions_are_left_out_where_nothing_changes_along_them():
    factor = ModeFactor(np.diag([4.0, 1e-9, -1e-9]), 1.0)
    assert_allclose(factor.solve(np.array([1.0, 0.0, 0.0])), [0.25, 0.0, 0.0])
    with pytest.raises(slm.errors.NoEstimate, match=r"1 of 2 quantities change along 2 directions"):
        factor.solve(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    for ask in (factor.inverse_diagonal, lambda: factor.inverse_root(np.eye(3))):
        with pytest.raises(slm.errors.NoEstimate, match="single parameters have no variance"):
            ask()
