"""The n-gram: a free probability vector for each context, estimated by counting. The saturated model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from statlm.errors import DamagedFile, SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.models.ngram.likelihood import NGramLikelihood
from statlm.numerics.context_table import ContextTable
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

MAX_N = 8


@dataclass(frozen=True)
class NGram:
    r"""The n-gram model: the next token is a multinomial draw that depends on the n - 1 tokens before it.

    Maximum likelihood is counting, :math:`\hat p(w \mid c) = n_{cw} / n_c`. With `pseudo_count` a > 0 the estimate is the
    posterior mean under a symmetric Dirichlet prior, :math:`(n_{cw} + a) / (n_c + a V)`.

    Parameters
    ----------
    n : int
        1 (unigram, no context) to 8. ``n=0`` is the uniform distribution, with nothing to estimate.
    smoothing : None
        Reserved for smoothing strategies.
    pseudo_count : float
        Added to each count.

    Notes
    -----
    A context that training never saw has no estimate. It gets the uniform distribution, which is what the Dirichlet
    estimate gives there for every a > 0 and hence its limit at a = 0. Reports count such observations.

    The free parameters are the probabilities of the cells that occurred, without the most frequent one of each context,
    which is 1 minus the others. Cells that never occurred are held at their estimate, 0 for maximum likelihood: on the
    boundary, where no standard error exists. Degrees of freedom count V - 1 for each context seen, V the number of
    types seen, zero cells included, as a test against a smaller model needs them.

    References
    ----------
    Anderson and Goodman (1957), Statistical inference about Markov chains. Annals of Mathematical Statistics 28.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> fit.predict(["a"]).set_index("token").probability.round(2).to_dict()
    {'b': 0.5, 'c': 0.25, 'd': 0.25, 'a': 0.0, 'r': 0.0}
    """

    n: int
    smoothing: None = None
    pseudo_count: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or not 0 <= self.n <= MAX_N:
            raise SpecificationError(f"n={self.n!r} is not an n-gram length. Choose a whole number from 0 to {MAX_N}.")
        if self.smoothing is not None:
            raise SpecificationError(f"There is no smoothing {self.smoothing!r}. Use pseudo_count=, or smoothing=None.")
        if not (self.pseudo_count >= 0 and np.isfinite(self.pseudo_count)):
            raise SpecificationError(
                f"pseudo_count={self.pseudo_count!r} is not a prior count. Choose 0 for maximum likelihood, or a positive number."
            )

    def __str__(self) -> str:
        name = {0: "uniform", 1: "unigram", 2: "bigram", 3: "trigram"}.get(self.n, f"{self.n}-gram")
        return f"{name} + {self.pseudo_count:g}" if self.pseudo_count and self.n else name

    def fit(self, corpus: Corpus) -> Fit:
        """Count the n-grams of a corpus.

        Raises
        ------
        CorpusError
            If no document is long enough to hold an n-gram.
        """
        self._check_length(corpus)
        lags = max(self.n - 1, 0)
        columns, targets = corpus.context_columns(lags), corpus.targets
        inside = targets < corpus.vocabulary.size  # <unk> of a borrowed vocabulary has no probability to estimate
        if not inside.all():
            columns, targets = [column[inside] for column in columns], targets[inside]
        table = ContextTable.count(columns, targets, corpus.vocabulary.nids)
        return Fit(self, self._likelihood(corpus, table), FitReport("counting (closed form)"))

    def contains(self, other: object) -> bool:
        """Whether `other` is a special case of this on the same observations: a shorter n-gram, both maximum likelihood."""
        unsmoothed = self.smoothing is None and self.pseudo_count == 0
        return (
            unsmoothed
            and isinstance(other, NGram)
            and other.smoothing is None
            and other.pseudo_count == 0
            and other.n <= self.n
        )

    def _check_length(self, corpus: Corpus) -> None:
        longest = int(np.diff(corpus.offsets).max())
        if self.n > 1 and longest < self.n:
            raise SpecificationError(
                f"n={self.n} is longer than the longest document ({longest} tokens), so no {self.n}-gram is ever observed. "
                f"Choose n={max(longest, 1)} or less, or use longer documents."
            )

    def _likelihood(self, corpus: Corpus, table: ContextTable) -> NGramLikelihood:
        size = corpus.vocabulary.size
        if self.n == 0:
            nothing = np.zeros(0, np.int64)
            empty = ContextTable(np.zeros((0, 0), np.int64), np.zeros(1, np.int64), nothing, nothing, table.bits)
            return NGramLikelihood(self.n, corpus, empty, np.zeros(0), np.zeros(0), ntypes=1, size=size)
        a = self.pseudo_count
        with np.errstate(divide="ignore"):
            denominator = np.log(table.totals + a * size)
            cells = np.log(table.counts + a) - denominator[table.row_of_cell]
            others = np.log(a) - denominator
        ntypes = len(np.unique(table.tokens))
        return NGramLikelihood(self.n, corpus, table, cells, others, ntypes=ntypes, size=size)

    def restore(self, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> NGramLikelihood:
        """The likelihood of a saved fit, on another corpus; the inverse of `NGramLikelihood.state`."""
        try:
            table = ContextTable(arrays["contexts"], arrays["starts"], arrays["tokens"], arrays["counts"], settings["bits"])
            consistent = (
                len(arrays["cells"]) == table.ncells == int(table.starts[-1])
                and len(arrays["others"]) == table.ncontexts == len(table.starts) - 1
                and table.contexts.shape[1] == max(self.n - 1, 0)
            )
            if not consistent:
                raise DamagedFile("The arrays of the n-gram table do not fit together. Save the fit again.")
            return NGramLikelihood(
                self.n,
                corpus,
                table,
                arrays["cells"],
                arrays["others"],
                ntypes=int(settings["ntypes"]),
                size=int(settings["size"]),
            )
        except KeyError as error:
            raise DamagedFile(f"The saved n-gram lacks {error}. Save the fit again.") from error
