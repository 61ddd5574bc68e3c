"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from statlm.errors import NotWritten


@contextmanager
def written_whole(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A path beside the target to write to; it takes the target's place when all went well.

    Raises
    ------
    NotWritten
        If the system could not write it (no space, no folder, no permission). What stood there before is untouched.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_whole(folder + "/note.txt") as path:
    ...         _ = path.write_text("all of it")
    ...     os.listdir(folder)
    ['note.txt']
    """
    target = Path(target)
    with not_written(target), tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        path = Path(folder) / target.name
        yield path
        os.replace(path, target)


@contextmanager
def not_written(target: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what the system says of a failed write into one message.

    Raises
    ------
    NotWritten
        In place of any OSError that is not one of this package.
    """
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        raise NotWritten(
            f"{target} could not be written: {error.strerror or error}. What stood there before is untouched. Make room, or "
            "choose another place."
        ) from error
