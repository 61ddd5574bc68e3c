"""Sums of numbers, written out digit by digit: a language whose grammar is arithmetic."""

from __future__ import annotations

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.text.corpus import Corpus
from statlm.text.datasets.record import Dataset, Generated
from statlm.text.tokenizers import Characters
from statlm.text.vocabulary import Vocabulary

MOST_DIGITS = 18  # sums fit into 64 bits


def addition(
    digits: int = 2, *, documents: int = 1000, seed: int = 0, reverse: bool = False, eos: bool = False, given: int = 0
) -> Generated:
    """Draw sums as text, a document each: "12+34=046".

    Both numbers are uniform from 0 to ``10 ** digits - 1``, drawn with replacement, and everything is padded with zeros
    to a fixed width, so that a token's place says what it is.

    Parameters
    ----------
    digits : int
        Digits of each number, from 1 to 18; the sum has one more.
    documents : int
        Number D of sums.
    seed : int
    reverse : bool
        Whether the sum is written last digit first, in the order in which carries are worked out: "12+34=640".
    eos : bool
        Whether ``<eos>`` ends each document; the width is fixed, so nothing is lost without it.
    given : int
        Condition on this many characters; with ``2 * digits + 2``, only the sum itself is predicted.

    Returns
    -------
    Generated
        The corpus, of characters, and `truth`, a DataFrame with a row a document: a, b and sum (integers).

    Raises
    ------
    SpecificationError
        If `digits` is not from 1 to 18, or there is no document.

    Examples
    --------
    >>> drawn = addition(digits=2, documents=3, given=6)
    >>> row = drawn.truth.iloc[0]
    >>> drawn.corpus.text(0) == f"{row['a']:02}+{row['b']:02}={row['sum']:03}"
    True
    >>> drawn.corpus.nobs
    9
    """
    if not 1 <= digits <= MOST_DIGITS:
        raise SpecificationError(
            f"digits={digits} is out of range: numbers need a digit, and sums of more than {MOST_DIGITS} digits do not fit "
            f"into 64 bits. Choose 1 to {MOST_DIGITS}."
        )
    if documents < 1:
        raise SpecificationError(f"documents={documents} leaves nothing to predict. Choose 1 or more.")
    rng = np.random.default_rng(seed)
    a, b = rng.integers(10**digits, size=(2, documents))
    truth = pd.DataFrame({"a": a, "b": b, "sum": a + b})
    answers = [f"{total:0{digits + 1}}" for total in (a + b).tolist()]
    if reverse:
        answers = [answer[::-1] for answer in answers]
    texts = [f"{x:0{digits}}+{y:0{digits}}={answer}" for x, y, answer in zip(a.tolist(), b.tolist(), answers, strict=True)]
    tokenizer = Characters().train(["0123456789+="])  # every digit is a type, also where the sample lacks it
    vocabulary = Vocabulary(tokenizer.types, with_eos=eos, tokenizer=tokenizer)
    return Generated(Corpus.from_texts(texts, vocabulary=vocabulary, given=given), truth)


ADDITION = Dataset(
    name="addition",
    title="Sums of numbers as text",
    citation="simulated by statlm from a seed; nothing to cite",
    license="none needed (simulated)",
    load=addition,
)
