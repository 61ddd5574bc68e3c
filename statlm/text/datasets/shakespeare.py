"""Plays of Shakespeare, the million characters known as tinyshakespeare."""

from __future__ import annotations

from typing import Any

from statlm.text.corpus import Corpus
from statlm.text.datasets.files import fetch
from statlm.text.datasets.record import Dataset
from statlm.text.reading import Splitter


def load(tokenizer: Any = "char", *, split: str | Splitter | None = None, **settings: Any) -> Corpus:
    """Plays of Shakespeare, 1,115,394 characters; downloaded once.

    Parameters
    ----------
    tokenizer, split, **settings
        As of `Corpus.from_file`. By default the text is one document; ``split="paragraph"`` makes each speech one.

    Returns
    -------
    Corpus

    Raises
    ------
    DataUnavailable
        If the file is neither in the folder STATLM_DATA, nor cached, nor can be downloaded.
    DamagedFile
        If the file is not the known one.

    Examples
    --------
    >>> SHAKESPEARE.load is load
    True
    """
    return Corpus.from_file(fetch(SHAKESPEARE), tokenizer, split=split, **settings)


SHAKESPEARE = Dataset(
    name="shakespeare",
    title="Plays of William Shakespeare (tinyshakespeare)",
    citation="William Shakespeare, plays; selection of Andrej Karpathy, char-rnn (2015), https://github.com/karpathy/char-rnn",
    license="public domain",
    load=load,
    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
