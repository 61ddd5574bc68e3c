"""Witten-Bell: the chance of something new is the share of occasions on which something new came."""

from __future__ import annotations

from dataclasses import dataclass, field

from statlm.models.ngram.levels import CountLevel, Shares, interpolate, levels_of
from statlm.models.ngram.smoothing.estimated import Estimated, FromCounts
from statlm.numerics.ngram_counts import NGramCounts


@dataclass(frozen=True)
class WittenBell(FromCounts):
    r"""Interpolated Witten-Bell smoothing (their method C).

    .. math:: p_m(w \mid c) = \frac{n_{cw} + N_{1+}(c\, \bullet) \, p_{m-1}(w \mid c')}{n_c + N_{1+}(c\, \bullet)}

    with :math:`N_{1+}(c\, \bullet)` the number of different tokens seen after c. The last resort is the uniform
    distribution. There is nothing to choose.

    References
    ----------
    Witten and Bell (1991), The zero-frequency problem: estimating the probabilities of novel events in adaptive text
    compression. IEEE Transactions on Information Theory 37.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1, smoothing="witten-bell").fit(slm.Corpus.from_text("aaab"))
    >>> fit.predict([""]).set_index("token").probability.round(4).to_dict()  # (3 + 2/2) / 6 and (1 + 2/2) / 6
    {'a': 0.6667, 'b': 0.3333}
    """

    name: str = field(default="witten-bell", init=False, repr=False)

    def estimate(self, counts: NGramCounts, size: int) -> Estimated:
        """Probabilities over `size` types from counts."""

        def shares(level: CountLevel) -> Shares:
            whole = level.totals + level.kinds
            whole[whole == 0] = 1.0
            return level.counts / level.of_context(whole), level.kinds / whole

        levels = levels_of(counts, continuation=False)
        table = interpolate(counts.index, levels, shares, size)
        records = tuple(
            {"n": level.m, "contexts": int((level.totals > 0).sum()), "source": "closed form"} for level in levels
        )
        return Estimated(table, records, "Witten-Bell")
