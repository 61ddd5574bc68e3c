"""An alarm along a stream of documents: the loss has risen, and since when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from statlm.errors import NoEstimate, SpecificationError
from statlm.likelihood import Predictive
from statlm.numerics.types import Array

FEWEST = 10  # documents from which a mean and a standard deviation are estimated
STATISTICS = ("sup-LR", "cusum")
DIRECTIONS = ("worse", "either")
SCORES = ("ranks", "standardised")
ALLOWANCE = 0.5  # of CUSUM, in standard deviations: tuned to shifts of one


@dataclass(frozen=True, eq=False)
class DriftAlarm:
    """Monitoring of a stream against its beginning.

    Attributes
    ----------
    table : DataFrame
        A row a monitored document: ``document`` (name), ``loss`` (nats a token), ``z`` (its score against the baseline),
        ``statistic``, ``change`` (number, in the corpus, of the document where the change most likely began).
    threshold : float
    alarm : int or None
        Number in the corpus of the first document at which the statistic exceeds the threshold.
    change : int or None
        Where the change most likely began, as seen at the alarm.
    baseline : int
        Documents at the beginning that are taken to be in control.
    false_alarm : float
        Probability of an alarm within the stream if nothing changes, by simulation.
    what : str
        Statistic and reference in words.
    """

    table: pd.DataFrame
    threshold: float
    alarm: int | None
    change: int | None
    baseline: int
    false_alarm: float
    what: str

    def __str__(self) -> str:
        n, names = len(self.table), self.table["document"]
        head = f"{self.what}; {self.baseline:,} documents in control, {n:,} monitored; threshold {self.threshold:.4g}"
        rate = f"An alarm within these {n:,} documents has probability {self.false_alarm:.3g} if nothing changes."
        if self.alarm is None or self.change is None:
            return f"{head}.\nNo alarm; the statistic reached {self.table['statistic'].max():.4g}. {rate}"
        since = names[self.change - self.baseline]
        return f"{head}.\nAlarm at {names[self.alarm - self.baseline]}; change most likely at {since}. {rate}"


def drift_alarm(
    model: Predictive,
    baseline: int,
    *,
    statistic: str = "sup-LR",
    direction: str = "worse",
    scores: str = "ranks",
    false_alarm: float = 0.05,
    replicates: int = 4999,
    seed: int = 0,
) -> DriftAlarm:
    r"""Sequential test that the loss on a stream of documents has risen since its beginning.

    Each document's mean log-loss becomes a score :math:`z_i` by comparison with the first m = `baseline` documents, which are
    taken to be in control. After each further document t the statistic is the largest, over moments k of change, of

    .. math:: \frac{\bigl(\sum_{i=k+1}^{t} z_i\bigr)_+^2}{(t - k)\,(1 + (t - k) / m)},

    the likelihood ratio of a shift in the mean of normal variables; the second factor of the denominator is the error of the
    baseline's mean over m documents. Cut one long text by ``corpus.blocks(length=...)`` first.

    Parameters
    ----------
    model : Predictive
        On the stream, its documents in order of time; fitted to earlier text.
    baseline : int
        Documents at the beginning taken to be in control; at least 10.
    statistic : "sup-LR" or "cusum"
        The above, or Page's cumulative sum :math:`C_t = \max(0, C_{t-1} + z_t - 1/2)`.
    direction : "worse" or "either"
        Whether only a rise of the loss counts; "either" is for "sup-LR".
    scores : "ranks" or "standardised"
        "ranks": normal scores of a loss's rank among the baseline's, :math:`\Phi^{-1}((r + 1/2) / (m + 1))`, which have the same
        distribution whatever that of the losses. "standardised": the loss less the baseline's mean over its standard deviation,
        for losses that are normal: it sees how far a loss is beyond all of the baseline.
    false_alarm : float
        Probability of an alarm anywhere in the stream if nothing changes.
    replicates : int
        Streams simulated for the threshold, each with a baseline of its own.
    seed : int

    Returns
    -------
    DriftAlarm

    Raises
    ------
    SpecificationError
        If a setting is none of those above, or too few documents are left to monitor.
    NoEstimate
        If a document has probability 0, or the baseline's losses do not vary.

    Notes
    -----
    Documents are taken to be independent and, before the change, identically distributed. With ranks the probability of a false
    alarm is then right for every continuous distribution. With standardised losses it is right for normal ones, and several times
    too high where the losses have a long right tail; the simulation page of the documentation has rates.

    References
    ----------
    Page (1954), Continuous inspection schemes. Biometrika 41. Siegmund and Venkatraman (1995) for the likelihood ratio.
    Gordon and Pollak (1994) for ranks. Chu, Stinchcombe and White (1996), Monitoring structural change, for control over the
    whole stream.

    Examples
    --------
    >>> import statlm as slm
    >>> calm, changed = ["abracadabra", "barbara", "cadabra", "abraca"] * 8, ["zzz", "zebra zoo"] * 4
    >>> corpus = slm.Corpus.from_texts(calm + changed)
    >>> found = drift_alarm(slm.NGram(n=1).fit(corpus), baseline=20)
    >>> found.alarm, found.change
    (34, 32)
    """
    for value, allowed in ((statistic, STATISTICS), (direction, DIRECTIONS), (scores, SCORES)):
        if value not in allowed:
            raise SpecificationError(f"There is no {value!r} here. Use one of {', '.join(map(repr, allowed))}.")
    if statistic == "cusum" and direction == "either":
        raise SpecificationError("The cumulative sum looks one way. Use direction='worse', or statistic='sup-LR'.")
    if not 0 < false_alarm < 1 or replicates < 99:
        raise SpecificationError(
            f"false_alarm={false_alarm}, replicates={replicates}: a probability between 0 and 1, from 99 replicates or more."
        )
    corpus = model.corpus
    groups = corpus.ndocuments
    if baseline < FEWEST or groups - baseline < 1:
        raise SpecificationError(
            f"baseline={baseline} of {groups:,} documents: at least {FEWEST} are needed to know what is normal, and one after "
            "them to monitor. Cut the text into more pieces: corpus.blocks(length=...)."
        )
    nobs = np.bincount(corpus.document_index, minlength=groups)
    loss = -np.bincount(corpus.document_index, model.loglike_obs(), groups) / np.maximum(nobs, 1)
    if not np.isfinite(loss).all() or not nobs.all():
        raise NoEstimate(
            f"{np.count_nonzero(~np.isfinite(loss)):,} of {groups:,} documents have probability 0, and "
            f"{np.count_nonzero(nobs == 0):,} no observation: their loss is no number. Use a smoothed model, and leave out "
            "empty documents."
        )
    calm = loss[:baseline]
    if np.ptp(calm) <= 1e-12 * abs(calm.mean()):
        raise NoEstimate(
            f"The {baseline} documents of the baseline all have loss {calm[0]:.4g}: without variation nothing is unusual."
        )
    z = _scores(loss[None, :], baseline, scores)
    path, change = _path(z, baseline, statistic, direction)
    rng = np.random.default_rng(seed)
    largest = np.empty(replicates)
    step = max(2**22 // groups, 1)
    for first in range(0, replicates, step):
        drawn = _scores(rng.standard_normal((min(step, replicates - first), groups)), baseline, scores)
        largest[first : first + len(drawn)] = _path(drawn, baseline, statistic, direction)[0].max(axis=1)
    # With the stream's own maximum among the replicates the rate is at most the one asked for, as for a Monte-Carlo p-value.
    rank = int(np.ceil((1 - false_alarm) * (replicates + 1)))
    threshold = float(np.sort(largest)[rank - 1]) if rank <= replicates else np.inf
    over = np.flatnonzero(path[0] > threshold)
    table = pd.DataFrame(
        {
            "document": corpus.documents["name"].to_numpy(dtype=object)[baseline:],
            "loss": loss[baseline:],
            "z": z[0],
            "statistic": path[0],
            "change": change[0] + baseline,
        }
    )
    at = int(over[0]) if len(over) else None
    return DriftAlarm(
        table,
        threshold,
        None if at is None else baseline + at,
        None if at is None else int(table["change"].iloc[at]),
        baseline,
        float((np.count_nonzero(largest >= threshold) + 1) / (replicates + 1)) if np.isfinite(threshold) else 0.0,
        f"{statistic}, {'a rise' if direction == 'worse' else 'a change'} of the loss, scores by {scores}",
    )


def _scores(values: Array, baseline: int, scores: str) -> Array:
    """(R, T) scores of the monitored values of R streams against the baseline of each."""
    calm, rest = values[:, :baseline], values[:, baseline:]
    if scores == "standardised":
        spread = calm.std(axis=1, ddof=1, keepdims=True)
        standardised: Array = (rest - calm.mean(axis=1, keepdims=True)) / spread
        return standardised
    from scipy.special import ndtri

    rank = np.empty(rest.shape)
    for row, known, new in zip(rank, np.sort(calm, axis=1), rest, strict=True):
        row[:] = (np.searchsorted(known, new, "left") + np.searchsorted(known, new, "right")) / 2  # halfway among equals
    scored: Array = ndtri((rank + 0.5) / (baseline + 1))
    return scored


def _path(z: Array, baseline: int, statistic: str, direction: str) -> tuple[Array, Array]:
    """(R, T) statistics after each monitored value of R streams of scores, and where the change most likely began."""
    streams, horizon = z.shape
    path, change = np.zeros((streams, horizon)), np.zeros((streams, horizon), np.int64)
    if statistic == "cusum":
        sums, since = np.zeros(streams), np.zeros(streams, np.int64)
        for t in range(horizon):
            sums = sums + z[:, t] - ALLOWANCE
            since = np.where(sums <= 0, t + 1, since)
            sums = np.maximum(sums, 0.0)
            path[:, t], change[:, t] = sums, np.minimum(since, t)
        return path, change
    running = np.concatenate([np.zeros((streams, 1)), np.cumsum(z, axis=1)], axis=1)
    for t in range(1, horizon + 1):
        length = np.arange(t, 0, -1)
        sums = running[:, t, None] - running[:, :t]
        if direction == "worse":
            sums = np.maximum(sums, 0.0)
        ratio = sums**2 / (length * (1 + length / baseline))
        best = ratio.argmax(axis=1)
        path[:, t - 1], change[:, t - 1] = ratio[np.arange(streams), best], best
    return path, change
