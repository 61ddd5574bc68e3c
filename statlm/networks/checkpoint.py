"""The state of an interrupted fit, in one file that is written whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from statlm.errors import DamagedFile, SpecificationError
from statlm.text.writing import not_written


@dataclass(frozen=True)
class Checkpoint:
    """A file with weights, optimizer and path of a fit under way.

    Parameters
    ----------
    path : Path
    identity : dict
        What the fit depends on: it must be the same when it goes on.
    resume : bool
        Whether to go on from what the file holds.
    """

    path: Path
    identity: dict[str, Any]
    resume: bool = False

    def write(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Replace the file by the present state.

        Raises
        ------
        NotWritten
            If there is no room, say; the file before it stands.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        described = {"identity": json.dumps(self.identity), "values": json.dumps(values)}
        new = self.path.with_name(f".{self.path.name}.new")
        with not_written(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                save_file({name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}, new, described)
            except SafetensorError as error:
                raise OSError(str(error)) from error
            os.replace(new, self.path)

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and values to go on from; None where the fit begins.

        Raises
        ------
        SpecificationError
            If the file is of another fit, or there is one and `resume` is not asked for.
        DamagedFile
            If it is no checkpoint, or cut short.
        """
        from safetensors import SafetensorError, safe_open

        if not self.path.exists():
            return None
        if not self.resume:
            raise SpecificationError(
                f"{self.path} holds the checkpoint of a fit, which would be overwritten. Go on from it with resume=True, or "
                "choose another file."
            )
        try:
            with safe_open(self.path, "pt") as file:
                described = file.metadata()
                identity, values = json.loads(described["identity"]), json.loads(described["values"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError, OSError) as error:
            raise DamagedFile(f"{self.path} is no checkpoint, or a damaged one ({error}). Start the fit anew.") from error
        different = [name for name in self.identity if identity.get(name) != json.loads(json.dumps(self.identity[name]))]
        if different:
            raise SpecificationError(
                f"{self.path} is the checkpoint of another fit (it differs in {', '.join(different)}), so going on "
                "from it would give neither. Resume with the same specification and corpus, or choose another file."
            )
        return tensors, values
