"""From an initial network to fitted weights: device, seed, progress on the terminal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from statlm.networks import low_rank
from statlm.networks.descent import Descended, Progress
from statlm.networks.training import Training
from statlm.numerics.types import Array

Network = TypeVar("Network", bound=nn.Module)
ONE_AT_A_TIME = (
    threading.RLock()
)  # torch's generator is the process's: fits in two threads would draw from each other's seed


def fit_network(
    build: Callable[[], Network],
    training: Training,
    method: Callable[[Network, Progress], Descended],
    *,
    weights: dict[str, Array] | None = None,
    rank: int | None = None,
) -> Fitted:
    """Draw initial weights from the seed, or take given ones, and let a method move them.

    Parameters
    ----------
    build : callable
        Makes the network, drawing its weights from torch's generator.
    training : Training
    method : callable
        Moves the weights of the network in place, and tells the progress of it.
    weights : dict, optional
        Start from these instead of drawn ones.
    rank : int, optional
        Fit a low-rank update of the matrices only.
    """
    device = torch.device(training.device or _accelerator())
    dof = None
    with ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = build()
        if training.precision == "float64":
            network.double()
        if weights is not None:
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    parameter.copy_(torch.from_numpy(np.array(weights[name])))
        names = [name for name, _ in network.named_parameters()]
        if rank is not None:
            dof = low_rank.attach(network, rank)
        network.to(device)
        with Bar(type(network).__name__) as bar:
            descended = method(network, bar)
        low_rank.merge(network)
    found = dict(network.named_parameters())
    return Fitted({name: found[name].detach().cpu().numpy().copy() for name in names}, descended, dof)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights by name, how they were approached, and how many parameters were free (None: all)."""

    weights: dict[str, Array]
    descended: Descended
    dof: int | None


def _accelerator() -> str:
    found = torch.accelerator.current_accelerator(check_available=True)
    return "cpu" if found is None else found.type


class Bar:
    """A progress bar with the loss and the time left; nothing where the output is no terminal."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn(f"Fitting {name}"),
            BarColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.progress.add_task("", total=1.0, loss="")

    def __enter__(self) -> Bar:
        from rich.errors import LiveError

        try:
            self.progress.start()
        except LiveError:  # another bar is on the screen, and goes on
            self.progress.disable = True
        return self

    def __exit__(self, *_: Any) -> None:
        self.progress.stop()

    def update(self, done: float, loss: float) -> None:
        """Show how far the fit is."""
        if not self.progress.disable:
            self.progress.update(self.task, completed=done, loss=f"loss {loss:.3f}")
