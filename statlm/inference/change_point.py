"""Whether a text changes along its course, and where."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.inference.homogeneity import ROUNDING, check_settings, lags_text
from statlm.inference.text_order import TextOrder
from statlm.numerics.p_values import p_value_text
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

METHODS = ("permutation", "bootstrap")
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class ChangePoint:
    """A test of constant transition probabilities against one change, and where it would be.

    Attributes
    ----------
    statistic : float
        The largest likelihood ratio over all places of a change.
    p_value : float
    observation : int
        The first observation after the change that is most likely, numbered from 0.
    nobs : int
        Observations of the text.
    document : str
        The document that this observation stands in: the first after the change where there are several.
    path : DataFrame
        A row a place of a change that was considered: ``observation``, ``document``, ``statistic``.
    critical : float
        What the largest ratio exceeds with probability 5 % under the null hypothesis, by the draws.
    method : str
        How the null distribution was drawn, in words.
    lags : int
    """

    statistic: float
    p_value: float
    observation: int
    nobs: int
    document: str
    path: pd.DataFrame = field(repr=False)
    critical: float
    method: str
    lags: int

    def to_frame(self) -> pd.DataFrame:
        """One row: statistic, p_value, critical, observation, share of the text before it, document."""
        return pd.DataFrame(
            [
                {
                    "test": f"Change along the text, {lags_text(self.lags)}",
                    "statistic": self.statistic,
                    "critical": self.critical,
                    "p_value": self.p_value,
                    "observation": self.observation,
                    "share": self.observation / self.nobs,
                    "document": self.document,
                }
            ]
        )

    def __str__(self) -> str:
        return (
            f"Change along the text, {lags_text(self.lags)}: largest likelihood ratio = {self.statistic:,.4g} (5 % critical "
            f"value {self.critical:,.4g}), p {p_value_text(self.p_value)}\n"
            "Null hypothesis: the same transition probabilities from beginning to end\n"
            f"Most likely change: before observation {self.observation:,} of {self.nobs:,} "
            f"({self.observation / self.nobs:.1%} of the text), in {self.document!r}\n"
            f"p-value by {self.method}."
        )


def change_point_test(
    corpus: Corpus,
    lags: int = 1,
    *,
    trim: float = 0.15,
    method: str | None = None,
    replicates: int = 199,
    seed: int = 0,
) -> ChangePoint:
    r"""Test that transition probabilities do not change along a text, against one change at a place that is not known.

    .. math:: \sup_t 2 \{\ell_{\le t} + \ell_{> t} - \ell\}

    with :math:`\ell_{\le t}, \ell_{> t}` the maximal log-likelihoods of an n-gram (n = lags + 1) before and after t, and
    :math:`\ell` that for the whole text (Andrews 1993 gives the theory of such suprema). The t of the largest ratio is the
    maximum-likelihood estimate of the place. All places are tried, at the cost of one pass over the text.

    Parameters
    ----------
    corpus : Corpus
        Its documents in the order of the text, or of time. Changes are looked for between documents where there are several, and
        anywhere in a single one.
    lags : int
        Tokens that a token may depend on.
    trim : float
        Share of the observations at either end in which no change is looked for: few observations on one side fit anything.
    method : "permutation" or "bootstrap", optional
        How texts are drawn under the null hypothesis. "permutation", for documents: in random order, exact where documents are
        exchangeable, whatever binds the tokens within them. "bootstrap", for a single document: texts with the same counts of
        transitions, exact for a chain with constant transition probabilities. By default the one that applies.
    replicates : int
        Texts drawn, at least 19.
    seed : int
        Seed of the drawing.

    Returns
    -------
    ChangePoint
        ``statlm.plots.plot_change_point`` draws it.

    Raises
    ------
    SpecificationError
        If a setting is out of range, no place is left to look at, or the method does not apply.

    See Also
    --------
    stationarity_test : against any difference between segments of given lengths.

    Notes
    -----
    A rejection says that the text is not the same throughout, and a slow drift rejects as well as a jump: the picture tells them
    apart, since a jump has a peak and a drift a dome. Of a drift, the estimated place means little.

    References
    ----------
    Andrews (1993), Tests for parameter instability and structural change with unknown change point. Econometrica 61. Csorgo and
    Horvath (1997), Limit theorems in change-point analysis.

    Examples
    --------
    >>> import statlm as slm
    >>> text = slm.Corpus.from_tokens([list("abaab" * 30 + "abbab" * 60)])
    >>> found = change_point_test(text, replicates=99)
    >>> print(found)
    Change along the text, 1 lag: largest likelihood ratio = 98.69 (5 % critical value 11.23), p = 0.01
    Null hypothesis: the same transition probabilities from beginning to end
    Most likely change: before observation 148 of 449 (33.0% of the text), in '0'
    p-value by 99 texts with the same transitions.
    """
    order = TextOrder.of(corpus, int(lags))
    chosen = method if method is not None else ("permutation" if order.in_documents else "bootstrap")
    check_settings(lags, chosen, METHODS, replicates)
    order.check(chosen)
    if not 0 <= trim < 0.5:
        raise SpecificationError(f"trim={trim}: the share left out at either end lies between 0 and 0.5, as in 0.15.")
    places = _places(order.sizes, trim)
    if len(places) == 0:
        what = f"{order.nunits:,} documents" if order.in_documents else f"{order.nunits:,} observations"
        raise SpecificationError(
            f"With trim={trim} no place for a change is left between the {what}. Use a smaller trim, or more text; one long "
            "document can be changed anywhere."
        )
    path = order.counts.path(np.arange(order.nunits))
    statistic = float(path[places].max())
    best = int(places[path[places].argmax()])
    rng = np.random.default_rng(seed)
    largest = np.array([_largest(order, order.shuffled(rng), trim) for _ in range(replicates)])
    reached = np.count_nonzero(largest >= statistic - ROUNDING * max(statistic, 1.0))
    first = np.cumsum(order.sizes)  # the first observation after each unit
    what = f"permutations of {order.nunits:,} documents" if order.in_documents else "texts with the same transitions"
    names = order.corpus.documents["name"].astype(str).to_numpy()
    of_place = places + 1 if order.in_documents else np.zeros(len(places), np.int64)
    table = pd.DataFrame({"observation": first[places], "document": names[of_place], "statistic": path[places]})
    return ChangePoint(
        statistic,
        float((1 + reached) / (replicates + 1)),
        int(first[best]),
        order.corpus.nobs,
        str(names[best + 1 if order.in_documents else 0]),
        table,
        float(np.quantile(largest, 1 - LEVEL, method="higher")),
        f"{replicates:,} {what}",
        int(lags),
    )


def _places(sizes: Array, trim: float) -> Array:
    """Units after which a change is looked for."""
    ends = np.cumsum(sizes)[:-1]
    total = int(sizes.sum())
    return np.flatnonzero((ends >= trim * total) & (ends <= (1 - trim) * total))


def _largest(order: TextOrder, place: Array, trim: float) -> float:
    sizes = np.empty_like(order.sizes)
    sizes[place] = order.sizes
    places = _places(sizes, trim)
    return float(order.counts.path(place)[places].max(initial=0.0))
