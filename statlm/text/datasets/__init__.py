"""Data sets: real texts with their licences, and simulated ones with their truth."""

from __future__ import annotations

from typing import Any, Literal, overload

import pandas as pd

from statlm.errors import SpecificationError
from statlm.text.corpus import Corpus
from statlm.text.datasets.additions import ADDITION, addition
from statlm.text.datasets.column_additions import COLUMN_ADDITION, column_addition
from statlm.text.datasets.dom_casmurro import DOM_CASMURRO
from statlm.text.datasets.markov_chains import MARKOV, markov
from statlm.text.datasets.python_docs import PYTHON_DOCS
from statlm.text.datasets.record import Dataset, Generated
from statlm.text.datasets.shakespeare import SHAKESPEARE
from statlm.text.datasets.sotu import SOTU

__all__ = ["DATASETS", "Dataset", "Generated", "addition", "column_addition", "describe", "load", "markov", "names"]

DATASETS = {d.name: d for d in (ADDITION, COLUMN_ADDITION, DOM_CASMURRO, MARKOV, PYTHON_DOCS, SHAKESPEARE, SOTU)}


def names() -> list[str]:
    """Names that `load` knows.

    Examples
    --------
    >>> names()
    ['addition', 'column_addition', 'dom_casmurro', 'markov', 'python_docs', 'shakespeare', 'sotu']
    """
    return list(DATASETS)


@overload
def load(name: Literal["addition", "column_addition", "markov"], **settings: Any) -> Generated: ...


@overload
def load(name: str, **settings: Any) -> Corpus: ...


def load(name: str, **settings: Any) -> Corpus | Generated:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        One of `names`.
    **settings
        Settings of the data set: ``tokenizer`` and others of `Corpus.from_text` for texts, ``years`` for "sotu", ``split``
        for "shakespeare" and "dom_casmurro", those of `markov`, `addition` and `column_addition`.

    Returns
    -------
    Corpus or Generated
        A corpus; for "markov", "addition" and "column_addition" a `Generated`, which has the corpus and the truth.

    Raises
    ------
    SpecificationError
        If there is no such data set, or a setting is out of range.
    DataUnavailable
        If its file is neither on this machine nor can be downloaded.
    DamagedFile
        If its file is not the known one.

    Examples
    --------
    >>> load("sotu", tokenizer="word", years=(1861, 1864)).ndocuments
    4
    >>> load("markov", states=3, lags=2).truth.shape
    (3, 3, 3)
    """
    if name not in DATASETS:
        raise SpecificationError(
            f"There is no data set {name!r}. The names are {', '.join(names())}; for a file of your own use "
            "Corpus.from_file."
        )
    loaded: Corpus | Generated = DATASETS[name].load(**settings)
    return loaded


def describe() -> pd.DataFrame:
    """Table of the data sets.

    Returns
    -------
    DataFrame
        A row a data set: name, title, license, citation, url, sha256; None where there is none.

    Examples
    --------
    >>> describe().columns.tolist()
    ['name', 'title', 'license', 'citation', 'url', 'sha256']
    """
    columns = ["name", "title", "license", "citation", "url", "sha256"]
    rows = [[getattr(dataset, column) for column in columns] for dataset in DATASETS.values()]
    return pd.DataFrame(rows, columns=columns, dtype=object)
