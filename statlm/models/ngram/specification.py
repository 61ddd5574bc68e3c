"""The n-gram: a probability vector for each context, estimated by counting, smoothed or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from statlm.errors import SpecificationError
from statlm.fit.evaluation import Evaluation
from statlm.fit.fit import Fit, FitReport
from statlm.likelihood import Predictive, spans
from statlm.models.ngram.smoothing import FitsCounts, resolve
from statlm.models.ngram.table import count_table, dirichlet_mean, restore_table
from statlm.numerics.identified_solution import Determined
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.window_counts import WindowCounts

MAX_N = 16


@runtime_checkable
class Reweighted(Protocol):
    """A likelihood on a table of counts, which can be told other weights of its observations."""

    corpus: Corpus
    memory: int

    def reweighted(self, weights: Array, pseudo_count: float) -> Determined | None:
        """The parameters under these weights; None where the table is not enough."""
        ...


@dataclass(frozen=True)
class NGram:
    r"""The n-gram model: the next token is a multinomial draw that depends on the n - 1 tokens before it.

    Maximum likelihood is counting, :math:`\hat p(w \mid c) = n_{cw} / n_c`. With `pseudo_count` a > 0 the estimate is the
    posterior mean under a symmetric Dirichlet prior, :math:`(n_{cw} + a) / (n_c + a V)`.

    Parameters
    ----------
    n : int
        1 (unigram, no context) to 16. ``n=0`` is the uniform distribution, with nothing to estimate.
    smoothing : None, str or Smoothing
        None is maximum likelihood. By name, with default settings: "additive", "witten-bell", "absolute-discounting",
        "kneser-ney", "modified-kneser-ney", "katz", "jelinek-mercer", "pitman-yor", "held-out-discount"; or an object with
        settings, such as ``slm.KneserNey(discount=0.75)``.
    pseudo_count : float
        Added to each count; short for ``smoothing=slm.Additive(pseudo_count)``.

    Notes
    -----
    A context that training never saw has no estimate. It gets the uniform distribution, which is what the Dirichlet
    estimate gives there for every a > 0 and hence its limit at a = 0. Reports count such observations.

    The free parameters are the probabilities of the cells that occurred, without the most frequent one of each context,
    which is 1 minus the others. Cells that never occurred are held at their estimate, 0 for maximum likelihood: on the
    boundary, where no standard error exists. Degrees of freedom count V - 1 for each context seen, V the number of
    types seen, zero cells included, as a test against a smaller model needs them.

    Maximum likelihood, the Dirichlet posterior mean and the weights of Jelinek and Mercer come with a likelihood, scores and
    standard errors. The other smoothings are distributions only (`InterpolatedNGram` says why).

    References
    ----------
    Anderson and Goodman (1957), Statistical inference about Markov chains. Annals of Mathematical Statistics 28.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> fit.predict(["a"]).set_index("token").probability.round(2).to_dict()
    {'b': 0.5, 'c': 0.25, 'd': 0.25, 'a': 0.0, 'r': 0.0}
    >>> train, test = slm.Corpus.from_text("abracadabra " * 50 + "abba").split(0.1)
    >>> smooth = slm.NGram(n=4, smoothing="modified-kneser-ney").fit(train).on(test)
    >>> print(f"{smooth.perplexity:.2f}")
    1.30
    """

    n: int
    smoothing: Any = None  # a Smoothing once it is made; a name or the settings of a saved fit before
    pseudo_count: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or not 0 <= self.n <= MAX_N:
            raise SpecificationError(f"n={self.n!r} is not an n-gram length. Choose a whole number from 0 to {MAX_N}.")
        if self.smoothing is not None:
            object.__setattr__(self, "smoothing", resolve(self.smoothing))
            if self.n == 0:
                raise SpecificationError(
                    "n=0 is the uniform distribution, which has no counts to smooth. Leave out smoothing=."
                )
            if self.pseudo_count:
                raise SpecificationError(
                    f"pseudo_count={self.pseudo_count!r} and smoothing={self.smoothing!r} are two smoothings of the "
                    "same counts. Choose one."
                )
        if not (self.pseudo_count >= 0 and np.isfinite(self.pseudo_count)):
            raise SpecificationError(
                f"pseudo_count={self.pseudo_count!r} is not a prior count. Choose 0 for maximum likelihood, or a "
                "positive number."
            )

    def __str__(self) -> str:
        name = {0: "uniform", 1: "unigram", 2: "bigram", 3: "trigram"}.get(self.n, f"{self.n}-gram")
        if self.smoothing is not None:
            return f"{name} {self.smoothing.name}"
        return f"{name} + {self.pseudo_count:g}" if self.pseudo_count and self.n else name

    def fit(self, corpus: Corpus) -> Fit:
        """Count the n-grams of a corpus.

        Raises
        ------
        SpecificationError
            If no document is long enough to hold an n-gram.
        NoEstimate, CorpusError
            As the smoothing says.
        """
        self.check_length(corpus)
        if self.smoothing is not None:
            model, report = self.smoothing.fit(corpus, self.n)
            return Fit(self, model, report)
        table = count_table(corpus, self.n)
        return Fit(self, dirichlet_mean(self.n, corpus, table, self.pseudo_count), FitReport("counting (closed form)"))

    def refit(self, model: Any, weights: Array) -> Determined | None:
        """Parameters of a fit by the refit to its text with each observation counted as often as `weights`, (nobs,), say.

        None where the table of the fit is not enough for that: with a smoothing, or documents so short that a draw of them alone
        could not be fitted.
        """
        if (
            self.smoothing is not None
            or not isinstance(model, Reweighted)
            or model.memory != max(self.n - 1, 0)
            or self.n == 0
        ):
            return None
        if int(np.diff(model.corpus.offsets).min()) < self.n:
            return None
        return model.reweighted(weights, self.pseudo_count)

    def fit_counts(self, counts: WindowCounts, on: Corpus) -> Evaluation:
        """The estimate from counts of a text that is not at hand, standing on another; see `statlm.interop.parquet`.

        Parameters
        ----------
        counts : WindowCounts
            As ``interop.parquet.merge_counts`` gives them, for this n or a larger one.
        on : Corpus
            What the model stands on, with the same vocabulary: held-out text.

        Returns
        -------
        Evaluation
            The same probabilities as ``fit(text).on(on)``.

        Raises
        ------
        SpecificationError
            If the counts are of shorter n-grams, or the smoothing needs documents that are not counted.
        CorpusError
            If the vocabularies differ.
        """
        counts.vocabulary.check_same(on.vocabulary)
        if self.n > counts.n:
            raise SpecificationError(
                f"n={self.n} needs {self.n}-grams, and {counts.n}-grams were counted. Count the shards again with n={self.n}."
            )
        if self.smoothing is None:
            model: Predictive = dirichlet_mean(self.n, on, counts.context_table(self.n), self.pseudo_count)
        elif isinstance(self.smoothing, FitsCounts):
            model = self.smoothing.fit_counts(counts, on, self.n)
        else:
            raise SpecificationError(
                f"{self.smoothing.name} holds documents out and needs the text itself, not its counts. Choose a smoothing that "
                "is a function of counts, such as 'modified-kneser-ney'."
            )
        return Evaluation(self, model)

    def contains(self, other: object) -> bool:
        """Whether `other` is a special case of this on the same observations, both by maximum likelihood."""
        return spans(self, other)

    def span(self) -> tuple[int, int] | None:
        """Lags and largest interaction, both n - 1: the model is saturated."""
        return (self.n - 1, max(self.n - 1, 0)) if self.smoothing is None and self.pseudo_count == 0 else None

    def check_length(self, corpus: Corpus) -> None:
        """Raise SpecificationError if no document is long enough to hold an n-gram."""
        longest = int(np.diff(corpus.offsets).max())
        if self.n > 1 and longest < self.n:
            raise SpecificationError(
                f"n={self.n} is longer than the longest document ({longest} tokens), so no {self.n}-gram is ever observed. "
                f"Choose n={max(longest, 1)} or less, or use longer documents."
            )

    def restore(self, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> Predictive:
        """The likelihood of a saved fit, on another corpus; the inverse of the likelihood's `state`."""
        if self.smoothing is not None:
            return self.smoothing.restore(corpus, self.n, arrays, settings)
        return restore_table(self.n, corpus, arrays, settings)
