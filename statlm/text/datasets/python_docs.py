"""The topics of Python's help(): technical English that every installation of CPython has."""

from __future__ import annotations

import platform
from importlib import import_module
from typing import Any

from statlm.errors import DataUnavailable
from statlm.text.corpus import Corpus
from statlm.text.datasets.record import Dataset


def load(tokenizer: Any = "char", **settings: Any) -> Corpus:
    """The topics of Python's ``help()``, a document each, named and sorted by topic.

    Parameters
    ----------
    tokenizer, **settings
        As of `Corpus.from_texts`.

    Returns
    -------
    Corpus

    Raises
    ------
    DataUnavailable
        If this Python comes without its help topics.

    Notes
    -----
    The text is that of the running Python and changes with its version: the corpus's fingerprint tells them apart.

    Examples
    --------
    >>> corpus = load()
    >>> "assert" in set(corpus.documents["name"])
    True
    """
    try:
        topics: dict[str, str] = import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise DataUnavailable(
            f"This {platform.python_implementation()} {platform.python_version()} comes without its help topics (the module "
            "pydoc_data.topics), which are the text of data set 'python_docs'. Install the full standard library, or use "
            "another data set, such as 'sotu'."
        ) from error
    names = sorted(topics)
    return Corpus.from_texts([topics[name] for name in names], tokenizer, names=names, **settings)


PYTHON_DOCS = Dataset(
    name="python_docs",
    title="Topics of Python's help()",
    citation="Python Software Foundation, The Python Language Reference, https://docs.python.org/3/reference/",
    license="PSF-2.0",
    load=load,
)
