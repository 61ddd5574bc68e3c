"""What is to be loaded: a folder, a GGUF file or a name on the Hub; and what is refused before anything is read from it."""

from __future__ import annotations

import json
import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statlm.errors import DamagedFile, DataUnavailable, SpecificationError

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")
ON_THE_HUB = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
LONGEST_HEADER = 100_000_000  # bytes, as safetensors itself allows


@dataclass(frozen=True)
class Source:
    """Where a model lies.

    Parameters
    ----------
    place : str
        Folder, or name on the Hub.
    label : str
        For messages.
    gguf : str or None
        Name of a GGUF file in the folder.
    revision : str or None
        On the Hub.
    """

    place: str
    label: str
    gguf: str | None = None
    revision: str | None = None

    @property
    def hub(self) -> bool:
        """Whether it is a name on the Hub."""
        return not Path(self.place).is_dir()

    @property
    def options(self) -> dict[str, Any]:
        """What transformers' `from_pretrained` is told beside the place; code of others is never run."""
        options: dict[str, Any] = {"trust_remote_code": False}
        if not self.hub:
            options["local_files_only"] = True
        if self.gguf is not None:
            options["gguf_file"] = self.gguf
        if self.revision is not None:
            options["revision"] = self.revision
        return options


def find(source: str | os.PathLike[str], revision: str | None = None) -> Source:
    """What a user means, checked as far as it can be without the library.

    Raises
    ------
    DamagedFile
        If there is no model there that can be read safely.
    DataUnavailable
        If there is nothing of this name.
    """
    path = Path(source)
    if path.is_dir():
        if revision is not None:
            raise SpecificationError(f"revision={revision!r} is of models on the Hub, and {path} is a folder. Leave it out.")
        check_folder(path)
        return Source(str(path), str(path))
    if path.is_file():
        with open(path, "rb") as file:
            if file.read(4) != b"GGUF":
                raise DamagedFile(
                    f"{path} is no GGUF file. Give a GGUF file, or the folder in which config.json and the weights "
                    "(model.safetensors) lie."
                )
        return Source(str(path.parent), str(path), path.name)
    if not isinstance(source, str) or not ON_THE_HUB.fullmatch(source) or source.endswith(".gguf"):
        raise DataUnavailable(f"There is no file or folder {path}. Check the path.")
    return Source(source, source, None, revision)


def check_folder(folder: Path) -> dict[str, Any]:
    """The settings in a folder that holds a model's weights in safetensors.

    Raises
    ------
    DamagedFile
        If settings or weights are missing, cut short or no longer what they were; if the weights are pickled.
    """
    config = read_config(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLED)
        if pickled:
            raise DamagedFile(
                f"{folder} holds weights only as {pickled[0]}, a format that can hold code and run it when it is read, so it is "
                "refused. Get the model's safetensors, or convert it where you trust it: model.save_pretrained(folder)."
            )
        raise DamagedFile(f"{folder} holds no weights: model.safetensors is missing. Copy the folder again.")
    for path in weights:
        check_safetensors(path)
    return config


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a model.

    Raises
    ------
    DamagedFile
        If there are none, or they are no JSON object.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = sorted(p.name for p in folder.glob("*.gguf"))
        hint = (
            f" It holds {found[0]}: give that file." if found else " Give a folder that model.save_pretrained(folder) wrote."
        )
        raise DamagedFile(f"{folder} is no model of transformers: config.json is missing.{hint}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DamagedFile(f"{path} cannot be read ({error}). Copy it again.") from error
    if not isinstance(config, dict):
        raise DamagedFile(f"{path} holds no settings: it is a JSON {type(config).__name__}, not an object. Copy it again.")
    return config


def check_safetensors(path: Path) -> list[str]:
    """Names of the tensors in a file, which is as long as its header says.

    Raises
    ------
    DamagedFile
        If it is cut short, or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
        if size > min(LONGEST_HEADER, path.stat().st_size):
            raise DamagedFile(f"{path} is no safetensors file, or cut short within its header. Copy it again.")
        with safe_open(path, "np") as opened:
            return list(opened.keys())
    except (SafetensorError, struct.error, OSError) as error:
        raise DamagedFile(
            f"{path} was cut short or changed ({error}), so its numbers cannot be trusted. Copy it again."
        ) from error
