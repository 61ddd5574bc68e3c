"""From an initial network to fitted weights: device, seed, progress on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from statlm.networks.checkpoint import Checkpoint
from statlm.networks.descent import Descended, descend
from statlm.networks.training import Training
from statlm.networks.windows import Stream
from statlm.numerics.types import Array


def fit_network(
    build: Callable[[], nn.Module],
    training: Training,
    stream: Stream,
    *,
    context: int,
    prefix: bool = False,
    balance: float = 0.0,
    weights: dict[str, Array] | None = None,
    trained: Callable[[str], bool] | None = None,
    held_out: Callable[[nn.Module], tuple[float, float]] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Array], Descended]:
    """Draw initial weights from the seed, descend, and return the weights by name.

    Parameters
    ----------
    build : callable
        Makes the network, drawing its weights from torch's generator.
    training : Training
    stream : Stream
    context, prefix, balance
        As of `descend`.
    weights : dict, optional
        Start from these instead of drawn ones.
    trained : callable, optional
        From the name of a weight to whether it is fitted; by default all are.
    held_out : callable, optional
        From a network to its mean held-out loss and the standard error.
    checkpoint : Checkpoint, optional

    Returns
    -------
    weights : dict of str to array
    descended : Descended
    """
    device = torch.device(training.device or _accelerator())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = build()
        if training.precision == "float64":
            network.double()
        if weights is not None:
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    parameter.copy_(torch.from_numpy(np.array(weights[name])))
        if trained is not None:
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(trained(name))
        network.to(device)
        with _Bar(type(network).__name__) as bar:
            descended = descend(
                network,
                stream,
                training,
                context=context,
                prefix=prefix,
                balance=balance,
                held_out=None if held_out is None else lambda: held_out(network),
                checkpoint=checkpoint,
                progress=bar,
            )
    return {name: p.detach().cpu().numpy().copy() for name, p in network.named_parameters()}, descended


def _accelerator() -> str:
    return torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"


class _Bar:
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

    def __enter__(self) -> _Bar:
        self.progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.progress.stop()

    def update(self, done: float, loss: float) -> None:
        """Show how far the fit is."""
        if not self.progress.disable:
            self.progress.update(self.task, completed=done, loss=f"loss {loss:.3f}")
