"""Pictures that an example or a test draws are closed after it, or pyplot would keep them all."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _figures_closed():
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
