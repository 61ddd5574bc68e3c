"""GPT-2 as transformers keeps it, in folders: its weights become a `TransformerDecoder`'s, and the other way round."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from statlm.errors import CorpusError, DamagedFile, SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.interop.huggingface.gpt2_weights import as_ours, as_theirs, read_tensors
from statlm.interop.huggingface.library import translated
from statlm.interop.huggingface.recutting import placeholder
from statlm.interop.huggingface.source import check_folder, find
from statlm.interop.huggingface.tokenizer_files import library_tokenizer, read_tokenizer, write_tokenizer
from statlm.likelihood import Predictive, underlying
from statlm.models.transformer import TransformerDecoder
from statlm.models.transformer.likelihood import DecoderLikelihood
from statlm.networks.architecture import Architecture
from statlm.text.pretrained_tokenizer import PretrainedTokenizer
from statlm.text.vocabulary import Vocabulary
from statlm.text.writing import written_whole

if TYPE_CHECKING:
    from statlm.text.corpus import Corpus

FILES = ["config.json", "*.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"]
ACTIVATIONS = {"gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh", "gelu": "gelu", "relu2": "relu-squared"}
EPSILON = 1e-5
# What GPT-2 can only be, in its own settings and in ours.
THEIRS = {
    "model_type": "gpt2",
    "layer_norm_epsilon": EPSILON,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
OURS = {
    "lags": 0,
    "positions": "learned",
    "norm": "layer",
    "embedding_norm": False,
    "query_key_norm": False,
    "experts": 1,
    "prefix": False,
}
DROPOUT = ("resid_pdrop", "embd_pdrop")


def load_gpt2(
    source: str | os.PathLike[str],
    *,
    on: Corpus | None = None,
    eos: bool = False,
    bos: str | None = None,
    vocabulary: Vocabulary | None = None,
    stride: int | None = None,
    precision: str = "float32",
    revision: str | None = None,
) -> Fit:
    """GPT-2's weights as a fit of `TransformerDecoder`: the same logits, with all that a fit can do, `update` included.

    Parameters
    ----------
    source : str or path
        A folder with config.json and model.safetensors, or a name on the Hugging Face Hub.
    on : Corpus, optional
        Where the fit stands; by default on two tokens, since the training text does not come with the weights.
    eos : bool
        Whether the token that ends a document is ``<eos>`` of the vocabulary, predicted at the end of each document.
    bos : str, optional
        The token that begins a document, by default as the tokenizer or config.json says.
    vocabulary : Vocabulary, optional
        What the rows of the embedding stand for, where there is no tokenizer in the folder; by default their numbers.
    stride : int, optional
        As of `TransformerDecoder`.
    precision : "float32" or "float64"
        What it computes in.
    revision : str, optional
        Of a model on the Hub.

    Returns
    -------
    Fit
        With the vocabulary ``fit.corpus.vocabulary``: make corpora with it.

    Raises
    ------
    DamagedFile
        If the folder holds no GPT-2, or its weights are pickled, cut short, of other shapes than the settings say, or not finite.
    SpecificationError
        If nothing says which token begins a document.

    Notes
    -----
    Where embedding and residuals were dropped out at different rates, the higher is taken for `update`; in evaluation
    nothing is dropped.

    Examples
    --------
    >>> import statlm as slm, tempfile
    >>> from statlm.interop import huggingface as hf
    >>> corpus = slm.Corpus.from_text("abracadabra " * 30)
    >>> gpt2 = slm.TransformerDecoder.preset("gpt2", layers=1, heads=2, width=16, context=16, dropout=0.0, steps=30, batch=256)
    >>> fit = gpt2.fit(corpus)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     hf.save_gpt2(fit, folder + "/gpt2")
    ...     again = hf.load_gpt2(folder + "/gpt2")
    >>> test = slm.Corpus.from_text("abracadabra", vocabulary=again.corpus.vocabulary)
    >>> abs(again.on(test).loglike - fit.on(slm.Corpus.from_text("abracadabra", vocabulary=corpus.vocabulary)).loglike) < 1e-4
    True
    """
    if precision not in ("float32", "float64"):
        raise SpecificationError(f"precision={precision!r} is unknown. Use 'float32' or 'float64'.")
    place = find(source, revision)
    folder = Path(place.place)
    if place.gguf is not None:
        raise SpecificationError(
            f"{place.label} is a GGUF file, and GPT-2's weights are read from a folder of transformers. load(...) makes it a "
            "distribution."
        )
    if place.hub:
        from huggingface_hub import snapshot_download

        with translated(place.label, hub=True):
            folder = Path(snapshot_download(place.place, revision=revision, allow_patterns=FILES))
    config = check_folder(folder)
    specification = _specification(config, folder, stride)
    rows, embedded = _sizes(config, folder)
    weights = as_ours(read_tensors(folder), specification.architecture, rows, embedded, folder, np.dtype(precision))
    found = read_tokenizer(folder)
    begin, end = _marks(config, found, bos, embedded, folder)
    numbers = np.arange(rows)
    if vocabulary is None and found is not None:
        tokenizer = PretrainedTokenizer(found.backend, rows, _end(end, rows, folder) if eos else None, found.marks)
        vocabulary = Vocabulary(tokenizer.types, eos, tokenizer.unknown is not None, tokenizer)
        numbers = tokenizer.numbers
    elif vocabulary is None:
        if eos:
            raise SpecificationError(f"{folder} holds no tokenizer, so no row is known to be <eos>. Pass vocabulary=.")
        vocabulary = Vocabulary(tuple(map(str, range(rows))))
    if vocabulary.size != rows:
        raise CorpusError(
            f"The vocabulary has {vocabulary.size:,} types, and the network of {folder} predicts {rows:,}. Use the one that it "
            "was trained with."
        )
    order = np.concatenate([numbers, np.arange(rows, embedded)])  # of the rows, as our vocabulary numbers them
    weights["embedding.weight"] = weights["embedding.weight"][order]
    if "head.weight" in weights:
        weights["head.weight"] = weights["head.weight"][numbers]
    if on is not None:
        vocabulary.check_same(on.vocabulary)
    likelihood = DecoderLikelihood(
        placeholder(vocabulary) if on is None else on,
        specification.architecture,
        weights,
        rows,
        int(np.flatnonzero(order == begin)[0]),
        specification.windows_advance,
    )
    return Fit(
        specification,
        likelihood,
        FitReport(f"weights read from {place.label}; the text they were fitted to is not known", False),
    )


def save_gpt2(model: Predictive | Any, folder: str | os.PathLike[str]) -> None:
    """Write a decoder so that transformers loads it: ``GPT2LMHeadModel.from_pretrained(folder)``.

    Parameters
    ----------
    model : Fit
        Of a `TransformerDecoder` whose network is one that GPT-2 can be: see ``TransformerDecoder.preset("gpt2")``.
    folder : path
        A new or an empty folder. It gets config.json, generation_config.json, model.safetensors, and tokenizer.json where the
        corpus was text.

    Raises
    ------
    SpecificationError
        If the network is another function than GPT-2, naming the settings that make it so; if the folder is not empty.
    NotWritten
        If there is no room, say.

    Notes
    -----
    GPT-2 predicts all tokens that it embeds, and ours not ``<bos>``. The logits of all others are equal; transformers' softmax
    has one term more. In generation the token is suppressed, so that samples are equal too, and `load_gpt2` leaves it out again.
    """
    likelihood = underlying(model)
    if not isinstance(likelihood, DecoderLikelihood):
        raise SpecificationError(
            f"A {type(likelihood).__name__} is no transformer decoder, so it cannot be written as GPT-2. ARPA files take "
            "n-grams: interop.arpa.write."
        )
    a = likelihood.architecture
    _check_ours(a)
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SpecificationError(f"{target} exists and is not empty, so what it holds could be lost. Choose another folder.")
    vocabulary, rows, embedded = likelihood.corpus.vocabulary, likelihood.predicted, likelihood.embedded
    numbers = vocabulary.tokenizer.numbers if isinstance(vocabulary.tokenizer, PretrainedTokenizer) else np.arange(rows)
    number = np.concatenate([numbers, np.arange(rows, embedded)])
    written = library_tokenizer(vocabulary)
    end = int(number[vocabulary.eos]) if vocabulary.with_eos else None
    config = _config(a, rows, embedded, int(number[likelihood.bos]), end, str(likelihood.dtype))
    generation = {"_from_model_config": True, "bos_token_id": config["bos_token_id"], "eos_token_id": end}
    if embedded > rows:
        generation["suppress_tokens"] = list(range(rows, embedded))
    with written_whole(target) as path:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        path.mkdir()
        try:
            save_file(as_theirs(likelihood, number), path / "model.safetensors", {"format": "pt"})
        except SafetensorError as error:
            raise OSError(str(error)) from error
        for name, value in (("config.json", config), ("generation_config.json", generation)):
            (path / name).write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        if written is not None:
            write_tokenizer(written, path, bos=config["bos_token_id"], eos=end, context=a.context)


# --- settings ---------------------------------------------------------------------------------------------------------


def _specification(config: dict[str, Any], folder: Path, stride: int | None) -> TransformerDecoder:
    different = [f"{name}={config.get(name)!r}" for name, value in THEIRS.items() if config.get(name, value) != value]
    if "model_type" not in config:
        different.append("no model_type")
    activation = config.get("activation_function", "gelu_new")
    if activation not in ACTIVATIONS:
        different.append(f"activation_function={activation!r}")
    if different:
        raise DamagedFile(
            f"{folder} is no GPT-2 that a TransformerDecoder can be ({', '.join(different)}), so its numbers would be another "
            "function's. As a distribution it can be had by load(...)."
        )
    try:
        return TransformerDecoder.preset(
            "gpt2",
            layers=config["n_layer"],
            heads=config["n_head"],
            width=config["n_embd"],
            context=config["n_positions"] if "n_positions" in config else config["n_ctx"],
            hidden=config.get("n_inner"),
            activation=ACTIVATIONS[activation],
            tied=config.get("tie_word_embeddings", True),
            dropout=max(float(config.get(name, 0.1)) for name in DROPOUT),
            attention_dropout=float(config.get("attn_pdrop", 0.1)),
            stride=stride,
        )
    except (KeyError, TypeError, ValueError) as error:
        if stride is not None and "stride" in str(error):
            raise
        raise DamagedFile(f"The settings of {folder} make no network ({error}). Copy config.json again.") from error


def _sizes(config: dict[str, Any], folder: Path) -> tuple[int, int]:
    """Tokens that are predicted, and tokens that are embedded."""
    embedded = config.get("vocab_size")
    ours = config.get("statlm", {})
    rows = ours.get("predicted", embedded) if isinstance(ours, dict) else embedded
    if type(rows) is int and type(embedded) is int and 2 <= rows <= embedded:
        return rows, embedded
    raise DamagedFile(f"The settings of {folder} say vocab_size={embedded!r}, predicted={rows!r}. Copy config.json again.")


def _marks(config: dict[str, Any], found: Any, bos: str | None, embedded: int, folder: Path) -> tuple[int, int | None]:
    """Numbers of the tokens that begin and end a document."""
    begin, end = (config.get(name) for name in ("bos_token_id", "eos_token_id"))
    if found is not None:
        begin, end = (said if said is not None else other for said, other in ((found.bos, begin), (found.eos, end)))
    if bos is not None:
        begin = found.backend.token_to_id(bos) if found is not None else int(bos) if bos.isdecimal() else None
        if begin is None:
            raise SpecificationError(f"bos={bos!r} is no token of {folder}. Choose one of its tokens.")
    if not isinstance(begin, int) or not 0 <= begin < embedded:
        raise SpecificationError(
            f"Nothing in {folder} says which of its {embedded:,} tokens begins a document (bos_token_id={begin!r}), and the "
            "first token has no probability without one. Name it: load_gpt2(folder, bos='<|endoftext|>'), say."
        )
    return begin, end


def _end(end: int | None, rows: int, folder: Path) -> int:
    if end is None or not 0 <= end < rows:
        raise SpecificationError(f"{folder} has no token that ends a document, so ends have no probability. Use eos=False.")
    return end


def _check_ours(a: Architecture) -> None:
    different = [
        f"{name}={getattr(a, name)!r} (GPT-2: {value!r})" for name, value in OURS.items() if getattr(a, name) != value
    ]
    if a.activation not in ACTIVATIONS.values():
        different.append(f"activation={a.activation!r} (GPT-2: {', '.join(map(repr, dict.fromkeys(ACTIVATIONS.values())))})")
    if different:
        raise SpecificationError(
            f"The network is another function than GPT-2, so transformers could not compute it: {'; '.join(different)}. Fit one "
            "that GPT-2 can be, TransformerDecoder.preset('gpt2', ...), or keep this one with fit.save(folder)."
        )


def _config(a: Architecture, rows: int, embedded: int, bos: int, eos: int | None, dtype: str) -> dict[str, Any]:
    name = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}[a.activation]
    return THEIRS | {
        "architectures": ["GPT2LMHeadModel"],
        "n_layer": a.layers,
        "n_head": a.heads,
        "n_embd": a.width,
        "n_inner": a.hidden,
        "n_positions": a.context,
        "vocab_size": embedded,
        "activation_function": name,
        "tie_word_embeddings": a.tied,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "dtype": dtype,
        **{name: a.dropout for name in DROPOUT},
        "attn_pdrop": a.attention_dropout,
        "statlm": {"predicted": rows},
    }
