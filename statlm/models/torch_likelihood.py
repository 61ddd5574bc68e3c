"""A torch module of one's own as a likelihood: bring a network, get the verbs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.errors import CorpusError, SpecificationError
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    from torch import nn

    from statlm.networks.curvature_operator import GaussNewton, KroneckerInformation
    from statlm.networks.differentiated import Differentiated
    from statlm.networks.linearised import Linearised
    from statlm.networks.score_operator import NetworkScore
    from statlm.networks.windows import Stream, Windows


@dataclass(frozen=True, eq=False)
class TorchLikelihood:
    r"""The likelihood of a torch module, in its weights.

    The module maps (B, T) ids to (B, T, V) logits of the token that follows each place, and place t may depend on places up to t
    only. Ids are those of the vocabulary; ``<bos>``, which begins every document, is id V.

    Parameters
    ----------
    module : torch.nn.Module
        At its estimate. It is used in evaluation mode, and its weights are not changed.
    corpus : Corpus
        The text that it was fitted to.
    context : int
        Most places that it reads at once, ``<bos>`` included.
    stride : int, optional
        Places by which windows advance in documents longer than the context; by default half the context.
    identified : bool
        Whether weights are identified one by one, so that a table of them means something: True of a plain regression, False of a
        network with hidden units.
    penalty : float
        Precision of a normal prior under which the module is at its mode; 0 where it is at a maximum of the likelihood.
    precision : float, optional
        Of the prior that is added to the information where weights are not identified; see `damped`.
    curvature : int or "kronecker", optional
        What the information is taken from; see `damped`.

    Notes
    -----
    Derivatives are by automatic differentiation, in the precision of the weights: use float64 for small networks. They are those
    of the likelihood at the weights as they are; a module that stands at no maximum has the errors of one that does.

    Examples
    --------
    >>> import torch
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra " * 20)
    >>> table = torch.nn.Embedding(corpus.vocabulary.size + 1, corpus.vocabulary.size, dtype=torch.float64)  # a bigram model
    >>> _ = torch.nn.init.zeros_(table.weight)
    >>> model = TorchLikelihood(table, corpus, context=16)
    >>> slm.measures.perplexity(model).__round__(3), model.dof
    (6.0, 42)
    """

    module: nn.Module
    corpus: Corpus
    context: int
    stride: int | None = None
    identified: bool = False
    penalty: float = 0.0
    precision: float | None = None
    curvature: int | str | None = None
    memory: int = field(init=False)

    gauss_newton = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", self.context)
        if self.context < 1 or (self.stride is not None and not 1 <= self.stride <= self.context):
            raise SpecificationError(
                f"context={self.context}, stride={self.stride}: the context is 1 or more, and windows advance by 1 up "
                f"to the context."
            )
        if not self.penalty >= 0:
            raise SpecificationError(f"penalty={self.penalty!r} is the precision of a prior: choose 0 or more.")

    # --- Predictive ---------------------------------------------------------------------------------------------------

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        from statlm.networks import scoring

        return scoring.loglike_obs(self._network, self._stream, self._windows, predicted=self.predicted)

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token, nats, given the last `memory` tokens of each context."""
        from statlm.networks import scoring

        vocabulary = self.corpus.vocabulary
        contexts = np.asarray(contexts, np.int64)
        if contexts.shape[1] == 0:
            contexts = np.full((len(contexts), 1), vocabulary.bos)
        contexts = contexts[:, max(contexts.shape[1] - self.memory, 0) :]
        self._check_known(contexts[(contexts != vocabulary.bos) & (contexts != vocabulary.pad)])
        ids = np.where(contexts == vocabulary.bos, self.predicted, contexts)
        lengths = (contexts != vocabulary.pad).sum(axis=1)
        rows = [row[len(row) - n :] if n else np.array([self.predicted]) for row, n in zip(ids, lengths, strict=True)]
        return scoring.logprobs(self._network, rows, predicted=self.predicted)

    def on(self, corpus: Corpus) -> TorchLikelihood:
        """The same module on other observations."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return replace(self, corpus=corpus)

    # --- parameters ---------------------------------------------------------------------------------------------------

    @property
    def params(self) -> Array:
        """(p,) all weights end to end, in the order of the module."""
        parts = [w.detach().double().cpu().numpy().ravel() for w in self.module.parameters()]
        return np.concatenate(parts) if parts else np.zeros(0)

    @property
    def param_names(self) -> pd.MultiIndex:
        """The p names: the tensor, and the place in it."""
        terms = [f"{name}{list(place)}" for name, w in self.module.named_parameters() for place in np.ndindex(*w.shape)]
        return pd.MultiIndex.from_arrays([[""] * len(terms), terms], names=["response", "term"])

    @property
    def dof(self) -> int:
        """Number of weights, shared ones once."""
        return sum(w.numel() for w in self.module.parameters())

    def at(self, params: Array) -> TorchLikelihood:
        """The likelihood at other weights, of a copy of the module."""
        import copy

        import torch

        params = np.asarray(params, float)
        if params.shape != (self.dof,):
            raise SpecificationError(f"params has shape {params.shape}, and the module has {self.dof:,} weights.")
        module, start = copy.deepcopy(self.module), 0
        with torch.no_grad():
            for weight in module.parameters():
                part = params[start : start + weight.numel()]
                weight.copy_(torch.from_numpy(part.reshape(tuple(weight.shape))))
                start += weight.numel()
        return replace(self, module=module)

    @property
    def penalised(self) -> bool:
        """Whether there is a penalty."""
        return self.penalty > 0

    def penalty_curvature(self) -> Any:
        """(p, p) precision of the prior."""
        return sparse.diags_array(np.full(self.dof, self.penalty))

    # --- derivatives --------------------------------------------------------------------------------------------------

    def score(self) -> NetworkScore:
        """(nobs, p) score, as products."""
        return self.differentiated.score

    def information(self) -> GaussNewton | KroneckerInformation:
        """(p, p) Gauss-Newton form of the information, as products."""
        return self.differentiated.information

    def damping_curvature(self) -> Any:
        """(p, p) the precision in use times the identity."""
        return self.differentiated.damping_curvature()

    def damped(self, precision: float | None, curvature: int | str | None = None) -> TorchLikelihood:
        """The same module with another prior precision, and another number of observations for the curvature."""
        made = replace(self, precision=precision, curvature=curvature)
        if curvature == self.curvature:
            made.__dict__["differentiated"] = self.differentiated.at(made.prior_precision)
        return made

    @property
    def prior_precision(self) -> float | None:
        """The precision that was chosen, else that which was fitted; None where the Laplace evidence is to choose."""
        return self.precision if self.precision is not None else self.penalty or None

    def damping_notes(self) -> list[str]:
        """What is added to the information, from where, and how many weights the text then determines."""
        return self.differentiated.describe()

    @cached_property
    def differentiated(self) -> Differentiated:
        """Score, information and damping, made once."""
        from statlm.networks.batches import Reading
        from statlm.networks.derivatives import Derivatives
        from statlm.networks.differentiated import Differentiated

        reading = Reading(self._stream, self._windows, device=next(self.module.parameters()).device)
        return Differentiated(Derivatives(self._network, reading, self.predicted), self.prior_precision, self.curvature)

    def linearised(self) -> Linearised:
        """The module as a linear function of its weights: what posterior draws move."""
        from statlm.networks.linearised import Linearised

        return Linearised(self.differentiated)

    # --- the module ---------------------------------------------------------------------------------------------------

    @property
    def predicted(self) -> int:
        """V."""
        return self.corpus.vocabulary.size

    @cached_property
    def _network(self) -> Any:
        from statlm.networks.adapted import Adapted

        return Adapted(self.module, self.predicted).eval()

    @cached_property
    def _stream(self) -> Stream:
        from statlm.networks.windows import Stream

        self._check_known(self.corpus.tokens)
        return Stream.of(self.corpus, self.predicted, self.predicted)

    @cached_property
    def _windows(self) -> Windows:
        from statlm.networks.windows import evaluation_windows

        stride = max(1, self.context // 2) if self.stride is None else self.stride
        return evaluation_windows(self._stream, self.context, stride)

    def _check_known(self, ids: Array) -> None:
        unknown = int(np.count_nonzero(np.asarray(ids) >= self.predicted))
        if unknown:
            raise CorpusError(
                f"{unknown:,} tokens are of no type that the module has an embedding for (ids of {self.predicted:,} "
                f"or more), so it cannot read "
                "them. Make the vocabulary with unk=True, which gives them a type."
            )

    def notes(self) -> list[str]:
        """Sentences for the summary."""
        return ["The module is taken at the weights it has: whether they are a maximum of the likelihood is not checked."]
