"""Saving a fit: JSON for what is said, safetensors for the arrays, never pickle. Written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from statlm.errors import DamagedFile, SpecificationError
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.vocabulary import Vocabulary
from statlm.text.writing import not_written

if TYPE_CHECKING:
    from statlm.fit.fit import Fit

FORMAT = 1
DESCRIPTION, ARRAYS = "fit.json", "arrays.safetensors"
CORPUS = "corpus."  # prefix of the training corpus's arrays


@runtime_checkable
class Storable(Protocol):
    """A likelihood that can be written down."""

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays, and settings as JSON values, from which its specification restores it."""
        ...


def save(fit: Fit, folder: str | os.PathLike[str]) -> None:
    """Write a fit to a folder, which is replaced if it holds an older fit.

    The training corpus goes with it, since standard errors need it. Everything is written to a temporary folder first and then
    moved, so an interrupted save leaves what was there before.

    Raises
    ------
    SpecificationError
        If the folder exists and is not a saved fit.
    NotWritten
        If there is no room, say. What was there before is untouched.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    target = Path(folder)
    if target.exists() and not (target / DESCRIPTION).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise SpecificationError(
            f"{target} exists and holds something else than a saved fit, which would be lost. Choose another folder."
        )
    if not isinstance(fit.likelihood, Storable):
        raise SpecificationError(f"A {type(fit.specification).__name__} cannot be saved: its likelihood offers no state().")
    arrays, settings = fit.likelihood.state()
    corpus = fit.corpus
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    stored = {"tokens": corpus.tokens, "offsets": corpus.offsets, "given": corpus.given}
    if corpus.token_bytes is not None and corpus.token_chars is not None:
        stored |= {"token_bytes": corpus.token_bytes, "token_chars": corpus.token_chars}
    arrays |= {CORPUS + name: np.ascontiguousarray(array) for name, array in stored.items()}
    description = {
        "format": FORMAT,
        "model": type(fit.specification).__name__,
        "specification": asdict(fit.specification),
        "report": asdict(fit.report),
        "settings": settings,
        "vocabulary": corpus.vocabulary.state(),
        "documents": json.loads(corpus.documents.to_json(orient="split", index=False)),
        "fingerprint": corpus.fingerprint,
    }
    with not_written(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            try:
                save_file(arrays, new / ARRAYS)
            except SafetensorError as error:
                raise OSError(str(error)) from error
            description["sha256"] = _sha256(new / ARRAYS)
            (new / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")
            if target.exists():
                os.replace(target, Path(temporary) / "old")
            try:
                os.replace(new, target)
            except OSError:
                if (Path(temporary) / "old").exists():
                    shutil.move(Path(temporary) / "old", target)
                raise


def read(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Array], Corpus]:
    """Read what `save` wrote: the description, the arrays of the likelihood, and the training corpus.

    Raises
    ------
    DamagedFile
        If a part is missing, was cut short or was changed, or was written by a newer version.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = Path(folder)
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if description["format"] > FORMAT:
            raise DamagedFile(
                f"{folder} was written in format {description['format']}, and this version reads up to {FORMAT}. Update statlm."
            )
        found = _sha256(folder / ARRAYS)
        if found != description["sha256"]:
            raise DamagedFile(
                f"{folder / ARRAYS} does not match its checksum ({found[:12]}... instead of {description['sha256'][:12]}...): it "
                "was cut short or changed, and numbers from it could be wrong. Save the fit again."
            )
        arrays = load_file(folder / ARRAYS)
        vocabulary = Vocabulary.from_state(description["vocabulary"])
        import pandas as pd

        documents = pd.DataFrame(**description["documents"])
        own = {name.removeprefix(CORPUS): arrays.pop(name) for name in list(arrays) if name.startswith(CORPUS)}
        return description, arrays, Corpus(vocabulary, documents=documents, **own)
    except FileNotFoundError as error:
        raise DamagedFile(
            f"{folder} is not a saved fit: {Path(str(error.filename)).name} is missing. Give a folder that fit.save() wrote."
        ) from error
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError, SafetensorError) as error:
        raise DamagedFile(f"{folder} holds a damaged fit ({error}). Save the fit again.") from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
