"""Run cases of a benchmark in fresh processes and report seconds and peak memory, so that no case pays for another."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def run_case(script: str, case: str, *arguments: str, limit: float | None = None) -> dict[str, Any]:
    """What the case of a script printed as JSON, with the peak memory of its process in GiB; `limit` in seconds."""
    command = [sys.executable, script, "--case", case, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    if done.returncode:
        raise SystemExit(f"{case} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def answer(**figures: Any) -> None:
    """Print the figures of a case, with the peak memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(figures | {"peak_gib": round(peak, 3)}))


def seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time of an action, and its result."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result
