"""The package transformers: asked for when it is needed, quiet, and with its errors put into ours."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

from statlm.errors import DamagedFile, DataUnavailable, SpecificationError, StatlmError


def library() -> Any:
    """The package transformers.

    Raises
    ------
    SpecificationError
        If it is not installed.
    """
    try:
        import torch  # noqa: F401 - transformers can be imported without, and then loads nothing
        import transformers
    except ModuleNotFoundError as error:
        raise SpecificationError(
            f"{error.name} is not installed, and pretrained models need it. Install it: pip install 'statlm[hf]'."
        ) from error
    return transformers


@contextmanager
def quiet() -> Iterator[None]:
    """Without bars and tables on the terminal: what they report is checked, and raised where it matters."""
    said = library().utils.logging
    level, bars = said.get_verbosity(), said.is_progress_bar_enabled()
    said.set_verbosity(said.CRITICAL)
    said.disable_progress_bar()
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # some bars know no switch
            warnings.simplefilter("ignore")
            yield
    finally:
        said.set_verbosity(level)
        if bars:
            said.enable_progress_bar()


@contextmanager
def translated(label: str, *, hub: bool) -> Iterator[None]:
    """Turn whatever the library raises at a file into one of our errors.

    Parameters
    ----------
    label : str
        What is read, for messages.
    hub : bool
        Whether it is a name on the Hub, where not being reachable is no damage.

    Raises
    ------
    SpecificationError
        If another package is needed.
    DataUnavailable
        If the Hub cannot be reached, or has no such model.
    DamagedFile
        For everything else.
    """
    try:
        yield
    except StatlmError:
        raise
    except ImportError as error:
        raise SpecificationError(
            f"{label} needs a package that is not installed ({_first_line(error)}). Install it: pip install 'statlm[hf]' has "
            "what safetensors and GGUF files need."
        ) from error
    except OSError as error:
        if hub:
            raise DataUnavailable(
                f"{label} is no file or folder here, and could not be had from the Hugging Face Hub: {_first_line(error)} Check "
                "the name and the network, or download it and give its folder. Only weights in safetensors are read."
            ) from error
        raise DamagedFile(f"{label} cannot be read as a causal language model: {_first_line(error)}") from error
    except Exception as error:  # the library raises what its parts raise: KeyError, TypeError, RuntimeError, ...
        text = str(error)
        if "trust_remote_code" in text:
            raise DamagedFile(
                f"{label} comes with code of its own, which would have to be run to make the network. That is never done here: "
                "use a model that transformers knows."
            ) from error
        raise DamagedFile(
            f"{label} cannot be read as a causal language model ({type(error).__name__}: {_first_line(error)})."
        ) from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
