"""The likelihood of a transformer decoder: the softmax of a nonlinear function of the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.errors import SpecificationError
from statlm.networks.architecture import Architecture
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    from statlm.networks.curvature_operator import GaussNewton, KroneckerInformation
    from statlm.networks.decoder import Decoder
    from statlm.networks.differentiated import Differentiated
    from statlm.networks.linearised import Linearised
    from statlm.networks.reader import CachedReader
    from statlm.networks.score_operator import NetworkScore
    from statlm.networks.windows import Stream, Windows


@dataclass(frozen=True, eq=False)
class DecoderLikelihood:
    """Likelihood of a decoder; see `TransformerDecoder`.

    Parameters
    ----------
    corpus : Corpus
    architecture : Architecture
    weights : dict of str to array
        By name, in the order of the network; float32 or float64, which decides in what the network computes.
    predicted : int
        Tokens with a logit, V; they come first among those with an embedding.
    bos : int
        Number of the embedding of ``<bos>``.
    stride : int
        Places by which windows advance in documents longer than the context.
    decay : float
        Precision of the normal prior that the fitted weight decay amounts to; 0 where there was none.
    maximum : bool
        Whether the descent ran to a maximum of the likelihood.
    free : int, optional
        How many parameters were free, where that is not all of the weights: those of a low-rank update.
    precision : float, optional
        Of a normal prior on the weights, added to the information; by default `decay`, or that of the largest evidence.
    curvature : int or "kronecker", optional
        What the information is taken from; see `damped`.
    """

    corpus: Corpus
    architecture: Architecture
    weights: dict[str, Array]
    predicted: int
    bos: int
    stride: int
    decay: float = 0.0
    maximum: bool = False
    free: int | None = None
    precision: float | None = None
    curvature: int | str | None = None
    memory: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", self.architecture.context)
        for array in self.weights.values():
            array.flags.writeable = False

    # --- Predictive ---------------------------------------------------------------------------------------------------

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats; every one exactly once, whatever the windows.

        A document longer than the context is read in windows that advance by `stride`, and an observation is scored in the
        window that gives it the most context: at least ``context - stride`` tokens, or all before it.
        """
        return self._scored

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token, nats, given the last `memory` tokens of each context.

        With a prefix mask a context counts as given: it is the question, and the next token the first of the answer.
        """
        from statlm.networks import scoring

        return scoring.logprobs(self.network, self.read(contexts), predicted=self.predicted, prefix=self.architecture.prefix)

    def on(self, corpus: Corpus) -> DecoderLikelihood:
        """The same network on other observations."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return self._with(corpus=corpus)

    def strided(self, stride: int) -> DecoderLikelihood:
        """The same network, read in windows that advance by `stride` places: 1 gives each token all the context there is.

        Raises
        ------
        SpecificationError
            If the stride is not between 1 and the context.
        """
        check_stride(stride, self.architecture.context)
        return self._with(stride=stride)

    def reader(self, starts: Sequence[Array]) -> CachedReader:
        """Documents that grow token by token, each place read once: what `generate` draws from."""
        from statlm.networks.reader import CachedReader

        known = [np.where(np.asarray(ids) < self.predicted, ids, -1) for ids in starts]
        begun = [np.concatenate([[self.bos], ids]).astype(np.int64) for ids in known]
        return CachedReader(self.architecture, self.weights, begun, predicted=self.predicted, stride=self.stride)

    # --- parameters ---------------------------------------------------------------------------------------------------

    @property
    def params(self) -> Array:
        """(p,) all weights end to end, in the order of the network."""
        return np.concatenate([np.asarray(w, float).ravel() for w in self.weights.values()])

    @property
    def param_names(self) -> pd.MultiIndex:
        """The p names: the matrix, and the place in it."""
        terms = [f"{name}{list(place)}" for name, w in self.weights.items() for place in np.ndindex(w.shape)]
        return pd.MultiIndex.from_arrays([[""] * len(terms), terms], names=["response", "term"])

    @property
    def dof(self) -> int:
        """Number of weights, tied ones once; after a low-rank update r (m + n - r) for each matrix."""
        return sum(w.size for w in self.weights.values()) if self.free is None else self.free

    @property
    def penalised(self) -> bool:
        """Whether the weights are no maximum of the likelihood: decayed, or where a descent ended."""
        return self.decay > 0 or not self.maximum

    def shortfall(self) -> str | None:
        """Why the weights are no maximum of the likelihood; None where they are one."""
        if self.decay > 0:
            return "weights were decayed, which is a penalty"
        return None if self.maximum else "the descent ended where its budget did"

    def at(self, params: Array) -> DecoderLikelihood:
        """The likelihood at other weights."""
        params = np.asarray(params, float)
        sizes = [w.size for w in self.weights.values()]
        if params.shape != (sum(sizes),):
            raise SpecificationError(f"params has shape {params.shape}, and the network has {sum(sizes):,} weights.")
        parts = np.split(params, np.cumsum(sizes)[:-1])
        weights = {
            name: part.reshape(w.shape).astype(w.dtype) for (name, w), part in zip(self.weights.items(), parts, strict=True)
        }
        return replace(self, weights=weights)

    # --- derivatives --------------------------------------------------------------------------------------------------

    gauss_newton = True
    identified = False

    def score(self) -> NetworkScore:
        """(nobs, p) score, as products by automatic differentiation.

        Raises
        ------
        NoEstimate
            If an observation has probability 0.
        """
        return self.differentiated.score

    def information(self) -> GaussNewton | KroneckerInformation:
        """(p, p) Gauss-Newton form of the information, which is Fisher's, as products."""
        return self.differentiated.information

    def penalty_curvature(self) -> Any:
        """(p, p) precision of the prior that was fitted: zero where there was none."""
        return sparse.diags_array(np.full(sum(w.size for w in self.weights.values()), self.decay))

    def damping_curvature(self) -> Any:
        """(p, p) what is added to the information, which has no inverse: the precision in use times the identity."""
        return self.differentiated.damping_curvature()

    def damped(self, precision: float | None, curvature: int | str | None = None) -> DecoderLikelihood:
        """The same network with another prior precision, and another number of observations for the curvature."""
        made = self._with(precision=precision, curvature=curvature)
        if curvature == self.curvature:
            made.__dict__["differentiated"] = self.differentiated.at(made.prior_precision)
        return made

    @property
    def prior_precision(self) -> float | None:
        """The precision that was chosen, else that which was fitted; None where the Laplace evidence is to choose."""
        return self.precision if self.precision is not None else self.decay or None

    def damping_notes(self) -> list[str]:
        """What is added to the information, from where, and how many weights the text then determines."""
        return self.differentiated.describe()

    def embedding_place(self, token: int) -> slice:
        """Where the embedding of a token stands among the parameters."""
        width = self.architecture.width
        start = 0
        for name, weight in self.weights.items():
            if name == "embedding.weight":
                break
            start += weight.size
        return slice(start + token * width, start + (token + 1) * width)

    # --- the last layer -----------------------------------------------------------------------------------------------

    @property
    def head_weights(self) -> Array:
        """(V, D) coefficients of the features."""
        return self.weights["embedding.weight"][: self.predicted] if self.architecture.tied else self.weights["head.weight"]

    def features_obs(self) -> Array:
        """(nobs, D) features of the context of each observation."""
        from statlm.networks.features import features_obs

        return features_obs(self.network, self.differentiated.derivatives.reading)

    def features(self, contexts: Array) -> Array:
        """(m, D) features of contexts, as of `logprobs`."""
        from statlm.networks.features import features_after

        return features_after(self.network, self.read(contexts), prefix=self.architecture.prefix)

    def attention_weights(self, contexts: Array) -> list[Array]:
        """For each context, as of `logprobs`, (layers, H, T, T) weights of attention; see `statlm.attention`."""
        from statlm.networks.attention import attention_weights

        rows = self.read(contexts)
        return [attention_weights(self.network, row, prefix=self.architecture.prefix) for row in rows]

    @cached_property
    def differentiated(self) -> Differentiated:
        """Score, information and damping, made once."""
        from statlm.networks.batches import Reading
        from statlm.networks.derivatives import Derivatives
        from statlm.networks.differentiated import Differentiated

        device = next(self.network.parameters()).device
        reading = Reading(self._stream, self._windows, self.architecture.prefix, device)
        return Differentiated(Derivatives(self.network, reading, self.predicted), self.prior_precision, self.curvature)

    def linearised(self) -> Linearised:
        """The network as a linear function of its weights: what posterior draws move."""
        from statlm.networks.linearised import Linearised

        return Linearised(self.differentiated)

    # --- the network --------------------------------------------------------------------------------------------------

    @cached_property
    def network(self) -> Decoder:
        """The torch module, in evaluation mode."""
        import torch

        from statlm.networks.decoder import Decoder

        with torch.random.fork_rng(devices=[]):
            network = Decoder(self.architecture, self.embedded, self.predicted)
        network.to(torch.float64 if self.dtype == np.float64 else torch.float32)
        with torch.no_grad():
            for name, weight in network.named_parameters():
                weight.copy_(torch.from_numpy(np.array(self.weights[name])))
        return network.eval()

    @property
    def embedded(self) -> int:
        """Number of tokens with an embedding."""
        return len(self.weights["embedding.weight"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the network computes in."""
        return next(iter(self.weights.values())).dtype

    def read(self, contexts: Array) -> list[Array]:
        """Contexts as the network reads them: rows of its ids, at most `memory` and at least one long."""
        vocabulary = self.corpus.vocabulary
        contexts = np.asarray(contexts, np.int64)[:, max(np.shape(contexts)[1] - self.memory, 0) :]
        ids = np.where(contexts == vocabulary.bos, self.bos, np.where(contexts < self.predicted, contexts, -1))
        lengths = (contexts != vocabulary.pad).sum(axis=1)
        return [row[len(row) - n :] if n else np.array([-1]) for row, n in zip(ids, lengths, strict=True)]

    @cached_property
    def _scored(self) -> Array:
        from statlm.networks import scoring

        found = scoring.loglike_obs(
            self.network, self._stream, self._windows, predicted=self.predicted, prefix=self.architecture.prefix
        )
        found.flags.writeable = False
        return found

    @cached_property
    def _stream(self) -> Stream:
        from statlm.networks.windows import Stream

        return Stream.of(self.corpus, self.predicted, self.bos)

    @cached_property
    def _windows(self) -> Windows:
        from statlm.networks.windows import evaluation_windows

        return evaluation_windows(self._stream, self.architecture.context, self.stride)

    def _with(self, **changes: Any) -> DecoderLikelihood:
        """A copy that shares the network."""
        made = replace(self, **changes)
        if "network" in self.__dict__:
            made.__dict__["network"] = self.network
        return made

    # --- words and files ----------------------------------------------------------------------------------------------

    def convention(self) -> str | None:
        """How documents longer than the context are read; None where there are none."""
        places = int(np.diff(self.corpus.offsets).max())
        context = self.architecture.context
        if places <= context:
            return None
        return (
            f"documents longer than {context} tokens are read in windows of {context} that advance by {self.stride}: each token "
            f"is predicted from at least {context - self.stride} tokens before it, or all there are"
        )

    def notes(self) -> list[str]:
        """What a reader of the summary must know."""
        convention = self.convention()
        sentences = [convention[0].upper() + convention[1:] + "."] if convention else []
        reason = self.shortfall()
        if reason is not None:
            sentences.append(
                f"AIC, BIC and likelihood-ratio tests are not given: {reason}, so that the parameters are not freely fitted. Use "
                "compare(..., on=test) and paired_test, which rest on held-out text."
            )
        return sentences

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `TransformerDecoder.restore` makes it again."""
        settings = {
            "order": list(self.weights),
            "predicted": self.predicted,
            "bos": self.bos,
            "stride": self.stride,
            "decay": self.decay,
            "maximum": self.maximum,
            "free": self.free,
        }
        return {f"weights.{name}": w for name, w in self.weights.items()}, settings


def check_stride(stride: int, context: int) -> None:
    """Raise SpecificationError unless windows of `context` places that advance by `stride` cover a text."""
    if isinstance(stride, bool) or not isinstance(stride, int) or not 1 <= stride <= context:
        raise SpecificationError(
            f"stride={stride!r}: windows of {context} tokens advance by 1 (each token gets all the context there is) up to "
            f"{context} (none share a token)."
        )
