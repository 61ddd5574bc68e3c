"""A model standing on a corpus: what can be measured there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from statlm import measures
from statlm.covariance import Dependence, SeriesDependence
from statlm.likelihood import Predictive
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    import pandas as pd

    from statlm.fit.pictures import EvaluationPictures
    from statlm.inference.perplexity_interval import Interval


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A model on a corpus.

    Parameters
    ----------
    specification : object
        How the model was estimated.
    likelihood : Predictive
        The model's distribution, standing on the corpus.
    """

    specification: Any
    likelihood: Predictive

    @property
    def corpus(self) -> Corpus:
        """The observations."""
        return self.likelihood.corpus

    @property
    def memory(self) -> int | None:
        """How many tokens back the model looks; None if all the way."""
        return self.likelihood.memory

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats."""
        return self.likelihood.loglike_obs()

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token after contexts of token ids; see `Predictive`."""
        return self.likelihood.logprobs(contexts)

    def on(self, corpus: Corpus) -> Evaluation:
        """The same model on other observations."""
        return Evaluation(self.specification, self.likelihood.on(corpus))

    @property
    def nobs(self) -> int:
        """Number of observations."""
        return self.corpus.nobs

    @property
    def loglike(self) -> float:
        """Log-likelihood, nats."""
        return measures.loglike(self)

    @property
    def null_loglike(self) -> float:
        """Log-likelihood of the unigram model fitted to the same observations, nats."""
        return measures.null_loglike(self)

    @property
    def deviance(self) -> float:
        """``-2 loglike``."""
        return measures.deviance(self)

    @property
    def entropy(self) -> float:
        """Cross-entropy, nats a token."""
        return measures.entropy(self)

    @property
    def perplexity(self) -> float:
        """``exp(entropy)``."""
        return measures.perplexity(self)

    @property
    def bits_per_token(self) -> float:
        """Cross-entropy, bits a token."""
        return measures.bits_per_token(self)

    @property
    def bits_per_char(self) -> float:
        """Bits a character of the text."""
        return measures.bits_per_char(self)

    @property
    def bits_per_byte(self) -> float:
        """Bits a UTF-8 byte of the text."""
        return measures.bits_per_byte(self)

    @property
    def pseudo_r2(self) -> float:
        """McFadden's ``1 - loglike / null_loglike``."""
        return measures.pseudo_r2(self)

    def perplexity_interval(
        self, level: float = 0.95, dependence: str | Dependence | SeriesDependence | None = None
    ) -> Interval:
        """Confidence interval of the perplexity; see `statlm.perplexity_interval`."""
        from statlm.inference.perplexity_interval import perplexity_interval

        return perplexity_interval(self, level, dependence)

    def augment(self) -> pd.DataFrame:
        """A row a token: document, position, span, surprisal, entropy, rank; see `statlm.augment`."""
        from statlm.report.augment import augment

        return augment(self)

    @property
    def plot(self) -> EvaluationPictures:
        """What can be drawn of the model on this corpus: ``fit.on(test).plot.calibration()``; ``dir(...)`` lists it."""
        from statlm.fit.pictures import EvaluationPictures

        return EvaluationPictures(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.specification} on {self.corpus!r}>"

    def _repr_html_(self) -> str:
        from statlm.report.card import card

        return card(self, type(self).__name__)
