"""Run every vignette from top to bottom, each in a fresh kernel; the first error fails the run.

``python vignettes/run.py`` runs all; ``python vignettes/run.py ngram`` those that are named.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
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
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    paths = sorted(HERE.glob("*.md"))
    if unknown := set(names) - {path.stem for path in paths}:
        print(f"There is no vignette {', '.join(sorted(unknown))}; there are {', '.join(path.stem for path in paths)}.")
        return 2
    # Frozen modules and missing fonts are no business of the reader; what the package says is kept.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    failed = 0
    for path in paths:
        if names and path.stem not in names:
            continue
        try:
            print(f"{path.stem:20s} {run(path):6.1f} s", flush=True)
        except (CellExecutionError, CellTimeoutError) as error:
            failed += 1
            print(f"{path.stem:20s} FAILED\n{error}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.exit(main(sys.argv[1:]))
