"""Tokenizers in a folder of transformers: read from it with the tokens that begin and end documents, and written to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from statlm.errors import DamagedFile, SpecificationError
from statlm.text.vocabulary import BOS, EOS, UNK, Vocabulary


@dataclass(frozen=True, eq=False)
class FoundTokenizer:
    """A tokenizer of a folder.

    Attributes
    ----------
    backend : tokenizers.Tokenizer
    bos, eos : int or None
        Numbers of the tokens that begin and end a document.
    """

    backend: Any
    bos: int | None
    eos: int | None

    @property
    def marks(self) -> list[int]:
        """Those of the two that there are."""
        return [mark for mark in (self.bos, self.eos) if mark is not None]


def read_tokenizer(folder: Path) -> FoundTokenizer | None:
    """The tokenizer in a folder; None where there is none.

    Raises
    ------
    DamagedFile
        If there is one that cannot be read.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    try:
        if (folder / "tokenizer.json").is_file():
            backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            backend = tokenizers.Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
            backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        else:
            return None
        path = folder / "tokenizer_config.json"
        said = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        marks = [_content(said.get(name)) for name in ("bos_token", "eos_token")]
    except Exception as error:  # the library raises a bare Exception
        raise DamagedFile(f"The tokenizer in {folder} cannot be read ({error}). Copy it again.") from error
    return FoundTokenizer(backend, *(None if mark is None else backend.token_to_id(mark) for mark in marks))


def _content(token: Any) -> str | None:
    """The string of a token, which a file holds by itself or with settings."""
    return token["content"] if isinstance(token, dict) else token


def library_tokenizer(vocabulary: Vocabulary) -> Any:
    """A tokenizer of the library `tokenizers` with the vocabulary's numbers, ``<eos>`` and ``<bos>`` among them; None for tokens.

    Raises
    ------
    SpecificationError
        If the library cannot number them so.
    """
    import tokenizers
    from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

    own = vocabulary.tokenizer
    if own is None:
        return None
    state = own.state()
    if own.name == "pretrained":
        return tokenizers.Tokenizer.from_str(json.dumps(state["huggingface"]))
    numbered = {token: i for i, token in enumerate(vocabulary.types)}
    if vocabulary.with_unk:
        numbered[UNK] = vocabulary.unk
    whole = models.WordLevel(numbered, **({"unk_token": UNK} if vocabulary.with_unk else {}))
    if own.name == "char":
        backend = tokenizers.Tokenizer(whole)
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated"), decoders.Fuse()
        backend.normalizer = normalizers.NFC()
    else:
        backend = tokenizers.Tokenizer.from_str(json.dumps(state["huggingface"]))
        if own.name == "word":
            backend.model = whole
        steps = [normalizers.NFC()] if backend.normalizer is None else [normalizers.NFC(), backend.normalizer]
        backend.normalizer = normalizers.Sequence(steps)
    after = [EOS, BOS] if vocabulary.with_eos else [BOS]
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in after])
    if [backend.token_to_id(token) for token in after] != list(
        range(vocabulary.size - vocabulary.with_eos, vocabulary.size + 1)
    ):
        raise SpecificationError(
            "The tokenizer numbers its tokens otherwise than the vocabulary does, so transformers would read other tokens. Save "
            "the fit with fit.save(folder) instead."
        )
    return backend


def write_tokenizer(backend: Any, folder: Path, *, bos: int, eos: int | None, context: int) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    backend.encode_special_tokens = False
    backend.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": context, "bos_token": backend.id_to_token(bos)}
    if eos is not None:
        said["eos_token"] = backend.id_to_token(eos)
    unknown = getattr(backend.model, "unk_token", None)
    if unknown is not None:
        said["unk_token"] = unknown
    (folder / "tokenizer_config.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
