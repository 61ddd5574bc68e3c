"""Refits and simulation studies give the same numbers wherever joblib sends them."""

import warnings
from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal

import statlm as slm
from statlm.covariance import DocumentBootstrap
from statlm.simulation import Probabilities, coverage


@contextmanager
def dask():
    """A scheduler and two workers within this process, which speak as those of a cluster do."""
    distributed = pytest.importorskip("distributed", reason="dask is not installed: pip install 'dask[distributed]'")
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None, worker_dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        warnings.filterwarnings("ignore", message="Sending large graph")
        yield


@contextmanager
def processes():
    with joblib.parallel_config(backend="loky", n_jobs=2):
        yield


@contextmanager
def threads():
    with joblib.parallel_config(backend="threading", n_jobs=2):
        yield


BACKENDS = pytest.mark.parametrize("backend", [processes, threads, dask], ids=lambda one: one.__name__)


@pytest.fixture(scope="module")
def chain():
    return slm.datasets.markov(states=3, documents=20, length=31, concentration=3, seed=4).corpus


@pytest.fixture
def in_turn(chain):
    return slm.NGram(2).fit(chain).vcov(cov=DocumentBootstrap(replicates=30, seed=7))


@BACKENDS
def test_the_document_bootstrap_is_the_same_everywhere(chain, in_turn, backend):
    with backend():
        elsewhere = slm.NGram(2).fit(chain).vcov(cov=DocumentBootstrap(replicates=30, seed=7))
    assert_array_equal(elsewhere, in_turn)


@BACKENDS
def test_a_simulation_study_is_the_same_everywhere(chain, backend, tmp_path):
    fit = slm.NGram(2).fit(chain)
    asked = [Probabilities([["0"]], tokens=["1"], covs=("nonrobust", "cluster"))]
    here = coverage(fit, asked, replicates=12, chunk=3, seed=5)
    with backend():
        there = coverage(fit, asked, replicates=12, chunk=3, seed=5, folder=tmp_path)
    assert_frame_equal(there, here)
    assert_frame_equal(there.attrs["replicates"], here.attrs["replicates"])
    assert len(list(tmp_path.glob("replicates-*.csv"))) == 4


@BACKENDS
def test_fits_from_several_seeds_are_the_same_everywhere(chain, backend):
    pytest.importorskip("torch")
    network = slm.TransformerDecoder(layers=1, heads=1, width=4, context=32, steps=3, batch=64)
    here = slm.seeded_fits(network, chain, [1, 2])
    with backend():
        there = slm.seeded_fits(network, chain, [1, 2])
    for one, other in zip(here, there, strict=True):
        assert np.allclose(one.params, other.params, rtol=1e-5)
