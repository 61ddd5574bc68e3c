"""Run every vignette from top to bottom, each in a fresh kernel; an error fails the run.

``python vignettes/run.py`` runs all, one on each core; ``python vignettes/run.py ngram`` those that are named, one after the
other. Translations have the same cells, which a test makes sure of, and are not run again.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
TIMEOUT = 300  # seconds a cell


def run(path: Path) -> float:
    """Execute a vignette and give the seconds that it took.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(path)
    start = time.perf_counter()
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # or the kernel explains each time which transport it uses
        resources={"metadata": {"path": str(HERE)}},
    )
    client.execute()
    return time.perf_counter() - start


def main(names: list[str]) -> int:
    """Run the vignettes and give the exit status."""
    paths = sorted(HERE.glob("*.md"))  # those in pt/ have the same cells; tests/test_portuguese.py sees to it
    if unknown := set(names) - {path.stem for path in paths}:
        print(f"There is no vignette {', '.join(sorted(unknown))}; there are {', '.join(path.stem for path in paths)}.")
        return 2
    # Frozen modules and missing fonts are no business of the reader; what the package says is kept.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    chosen = [path for path in paths if not names or path.stem in names]
    workers = 1 if names else min(os.cpu_count() or 1, len(chosen))
    if workers > 1:  # a kernel a core: their threads would only wait for each other
        os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(report, chosen))
    return int(not all(results))


def report(path: Path) -> bool:
    """Run a vignette, print what came of it, and say whether it went well."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    try:
        seconds = run(path)
    except (CellExecutionError, CellTimeoutError) as error:
        print(f"{path.stem:28s} FAILED\n{error}", flush=True)
        return False
    print(f"{path.stem:28s} {seconds:6.1f} s", flush=True)
    return True


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.exit(main(sys.argv[1:]))
