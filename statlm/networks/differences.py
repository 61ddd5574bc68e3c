"""Scores along a direction from two readings of the text, with the weights moved a little to either side.

Forward mode gives the same number with more work: the rules for the derivative of each operation are not fused, and a pass of it
takes as long as four readings. How far the weights are moved is chosen where the two can be compared.
"""

from __future__ import annotations

import numpy as np
import torch

from statlm.networks.derivatives import Derivatives, Weights
from statlm.numerics.types import Array

COMPARED = 64  # windows
MOVES = (3e-4, 1e-3, 3e-3, 1e-2)  # nats, root mean square over observations: what a step changes the log-likelihoods by
AGREEMENT = 2e-3  # of the root mean square


def differenced(d: Derivatives, directions: Array) -> Array | None:
    r"""Derivative of the log-likelihood of each observation along directions, by central differences.

    .. math:: s_i' u \approx \frac{\ell_i(\theta + h u) - \ell_i(\theta - h u)}{2 h}

    Parameters
    ----------
    d : Derivatives
    directions : (p, q) array

    Returns
    -------
    (n, q) array or None
        None where no step agrees with forward mode to 0.2 % of the root mean square, over the observations of 64 windows drawn at
        random, as where the log-likelihood has jumps; or where the direction moves none of these.
    """
    result = np.empty((d.nobs, directions.shape[1]))
    for column, (tangent, step) in enumerate(_steps(d, directions)):
        if step is None:
            return None
        result[:, column] = _moved(d, tangent, step)
    return result


def _steps(d: Derivatives, directions: Array) -> list[tuple[Weights, float | None]]:
    """Each direction by name of weight, and the step that agrees best with forward mode."""
    windows = len(d.reading.windows)
    chosen = np.random.default_rng(0).choice(windows, size=min(COMPARED, windows), replace=False)
    some = d.take(np.sort(chosen))
    exact = some.pushed(directions)  # (m, q)
    result: list[tuple[Weights, float | None]] = []
    for column in range(directions.shape[1]):
        tangent = {name: u[0] for name, u in d._tangents(directions[:, [column]]).items()}
        size = float(np.sqrt((exact[:, column] ** 2).mean()))
        if size == 0.0:  # nothing to compare: what the direction moves may stand in other windows
            result.append((tangent, None if directions[:, column].any() else 1.0))
            continue
        errors = {
            step: float(np.sqrt(((_moved(some, tangent, step) - exact[:, column]) ** 2).mean()))
            for step in (move / size for move in MOVES)
        }
        best = min(errors, key=lambda step: errors[step])
        result.append((tangent, best if errors[best] <= AGREEMENT * size else None))
    return result


@torch.no_grad()
def _moved(d: Derivatives, tangent: Weights, step: float) -> Array:
    """(n,) central differences."""
    result = np.empty(d.nobs)
    above, below = ({name: w + h * tangent[name] for name, w in d.weights.items()} for h in (step, -step))
    for batch in d._batches(slice(0, 1)):
        difference = d._loglike(batch, above).double() - d._loglike(batch, below).double()
        result[batch.rows] = difference.cpu().numpy() / (2 * step)
    return result
