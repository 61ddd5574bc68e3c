"""Run cases of a benchmark in fresh processes and report seconds and peak memory, so that no case pays for another."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def run_case(script: str, case: str, *arguments: str, limit: float | None = None) -> dict[str, Any]:
    """What the case of a script printed as JSON, with the peak memory of its process in GiB; `limit` in seconds."""
    command = [sys.executable, script, "--case", case, *arguments]
    # In a session of its own, so that what the case has started, R for one, ends with it.
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        out, error = running.communicate(timeout=limit)
    except BaseException:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        raise
    if running.returncode:
        raise SystemExit(f"{case} failed:\n{error}")
    return dict(json.loads(out.splitlines()[-1]))


def answer(**figures: Any) -> None:
    """Print the figures of a case, with the peak memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(figures | {"peak_gib": round(peak, 3)}))


def seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time of an action, and its result."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result
