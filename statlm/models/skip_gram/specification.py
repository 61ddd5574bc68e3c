"""Skip-gram with negative sampling: what is fitted, and how."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sparse

from statlm.errors import CorpusError, DamagedFile, SpecificationError, StatlmWarning
from statlm.fit.fit import Fit, FitReport
from statlm.models.skip_gram.model import SkipGramModel
from statlm.numerics.negative_sampling import maximise
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

MOST_TYPES = 20_000  # two tables of pairs of types, 6.4 GB


@dataclass(frozen=True)
class SkipGram:
    r"""Vectors of tokens by telling true neighbours from drawn ones (Mikolov et al. 2013): a composite likelihood.

    .. math::

        c\ell(U, V) = \sum_{w, c} \bigl\{ n_{wc} \log \sigma(v_w' u_c) + k\, n_w\, q_c \log \sigma(-v_w' u_c) \bigr\}
            - \tfrac{\lambda}{2} (\lVert U \rVert^2 + \lVert V \rVert^2)

    with :math:`n_{wc}` the number of times that c is a neighbour of w, k the negatives a pair and
    :math:`q_c \propto n_c^{\alpha}` their distribution. The usual algorithm draws negatives; here their expectation is
    taken, so that the estimate has no noise of its own, and is found by quasi-Newton steps on the table of pairs. Fit it
    to `skip_grams`.

    Parameters
    ----------
    rank : int
        Length of the vectors.
    negative : float
        k.
    power : float
        :math:`\alpha`, which flattens the distribution of negatives.
    ridge : float
        :math:`\lambda`. Without one, vectors of rare types run off to infinity.
    iterations : int
        At most.

    Raises
    ------
    SpecificationError
        If a setting is outside of its range.

    Notes
    -----
    At full rank without a ridge the maximum is :math:`v_w' u_c = \log(n_{wc} / (k n_w q_c))`: pointwise mutual
    information, shifted by log k (Levy and Goldberg 2014). In general :math:`k q_c \exp(v_w' u_c)`, normalised over c, is
    what the model says of p(c | w) (Gutmann and Hyvärinen 2012), so that it can be compared on held-out pairs with the
    full softmax, which is ``SoftmaxRegression(lags=1, rank=...)`` on the same pairs. Parameters maximise a composite
    likelihood: there are no AIC and no standard errors here; the full softmax has both.

    References
    ----------
    Mikolov, Sutskever, Chen, Corrado and Dean (2013), Distributed representations of words and phrases and their
    compositionality. NeurIPS. Levy and Goldberg (2014), Neural word embedding as implicit matrix factorization. NeurIPS.
    Gutmann and Hyvärinen (2012), Noise-contrastive estimation of unnormalized statistical models. JMLR 13. Varin, Reid
    and Firth (2011), An overview of composite likelihood methods.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abcabd" * 30)
    >>> fit = SkipGram(rank=3).fit(slm.skip_grams(corpus, window=1))
    >>> fit.likelihood.most_similar("c").token[0]
    'd'
    """

    rank: int = 50
    negative: float = 5.0
    power: float = 0.75
    ridge: float = 0.1
    iterations: int = 500

    def __post_init__(self) -> None:
        if isinstance(self.rank, bool) or not isinstance(self.rank, int) or self.rank < 1:
            raise SpecificationError(f"rank={self.rank!r}: vectors have one number or more.")
        if isinstance(self.iterations, bool) or self.iterations < 1:
            raise SpecificationError(f"iterations={self.iterations!r}: choose 1 or more.")
        if not self.negative > 0 or not self.power >= 0 or not self.ridge >= 0:
            raise SpecificationError(
                f"negative={self.negative!r}, power={self.power!r}, ridge={self.ridge!r}: use negatives above 0, and a "
                f"power and a ridge of 0 or more."
            )

    def __str__(self) -> str:
        return f"skip-gram rank {self.rank}, {self.negative:g} negatives"

    def fit(self, corpus: Corpus) -> Fit:
        """Fit the vectors to pairs.

        Parameters
        ----------
        corpus : Corpus
            Of `skip_grams`.

        Raises
        ------
        CorpusError
            If documents are no pairs, or there are too many types.
        """
        size = corpus.vocabulary.size
        if (np.diff(corpus.offsets) != 2).any() or (corpus.given != 1).any():
            raise CorpusError(
                f"{corpus!r} holds no pairs of a given token and its neighbour. Make them from a text: "
                f"SkipGram(...).fit(skip_grams(corpus, window=5))."
            )
        if size > MOST_TYPES:
            raise CorpusError(
                f"{size:,} types make tables of {16e-9 * size**2:,.0f} GB; at most {MOST_TYPES:,} are fitted. Cut rare "
                f"ones: min_count=, max_size=."
            )
        if self.rank > size:
            raise SpecificationError(
                f"rank={self.rank} is more than there are types ({size}), which is all that a table of pairs can tell."
            )
        counts = pair_counts(corpus)
        noise = counts.sum(axis=0) ** self.power * (counts.sum(axis=0) > 0)
        noise = noise / noise.sum()
        drawn = self.negative * np.outer(counts.sum(axis=1), noise)
        seen = counts.sum(axis=1) > 0
        # Types without a pair have no vector: 0. Those with one have one in both roles, as pairs are of both directions.
        found = maximise(
            counts[np.ix_(seen, seen)],
            drawn[np.ix_(seen, seen)],
            min(self.rank, int(seen.sum())),
            self.ridge,
            iterations=self.iterations,
        )
        centres, neighbours = np.zeros((size, found.centres.shape[1])), np.zeros((size, found.centres.shape[1]))
        centres[seen], neighbours[seen] = found.centres, found.neighbours
        if not found.converged:
            warnings.warn(
                f"The vectors had a gradient of {found.gradient:.2g} nats a pair after {found.iterations:,} iterations: "
                "this is not the maximum. Raise iterations= or ridge=, or lower rank=.",
                StatlmWarning,
                stacklevel=2,
            )
        model = SkipGramModel(corpus, centres, neighbours, noise, self.negative)
        report = FitReport(
            "L-BFGS on the table of pairs, negatives in expectation", found.converged, found.iterations, found.gradient
        )
        return Fit(self, model, report)

    def restore(self, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> SkipGramModel:
        """The model of a saved fit; the inverse of `SkipGramModel.state`."""
        try:
            return SkipGramModel(
                corpus, arrays["centres"], arrays["neighbours"], arrays["noise"], float(settings["negative"])
            )
        except KeyError as error:
            raise DamagedFile(f"The saved vectors lack {error}. Save the fit again.") from error


def pair_counts(corpus: Corpus) -> Array:
    """(V, V) number of times that one token is a neighbour of another, centres in rows."""
    size = corpus.vocabulary.size
    pairs = corpus.tokens.astype(np.int64).reshape(-1, 2)
    counts = sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    result: Array = counts.toarray()
    return result
