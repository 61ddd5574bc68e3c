"""Stochastic gradient descent on the likelihood of a network: steps, path, checkpoints, and clean stops."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statlm.errors import NoEstimate
from statlm.networks.checkpoint import Checkpoint
from statlm.networks.compilation import runner
from statlm.networks.decoder import imbalance
from statlm.networks.muon import Muon
from statlm.networks.training import Training
from statlm.networks.windows import Stream, Windows, shuffled_batches, training_windows
from statlm.numerics.types import Array

CHECKPOINT_EVERY = 60.0  # seconds
BETAS, EPS = (0.9, 0.95), 1e-10
MATRICES = ("query_key_value", "query", "key_value", "out", "up", "gate", "down")  # what Muon orthogonalises


class Progress(Protocol):
    """Someone to tell how far a fit is."""

    def update(self, done: float, loss: float) -> None:
        """`done` is the share of the budget that is used; `loss` is in nats a token."""
        ...


@dataclass(frozen=True)
class Descended:
    """Where a descent ended.

    Attributes
    ----------
    steps : int
    path : list of dict
        Rows of the path: step, tokens, seconds, learning_rate, loss, held_out_loss, held_out_std_error.
    stopped : str or None
        Why it ended before its budget; None where it did not.
    best : int
        The step whose weights the network has.
    gradient : float or None
        Largest entry of the gradient, nats an observation, where all of the text is read at each step.
    converged : bool
        Whether that is as good as 0.
    """

    steps: int
    path: list[dict[str, float]]
    stopped: str | None
    best: int
    gradient: float | None = None
    converged: bool = False


def descend(
    network: nn.Module,
    stream: Stream,
    training: Training,
    *,
    context: int,
    prefix: bool = False,
    balance: float = 0.0,
    held_out: Callable[[], tuple[float, float]] | None = None,
    checkpoint: Checkpoint | None = None,
    tensors: Callable[[Windows, torch.device], tuple[Tensor, Tensor, Tensor | None]] | None = None,
    progress: Progress | None = None,
) -> Descended:
    """Fit the weights of a network, in place.

    Parameters
    ----------
    network : Module
        From (B, T) ids, visibility and whether there are unknown ids to (B, T, V) logits.
    stream : Stream
        The training text.
    training : Training
    context : int
        Longest window.
    prefix : bool
        Whether given tokens see each other.
    balance : float
        Weight of the imbalance of experts in what is minimised.
    held_out : callable, optional
        Mean loss on held-out text and its standard error, at the network's present weights.
    checkpoint : Checkpoint, optional
        Where the state is written now and then, and read from at the start.
    tensors : callable, optional
        What is read, what is to be predicted (-1 elsewhere) and what sees what in a batch of windows; by default the next tokens.
    progress : Progress, optional

    Raises
    ------
    NoEstimate
        If the loss is no longer a number; the last good checkpoint stands.
    """
    device = next(network.parameters()).device
    optimizers = _optimizers(network, training)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    state = _State(network, optimizers, training)
    if checkpoint is not None:
        state.restore(checkpoint)
    budget = training.nsteps
    read = tensors or (lambda windows, where: _tensors(windows, stream, prefix, where))
    unknown = bool((stream.ids < 0).any())
    batches = _batches(stream, context, training, state.step * training.accumulate)
    every = max(1, (budget or 0) // training.evaluations)
    start = time.perf_counter() - state.seconds
    saved = time.perf_counter()
    done = state.step / budget if budget else state.seconds / float(training.time or 1.0)
    stopped: str | None = None
    network.train()

    def example() -> tuple[Any, ...]:
        inputs, _, visible = read(next(_batches(stream, context, training, 0)), device)
        return inputs, visible, unknown

    with _Interruptible() as interrupt:
        with _precision(training, device):
            run = runner(network, training, example)
        while done < 1.0:
            scale = training.scale(state.step, done)
            for optimizer, rates in zip(optimizers, peaks, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * scale
            torch.manual_seed(_seed(training.seed, state.step))  # dropout of this step, whatever came before
            for _ in range(training.accumulate):
                inputs, targets, visible = read(next(batches), device)
                with _precision(training, device):
                    logits = run(inputs, visible, unknown)
                    nats = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-1)
                    extra = imbalance(network) if balance else None
                    loss = nats if extra is None else nats + balance * extra
                (loss / training.accumulate).backward()
                state.interval.add(nats.detach(), int((targets >= 0).sum()))
            if training.clip is not None:
                nn.utils.clip_grad_norm_(network.parameters(), training.clip)
            value = float(nats.detach())
            if not np.isfinite(value):
                raise NoEstimate(_diverged(state.step + 1, value, checkpoint))
            for optimizer in optimizers:
                optimizer.step()
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            state.step += 1
            state.moved(done)
            state.seconds = time.perf_counter() - start
            done = state.step / budget if budget else state.seconds / float(training.time or 1.0)
            if progress is not None:
                progress.update(min(done, 1.0), value)
            due = state.step % every == 0 if budget else done >= (len(state.path) + 1) / training.evaluations
            if interrupt.asked:
                stopped = f"interrupted at step {state.step:,}"
            if due or done >= 1.0 or stopped:
                stopped = state.record(training.rate * scale, held_out) or stopped
            if stopped:
                break
            if checkpoint is not None and time.perf_counter() - saved > CHECKPOINT_EVERY:
                state.save(checkpoint)
                saved = time.perf_counter()
    if checkpoint is not None:
        state.save(checkpoint)
    state.settle(use_best=held_out is not None)
    network.eval()
    return Descended(state.step, state.path, stopped, state.best_step)


class _Interval:
    """Training loss since the last row of the path."""

    def __init__(self) -> None:
        self.nats, self.tokens = 0.0, 0

    def add(self, mean: Tensor, tokens: int) -> None:
        self.nats += float(mean) * tokens
        self.tokens += tokens

    def close(self) -> float:
        mean = self.nats / max(self.tokens, 1)
        self.nats, self.tokens = 0.0, 0
        return mean


class _Interruptible:
    """Ctrl-C asks for a stop after the step under way; pressed again, it stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self.main = threading.current_thread() is threading.main_thread()

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> _Interruptible:
        if self.main:
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self.main:
            signal.signal(signal.SIGINT, self.before)


class _State:
    """What changes in a descent; all of it is in a checkpoint."""

    def __init__(self, network: nn.Module, optimizers: list[torch.optim.Optimizer], training: Training) -> None:
        self.network, self.optimizers, self.training = network, optimizers, training
        self.step, self.seconds, self.tokens = 0, 0.0, 0
        self.interval = _Interval()
        self.path: list[dict[str, float]] = []
        self.best_loss, self.best_step, self.waited = float("inf"), 0, 0
        self.best: list[Tensor] | None = None
        self.mean = [p.detach().clone() for p in network.parameters()] if training.average else None

    def moved(self, done: float) -> None:
        """Update the moving average of the weights."""
        if self.mean is None:
            return
        share = min(1.0, 1.0 / (1.0 + self.training.average * self.step))
        with torch.no_grad():
            for mean, weight in zip(self.mean, self.network.parameters(), strict=True):
                mean.lerp_(weight.detach(), share)

    def record(self, rate: float, held_out: Callable[[], tuple[float, float]] | None) -> str | None:
        """Add a row to the path; the reason to stop, if there is one."""
        self.tokens += self.interval.tokens
        row = {
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "learning_rate": rate,
            "loss": self.interval.close(),
            "held_out_loss": float("nan"),
            "held_out_std_error": float("nan"),
        }
        if held_out is not None:
            self.network.eval()
            with self._averaged():
                row["held_out_loss"], row["held_out_std_error"] = held_out()
                if row["held_out_loss"] < self.best_loss:
                    self.best_loss, self.best_step, self.waited = row["held_out_loss"], self.step, 0
                    self.best = [p.detach().clone() for p in self.network.parameters()]
                else:
                    self.waited += 1
            self.network.train()
        self.path.append(row)
        if self.training.patience is not None and self.waited >= self.training.patience:
            return f"early: the held-out loss was lowest at step {self.best_step:,}"
        return None

    def settle(self, use_best: bool) -> None:
        """Give the network the weights that are returned."""
        chosen = self.best if use_best and self.best is not None else self.mean
        if not (use_best and self.best is not None):
            self.best_step = self.step
        if chosen is not None:
            with torch.no_grad():
                for weight, value in zip(self.network.parameters(), chosen, strict=True):
                    weight.copy_(value)

    def _averaged(self) -> AbstractContextManager[None]:
        return nullcontext() if self.mean is None else _Swapped(self.network, self.mean)

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def save(self, checkpoint: Checkpoint) -> None:
        tensors = {f"weight.{i}": p.detach() for i, p in enumerate(self.network.parameters())}
        for k, optimizer in enumerate(self.optimizers):
            for i, weight in enumerate(_weights(optimizer)):
                for key, value in optimizer.state.get(weight, {}).items():
                    tensors[f"optimizer.{k}.{i}.{key}"] = torch.as_tensor(value)
        for name, parts in (("mean", self.mean), ("best", self.best)):
            tensors |= {f"{name}.{i}": value for i, value in enumerate(parts or [])}
        checkpoint.write(
            tensors,
            {
                "step": self.step,
                "seconds": self.seconds,
                "tokens": self.tokens,
                "path": self.path,
                "interval": [self.interval.nats, self.interval.tokens],
                "best_loss": self.best_loss,
                "best_step": self.best_step,
                "waited": self.waited,
                "group_steps": [[group.get("step", 0) for group in o.param_groups] for o in self.optimizers],
            },
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        found = checkpoint.read()
        if found is None:
            return
        tensors, values = found
        weights = list(self.network.parameters())
        with torch.no_grad():
            for i, weight in enumerate(weights):
                weight.copy_(tensors[f"weight.{i}"])
        for k, optimizer in enumerate(self.optimizers):
            for i, weight in enumerate(_weights(optimizer)):
                prefix = f"optimizer.{k}.{i}."
                kept = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
                if kept:
                    optimizer.state[weight] = {
                        key: t.clone() if key == "step" else t.to(weight.device).clone() for key, t in kept.items()
                    }
            for group, count in zip(optimizer.param_groups, values["group_steps"][k], strict=True):
                if "step" in group:
                    group["step"] = count
        if self.mean is not None:
            self.mean = [tensors[f"mean.{i}"].to(w.device).clone() for i, w in enumerate(weights)]
        if "best.0" in tensors:
            self.best = [tensors[f"best.{i}"].to(w.device).clone() for i, w in enumerate(weights)]
        self.step, self.seconds, self.tokens = values["step"], values["seconds"], values["tokens"]
        self.path, self.best_loss = values["path"], values["best_loss"]
        self.best_step, self.waited = values["best_step"], values["waited"]
        self.interval.nats, self.interval.tokens = values["interval"]


class _Swapped:
    """The network with other weights for a while."""

    def __init__(self, network: nn.Module, weights: list[Tensor]) -> None:
        self.network, self.weights = network, weights

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, other in zip(self.network.parameters(), self.weights, strict=True):
            kept = weight.detach().clone()
            weight.copy_(other)
            other.copy_(kept)

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()


def _weights(optimizer: torch.optim.Optimizer) -> list[Any]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _optimizers(network: nn.Module, training: Training) -> list[torch.optim.Optimizer]:
    t = training
    fitted = {name: p for name, p in network.named_parameters() if p.requires_grad}
    if t.optimizer == "sgd":
        return [torch.optim.SGD(fitted.values(), t.rate, t.inertia, weight_decay=t.weight_decay)]
    if t.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if t.optimizer == "adam" else torch.optim.AdamW
        decayed = [p for p in fitted.values() if p.dim() > 1]
        others = [p for p in fitted.values() if p.dim() < 2]
        groups = [{"params": decayed, "weight_decay": t.weight_decay}, {"params": others, "weight_decay": 0.0}]
        return [kind([g for g in groups if g["params"]], t.rate, BETAS, foreach=True)]
    inner = [p for name, p in fitted.items() if _is_matrix(name) and p.dim() == 2]
    outer = [p for name, p in fitted.items() if not (_is_matrix(name) and p.dim() == 2)]
    found: list[torch.optim.Optimizer] = []
    if outer:
        found.append(torch.optim.AdamW(outer, t.embedding_rate, BETAS, EPS, weight_decay=0.0, foreach=True))
    if inner:
        found.append(Muon(inner, t.rate, t.inertia, 3, t.weight_decay))
    return found


def _is_matrix(name: str) -> bool:
    parts = name.split(".")
    return (
        name.startswith(("blocks.", "answering."))
        and parts[-1] == "weight"
        and parts[-2] in MATRICES
        and "feed_forward.gate" not in name
    )


def _batches(stream: Stream, context: int, training: Training, skip: int) -> Iterator[Windows]:
    """Batches without end, pass after pass; those of pass e depend on the seed and on e only."""
    number = 0
    while True:
        rng = np.random.default_rng([training.seed, number])
        number += 1
        batches = list(shuffled_batches(training_windows(stream, context, rng), training.batch, rng))
        if skip >= len(batches):
            skip -= len(batches)
            continue
        yield from batches[skip:]
        skip = 0


def _tensors(windows: Windows, stream: Stream, prefix: bool, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    inputs, targets, _ = windows.batch(stream)
    visible = visibility(windows.prefix, inputs.shape[1], device) if prefix else None
    return torch.from_numpy(inputs).to(device), torch.from_numpy(targets).to(device), visible


def visibility(prefix: Array, width: int, device: torch.device | str = "cpu") -> Tensor:
    """(W, 1, T, T) which places see which: those before them, and the given ones each other."""
    place = torch.arange(width, device=device)
    causal = place[None, :] <= place[:, None]  # (T, T)
    leading = place < torch.as_tensor(prefix, device=device)[:, None]  # (W, T)
    return (causal | leading[:, None, :])[:, None]


def _precision(training: Training, device: torch.device) -> AbstractContextManager[Any]:
    if training.precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


def _diverged(step: int, value: float, checkpoint: Checkpoint | None) -> str:
    stands = checkpoint is not None and checkpoint.path.exists()
    kept = (
        f" The checkpoint {checkpoint.path} is of an earlier step and stands." if checkpoint is not None and stands else ""
    )
    return (
        f"The loss of step {step:,} is {value}: the descent has left the region where the likelihood can be computed, so there "
        f"is no estimate. Lower learning_rate=, raise warmup=, or set clip=1.{kept}"
    )
