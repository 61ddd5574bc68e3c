"""A decoder beside nanoGPT's recipe for a processor, and its generation beside transformers' and nanoGPT's.

    python benchmarks/decoder.py SHAKESPEARE.txt [--seeds 5] [--minutes 0] [--recipe-steps 2000]

The text is one document whose last tenth is held out. Both are scored on every held-out character once, in windows of 64 that
share none. The recipe (0.80 M weights, AdamW, 2,000 steps of 12 windows of 64) is written out here in plain torch and run
first; the package's decoder is then fitted with as many steps as the recipe's loss takes it, once a seed. Times are of the
fits alone. With ``--minutes`` the decoder is fitted for that long as well, and scored as the package does by default.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import statlm as slm

WINDOW, BATCH, WIDTH, HEADS, LAYERS = 64, 12, 128, 4, 4
RATE, LOWEST, WARM, DECAY, BETAS, CLIP = 1e-3, 1e-4, 100, 0.1, (0.9, 0.99), 1.0
DRAWN = 500


class RecipeBlock(nn.Module):
    """A block of GPT-2 without intercepts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.joint, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, _ = x.shape
        q, k, v = (
            part.view(b, t, HEADS, WIDTH // HEADS).transpose(1, 2) for part in self.joint(self.first(x)).split(WIDTH, 2)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, WIDTH)
        x = x + self.out(y)
        return x + self.down(F.gelu(self.up(self.second(x))))


class Recipe(nn.Module):
    """The network of nanoGPT's recipe for a processor."""

    def __init__(self, types: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(types, WIDTH), nn.Embedding(WINDOW, WIDTH)
        self.blocks = nn.Sequential(*(RecipeBlock() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02 / (math.sqrt(2 * LAYERS) if name.endswith(("out.weight", "down.weight")) else 1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.tokens(ids) + self.places.weight[: ids.shape[1]])
        return F.linear(self.norm(x), self.tokens.weight)


def train_recipe(ids: torch.Tensor, types: int, steps: int) -> tuple[Recipe, float]:
    """The recipe's network and the seconds of its training."""
    torch.manual_seed(1337)
    network = Recipe(types)
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}], RATE, BETAS
    )
    column = torch.arange(WINDOW + 1)
    start = time.perf_counter()
    for step in range(steps):
        falling = 0.5 * (1 + math.cos(math.pi * min(max((step - WARM) / (steps - WARM), 0), 1)))
        rate = RATE * (step + 1) / (WARM + 1) if step < WARM else LOWEST + falling * (RATE - LOWEST)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = ids[torch.randint(len(ids) - WINDOW, (BATCH, 1)) + column]
        loss = F.cross_entropy(network(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return network.eval(), time.perf_counter() - start


@torch.no_grad()
def recipe_loss(network: Recipe, ids: torch.Tensor) -> float:
    """Mean loss of every token but the first, once, in windows of 64."""
    total, count = 0.0, 0
    for start in range(0, len(ids) - 1, WINDOW * 256):
        piece = ids[start : start + WINDOW * 256 + 1]
        whole = (len(piece) - 1) // WINDOW * WINDOW
        for inputs, targets in (
            (piece[:whole].view(-1, WINDOW), piece[1 : whole + 1].view(-1, WINDOW)),
            (piece[whole:-1][None], piece[whole + 1 :][None]),
        ):
            if inputs.numel():
                nats = F.cross_entropy(network(inputs).flatten(0, 1), targets.flatten(), reduction="sum")
                total, count = total + float(nats), count + targets.numel()
    return total / count


@torch.no_grad()
def recipe_samples(network: Recipe, start: torch.Tensor, count: int) -> float:
    """Tokens a second of nanoGPT's way: the whole window read anew for each token."""
    ids, begun = start[None], time.perf_counter()
    for _ in range(count):
        logits = network(ids[:, -WINDOW:])[:, -1]
        ids = torch.cat([ids, torch.multinomial(torch.softmax(logits, -1), 1)], 1)
    return count / (time.perf_counter() - begun)


def transformers_samples(types: int, count: int, cached: bool) -> float | None:
    """Tokens a second of transformers' generate for a network of the same size; None where it is not installed."""
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        return None
    config = GPT2Config(
        vocab_size=types, n_positions=1024, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, bos_token_id=0, eos_token_id=None
    )
    network = GPT2LMHeadModel(config).eval()
    ids = torch.zeros(1, 1, dtype=torch.long)
    settings = {"do_sample": True, "use_cache": cached, "pad_token_id": 0, "attention_mask": torch.ones_like(ids)}
    network.generate(ids, max_new_tokens=8, min_new_tokens=8, **settings)
    begun = time.perf_counter()
    network.generate(ids, max_new_tokens=count, min_new_tokens=count, **settings)
    return count / (time.perf_counter() - begun)


def in_windows_of_64(fit: slm.Fit, test: slm.Corpus) -> float:
    """Mean held-out loss when every token is predicted from at most the 63 before it in its window, and that itself."""
    from dataclasses import replace

    held = fit.likelihood.on(test)
    return -float(replace(held, architecture=replace(held.architecture, context=WINDOW), stride=WINDOW).loglike_obs().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=105)
    parser.add_argument("--layers", type=int, help="by default those of a budget of so many steps")
    parser.add_argument("--minutes", type=float, nargs="*", default=[])
    parser.add_argument("--recipe-steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    corpus = slm.Corpus.from_file(asked.text)
    train, test = corpus.split(0.1, context=0)
    types = corpus.vocabulary.size
    print(f"{corpus!r}; held out {test.nobs:,}; {asked.threads} threads")

    network, seconds = train_recipe(torch.from_numpy(train.tokens.astype(np.int64)), types, asked.recipe_steps)
    goal = recipe_loss(network, torch.from_numpy(test.tokens.astype(np.int64)))
    weights = sum(p.numel() for p in network.parameters())
    print(f"recipe     {weights:,} weights  {asked.recipe_steps:,} steps  {seconds:6.1f} s  {goal:.4f} nats held out")
    ratios = []
    for seed in range(asked.seeds):
        own = {} if asked.layers is None else {"layers": asked.layers}
        fit = slm.TransformerDecoder(steps=asked.steps, seed=seed, **own).fit(train)
        took = float(fit.path.seconds.iloc[-1])
        loss = in_windows_of_64(fit, test)
        ratios.append(seconds / took)
        reached = "reached" if loss <= goal else "NOT reached"
        print(
            f"statlm     {fit.likelihood.dof:,} weights  {asked.steps:,} steps  {took:6.1f} s  {loss:.4f} nats, seed {seed}: "
            f"{reached}, {seconds / took:.1f} times as fast"
        )
    print(f"ratio of times, median of seeds: {statistics.median(ratios):.1f}; least {min(ratios):.1f}")

    prompt = train.tokens[:1].astype(np.int64)
    fit = slm.TransformerDecoder(layers=LAYERS, steps=10).fit(train)  # of the peers' size, whatever the budget's default
    ours = []
    for seed in range(5):
        begun = time.perf_counter()
        fit.generate([int(prompt[0])], max_tokens=DRAWN, seed=seed)
        ours.append(DRAWN / (time.perf_counter() - begun))
    mine = statistics.median(ours)
    print(f"sampling   statlm {mine:,.0f} tokens a second")
    peers = {
        "nanoGPT's way": statistics.median(recipe_samples(network, torch.from_numpy(prompt), DRAWN) for _ in range(3)),
        "transformers, cached": transformers_samples(types, DRAWN, True),
        "transformers, not cached": transformers_samples(types, DRAWN, False),
    }
    for name, rate in peers.items():
        print(
            f"           {name}: "
            + ("not installed" if rate is None else f"{rate:,.0f} tokens a second, ratio {mine / rate:.1f}")
        )

    for minutes in asked.minutes:
        fit = slm.TransformerDecoder(time=60 * minutes).fit(train)
        held = fit.on(test)
        low, high = np.log(held.perplexity_interval())
        print(
            f"statlm     {minutes:g} minutes, {fit.report.iterations:,} steps: {held.entropy:.4f} nats ({low:.4f} to {high:.4f})"
        )


if __name__ == "__main__":
    main()
