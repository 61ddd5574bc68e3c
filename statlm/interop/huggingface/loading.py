"""From a checked source to a network that is known to be whole, causal and finite."""

from __future__ import annotations

import importlib.util
import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from statlm.errors import DamagedFile, SpecificationError
from statlm.interop.huggingface.library import library, quiet, translated
from statlm.interop.huggingface.source import Source, check_safetensors

PRECISIONS = ("float32", "float64", "bfloat16")
EXACT = ("F32", "F16", "BF16", "F64")  # types of tensors in a GGUF file that lose nothing against what was trained
PROBE = 4  # tokens read to see whether a network looks ahead


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network with the tokenizer that it was trained with.

    Attributes
    ----------
    network : torch.nn.Module
        A causal language model of transformers, in evaluation mode.
    rows : int
        Number of tokens that it predicts.
    places : int or None
        Most tokens that it can read; None where there is no such limit.
    tokenizer : object
        Of transformers, with a `tokenizers.Tokenizer` behind it.
    quantised : str
        How its weights were rounded, in words; empty where they were not.
    """

    network: Any
    rows: int
    places: int | None
    tokenizer: Any
    quantised: str


def read(source: Source, tokenizer: Source, precision: str, device: str | None, unused: Sequence[str]) -> Loaded:
    """Read weights and tokenizer; no code of others is run, and pickled weights are refused.

    Raises
    ------
    DamagedFile
        If weights are missing, left over, of other shapes than the settings say, or not finite; if the network looks ahead.
    """
    import torch

    if precision not in PRECISIONS:
        raise SpecificationError(f"precision={precision!r} is unknown. Use one of {', '.join(map(repr, PRECISIONS))}.")
    transformers = library()
    if source.gguf is not None:
        _check_packages("gguf", "accelerate")
    with quiet():
        label = tokenizer.label if tokenizer.hub else f"The tokenizer of {tokenizer.label}"
        with translated(label, hub=tokenizer.hub):
            cutter = transformers.AutoTokenizer.from_pretrained(tokenizer.place, **tokenizer.options)
        if not getattr(cutter, "is_fast", False):
            raise SpecificationError(
                f"The tokenizer of {tokenizer.label} is of an older kind, which does not say what text each token stands for, so "
                "bits per byte could not be exact. Convert it to tokenizer.json first."
            )
        with translated(source.label, hub=source.hub):
            if source.gguf is None:
                _check_size(transformers.AutoConfig.from_pretrained(source.place, **source.options), source)
            network, found = transformers.AutoModelForCausalLM.from_pretrained(
                source.place,
                **source.options,
                **({"use_safetensors": True} if source.gguf is None else {}),
                dtype=getattr(torch, precision),
                output_loading_info=True,
            )
    _check_tensors(found, source.label, tuple(unused))
    network = network.to(device or _accelerator()).eval()
    config = network.config
    places = getattr(config, "max_position_embeddings", None)
    with quiet(), translated(source.label, hub=False):
        rows = _check_network(network, source.label, places, precision)
    return Loaded(network, rows, places, cutter, _quantised(source, config))


def call(network: Any, ids: Any, keep: int = 0, **more: Any) -> Any:
    """The network's output at (b, t) ids, with logits of the last `keep` places; of all, where that is 0."""
    import torch

    parameters = inspect.signature(network.forward).parameters
    if keep and "logits_to_keep" in parameters:
        more["logits_to_keep"] = keep
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        more = {name: value for name, value in more.items() if name in parameters}
    output = network(input_ids=ids, attention_mask=torch.ones_like(ids) if "past_key_values" not in more else None, **more)
    if keep:
        output.logits = output.logits[:, -keep:]
    return output


def _check_packages(*names: str) -> None:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise SpecificationError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, and GGUF files need it. Install it: "
            "pip install 'statlm[hf]'."
        )


def _accelerator() -> str:
    import torch

    return torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"  # type: ignore[union-attr]


def _check_size(config: Any, source: Source) -> None:
    """Refuse settings that ask for more layers than the files have tensors: making them would take for ever."""
    layers = getattr(config, "num_hidden_layers", 0)
    if source.hub or not isinstance(layers, int):
        return
    tensors = sum(len(check_safetensors(path)) for path in Path(source.place).glob("*.safetensors"))
    if layers > tensors:
        raise DamagedFile(
            f"{source.label} says that it has {layers:,} layers, and its files hold {tensors:,} tensors: settings and weights do "
            "not belong together. Copy both again."
        )


def _check_tensors(found: dict[str, Any], label: str, unused: tuple[str, ...]) -> None:
    """Every weight of the network comes from the files, and every tensor of the files has its place."""
    missing = sorted(found["missing_keys"])
    if missing:
        raise DamagedFile(
            f"{len(missing):,} weights of the network are not in {label} (the first: {missing[0]}). They would be random "
            "numbers, and so would the likelihood. The settings do not fit the weights, or a file is missing: copy it again."
        )
    left = sorted(name for name in found["unexpected_keys"] if not (unused and name.startswith(unused)))
    if left:
        raise DamagedFile(
            f"{len(left):,} tensors of {label} have no place in the network (the first: {left[0]}), so it would not be the model "
            f"that was trained. If you know that they do not matter, say so: load(..., unused=[{left[0]!r}])."
        )


def _check_network(network: Any, label: str, places: int | None, precision: str) -> int:
    """Number of tokens predicted, after a look at whether the logits are finite and depend on earlier tokens alone."""
    import torch

    length = PROBE if places is None else min(PROBE, places)
    ids = torch.zeros(2, length, dtype=torch.int64, device=network.device)
    ids[:, ::2] = 1
    ids[1, -1] = 1 - ids[0, -1]
    with torch.inference_mode():
        logits = call(network, ids, use_cache=False).logits.double().cpu().numpy()
    if not np.isfinite(logits).all():
        raise DamagedFile(
            f"{label} gives logits that are no numbers (NaN or infinite), so it has no likelihood: its weights are damaged, or "
            f"do not fit into {precision}."
        )
    apart = np.abs(logits[0, :-1] - logits[1, :-1]).max(initial=0.0)
    if apart > (0.02 if precision == "bfloat16" else 1e-4) * np.abs(logits).max():
        raise DamagedFile(
            f"{label} is no causal language model: its prediction of a token changes with the tokens after it (by {apart:.3g} in "
            "the logits), so that it sees what it predicts. Use a model that reads from left to right."
        )
    return int(logits.shape[-1])


def _quantised(source: Source, config: Any) -> str:
    """How the weights were rounded, in words."""
    if source.gguf is not None:
        import gguf

        kinds = Counter(tensor.tensor_type.name for tensor in gguf.GGUFReader(Path(source.place) / source.gguf).tensors)
        if set(kinds) <= set(EXACT):
            return ""
        return ", ".join(f"{count:,} tensors of {kind}" for kind, count in kinds.most_common())
    method = getattr(config, "quantization_config", None)
    if method is None:
        return ""
    kind = method.get("quant_method") if isinstance(method, dict) else getattr(method, "quant_method", None)
    return f"by {getattr(kind, 'value', kind)}"
