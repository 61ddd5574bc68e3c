"""Tokens and numbers as people read them: a space must not vanish from a table, and a p-value is never 0."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pandas as pd

from statlm.text.vocabulary import Vocabulary

SMALLEST_P = 1e-16  # below this, the tails of the distributions are not accurate to any digit
SIGNS = {" ": "␣", "\n": "⏎", "\t": "⇥"}
FIRST_STAND_IN = 0x100  # code points from here on stand for the bytes that are not printable, as GPT-2 numbered them


def _byte_alphabet() -> dict[str, int]:
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(FIRST_STAND_IN + i): b for i, b in enumerate(others)}


BYTE_OF = _byte_alphabet()


def visible(token: str, *, byte_level: bool = False) -> str:
    r"""A token with everything invisible in it made visible.

    Parameters
    ----------
    token : str
        A token, or several joined.
    byte_level : bool
        Whether each of its characters stands for a byte, as in byte-level byte pairs ("Ġthe" is a space and "the").

    Returns
    -------
    str
        A space as ␣, a line end as ⏎, a tab as ⇥; other control and format characters, and bytes that are no whole
        character, as Python escapes; a combining mark on a dotted circle.

    Examples
    --------
    >>> visible("to be\n"), visible("\r\u200b"), visible("Ġol", byte_level=True)
    ('to␣be⏎', '\\r\\u200b', '␣ol')
    """
    if byte_level:
        known = b"".join(bytes([BYTE_OF[c]]) if c in BYTE_OF else c.encode() for c in token)
        token = known.decode(errors="backslashreplace")
    if token.isalnum() and token.isascii():
        return token
    shown = "".join(SIGNS.get(c, c if c.isprintable() else c.encode("unicode_escape").decode()) for c in token)
    return "◌" + shown if shown and unicodedata.combining(shown[0]) else shown


def is_byte_level(types: Collection[str]) -> bool:
    """Whether these are all types of a byte-level vocabulary: each of the 256 stand-ins of bytes is one of them."""
    return len(types) >= len(BYTE_OF) and BYTE_OF.keys() <= set(types)


def naming(vocabulary: Vocabulary) -> Callable[[str], str]:
    """What makes the tokens and the joined contexts of a vocabulary visible.

    Where no type holds a space, a space can only stand between two tokens, and stays one.

    Examples
    --------
    >>> naming(Vocabulary(("rain", "sun")))("sun rain"), naming(Vocabulary(("a", " ")))("a ")
    ('sun rain', 'a␣')
    """
    byte_level = vocabulary.tokenizer is not None and vocabulary.tokenizer.name == "bpe"
    if byte_level or any(" " in token for token in vocabulary.types):
        return lambda name: visible(name, byte_level=byte_level)
    return lambda name: " ".join(visible(part) for part in name.split(" "))


def format_number(value: Any, digits: int = 4) -> str:
    """A number to its meaningful digits, with thousands separators; nothing for a missing one.

    Parameters
    ----------
    value : number or None
    digits : int
        Significant digits of a number that is not whole by its type; digits before the decimal point are kept.

    Examples
    --------
    >>> [format_number(v) for v in (1234567, 1234.567, 12.3456, 0.000123456, float("inf"), float("nan"))]
    ['1,234,567', '1,235', '12.35', '0.0001235', 'inf', '']
    """
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    value = float(value)
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))  # after rounding: 9.9999 is a 10
    if -5 <= size < 15:
        return f"{value:,.{max(digits - 1 - size, 0)}f}"
    return f"{value:.{digits - 1}e}"


def format_p(p: Any, digits: int = 3) -> str:
    """A p-value; never 0.

    Examples
    --------
    >>> format_p(0.04321), format_p(0.0)
    ('0.0432', '<1e-16')
    """
    if p is None or pd.isna(p):
        return ""
    return f"<{SMALLEST_P:.0e}" if p < SMALLEST_P else format_number(float(p), digits)
