r"""A network as a linear function of its weights, around where they stand: what its Gauss-Newton curvature is exact for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from statlm.errors import NoEstimate
from statlm.networks.curvature_operator import GaussNewton
from statlm.networks.derivatives import DIRECTIONS, _differentiable, along
from statlm.networks.differentiated import Differentiated
from statlm.networks.hessian_operator import SecondDerivative
from statlm.numerics.types import Array

vjp: Any = torch.func.vjp  # its types allow for an auxiliary output, which is not asked for


@dataclass(frozen=True, eq=False)
class Linearised:
    r"""The multinomial logit :math:`\mathrm{softmax}(f(x; \theta^*) + G(x) (\theta - \theta^*))`, G the Jacobian of the logits.

    Parameters
    ----------
    differentiated : Differentiated
        The network at its estimate, on a text.

    References
    ----------
    Immer, Korzepa and Bauer (2021), Improving predictions of Bayesian neural nets via local linearization. AISTATS.
    """

    differentiated: Differentiated

    def logprobs(self, directions: Array) -> Iterator[tuple[slice, Array, Array]]:
        """Log-probabilities where the weights move along (p, q) directions, some directions and observations at a time.

        Yields
        ------
        which : slice
            Of the directions.
        rows : (n,) integer array
            Which observations.
        logprobs : (directions, n, V) array
            Nats.
        """
        d = self.differentiated.derivatives
        for start in range(0, directions.shape[1], DIRECTIONS):
            some = slice(start, min(start + DIRECTIONS, directions.shape[1]))
            tangents = d._tangents(directions[:, some])
            for batch in d._batches(some):
                logits = partial(d._logits, batch)
                moved = along(logits, d.weights, tangents)  # (q, n, V)
                with torch.no_grad():
                    found = torch.log_softmax((moved + logits(d.weights)).double(), -1)
                yield some, batch.rows, found.cpu().numpy()

    def curvature_draws(self, streams: Sequence[np.random.Generator]) -> Array:
        r"""(p, q) normal vectors whose covariance is the information, one from each of q streams of random numbers.

        They are :math:`\sum_i G_i' \epsilon_i` with :math:`\epsilon_i \sim N(0, \mathrm{diag}\, p_i - p_i p_i')`: a solve with
        the information and a prior's precision then makes a draw of the posterior of them (Papandreou and Yuille 2010).

        Raises
        ------
        NoEstimate
            If the information is another matrix, or approximated layer by layer.
        """
        information: Any = self.differentiated.information
        if isinstance(information, SecondDerivative):
            information = information.gauss_newton
        if not isinstance(information, GaussNewton):
            raise NoEstimate(
                "Draws by solves need the Gauss-Newton matrix, and the curvature in use is another, or its approximation layer "
                "by layer. Take it from some of the observations, posterior(damped(fit, curvature=20_000)), or give a rank: "
                "posterior(fit, rank=20)."
            )
        d = information.derivatives
        result = np.zeros((d.nweights, len(streams)))
        for start in range(0, len(streams), DIRECTIONS):
            some = slice(start, min(start + DIRECTIONS, len(streams)))
            for batch in d._batches(some):
                with _differentiable():
                    found, pullback = vjp(partial(d._logits, batch), d.weights)
                    p = torch.softmax(found, -1)  # (n, V)
                    normal = np.stack([stream.standard_normal(tuple(p.shape)) for stream in streams[some]])
                    noise = torch.from_numpy(normal).to(p) * p.sqrt()  # (q, n, V)
                    noise = noise - p * noise.sum(-1, keepdim=True)
                    result[:, some] += d._collected(pullback, noise)
        return np.sqrt(information.scale) * result
