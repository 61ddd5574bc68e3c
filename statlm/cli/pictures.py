"""Pictures as files, shared by the commands: checked before the work, drawn after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer


def check_plot(path: Path | None) -> None:
    """Refuse a picture that could not be written, before anything is computed."""
    if path is not None:
        from statlm.plots.saving import check_picture

        check_picture(path)


def save_plot(path: Path | None, draw: Callable[[], Any]) -> None:
    """Draw a picture without a window and write it, where one is asked for."""
    if path is None:
        return
    import matplotlib as mpl

    from statlm.plots.saving import save_picture

    with mpl.rc_context({"backend": "agg"}):
        import matplotlib.pyplot as plt

        plt.switch_backend("agg")
        try:
            save_picture(draw(), path)
        finally:
            plt.close("all")
    typer.echo(f"Picture saved to {path}", err=True)
