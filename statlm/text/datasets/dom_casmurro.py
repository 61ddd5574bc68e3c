"""Dom Casmurro, a novel of Machado de Assis, in Portuguese.

No public address is known whose file is this edition byte for byte (modern spelling, no blank lines within chapters), so it
is not downloaded: it comes from the folder that the environment variable STATLM_DATA names.
"""

from __future__ import annotations

from typing import Any

from statlm.text.corpus import Corpus
from statlm.text.datasets.files import fetch
from statlm.text.datasets.record import Dataset
from statlm.text.reading import Splitter


def load(tokenizer: Any = "char", *, split: str | Splitter | None = None, **settings: Any) -> Corpus:
    """Dom Casmurro (1899), 371,506 characters of Portuguese; from the folder STATLM_DATA only.

    Parameters
    ----------
    tokenizer, split, **settings
        As of `Corpus.from_file`. By default the text is one document.

    Returns
    -------
    Corpus

    Raises
    ------
    DataUnavailable
        If the folder STATLM_DATA does not hold dom_casmurro.txt; this edition has no download.
    DamagedFile
        If the file is not the known one.

    Examples
    --------
    >>> DOM_CASMURRO.load is load, DOM_CASMURRO.url is None
    (True, True)
    """
    return Corpus.from_file(fetch(DOM_CASMURRO), tokenizer, split=split, **settings)


DOM_CASMURRO = Dataset(
    name="dom_casmurro",
    title="Dom Casmurro, a novel in Portuguese",
    citation="Machado de Assis, Dom Casmurro, Rio de Janeiro: Garnier, 1899; in modern spelling",
    license="public domain",
    load=load,
    sha256="d2d0da51e599361f12347905e9aedd32527912e0676111131bd919f792ef9360",
)
