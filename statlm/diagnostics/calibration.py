"""Whether what a model calls probable comes about as often as it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from statlm.covariance import Dependence, SeriesDependence
from statlm.diagnostics.events import event_of
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.perplexity_interval import Interval, choose_dependence
from statlm.likelihood import Predictive
from statlm.numerics.calibration_bins import ScoreParts, bin_edges, bin_index, score_parts
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

STRATEGIES = ("quantile", "uniform")
DRAWS = 20_000  # of the error of the calibration error; its quantile is then good to about 1 %


@dataclass(frozen=True, eq=False)
class Calibration:
    """Forecasts of an event against its frequencies.

    Attributes
    ----------
    event : str
        What is forecast, in words.
    table : DataFrame
        A row a bin that is not empty: ``low``, ``high`` (its edges), ``count``, ``forecast`` (mean probability), ``frequency``,
        ``std_error`` (of the frequency), ``conf_low``, ``conf_high`` (bands that hold simultaneously).
    error : float
        Expected calibration error, the mean over forecasts of the distance of frequency and forecast in their bin.
    error_debiased : float
        The same less an estimate of its bias from noise, at least 0.
    error_interval : Interval
        Of the expected calibration error.
    brier, log_score : ScoreParts
        Mean score (the log-score in nats) and its parts by isotonic recalibration.
    level : float
        Confidence level.
    dependence : str
        The assumption on dependence, in words.
    nobs : int
    """

    event: str
    table: pd.DataFrame
    error: float
    error_debiased: float
    error_interval: Interval
    brier: ScoreParts
    log_score: ScoreParts
    level: float
    dependence: str
    nobs: int

    def __str__(self) -> str:
        t = self.table
        outside = int(((t.forecast < t.conf_low) | (t.forecast > t.conf_high)).sum())
        low, high = self.error_interval
        lines = [
            f"Calibration of '{self.event}' over {self.nobs:,} forecasts in {len(t)} bins",
            f"Expected calibration error {self.error:.4f}, without its bias {self.error_debiased:.4f}, "
            f"{100 * self.level:g} % interval {low:.4f} to {high:.4f}",
            f"Bins whose simultaneous band leaves out their forecast: {outside} of {len(t)}",
        ]
        for name, part in (("Brier score", self.brier), ("Log score", self.log_score)):
            lines.append(
                f"{name} {part.score:.4f} = miscalibration {part.miscalibration:.4f} - discrimination "
                f"{part.discrimination:.4f} + uncertainty {part.uncertainty:.4f}"
            )
        return "\n".join([*lines, f"Dependence: {self.dependence}."])


def calibration(
    model: Predictive,
    event: str | Sequence[str] = "top",
    *,
    bins: int = 10,
    strategy: str = "quantile",
    level: float = 0.95,
    dependence: str | Dependence | None = None,
) -> Calibration:
    r"""Reliability of a model's probabilities for an event: table with simultaneous bands, calibration error, score parts.

    With bins b of :math:`n_b` forecasts, mean forecast :math:`\bar p_b` and frequency :math:`f_b`, the expected calibration
    error is :math:`\sum_b (n_b / n) |f_b - \bar p_b|`. Noise alone makes it positive. What noise would add to errors of the size
    that was found, if they are normal, is subtracted in ``error_debiased``: nearly all of the bias where the errors are large,
    and about 40 % of it where the model is calibrated.

    Parameters
    ----------
    model : Predictive
        On text that it was not fitted to.
    event : "top", a token, or a sequence of tokens
        That the model's most probable token comes next (its confidence), or that one of these tokens does.
    bins : int
        Number of bins; at least 2.
    strategy : "quantile" or "uniform"
        Bins of equal numbers of forecasts, or of equal width.
    level : float
        Confidence level.
    dependence : str or object, optional
        "iid", "cluster", "HAC", or an object; None takes clusters where there are 10 or more documents and HAC otherwise.

    Returns
    -------
    Calibration

    Raises
    ------
    SpecificationError
        If there is no such token, strategy or number of bins, or the dependence is a bootstrap.
    NoEstimate
        If all forecasts are the same and all outcomes too, so that there is nothing to compare.

    See Also
    --------
    hosmer_lemeshow : the same as a test.
    temperature_test : over-confidence as one parameter.

    Notes
    -----
    *Bands.* Wilson's interval with the effective number of forecasts :math:`f(1-f)/\mathrm{se}^2`, at the level
    :math:`1 - (1 - \alpha)^{1/B}` for B bins (Šidák 1967), which holds simultaneously for normal errors however they are
    correlated. A bin of frequency 0 or 1 gets the median effective share of the others.

    *Interval.* :math:`|\mathrm{ECE}(\hat d) - \mathrm{ECE}(d)| \le \sum_b (n_b / n) |\hat d_b - d_b|`; the quantile of the right
    side is simulated from its normal (or t) distribution. So the interval covers the error of these bins at least as often as it
    says, also where the model is calibrated and the estimate has no normal distribution.

    *Scores.* Recalibration is by isotonic regression, so no part depends on the bins, and miscalibration and discrimination are
    never negative. A forecast of 0 for what happened makes the log score infinite, which is shown as it is.

    References
    ----------
    Murphy and Winkler (1977). Bröcker and Smith (2007). Kumar, Liang and Ma (2019), Verified uncertainty calibration, for the
    debiasing. Dimitriadis, Gneiting and Jordan (2021) for the decomposition. Korn and Graubard (1998) for the effective number.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 40).split(test=0.5)
    >>> found = calibration(slm.NGram(n=2, pseudo_count=20).fit(train).on(test), dependence="iid")
    >>> bool(found.error > 0.2), found.brier.miscalibration > 0  # a strong prior makes it too cautious
    (True, True)
    """
    if bins < 2 or strategy not in STRATEGIES:
        raise SpecificationError(f"bins={bins!r}, strategy={strategy!r}: use 2 bins or more, 'quantile' or 'uniform'.")
    found = event_of(model, event)
    p, y = found.probability, found.happened.astype(float)
    if np.ptp(p) == 0 and np.ptp(y) == 0:
        raise NoEstimate(
            f"All {len(y):,} forecasts of '{found.name}' are {p[0]:.3g} and all outcomes {y[0]:g}: without variation nothing "
            "says how often it comes when it is forecast. Choose another event, or more text."
        )
    chosen, described = matrix_dependence(dependence, model.corpus)
    edges = bin_edges(p, bins, strategy)
    index = bin_index(p, edges)
    used, index = np.unique(index, return_inverse=True)
    count = np.bincount(index)
    forecast, frequency = (np.bincount(index, weights=x) / count for x in (p, y))
    dof = chosen.reference_dof(model.corpus)

    of_frequency = _covariance(y - frequency[index], index, count, model.corpus, chosen)
    se = np.sqrt(np.diag(of_frequency))
    low, high = _bands(frequency, se, count, half_width(level ** (1 / len(count)), dof))
    table = pd.DataFrame(
        {
            "low": edges[used],
            "high": edges[np.minimum(used + 1, len(edges) - 1)],
            "count": count,
            "forecast": forecast,
            "frequency": frequency,
            "std_error": se,
            "conf_low": low,
            "conf_high": high,
        }
    )
    d = frequency - forecast
    of_deviation = _covariance(y - p - d[index], index, count, model.corpus, chosen)
    share = count / len(y)
    error = float(share @ np.abs(d))
    noise = float(share @ (_folded_mean(d, np.sqrt(np.diag(of_deviation))) - np.abs(d)))
    half = _quantile_of_error(of_deviation, share, dof, level)
    brier, log_score = score_parts(p, found.happened)
    return Calibration(
        found.name,
        table,
        error,
        max(error - noise, 0.0),
        Interval(max(error - half, 0.0), min(error + half, 1.0)),
        brier,
        log_score,
        level,
        described,
        len(y),
    )


def matrix_dependence(dependence: str | Dependence | SeriesDependence | None, corpus: Corpus) -> tuple[Dependence, str]:
    """An assumption that gives covariances of several series, and its description; a bootstrap is refused."""
    chosen, reason = choose_dependence(dependence, corpus)
    if not isinstance(chosen, Dependence):
        raise SpecificationError(
            f"{dependence!r} gives the variance of one series, and here covariances of several are needed. Use 'iid', "
            "'cluster', 'HAC', or an object such as Clustered()."
        )
    return chosen, f"{chosen.describe(corpus)}, {reason}"


def _covariance(x: Array, index: Array, count: Array, corpus: Corpus, dependence: Dependence) -> Array:
    """(B, B) covariance of the means of x in each bin."""
    rows = sparse.csr_array((x, (np.arange(len(x)), index)), shape=(len(x), len(count)))
    along = np.asarray(dependence.factor(rows, corpus) @ np.eye(len(count)))
    covariance: Array = along.T @ along / np.outer(count, count)
    return covariance


def _bands(frequency: Array, se: Array, count: Array, z: float) -> tuple[Array, Array]:
    """Wilson's intervals with effective numbers of forecasts."""
    inside = (frequency > 0) & (frequency < 1) & (se > 0)
    effective = np.full(len(count), np.nan)
    effective[inside] = np.minimum(frequency * (1 - frequency), 0.25)[inside] / se[inside] ** 2
    typical = float(np.median((effective / count)[inside])) if inside.any() else 1.0
    n = np.minimum(np.where(inside, effective, min(typical, 1.0) * count), count)
    centre = (frequency + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(frequency * (1 - frequency) / n + z**2 / (4 * n**2))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def _folded_mean(d: Array, s: Array) -> Array:
    """Mean of the absolute value of a normal variable of mean d and standard deviation s."""
    from scipy.special import ndtr

    safe = np.where(s > 0, s, 1.0)
    mean = safe * np.sqrt(2 / np.pi) * np.exp(-((d / safe) ** 2) / 2) + d * (1 - 2 * ndtr(-d / safe))
    return np.where(s > 0, mean, np.abs(d))


def _quantile_of_error(covariance: Array, share: Array, dof: float, level: float) -> float:
    """Quantile of the weighted sum of absolute errors, which are normal, or t with common degrees of freedom."""
    rng = np.random.default_rng(0)
    values, vectors = np.linalg.eigh(covariance)
    draws = rng.standard_normal((DRAWS, len(share))) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    sums = np.abs(draws) @ share
    if np.isfinite(dof):
        sums *= np.sqrt(dof / rng.chisquare(dof, DRAWS))
    return float(np.quantile(sums, level))
