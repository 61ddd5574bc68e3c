"""The variable-length n-gram: each context remembers as much as the text shows to matter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import chi2

from statlm.errors import DamagedFile, SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.likelihood import Predictive
from statlm.models.ngram.specification import NGram
from statlm.models.ngram.stream import count_corpus
from statlm.models.ngram.table import dirichlet_mean, restore_table
from statlm.numerics.context_table import ContextTable
from statlm.numerics.context_tree import ContextTree, prune
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for
from statlm.text.corpus import Corpus


@dataclass(frozen=True)
class VariableLengthNGram:
    r"""A variable-length Markov chain: an n-gram whose contexts are pruned by likelihood ratio.

    A context of up to n - 1 tokens is kept where its distribution differs from that of the context without its oldest token,
    :math:`\sum_w n_{cw} \log[\hat p(w \mid c) / \hat p(w \mid c')] \ge K`, or where a longer one that ends in it is kept. Each
    observation then depends on the longest kept context before it, which gives a partition of all pasts, and the
    probabilities are the maximum likelihood estimates of that partition: :math:`n_{cw} / n_c` over the observations
    whose context is c.

    Parameters
    ----------
    n : int
        1 to 16; contexts have at most n - 1 tokens.
    cutoff : "chi2", "bic" or float
        K, nats. "chi2" is half the 1 - `level` quantile of the chi-square distribution with V - 1 degrees of freedom, V the
        number of types seen; "bic" is :math:`\tfrac12 (V - 1) \log N`, with N observations, which finds the true contexts as N
        grows.
    level : float
        Level of each test where `cutoff` is "chi2".
    min_count : int
        Contexts seen less often are not kept for their own sake.
    pseudo_count : float
        Added to each count, as of `NGram`.

    Raises
    ------
    SpecificationError
        If a setting lies outside of its range.

    Notes
    -----
    Degrees of freedom count V - 1 for each context in use. Standard errors and criteria take the contexts as given, though
    they were chosen with the same text.

    References
    ----------
    Rissanen (1983), A universal data compression system. IEEE Transactions on Information Theory 29.
    Ron, Singer and Tishby (1996), The power of amnesia. Machine Learning 25.
    Bühlmann and Wyner (1999), Variable length Markov chains. Annals of Statistics 27.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.VariableLengthNGram(n=4).fit(slm.Corpus.from_text("abracadabra " * 40))
    >>> fit.likelihood.context_names().tolist()
    [' ', ' a', 'ca', 'da', 'ra', 'a', 'b', 'c', 'd', 'r', '']
    """

    n: int
    cutoff: str | float = "chi2"
    level: float = 0.05
    min_count: int = 2
    pseudo_count: float = 0.0

    def __post_init__(self) -> None:
        if self.n == 0:
            raise SpecificationError("n=0 is the uniform distribution, which has no contexts to choose. Use NGram(0).")
        NGram(self.n, pseudo_count=self.pseudo_count)  # refuses what is no n and no prior count
        known = self.cutoff in ("chi2", "bic") if isinstance(self.cutoff, str) else 0 <= self.cutoff < np.inf
        if not known:
            raise SpecificationError(f"cutoff={self.cutoff!r} is unknown. Use 'chi2', 'bic', or a number of nats from 0 on.")
        if not 0 < self.level < 1:
            raise SpecificationError(
                f"level={self.level!r} is the level of a test. Choose one between 0 and 1, such as 0.05."
            )
        if self.min_count < 1:
            raise SpecificationError(f"min_count={self.min_count!r} keeps contexts that never occur. Choose 1 or more.")

    def __str__(self) -> str:
        return f"variable-length {self.n}-gram" + (f" + {self.pseudo_count:g}" if self.pseudo_count else "")

    def fit(self, corpus: Corpus) -> Fit:
        """Choose the contexts and count what followed them.

        Raises
        ------
        SpecificationError
            If no document is long enough to hold an n-gram.
        """
        NGram(self.n).check_length(corpus)
        vocabulary = corpus.vocabulary
        counts = count_corpus(corpus, self.n)
        ntypes = int(np.count_nonzero(counts.raw[0]))
        cutoff = self._cutoff(ntypes, int(counts.raw[0].sum()))
        tree = prune(counts, cutoff, self.min_count, bits_for(vocabulary.nids))
        columns, targets = tree.shorten(corpus.context_columns(self.n - 1), vocabulary.pad), corpus.targets
        inside = targets < vocabulary.size
        table = ContextTable.count([column[inside] for column in columns], targets[inside], vocabulary.nids)
        tree = tree.used_from(table.contexts, vocabulary.pad)
        model = replace(dirichlet_mean(self.n, corpus, table, self.pseudo_count), tree=tree)
        longest = max((j for j, used in enumerate(tree.used, start=1) if used.any()), default=0)
        method = f"contexts pruned at a gain of {cutoff:.4g} nats: {table.ncontexts:,} of at most {longest} tokens; counting"
        return Fit(self, model, FitReport(method))

    def _cutoff(self, ntypes: int, nobs: int) -> float:
        if not isinstance(self.cutoff, str):
            return float(self.cutoff)
        dof = max(ntypes - 1, 1)
        return float(chi2.isf(self.level, dof)) / 2 if self.cutoff == "chi2" else dof * float(np.log(nobs)) / 2

    def restore(self, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> Predictive:
        """The likelihood of a saved fit, on another corpus; the inverse of the likelihood's `state`.

        Raises
        ------
        DamagedFile
            If arrays are missing or do not fit together.
        """
        try:
            keys = tuple(arrays[f"tree{j}"] for j in range(1, self.n))
            used = tuple(arrays[f"used{j}"].astype(bool) for j in range(1, self.n))
        except KeyError as error:
            raise DamagedFile(f"The saved n-gram lacks {error}. Save the fit again.") from error
        if [len(k) for k in keys] != [len(u) for u in used]:
            raise DamagedFile("The saved contexts do not fit together. Save the fit again.")
        tree = ContextTree(keys, used, bits_for(corpus.vocabulary.nids))
        return replace(restore_table(self.n, corpus, arrays, settings), tree=tree)
