"""What every test and example runs under: one thread for each worker, and pictures that are closed afterwards."""

import os
import sys

import pytest
from hypothesis import settings

# A test says the same at every run and on every machine; `--hypothesis-profile=search` looks for new examples.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("same")


def pytest_configure(config):
    """A worker a core: threads of numpy and torch in each would wait for each other, five times as long as they work."""
    if config.getoption("numprocesses", None):  # the workers start after this and inherit it
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")


@pytest.fixture(autouse=True)
def _figures_closed():
    """Pyplot would keep every figure."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
