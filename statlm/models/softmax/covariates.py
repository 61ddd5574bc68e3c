"""Covariates of a regression: what a corpus says of its documents and positions, as levels and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import CorpusError, SpecificationError
from statlm.models.softmax.formula import Variable
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.text.corpus import Corpus

DOCUMENT, POSITION = "document", "position"


@dataclass(frozen=True)
class Covariate:
    """A covariate as training saw it.

    Parameters
    ----------
    variable : Variable
    levels : tuple or None
        Its values, the reference level first; None for a number.
    """

    variable: Variable
    levels: tuple[Any, ...] | None

    @property
    def name(self) -> str:
        """The column that it is."""
        return self.variable.name


@dataclass(frozen=True, eq=False)
class Values:
    """Values of the covariates, a row each.

    Parameters
    ----------
    levels : (m, L) integer array
        Of those with levels: position among the levels.
    numbers : (m, N) array
        Of the others.
    """

    levels: Array
    numbers: Array

    def take(self, index: Array) -> Values:
        """These rows."""
        return Values(self.levels[index], self.numbers[index])


@dataclass(frozen=True, eq=False)
class Observed:
    """The distinct rows of covariates of a corpus, and which of them each observation has.

    Parameters
    ----------
    frame : (R, ...) DataFrame
    code : (nobs,) integer array
    """

    frame: pd.DataFrame
    code: Array


def observed(corpus: Corpus, variables: Sequence[Variable]) -> Observed:
    """What a corpus says of its observations.

    Columns of ``corpus.documents`` hold for all observations of a document; ``document`` is its name and ``position`` an
    observation's place in it, from 0, where no column has these names.

    Raises
    ------
    SpecificationError
        If a variable is no column.
    CorpusError
        If a document has no value of one.
    """
    table = corpus.documents.rename(columns={"name": DOCUMENT})
    names = list(dict.fromkeys(v.name for v in variables))
    for name in names:
        if name not in table.columns and name != POSITION:
            _unknown(name, [*table.columns, *([] if POSITION in table.columns else [POSITION])])
    by_document = [name for name in names if name in table.columns]
    for name in by_document:
        _complete(table[name], name, table[DOCUMENT], "documents")
    codes = [np.asarray(pd.factorize(table[name])[0], np.int64)[corpus.document_index] for name in by_document]
    if len(by_document) < len(names):
        codes.append(corpus.positions.astype(np.int64))
    found = unique_rows(codes, bits_for(max(int(code.max()) + 1 for code in codes)), index=True)
    assert found.index is not None
    first = np.zeros(len(found.counts), np.int64)
    first[found.index[::-1]] = np.arange(corpus.nobs)[::-1]  # an observation of each row
    frame = table[by_document].iloc[corpus.document_index[first]].reset_index(drop=True)
    if len(by_document) < len(names):
        frame[POSITION] = corpus.positions[first]
    return Observed(frame, found.index)


def _unknown(name: str, available: Sequence[str]) -> None:
    close = get_close_matches(name, ["lag1", "lag2", *available], 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise SpecificationError(
        f"The formula names {name!r}, which is neither a lag nor a covariate of this corpus.{hint} Available: lag1, lag2, ..., "
        f"{', '.join(available)}. Covariates are given with the texts (covariates=), or by corpus.with_covariates(frame)."
    )


def _complete(column: pd.Series, name: str, labels: pd.Series, of: str) -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        first = labels[int(np.argmax(missing))]
        raise CorpusError(
            f"{np.count_nonzero(missing):,} of {len(column):,} {of} have no value of the covariate {name!r} (the first: "
            f"{first!r}), so the model says nothing about them. Leave them out, "
            f"corpus.subset(corpus.documents[{name!r}].notna()), or fill the values."
        )


def learned(frame: pd.DataFrame, variables: Sequence[Variable]) -> tuple[Covariate, ...]:
    """Levels and numbers, by the types of the columns: strings, categories and truth values have levels, and so has ``C(name)``.

    The reference level is the first: of a categorical column its first category that occurs, else the smallest value.
    """
    found = []
    for variable in variables:
        column = frame[variable.name]
        kind = column.dtype
        levelled = (
            variable.indicated
            or isinstance(kind, pd.CategoricalDtype)
            or pd.api.types.is_bool_dtype(kind)
            or pd.api.types.is_string_dtype(kind)
            or pd.api.types.is_object_dtype(kind)
        )
        if not levelled:
            _numbers(column, variable.name)
            found.append(Covariate(variable, None))
            continue
        distinct = column.unique()
        if isinstance(kind, pd.CategoricalDtype):
            here = set(distinct)
            values = [level for level in kind.categories if level in here]
        else:
            values = sorted(distinct.tolist(), key=lambda value: (str(type(value)), value))
        if not all(isinstance(_plain(value), (str, bool, int, float)) for value in values):
            raise SpecificationError(
                f"The covariate {variable.name!r} holds values of type {type(values[0]).__name__}, which are neither words nor "
                "numbers. Convert them, as in frame.assign(year=frame.date.dt.year)."
            )
        found.append(Covariate(variable, tuple(_plain(value) for value in values)))
    return tuple(found)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _numbers(column: pd.Series, name: str) -> Array:
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_complex_dtype(column.dtype):
        raise SpecificationError(
            f"The covariate {name!r} is of type {column.dtype}, which is no number. Make one of it, as in "
            f"frame.assign(year=frame.date.dt.year), or take its values as levels: C({name})."
        )
    values = column.to_numpy(float)
    if not np.isfinite(values).all():
        raise CorpusError(f"The covariate {name!r} holds infinite values, which no coefficient can multiply. Replace them.")
    return values


def encoded(covariates: Sequence[Covariate], frame: pd.DataFrame) -> Values:
    """Rows of a frame as levels and numbers.

    Raises
    ------
    CorpusError
        If a value is a level that training never saw, or no number.
    """
    levels, numbers = [], []
    for covariate in covariates:
        column = frame[covariate.name]
        if covariate.levels is None:
            numbers.append(_numbers(column, covariate.name))
            continue
        place = {level: i for i, level in enumerate(covariate.levels)}
        found = np.array([place.get(_plain(value), -1) for value in column], np.int64)
        if (found < 0).any():
            strange = sorted({str(value) for value in column[found < 0]})
            known = ", ".join(map(repr, covariate.levels[:8])) + (", ..." if len(covariate.levels) > 8 else "")
            raise CorpusError(
                f"Training never saw the level {strange[0]!r}{f' and {len(strange) - 1} more' if strange[1:] else ''} of the "
                f"covariate {covariate.name!r} (it saw {known}), so there is no estimate for it. Leave these documents out, "
                "or fit to texts of all levels."
            )
        levels.append(found)
    return Values(
        np.stack(levels, axis=1) if levels else np.zeros((len(frame), 0), np.int64),
        np.stack(numbers, axis=1) if numbers else np.zeros((len(frame), 0)),
    )


def one_row(covariates: Sequence[Covariate], values: Mapping[str, Any]) -> Values:
    """The row of these values.

    Raises
    ------
    SpecificationError
        If a covariate has no value, or a value no covariate.
    """
    names = list(dict.fromkeys(covariate.name for covariate in covariates))
    absent, strange = [n for n in names if n not in values], [n for n in values if n not in names]
    if absent or strange:
        what = (
            f"no value of {', '.join(map(repr, absent))}" if absent else f"a value of {strange[0]!r}, which is none of them"
        )
        raise SpecificationError(
            f"The covariates of this model are {', '.join(map(repr, names))}, and there is {what}. Give each of them one value."
        )
    for name, value in values.items():
        if not np.isscalar(value) or value != value:  # NaN
            raise SpecificationError(f"{name}={value!r} is not one value. Give a covariate one value that is not missing.")
    return encoded(covariates, pd.DataFrame({name: [values[name]] for name in names}))
