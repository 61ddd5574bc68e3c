"""Formulas: which lags and covariates a regression has, in the syntax of R and of formulaic."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from statlm.errors import SpecificationError

RESPONSE = "next"
MAX_LAGS = 8
EXAMPLE = "'next ~ lag1 + lag2 + lag1:lag2'"


@dataclass(frozen=True, order=True)
class Variable:
    """A variable of a formula.

    Parameters
    ----------
    name : str
        A lag, as ``lag1``, or a covariate.
    indicated : bool
        Whether it is written ``C(name)``: levels, though they be numbers.
    """

    name: str
    indicated: bool = False

    @property
    def lag(self) -> int | None:
        """Number of the lag; None for a covariate."""
        found = re.fullmatch(r"lag([1-9]\d*)", self.name)
        return int(found[1]) if found else None

    def __str__(self) -> str:
        return f"C({self.name})" if self.indicated else self.name


Term = frozenset[Variable]


@dataclass(frozen=True)
class Terms:
    """The terms of a regression beside its intercept, the smaller ones first.

    Parameters
    ----------
    terms : tuple of sets of Variable
        A set of one for a main effect, of more for an interaction.
    """

    terms: tuple[Term, ...]

    @classmethod
    def up_to(cls, lags: int, degree: int) -> Terms:
        """All interactions of up to `degree` of the lags."""
        names = [Variable(f"lag{j + 1}") for j in range(lags)]
        return cls(tuple(frozenset(s) for size in range(1, degree + 1) for s in combinations(names, size)))

    @cached_property
    def lags(self) -> int:
        """Number of tokens looked back at."""
        return max((v.lag or 0 for term in self.terms for v in term), default=0)

    @cached_property
    def degree(self) -> int:
        """Largest number of lags in an interaction."""
        return max((sum(v.lag is not None for v in term) for term in self.terms), default=0)

    @cached_property
    def covariates(self) -> tuple[Variable, ...]:
        """The variables that are no lags, in alphabetical order."""
        return tuple(sorted({v for term in self.terms for v in term if v.lag is None}))

    def contain(self, other: Terms) -> bool:
        """Whether each term of the other lies within one of these, so that the other spans a part of the same space.

        A lag or ``C(name)`` more makes an interaction that contains the smaller term; a covariate that may be a number does
        not.
        """
        return all(any(small <= large and _levels(large - small) for large in self.terms) for small in other.terms)


def _levels(variables: Iterable[Variable]) -> bool:
    return all(v.lag is not None or v.indicated for v in variables)


def parse(formula: str) -> Terms:
    """The terms of a formula such as ``next ~ lag1 * lag2 + C(author)``.

    Operators are those of formulaic: ``+``, ``-``, ``:``, ``*``, ``/``, ``**``, brackets. Variables are names and ``C(name)``: a
    formula is read, and never executed as a program.

    Raises
    ------
    SpecificationError
        If it cannot be read, has another response, no intercept, or computes something.

    Examples
    --------
    >>> [sorted(map(str, term)) for term in parse("next ~ lag1 * C(author)").terms]
    [['lag1'], ['C(author)'], ['C(author)', 'lag1']]
    """
    from formulaic import Formula
    from formulaic.errors import FormulaicError
    from formulaic.formula import SimpleFormula

    if not isinstance(formula, str):
        raise SpecificationError(f"formula={formula!r} is not a string. Write it as {EXAMPLE}.")
    try:
        found = Formula(formula)
    except (FormulaicError, SyntaxError) as error:
        reason = re.sub(r"\x1b\[[\d;]*m|[⧛⧚]", "", str(error)).strip().splitlines()[0].split(". ")[0].rstrip(".")
        raise SpecificationError(f"The formula {formula!r} cannot be read ({reason}). Write it as {EXAMPLE}.") from error
    right = found
    if "~" in formula:
        left = getattr(found, "lhs", None)
        if left is not None and [str(term) for term in left] != [RESPONSE]:
            raise SpecificationError(
                f"The formula {formula!r} has the response {str(left)!r}, but what is predicted is always the next token: write "
                f"'{RESPONSE} ~ ...'."
            )
        right = found if left is None else found.rhs
    if not isinstance(right, SimpleFormula):
        raise SpecificationError(f"The formula {formula!r} has several parts. A regression has one: write it as {EXAMPLE}.")
    terms: list[Term] = []
    intercept = False
    for term in right:
        if str(term) == "1":
            intercept = True
            continue
        variables = frozenset(_variable(factor.expr, formula) for factor in term.factors)
        if variables not in terms:
            terms.append(variables)
    if not intercept:
        raise SpecificationError(
            f"The formula {formula!r} has no intercept. Tokens differ in frequency whatever comes before, and without an "
            "intercept the fit would depend on which levels are the references. Leave out '0 +' and '- 1'."
        )
    return Terms(tuple(sorted(terms, key=_place)))


def _place(term: Term) -> tuple[int, list[tuple[bool, int, str]]]:
    """Where a term stands among others, however the formula orders them: by size, then lags before covariates."""
    return len(term), sorted((v.lag is None, v.lag or 0, str(v)) for v in term)


def _variable(expression: str, formula: str) -> Variable:
    found = re.fullmatch(r"(?:C\(\s*([^()\s,]+)\s*\)|([^()\s]+))", expression)
    name = None if found is None else found[1] or found[2]
    if name is None or not re.fullmatch(r"[^\W\d]\w*", name):
        raise SpecificationError(
            f"The formula {formula!r} computes {expression!r}. Formulas hold names and C(name) only: a saved formula is read, "
            "and must not run as a program. Make a column of it: corpus.with_covariates(frame.assign(...))."
        )
    if name == RESPONSE:
        raise SpecificationError(
            f"The formula {formula!r} has the response {RESPONSE!r} on its right side. Use lag1, lag2, ..."
        )
    variable = Variable(name, found is not None and found[1] is not None)
    if variable.lag is None:
        return variable
    if variable.lag > MAX_LAGS:
        raise SpecificationError(
            f"The formula {formula!r} looks back {variable.lag} tokens. At most {MAX_LAGS} lags are taken."
        )
    return Variable(name)
