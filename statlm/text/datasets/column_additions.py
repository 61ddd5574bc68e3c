"""Addition column by column: a finite language of prompts, whose mastery is mastery of sums of every length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.text.corpus import Corpus
from statlm.text.datasets.record import Dataset, Generated
from statlm.text.tokenizers import Characters
from statlm.text.vocabulary import Vocabulary

LARGEST = 19  # two nines and a carry


def column_addition(*, without: Sequence[int] = (), eos: bool = True) -> Generated:
    """The 2,100 prompts that adding two numbers by columns can meet, with their answers.

    Numbers are added from right to left. The prompt of the first column is its two digits, "ab" (100 of them); that of a
    later one is the sum of the column before, the letter C and the two digits, "sCab" (2,000). The answer is the sum of
    the column, with a carry if s is 10 or more. Digits of the result are the last digits of these sums. Whoever answers
    all 2,100 prompts correctly adds numbers of every length correctly, by induction over columns: a column's answer is
    the only thing that the next prompt needs.

    Parameters
    ----------
    without : sequence of int
        Previous sums, 0 to 19, whose prompts are left out.
    eos : bool
        Whether ``<eos>`` ends each answer.

    Returns
    -------
    Generated
        The corpus, a document a prompt, which is given, and its answer; and `truth`, a DataFrame with a row a document:
        prompt, answer (strings), previous (the previous sum, -1 for a first column), a, b.

    Raises
    ------
    SpecificationError
        If a previous sum is not from 0 to 19.

    Examples
    --------
    >>> drawn = column_addition()
    >>> drawn.truth.iloc[[34, -1]][["prompt", "answer"]].to_numpy().tolist()
    [['34', '7'], ['19C99', '19']]
    >>> drawn.corpus.ndocuments, drawn.corpus.text(34)
    (2100, '347')
    >>> column_addition(without=[19]).corpus.ndocuments
    2000
    """
    wrong = [s for s in without if s not in range(LARGEST + 1)]
    if wrong:
        raise SpecificationError(
            f"without={list(without)!r}: a column's sum is 0 to {LARGEST} (two nines and a carry), so {wrong[0]!r} is never the "
            "sum before another column."
        )
    previous = [-1, *(s for s in range(LARGEST + 1) if s not in set(without))]
    s, a, b = (grid.ravel() for grid in np.meshgrid(previous, np.arange(10), np.arange(10), indexing="ij"))
    prompts = [f"{x}{y}" if carried < 0 else f"{carried}C{x}{y}" for carried, x, y in zip(s, a, b, strict=True)]
    answers = [str(total) for total in a + b + (s >= 10)]
    tokenizer = Characters().train(["0123456789C"])
    vocabulary = Vocabulary(tokenizer.types, with_eos=eos, tokenizer=tokenizer)
    corpus = Corpus.from_texts([p + q for p, q in zip(prompts, answers, strict=True)], vocabulary=vocabulary)
    truth = pd.DataFrame({"prompt": prompts, "answer": answers, "previous": s, "a": a, "b": b})
    return Generated(replace(corpus, given=np.array([len(p) for p in prompts], np.int64)), truth)


COLUMN_ADDITION = Dataset(
    name="column_addition",
    title="Addition column by column: all prompts and their answers",
    citation="enumerated by statlm; nothing to cite",
    license="none needed (enumerated)",
    load=column_addition,
)
