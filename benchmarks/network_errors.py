"""Seconds and memory of standard errors of a network: one functional and ten, HC0 and cluster, with influence of documents.

    python benchmarks/network_errors.py [--width 144] [--layers 4] [--tokens 1000000] [--curvature kronecker] [--threads 2]

The defaults are about a million weights and a million training tokens of Shakespeare (of the State of the Union where the
environment does not say in STATLM_DATA where that is), in documents of 63. The network is fitted for a few steps only: what is
timed is what comes after the fit. Every case runs in a process of its own. Curvature is "kronecker" (layer by layer, an
approximation) or a number of observations whose whole curvature is used. Seconds are of the wall and, in a second column, of the
processor over all threads, which is what to compare on a machine that does other work: a case that has two cores to itself takes
about half of its processor time.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

import numpy as np
from measure import answer, run_case

LENGTH = 63
CONTEXTS = ["the ", "of th", "in t", "an", "to b", "ing o", "we ", "and th", "it i", "for "]


def text(tokens):
    import statlm as slm

    source = slm.datasets.load("shakespeare" if "STATLM_DATA" in os.environ else "sotu").blocks(length=LENGTH)
    rng = np.random.default_rng(0)
    wanted = min(max(tokens // LENGTH, 20), source.ndocuments)
    return source.subset(np.sort(rng.choice(source.ndocuments, size=wanted, replace=False)))


def seconds(action):
    """Of the wall and of the processor, and what the action gives."""
    wall, processor = time.perf_counter(), time.process_time()
    made = action()
    return [round(time.perf_counter() - wall, 2), round(time.process_time() - processor, 2)], made


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
        hc0=first,
        cluster_after=second,
        influence_after=third,
        total=[round(sum(part), 2) for part in zip(first, second, third, strict=True)],
        errors=[round(float(robust.std_error.iloc[0]), 4), round(float(clustered.std_error.iloc[0]), 4)],
        documents=len(table),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case")
    parser.add_argument("--width", type=int, default=144)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=20)
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
    print(f"ten functionals cost {found[1]['total'][1] / found[0]['total'][1]:.1f} times one (processor time)")


if __name__ == "__main__":
    main()
