"""What is known of a data set, and what a generated one gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


@dataclass(frozen=True)
class Dataset:
    """A data set: where it comes from, under which licence, and how to load it.

    Parameters
    ----------
    name : str
        What `statlm.datasets.load` calls it.
    title : str
    citation : str
        What to cite in a publication.
    license : str
    load : callable
        Makes the corpus, or a `Generated`.
    url : str or None
        Where a file is downloaded from; None where there is no download.
    sha256 : str or None
        Hexadecimal SHA-256 of the file; None where there is no single file.

    Examples
    --------
    >>> from statlm.text.datasets.shakespeare import SHAKESPEARE
    >>> SHAKESPEARE.name, SHAKESPEARE.license
    ('shakespeare', 'public domain')
    """

    name: str
    title: str
    citation: str
    license: str
    load: Callable[..., Any]
    url: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, eq=False)
class Generated:
    """Simulated text, and the truth that it was drawn from.

    Attributes
    ----------
    corpus : Corpus
    truth : (S,) * lags + (S,) array, or DataFrame
        Transition probabilities, or a row a document; the function that made it says which.
    truth_by_document : (D, S ** lags, S) array or None
        Each document's own transition probabilities, where documents differ.

    Examples
    --------
    >>> from statlm.text.datasets import markov
    >>> markov(states=2, documents=3, length=5).truth.shape
    (2, 2)
    """

    corpus: Corpus
    truth: Any
    truth_by_document: Array | None = None
