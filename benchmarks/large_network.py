"""Inference for a network of ten million weights without a matrix of its weights: seconds, memory, and what it says.

    python benchmarks/large_network.py [--tokens 20000] [--steps 5] [--threads 2]

The network is the preset "gpt4r" (six layers, width 384), trained for a handful of steps on Shakespeare in blocks of 255
characters: what is timed is what comes after the fit. Curvature is layer by layer, so that a solve costs nothing.
Shakespeare has to be in the folder that ``STATLM_DATA`` names, or can be downloaded.
"""

from __future__ import annotations

import argparse
import resource
import warnings

import numpy as np
from measure import seconds


def peak():
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=384)
    asked = parser.parse_args()
    import torch

    import statlm as slm

    warnings.simplefilter("ignore", slm.errors.StatlmWarning)
    torch.set_num_threads(asked.threads)
    blocks = slm.datasets.load("shakespeare").blocks(length=255)
    corpus = blocks.subset(np.arange(asked.tokens // 255))
    decoder = slm.TransformerDecoder.preset(
        "gpt4r", steps=asked.steps, batch=2048, learning_rate=1e-3, dropout=0.0, attention_dropout=0.0, width=asked.width
    )
    took, fit = seconds(lambda: decoder.fit(corpus))
    print(
        f"{fit.dof:,} weights, {corpus.nobs:,} tokens, {corpus.ndocuments:,} documents; fit {took:.0f} s, {peak()}",
        flush=True,
    )
    held = slm.damped(fit, 10.0, curvature="kronecker")
    model = held.likelihood
    ones = np.ones(corpus.nobs)
    took, gradient = seconds(lambda: model.score().T @ ones)
    print(f"sum of scores: {took:.1f} s, length {np.linalg.norm(gradient):.3g}, {peak()}", flush=True)
    took, sums = seconds(
        lambda: model.score().summed_product(corpus.document_index, corpus.ndocuments, np.stack([gradient] * 3, axis=1))
    )
    print(f"scores by document along a direction: {took:.1f} s, {sums.shape}, {peak()}", flush=True)
    odds = slm.LogOdds("th", "e", against="a")
    for cov in ("HC0", "cluster"):
        took, table = seconds(lambda cov=cov: held.functional(odds, cov=cov))
        row = table.iloc[0]
        print(f"{cov}: {took:.1f} s, log-odds {row.estimate:.3f}, error {row.std_error:.3f}, {peak()}", flush=True)
    for cov in ("HC0", "cluster"):
        took, number = seconds(lambda cov=cov: slm.effective_parameters(held, cov=cov))
        print(f"effective parameters, {cov}: {took:.1f} s, {number:,.0f}, {peak()}", flush=True)


if __name__ == "__main__":
    main()
