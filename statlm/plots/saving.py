"""A picture as a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from statlm.errors import SpecificationError
from statlm.plots.style import house_style
from statlm.text.writing import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def save_picture(picture: Axes | Figure, path: str | os.PathLike[str]) -> None:
    """Write a picture to a file, whole or not at all.

    Parameters
    ----------
    picture : Axes or Figure
        What a function of `statlm.plots` or a method of ``fit.plot`` gave; of Axes, the figure that they stand in.
    path : path
        The suffix says the format: ".png", ".pdf", ".svg" or another one that matplotlib writes.

    Raises
    ------
    SpecificationError
        If the suffix names no such format, or the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     slm.plots.save_picture(fit.plot.next_token("a"), Path(folder) / "after-a.png")
    ...     print(os.listdir(folder))
    ['after-a.png']
    """
    from matplotlib.figure import Figure

    check_picture(path)
    figure = picture if isinstance(picture, Figure) else picture.get_figure(root=True)
    assert figure is not None, "Axes of a picture stand in a figure"
    with house_style(), written_whole(path) as part:
        figure.savefig(part, format=Path(path).suffix.removeprefix(".").lower())


def check_picture(path: str | os.PathLike[str]) -> None:
    """Refuse a path that `save_picture` could not write, before any work is done for it.

    Raises
    ------
    SpecificationError
        If the suffix names no format, or the folder does not exist.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    path = Path(path)
    if path.suffix.removeprefix(".").lower() not in FigureCanvasBase.get_supported_filetypes():
        raise SpecificationError(
            f"A picture cannot be written to {path.name!r}: the suffix {path.suffix!r} names no format. Use .png, .pdf or .svg."
        )
    if not path.parent.is_dir():
        raise SpecificationError(f"There is no folder {str(path.parent)!r} to write {path.name!r} to. Make it first.")
