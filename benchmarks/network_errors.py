"""Seconds and memory of standard errors of a network: one functional and ten, HC0 and cluster, with influence of documents.

    python benchmarks/network_errors.py [--width 128] [--layers 5] [--tokens 1000000] [--curvature kronecker] [--threads 2]

The defaults are about a million weights and a million training tokens, in documents of 63. The network is fitted for a few steps
only: what is timed is what comes after the fit. Every case runs in a process of its own. Curvature is "kronecker"
(layer by layer, an approximation) or a number of observations whose whole curvature is used.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from measure import answer, run_case, seconds

LENGTH = 63
CONTEXTS = ["the ", "of th", "in t", "an", "to b", "ing o", "we ", "and th", "it i", "for "]


def text(tokens):
    import statlm as slm

    source = slm.datasets.load("sotu").blocks(length=LENGTH)
    rng = np.random.default_rng(0)
    return source.subset(np.sort(rng.choice(source.ndocuments, size=max(tokens // LENGTH, 20), replace=False)))


def measure(number, asked):
    import torch

    import statlm as slm

    torch.set_num_threads(asked.threads)
    corpus = text(asked.tokens)
    decoder = slm.TransformerDecoder(
        layers=asked.layers, heads=4, width=asked.width, context=LENGTH + 1, stride=LENGTH + 1, steps=asked.steps, batch=4096
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", slm.errors.StatlmWarning)
        fit = decoder.fit(corpus)
    curvature = asked.curvature if asked.curvature == "kronecker" else int(asked.curvature)
    held = slm.damped(fit, asked.precision, curvature=curvature)
    quantities = [slm.LogOdds(context, "e") for context in CONTEXTS[:number]]
    first, robust = seconds(lambda: held.functional(quantities, cov="HC0"))
    second, clustered = seconds(lambda: held.functional(quantities, cov="cluster"))
    third, table = seconds(lambda: held.influence(quantities))
    answer(
        functionals=number,
        weights=int(fit.dof),
        tokens=int(corpus.nobs),
        hc0=round(first, 2),
        cluster_after=round(second, 2),
        influence_after=round(third, 2),
        total=round(first + second + third, 2),
        errors=[round(float(robust.std_error.iloc[0]), 4), round(float(clustered.std_error.iloc[0]), 4)],
        documents=len(table),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", type=float, default=1.0)
    parser.add_argument("--curvature", default="kronecker")
    asked = parser.parse_args()
    if asked.case:
        measure(int(asked.case), asked)
        return
    names = ("width", "layers", "tokens", "steps", "threads", "precision", "curvature")
    settings = [part for name in names for part in (f"--{name}", str(getattr(asked, name)))]
    found = [run_case(__file__, case, *settings) for case in ("1", "10")]
    for row in found:
        print(row)
    print(f"ten functionals cost {found[1]['total'] / found[0]['total']:.1f} times one")


if __name__ == "__main__":
    main()
