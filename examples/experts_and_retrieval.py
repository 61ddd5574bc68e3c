"""Experts beside a dense decoder of as many active parameters, and a decoder that looks things up: both by held-out text.

``python examples/experts_and_retrieval.py`` reads State of the Union speeches since 1961, character by character: about ten
minutes on two cores. ``--steps 100`` is quicker and says less.
"""

from __future__ import annotations

import argparse

import statlm as slm

SHAPE = {"layers": 2, "heads": 4, "width": 64, "context": 64, "seed": 1}


def main() -> None:
    """Fit, compare, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    steps = parser.parse_args().steps
    corpus = slm.datasets.load("sotu", years=(1961, 2024))
    corpus, test = corpus.split(test=0.1)
    train, held = corpus.split(test=0.1)
    print(train, test, sep="\n")

    dense = slm.TransformerDecoder(**SHAPE, steps=steps).fit(train)
    sparse = slm.TransformerDecoder(**SHAPE, steps=steps, experts=4, experts_per_token=1).fit(train)
    print(f"dense: {dense.dof:,} weights, perplexity {dense.on(test).perplexity:.4f}")
    print(f"four experts, one a token: {sparse.dof:,} weights, perplexity {sparse.on(test).perplexity:.4f}")
    print(slm.paired_test(sparse.on(test), dense.on(test)))
    gates = slm.gating(sparse, ["I am honore", "In the year 19", "We must ", "the Congress"])
    print(gates.pivot_table(index=["context", "layer"], columns="expert", values="probability").round(3))

    some = train.subset(range(train.ndocuments - 4, train.ndocuments))  # what is looked up
    retrieved = slm.NearestNeighbour(slm.DecoderStates(dense, lags=24), neighbours=16, bandwidth=0.1).fit(some)
    mixed = slm.Mixture({"decoder": dense, "retrieved": retrieved}).fit(held.subset([0]))
    print(mixed.tidy())
    print(slm.weight_test({"decoder": dense, "retrieved": retrieved}, "retrieved", on=held.subset([0])))
    last = test.subset([test.ndocuments - 1])
    print(f"on the last speech: decoder {dense.on(last).perplexity:.4f}, mixture {mixed.on(last).perplexity:.4f}")
    print(slm.paired_test(mixed.on(last), dense.on(last)))


if __name__ == "__main__":
    main()
