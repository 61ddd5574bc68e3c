"""Intervals for what a network says cover where it can represent the truth and is fitted to the end."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "network_coverage.py"


@pytest.fixture(scope="module")
def coverage():
    spec = spec_from_file_location("network_coverage", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_intervals_of_a_network_that_can_represent_the_truth_cover(coverage, tmp_path, measured):
    path = tmp_path / "results.jsonl"
    coverage.run(path, ["chain of order 1"], 60, networks=["about as many"], ends=["converged"])
    rows = coverage.read(path)
    assert len(rows) == 60
    for method in ("nonrobust, fitted", "HC0, fitted", "cluster, fitted"):
        limits = [(row["methods"][method], row["true"][0]) for row in rows]
        covered = [m["conf_low"][0] <= true <= m["conf_high"][0] for m, true in limits]  # of the context that is common
        rate = measured(
            f"log-odds under a network, `{method.split(',')[0]}`",
            "chain of order 1, 56 weights, 1,000 tokens",
            covered,
            0.95,
        )
        assert rate.near


def test_a_run_that_was_interrupted_goes_on(coverage, tmp_path):
    path = tmp_path / "results.jsonl"
    setting = {"networks": ["too small"], "ends": ["early stopped"]}
    coverage.run(path, ["chain of order 1"], 2, **setting)
    before = path.read_text()
    coverage.run(path, ["chain of order 1"], 3, **setting)
    assert path.read_text().startswith(before)
    assert [row["replicate"] for row in coverage.read(path)] == [0, 1, 2]
    assert "| too small, early stopped | seen |" in coverage.page(coverage.read(path))
