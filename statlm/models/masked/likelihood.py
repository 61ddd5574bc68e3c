"""The pseudo-likelihood of a masked model: the probability of each token given the tokens on both of its sides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.errors import CorpusError, NoEstimate, SpecificationError
from statlm.networks.architecture import Architecture
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    from statlm.networks.curvature_operator import GaussNewton, KroneckerInformation
    from statlm.networks.decoder import Decoder
    from statlm.networks.differentiated import Differentiated
    from statlm.networks.masked import MaskedReading
    from statlm.networks.score_operator import NetworkScore
    from statlm.networks.windows import Stream

REFUSED = (
    "A masked model has no {what}: it gives p(token | both sides), and these conditionals need not be those of any "
    "distribution of texts, so their product is a pseudo-likelihood. Use pseudo_perplexity(fit), comparable between "
    "masked models on the same text only; for {what} fit a TransformerDecoder or another model of the next token."
)


@dataclass(frozen=True, eq=False)
class MaskedLikelihood:
    """Pseudo-likelihood of a masked model; see `MaskedTransformer`.

    Parameters
    ----------
    corpus : Corpus
    architecture : Architecture
    weights : dict of str to array
        By name, in the order of the network; float32 or float64, which decides in what the network computes.
    predicted : int
        Tokens with a logit, V.
    precision : float, optional
        Of a normal prior on the weights, added to the information; by default that of the largest evidence.
    curvature : int or "kronecker", optional
        What the information is taken from; see `damped`.
    """

    corpus: Corpus
    architecture: Architecture
    weights: dict[str, Array]
    predicted: int
    precision: float | None = None
    curvature: int | str | None = None
    memory: int = field(init=False)

    composite = "a pseudo-likelihood"
    gauss_newton = True
    identified = False
    penalised = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", self.architecture.context)
        for array in self.weights.values():
            array.flags.writeable = False

    # --- what it says -------------------------------------------------------------------------------------------------

    def pseudo_loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation given the tokens on both of its sides, nats.

        Documents longer than the context are read in pieces of it: a token is predicted from the others of its piece, and the one
        before the piece.
        """
        return self._scored

    def gap_logprobs(self, left: Array, right: Array) -> Array:
        """(V,) log-probabilities of the token between the beginning of a document and its end, both token ids, nats.

        Raises
        ------
        CorpusError
            If the document is longer than the context.
        """
        from statlm.networks.masked import gap_logprobs

        vocabulary = self.corpus.vocabulary
        end = [vocabulary.eos] if vocabulary.with_eos else []
        before = np.concatenate([[self.bos], self._known(left)]).astype(np.int64)
        after = np.concatenate([self._known(right), end]).astype(np.int64)
        if len(before) + 1 + len(after) > self.memory:
            raise CorpusError(
                f"The document has {len(before) + 1 + len(after)} tokens with its ends, and the model sees {self.memory}. "
                f"Give less of it."
            )
        return gap_logprobs(self.network, before, after, self.mask)

    def on(self, corpus: Corpus) -> MaskedLikelihood:
        """The same network on other observations."""
        self.corpus.vocabulary.check_same(corpus.vocabulary)
        return self._with(corpus=corpus)

    def loglike_obs(self) -> NoReturn:
        """Refused: there is no likelihood.

        Raises
        ------
        NoEstimate
            Always.
        """
        raise NoEstimate(REFUSED.format(what="likelihood or perplexity"))

    def logprobs(self, contexts: Array) -> NoReturn:
        """Refused: what comes after a text has no distribution.

        Raises
        ------
        NoEstimate
            Always.
        """
        raise NoEstimate(REFUSED.format(what="distribution of the next token"))

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
        """Number of weights, tied ones once."""
        return sum(w.size for w in self.weights.values())

    def shortfall(self) -> str:
        """Why the weights are no maximum of a likelihood."""
        return "what was fitted is a pseudo-likelihood, by a descent that ended where its budget did"

    def at(self, params: Array) -> MaskedLikelihood:
        """The pseudo-likelihood at other weights."""
        params = np.asarray(params, float)
        if params.shape != (self.dof,):
            raise SpecificationError(f"params has shape {params.shape}, and the network has {self.dof:,} weights.")
        parts = np.split(params, np.cumsum([w.size for w in self.weights.values()])[:-1])
        weights = {
            name: part.reshape(w.shape).astype(w.dtype) for (name, w), part in zip(self.weights.items(), parts, strict=True)
        }
        return replace(self, weights=weights)

    # --- derivatives --------------------------------------------------------------------------------------------------

    def score(self) -> NetworkScore:
        """(nobs, p) derivative of `pseudo_loglike_obs`, as products by automatic differentiation."""
        return self.differentiated.score

    def information(self) -> GaussNewton | KroneckerInformation:
        """(p, p) Gauss-Newton form of minus the second derivative of the pseudo-log-likelihood, as products."""
        return self.differentiated.information

    def penalty_curvature(self) -> Any:
        """(p, p) zero: no prior was fitted."""
        return sparse.diags_array(np.zeros(self.dof))

    def damping_curvature(self) -> Any:
        """(p, p) what is added to the information, which has no inverse: the precision in use times the identity."""
        return self.differentiated.damping_curvature()

    def damped(self, precision: float | None, curvature: int | str | None = None) -> MaskedLikelihood:
        """The same network with another prior precision, and another number of observations for the curvature."""
        made = self._with(precision=precision, curvature=curvature)
        if curvature == self.curvature:
            made.__dict__["differentiated"] = self.differentiated.at(precision)
        return made

    @cached_property
    def differentiated(self) -> Differentiated:
        """Score, information and damping, made once."""
        from statlm.networks.derivatives import Derivatives
        from statlm.networks.differentiated import Differentiated

        # A reading with one gap for each observation offers what one of windows does.
        return Differentiated(Derivatives(self.network, self._reading, self.predicted), self.precision, self.curvature)  # type: ignore[arg-type]

    # --- the network --------------------------------------------------------------------------------------------------

    @property
    def bos(self) -> int:
        """Number of the embedding of ``<bos>``."""
        return self.predicted

    @property
    def mask(self) -> int:
        """Number of the embedding of a gap."""
        return self.predicted + 1

    @cached_property
    def network(self) -> Decoder:
        """The torch module, in evaluation mode."""
        from statlm.networks.decoder import restored

        return restored(self.architecture, self.weights, self.predicted)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and settings from which `MaskedTransformer.restore` makes it again."""
        return {f"weights.{name}": w for name, w in self.weights.items()}, {
            "order": list(self.weights),
            "predicted": self.predicted,
        }

    def notes(self) -> list[str]:
        """What a reader of the summary must know."""
        return [
            "What was fitted is a pseudo-likelihood: there are no AIC, BIC, likelihood-ratio tests or perplexity. "
            "pseudo_perplexity(fit) compares masked models with each other, and errors are those of Godambe's sandwich."
        ]

    @cached_property
    def _scored(self) -> Array:
        from statlm.networks.masked import pseudo_loglike_obs

        found = pseudo_loglike_obs(self.network, self._reading, self.predicted)
        found.flags.writeable = False
        return found

    @cached_property
    def _reading(self) -> MaskedReading:
        from statlm.networks.masked import MaskedReading
        from statlm.networks.windows import evaluation_windows

        pieces = evaluation_windows(self._stream, self.memory - 1, self.memory - 1)
        return MaskedReading.of(self._stream, pieces, self.mask, next(self.network.parameters()).device)

    @cached_property
    def _stream(self) -> Stream:
        from statlm.networks.windows import Stream

        return Stream.of(self.corpus, self.predicted, self.bos)

    def _known(self, ids: Array) -> Array:
        ids = np.asarray(ids, np.int64)
        return np.where(ids < self.predicted, ids, -1)

    def _with(self, **changes: Any) -> MaskedLikelihood:
        made = replace(self, **changes)
        made.__dict__["network"] = self.network
        return made
