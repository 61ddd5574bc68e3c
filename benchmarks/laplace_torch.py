"""Standard errors of a network beside laplace-torch, where that can give them: for single outputs, not for sequences.

    python benchmarks/laplace_torch.py [--characters 20000] [--hidden 16] [--contexts 20] [--packages FOLDER]

Both take one network of characters (three tokens before each, embedded, one hidden layer) at the same weights, with the same
prior precision, and give the standard errors of the log-odds of a letter after some contexts: the delta method over all weights
with the whole Gauss-Newton matrix. laplace-torch takes inputs and outputs of a fixed size, so the text is cut into windows of
three for it; a module that reads documents it cannot take. Its installation replaces torch: install it with
``pip install --no-deps --target FOLDER laplace-torch curvlinops-for-pytorch backpack-for-pytorch asdfghjkl torchmetrics
lightning-utilities opt_einsum einops einconv unfoldNd`` and name the folder.
"""

from __future__ import annotations

import argparse
import sys
import warnings

import numpy as np
import torch
from measure import answer, run_case, seconds
from torch import nn

import statlm as slm

LAGS, WIDTH, PRECISION = 3, 8, 1.0
TOKEN, AGAINST = "e", "a"


class Windows(nn.Module):
    """(B, T) ids to (B, T, V) logits from the last three ids at each place; what lies before a document is ``<bos>``."""

    def __init__(self, types: int, hidden: int) -> None:
        super().__init__()
        self.bos = types
        self.embedding = nn.Embedding(types + 1, WIDTH)
        self.up = nn.Linear(LAGS * WIDTH, hidden)
        self.down = nn.Linear(hidden, types)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.of_windows(nn.functional.pad(ids, (LAGS - 1, 0), value=self.bos).unfold(-1, LAGS, 1))

    def of_windows(self, windows: torch.Tensor) -> torch.Tensor:
        """(..., 3) ids to (..., V) logits."""
        return self.down(torch.tanh(self.up(self.embedding(windows).flatten(-2))))


class Single(nn.Module):
    """The same weights for (B, 3) ids, as laplace-torch wants them."""

    def __init__(self, network: Windows) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        return self.network.of_windows(windows)


def fitted(asked):
    """The text, the network after 300 steps of Adam with a normal prior, and the windows it was fitted to."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    text = slm.datasets.load("sotu", tokenizer="char", years=(2000, 2024))
    corpus = slm.Corpus.from_text("".join(text.vocabulary.tokens[t] for t in text.tokens[: asked.characters]), eos=False)
    network = Windows(corpus.vocabulary.size, asked.hidden).double()
    lags = np.stack(corpus.context_columns(LAGS), axis=1)[:, ::-1]  # oldest first
    windows = torch.from_numpy(np.where(lags == corpus.vocabulary.bos, network.bos, lags).astype(np.int64))
    windows = torch.where((windows < 0) | (windows > network.bos), torch.tensor(network.bos), windows)
    targets = torch.from_numpy(corpus.targets.astype(np.int64))
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(300):
        optimizer.zero_grad()
        prior = 0.5 * PRECISION * sum(w.square().sum() for w in network.parameters())
        loss = nn.functional.cross_entropy(network.of_windows(windows), targets, reduction="sum") + prior
        (loss / len(targets)).backward()
        optimizer.step()
    return corpus, network, windows, targets


def contexts_of(corpus, number):
    """The commonest windows of three characters."""
    tokens = corpus.vocabulary.tokens
    found, counts = np.unique(np.stack(corpus.context_columns(LAGS), axis=1)[LAGS:], axis=0, return_counts=True)
    return ["".join(tokens[t] for t in row[::-1]) for row in found[np.argsort(-counts)][:number]]


def case_statlm(asked):
    """`functional` of the module as a `TorchLikelihood`."""
    corpus, network, _, _ = fitted(asked)
    quantities = [slm.LogOdds(c, TOKEN, against=AGAINST) for c in contexts_of(corpus, asked.contexts)]
    model = slm.TorchLikelihood(network, corpus, context=corpus.nobs + 1, precision=PRECISION)
    first, table = seconds(lambda: slm.functional(model, quantities))
    more, _ = seconds(lambda: [slm.functional(model, quantities, cov=cov) for cov in ("HC0", "HAC")])
    answer(
        seconds=round(first, 2),
        and_HC0_HAC=round(more, 2),
        weights=int(model.dof),
        observations=int(corpus.nobs),
        errors=table.std_error.tolist(),
    )


def case_laplace(asked):
    """`Laplace(..., subset_of_weights="all", hessian_structure="full")` and the variance of its logits."""
    if asked.packages:
        sys.path.append(asked.packages)
    from laplace import Laplace

    corpus, network, windows, targets = fitted(asked)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(windows, targets), batch_size=512)
    tokens = corpus.vocabulary.tokens
    asked_for = torch.tensor([[tokens.index(t) for t in context] for context in contexts_of(corpus, asked.contexts)])
    model = Single(network)

    def errors():
        laplace = Laplace(
            model, "classification", subset_of_weights="all", hessian_structure="full", prior_precision=PRECISION
        )
        laplace.fit(loader)
        jacobians, _ = laplace.backend.jacobians(asked_for)
        variance = laplace.functional_variance(jacobians)  # (m, V, V)
        e, a = tokens.index(TOKEN), tokens.index(AGAINST)
        return (variance[:, e, e] + variance[:, a, a] - 2 * variance[:, e, a]).sqrt().detach()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        took, found = seconds(errors)
    answer(seconds=round(took, 2), errors=found.tolist())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=["statlm", "laplace"])
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--contexts", type=int, default=20)
    parser.add_argument("--packages", default="", help="where laplace-torch is installed")
    asked = parser.parse_args()
    if asked.case:
        {"statlm": case_statlm, "laplace": case_laplace}[asked.case](asked)
        return
    settings = [
        part for n in ("characters", "hidden", "contexts", "packages") for part in (f"--{n}", str(getattr(asked, n)))
    ]
    ours, theirs = (run_case(__file__, case, *settings) for case in ("statlm", "laplace"))
    first, second = np.array(ours.pop("errors")), np.array(theirs.pop("errors"))
    print("statlm", ours)
    print("laplace-torch", theirs)
    print(f"largest relative difference of {len(first)} standard errors: {np.abs(second / first - 1).max():.1e}")
    times, memory = theirs["seconds"] / ours["seconds"], theirs["peak_gib"] / ours["peak_gib"]
    print(f"laplace-torch takes {times:.1f} times as long and {memory:.1f} times the memory")


if __name__ == "__main__":
    main()
