"""The maximum of a network's likelihood, or of its posterior: quasi-Newton steps on all of the text at once."""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from statlm.errors import NoEstimate
from statlm.networks.descent import Descended, Progress, visibility
from statlm.networks.training import Training
from statlm.networks.windows import Stream, Windows

CONVERGED = 1e-6  # largest entry of the gradient, nats an observation: a shortfall of about 1e-9 nats for a thousand of them
ROUND = 20  # iterations between two rows of the path
MEMORY = 50
PLACES = 1 << 14


def maximise(
    network: nn.Module,
    stream: Stream,
    windows: Windows,
    training: Training,
    *,
    prefix: bool = False,
    progress: Progress | None = None,
) -> Descended:
    r"""Minimise :math:`-\ell(\theta) + \frac{\lambda}{2} \lVert\theta\rVert^2` by L-BFGS with a Wolfe line search, in place.

    Parameters
    ----------
    network : Module
        In float64.
    stream : Stream
    windows : Windows
        Those of the evaluation, so that what is maximised is `loglike_obs`.
    training : Training
        Its budget of steps; :math:`\lambda` is its weight decay, the precision of a normal prior.
    prefix : bool
    progress : Progress, optional

    Raises
    ------
    NoEstimate
        If the objective is no longer a number.

    References
    ----------
    Nocedal and Wright (2006), Numerical optimization, section 7.2.
    """
    weights = [p for p in network.parameters() if p.requires_grad]
    nobs = int(windows.nscored.sum())
    budget = training.nsteps or training.steps or 0
    limit = float(training.time) if training.time is not None else float("inf")
    optimizer = torch.optim.LBFGS(
        weights,
        max_iter=ROUND,
        history_size=MEMORY,
        tolerance_grad=CONVERGED,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )
    parts = list(_parts(windows, stream, prefix))
    network.eval()

    def objective() -> Tensor:
        optimizer.zero_grad()
        total = torch.zeros((), dtype=weights[0].dtype)
        for inputs, targets, visible in parts:
            logits = network(inputs, visible, True)
            nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum") / nobs
            nats.backward()
            total += nats.detach()
        if training.weight_decay:
            prior = sum((w.square().sum() for w in weights), torch.zeros(())) * (training.weight_decay / 2 / nobs)
            prior.backward()
            total += prior.detach()
        return total

    path: list[dict[str, float]] = []
    start, steps = time.perf_counter(), 0
    while True:
        value = float(optimizer.step(objective))
        steps = int(optimizer.state[weights[0]]["n_iter"])
        objective()
        gradient = max(float(w.grad.abs().max()) for w in weights if w.grad is not None)
        if not value == value or value == float("inf"):
            raise NoEstimate(f"The objective at iteration {steps:,} is {value}, so there is no estimate. Use another seed.")
        seconds = time.perf_counter() - start
        path.append({"step": steps, "tokens": steps * nobs, "seconds": seconds, "loss": value, "gradient": gradient})
        done = max(steps / budget if budget else 0.0, seconds / limit)
        if progress is not None:
            progress.update(min(done, 1.0), value)
        stalled = len(path) > 1 and path[-2]["step"] == steps
        if gradient <= CONVERGED or done >= 1.0 or stalled:
            return Descended(steps, path, None, steps, gradient, gradient <= CONVERGED)


def _parts(windows: Windows, stream: Stream, prefix: bool) -> Any:
    start = 0
    while start < len(windows):
        size = max(PLACES // int(windows.length[start:].max()), 1)
        part = windows.take(slice(start, start + size))
        inputs, targets, _ = part.batch(stream)
        visible = visibility(part.prefix, inputs.shape[1]) if prefix else None
        yield torch.from_numpy(inputs), torch.from_numpy(targets), visible
        start += size
