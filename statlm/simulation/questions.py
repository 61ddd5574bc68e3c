"""What is asked of each replicate: intervals, whose truth is known, and tests, whose null hypothesis is true or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.inference.perplexity_interval import perplexity_estimate
from statlm.inference.predict import DELTA, FROM_COUNTS, predict
from statlm.text.corpus import Corpus

Answer: TypeAlias = dict[str, Any]


class Question(Protocol):
    """Something to measure on each replicate."""

    def answers(self, fit: Any, target: Any, population: Corpus | None, level: float) -> list[Answer]:
        """What the refit says, a row an interval or a test.

        Parameters
        ----------
        fit : Fit
            On the replicate.
        target : Predictive
            The distribution that is to be estimated.
        population : Corpus or None
            A large corpus from the truth.
        level : float
        """
        ...

    def describe(self) -> str:
        """In words; equal where the same is asked."""
        ...


@dataclass(frozen=True)
class Probabilities:
    """Intervals of next-token probabilities.

    Parameters
    ----------
    contexts : sequence
        As of `statlm.predict`.
    tokens : sequence of str, optional
        Whose probabilities; by default all that are neither impossible nor certain.
    methods : sequence of str
        "wald" and "logit" with each of `covs`; "wilson", "jeffreys", "clopper-pearson", "goodman", "sison-glaz" from the counts
        of an n-gram.
    covs : sequence of str
        As of `statlm.std_errors`.
    """

    contexts: Sequence[Any]
    tokens: Sequence[str] | None = None
    methods: Sequence[str] = ("wald",)
    covs: Sequence[str] = ("nonrobust",)

    def __post_init__(self) -> None:
        if unknown := [m for m in self.methods if m not in (*DELTA, *FROM_COUNTS)]:
            raise SpecificationError(f"There is no interval {unknown[0]!r}. Use one of {', '.join((*DELTA, *FROM_COUNTS))}.")

    def answers(self, fit: Any, target: Any, population: Corpus | None, level: float) -> list[Answer]:
        """A row a context, token, method and covariance."""
        truth = {
            place: p
            for place, p in _by_place(predict(target, self.contexts), "probability")
            if 0 < p < 1 and self._asked(place[1])
        }
        rows = []
        for method in self.methods:
            for cov in self.covs if method in DELTA else ("",):
                table = fit.predict(self.contexts, interval=level, method=method, **({"cov": cov} if cov else {}))
                found = dict(_by_place(table, "probability", "std_error", "conf_low", "conf_high"))
                for place, value in truth.items():
                    estimate, std_error, low, high = found[place]
                    rows.append(
                        {
                            "kind": "interval",
                            "what": f"p({place[1]} | {place[0]})",
                            "method": f"{method}, {cov}" if cov else method,
                            "estimate": estimate,
                            "std_error": std_error,
                            "conf_low": low,
                            "conf_high": high,
                            "truth": value,
                        }
                    )
        return rows

    def _asked(self, token: str) -> bool:
        return self.tokens is None or token in self.tokens

    def describe(self) -> str:
        """In words."""
        return f"probabilities {list(self.contexts)} {self.tokens} {list(self.methods)} {list(self.covs)}"


def _by_place(table: pd.DataFrame, *columns: str) -> list[tuple[tuple[str, str], Any]]:
    """Context and token of each row, with its values of these columns."""
    values = [table[column].tolist() for column in columns]
    places = zip(table["context"].tolist(), table["token"].tolist(), strict=True)
    return list(zip(places, values[0] if len(values) == 1 else zip(*values, strict=True), strict=True))


@dataclass(frozen=True)
class Perplexity:
    """Intervals of the perplexity of the refit on new documents; the truth is its perplexity on the population.

    Parameters
    ----------
    dependences : sequence of str
        As of `statlm.perplexity_interval`.
    test : float
        Share of the replicate's documents that is held out; the others are fitted.
    """

    dependences: Sequence[str] = ("cluster",)
    test: float = 0.5

    def answers(self, fit: Any, target: Any, population: Corpus | None, level: float) -> list[Answer]:
        """A row an assumption on dependence; on the scale of the mean log-loss, nats a token."""
        if population is None:
            raise SpecificationError(
                "The perplexity of a refit has no closed form, so its truth needs a large corpus from the model: population=2000."
            )
        train, held = fit.corpus.split(self.test)
        model = fit.specification.fit(train)
        evaluation, truth = model.on(held), -float(model.on(population).loglike_obs().mean())
        rows = []
        for dependence in self.dependences:
            found = perplexity_estimate(evaluation, dependence)
            low, high = found.interval(level)
            rows.append(
                {
                    "kind": "interval",
                    "what": "log perplexity, held out",
                    "method": dependence,
                    "estimate": found.mean,
                    "std_error": found.std_error,
                    "conf_low": low,
                    "conf_high": high,
                    "truth": truth,
                }
            )
        return rows

    def describe(self) -> str:
        """In words."""
        return f"perplexity {list(self.dependences)} {self.test}"


@dataclass(frozen=True)
class Rejection:
    """How often a test rejects.

    Parameters
    ----------
    name : str
        What to call it; studies that are resumed are told apart by names.
    test : callable
        Takes the corpus of a replicate and gives a p-value, or a result with a ``p_value``. With ``jobs`` other than 1 it
        must be a function of a module, since processes cannot share lambdas.
    null : bool
        Whether the null hypothesis is true of the model: the rate is then the test's size, and else its power.
    """

    name: str
    test: Callable[[Corpus], Any]
    null: bool = True

    def answers(self, fit: Any, target: Any, population: Corpus | None, level: float) -> list[Answer]:
        """One row with the p-value."""
        found: Any = self.test(fit.corpus)
        p = float(found) if isinstance(found, (float, int, np.floating)) else float(found.p_value)
        return [{"kind": "size" if self.null else "power", "what": self.name, "method": "", "p_value": p}]

    def describe(self) -> str:
        """In words."""
        return f"rejection {self.name} {self.null}"
