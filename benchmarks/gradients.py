"""Scores of a decoder summed by window, beside ``torch.func.vmap(grad)`` on the same network.

    python benchmarks/gradients.py SHAKESPEARE.txt [--tokens 20000] [--threads 1]

Both make the product of each window's gradient with one direction, and with ten, from the gradients of a batch of windows.
Times are of the processor, so that other work on the machine counts less, medians of five in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, vmap

import statlm as slm

TOGETHER = 32  # windows of the peer's batch: the fastest of 8, 16, 32 and 64


def by_vmap(derivatives, directions):
    """(W, q) products of each window's gradient with (p, q) directions."""
    network = derivatives.network
    weights = {name: w.detach() for name, w in network.named_parameters()}
    reading = derivatives.reading
    inputs, targets, _ = (torch.from_numpy(a) for a in reading.windows.batch(reading.stream))

    def loss(weights, ids, wanted):
        logits = functional_call(network, weights, (ids[None],))[0]
        return -F.cross_entropy(logits, wanted, ignore_index=-1, reduction="sum")

    each = vmap(grad(loss), in_dims=(None, 0, 0))
    fixed, found = torch.from_numpy(directions).float(), []
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        for start in range(0, len(inputs), TOGETHER):
            parts = each(weights, inputs[start : start + TOGETHER], targets[start : start + TOGETHER])
            found.append(torch.cat([p.flatten(1) for p in parts.values()], 1) @ fixed)
    return torch.cat(found).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    corpus = slm.Corpus.from_file(asked.text)
    fit = slm.TransformerDecoder(steps=20).fit(corpus)
    text = slm.Corpus.from_text(asked.text.read_text()[: asked.tokens], vocabulary=corpus.vocabulary)
    derivatives = fit.on(text).likelihood.differentiated.derivatives
    for count in (1, 10):
        directions = np.random.default_rng(0).standard_normal((derivatives.nweights, 3)) @ np.ones((3, count))
        directions[:, 0] = fit.params
        directions = np.ascontiguousarray(directions[:, :count])
        seconds: dict[str, list[float]] = {"statlm": [], "vmap(grad)": []}
        for _ in range(5):
            for name, method in (("statlm", lambda d, u: d.by_window(u)), ("vmap(grad)", by_vmap)):
                begun = time.process_time()
                found = method(derivatives, directions)
                seconds[name].append(time.process_time() - begun)
                if name == "statlm":
                    ours = found
        off = np.abs(ours - found).max() / np.abs(found).max()
        mine, theirs = (statistics.median(seconds[name]) for name in ("statlm", "vmap(grad)"))
        print(
            f"{derivatives.nweights:,} weights, {derivatives.nobs:,} tokens, {count} directions: statlm {mine:.2f} s, "
            f"vmap(grad) {theirs:.2f} s, {theirs / mine:.1f} times ours; largest relative difference {off:.1e}"
        )


if __name__ == "__main__":
    main()
