"""Files of data sets: looked for in a folder of yours, then in the cache, then downloaded; always checked by hash."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from statlm.errors import DamagedFile, DataUnavailable
from statlm.text.datasets.record import Dataset

FOLDER_VARIABLE = "STATLM_DATA"


def fetch(dataset: Dataset) -> Path:
    """Path of a data set's text file.

    The folder that the environment variable STATLM_DATA names is looked at first, then the user's cache, then the network.

    Parameters
    ----------
    dataset : Dataset
        With `sha256`; with `url`, if it can be downloaded.

    Returns
    -------
    Path
        An existing file with the right hash.

    Raises
    ------
    DamagedFile
        If the file found or downloaded has another hash.
    DataUnavailable
        If the file is in no folder and cannot be downloaded.

    Examples
    --------
    >>> import hashlib, os, tempfile
    >>> from pathlib import Path
    >>> from unittest.mock import patch
    >>> from statlm.text.datasets.record import Dataset
    >>> with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, STATLM_DATA=folder):
    ...     _ = Path(folder, "tiny.txt").write_bytes(b"to be")
    ...     tiny = Dataset("tiny", "", "", "", load=str, sha256=hashlib.sha256(b"to be").hexdigest())
    ...     fetch(tiny).name
    'tiny.txt'
    """
    file = f"{dataset.name}.txt"
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and Path(folder, file).is_file():
        return _verified(Path(folder, file), dataset)
    looked = f"not in the folder {folder}" if folder else f"{FOLDER_VARIABLE} names no folder"
    if dataset.url is None:
        raise DataUnavailable(
            f"The data set {dataset.name!r} has no file here ({looked}), and there is no download for this edition of the "
            f"text. Put the file under the name {file} into a folder and set the environment variable {FOLDER_VARIABLE} to "
            f"that folder; its SHA-256 must be {dataset.sha256}, so that results on it can be compared."
        )
    import pooch

    cache = Path(pooch.os_cache("statlm"))
    try:
        # pooch downloads again where the cached file has another hash.
        return Path(pooch.retrieve(dataset.url, known_hash=f"sha256:{dataset.sha256}", fname=file, path=cache))
    except OSError as error:  # as every error of the network is
        raise DataUnavailable(
            f"The data set {dataset.name!r} has no file here ({looked}; not in the cache {cache}), and downloading it "
            f"failed: {error}. Try again with a network, or download {dataset.url} by hand, save it as {file} and set the "
            f"environment variable {FOLDER_VARIABLE} to its folder."
        ) from error
    except ValueError as error:  # pooch names both hashes
        raise DamagedFile(
            f"The download of data set {dataset.name!r} is not the known file, so numbers computed from it could not be "
            f"compared with anyone's. {error} Try again; if it stays so, the file at {dataset.url} has changed: find the "
            f"one with SHA-256 {dataset.sha256}, save it as {file} and set {FOLDER_VARIABLE} to its folder."
        ) from error


def _verified(path: Path, dataset: Dataset) -> Path:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != dataset.sha256:
        raise DamagedFile(
            f"{path} is not the file of data set {dataset.name!r}: its SHA-256 is {found} and should be {dataset.sha256}, "
            "so numbers computed from it could not be compared with anyone's. Replace it with the original"
            + (f" from {dataset.url}" if dataset.url else "")
            + f", or unset {FOLDER_VARIABLE}."
        )
    return path
