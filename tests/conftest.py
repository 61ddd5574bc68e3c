"""Slow tests (simulations, long fits) run with --slow only."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the simulations and long fits too")
    parser.addoption(
        "--write-simulations", metavar="FILE", help="write what the simulations measured as a table (with --slow)"
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
