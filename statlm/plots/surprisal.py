"""A text coloured by how surprising each of its tokens was."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.text.display import format_number, visible

COLOUR = "213, 94, 0"  # vermilion of the palette; black on it at full strength has a contrast of 5.5
NEEDED = ("document", "position", "token", "surprisal")


@dataclass(frozen=True, slots=True, repr=False)
class ColouredText:
    """HTML that a notebook shows by itself.

    Parameters
    ----------
    html : str
        A fragment that needs nothing else.

    Examples
    --------
    >>> shown = ColouredText("<p>abracadabra</p>")
    >>> str(shown) == shown.html
    True
    """

    html: str

    def __str__(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<ColouredText: {len(self.html):,} characters of HTML; a notebook shows it, str() gives it>"

    def _repr_html_(self) -> str:
        return self.html


def surprisal_html(
    table: pd.DataFrame,
    document: str | None = None,
    *,
    text: str | None = None,
    scale: float = 12.0,
    max_tokens: int = 5_000,
) -> str:
    """HTML of a document, each token on a ground that darkens with its surprisal; hovering tells the numbers.

    Parameters
    ----------
    table : DataFrame
        As `augment` gives it.
    document : str, optional
        Name of the document; the first of the table by default.
    text : str, optional
        The document's text, ``corpus.text(0)``. Tokens are then shown as the text has them, which matters where a token is
        not its own text (byte pairs). By default the tokens themselves.
    scale : float
        Surprisal in bits that gets the full colour.
    max_tokens : int
        Show this many tokens of a longer document, and say so.

    Returns
    -------
    str
        A fragment that needs nothing else: ``IPython.display.HTML(...)`` shows it.

    Raises
    ------
    SpecificationError
        If the table is no such table, or has no such document.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("aab"))
    >>> surprisal_html(fit.augment()).count('class="token"')
    3
    """
    lacking = [column for column in NEEDED if column not in table]
    if lacking or len(table) == 0:
        raise SpecificationError(
            f"The table has {len(table):,} rows and lacks {lacking}, so there is no text in it to colour. "
            "Pass what augment() gives."
        )
    if not scale > 0:
        raise SpecificationError(f"scale={scale}: the surprisal of full colour must be positive, in bits.")
    name = str(table["document"].iloc[0]) if document is None else document
    rows = table[table["document"] == name]
    if len(rows) == 0:
        raise SpecificationError(
            f"There is no document {name!r} in the table. The first it has are "
            f"{', '.join(map(repr, table['document'].unique()[:5]))}."
        )
    shown = rows.iloc[:max_tokens]
    spans = "".join(_token(*row, scale) for row in _printed(shown, text))
    mean = format_number(float(rows["surprisal"].mean()), 3)
    cut = "" if len(shown) == len(rows) else f" The first {len(shown):,} are shown."
    ramp = f"linear-gradient(to right, rgba({COLOUR}, 0), rgba({COLOUR}, 1))"
    bar = f"display: inline-block; width: 6rem; height: .7rem; background: {ramp}; border: 1px solid #767676"
    return (
        '<figure style="margin: 0; color: #000; background: #fff; padding: .75rem">\n'
        '<figcaption style="font: .85rem system-ui, sans-serif; margin-bottom: .5rem">'
        f"{html.escape(name)}: {len(rows):,} tokens, {mean} bits a token on average.{cut} Surprisal "
        f'<span style="white-space: nowrap">0 <span style="{bar}"></span> {scale:g} bits and more</span></figcaption>\n'
        f'<div style="font: 1rem/1.7 ui-monospace, monospace; white-space: pre-wrap">{spans}</div>\n</figure>'
    )


def _printed(rows: pd.DataFrame, text: str | None) -> Iterator[tuple[str, str, float, int | None]]:
    """What to print for each token, what to print before it, its surprisal, and its rank."""
    tokens = rows["token"].astype(str).tolist()
    before = [""] * len(tokens)
    if "start" not in rows:
        before = ["", *[" "] * (len(tokens) - 1)]
    elif text is not None:
        if rows["stop"].max() > len(text):
            raise SpecificationError(
                f"The spans reach character {int(rows['stop'].max()):,}, but the text has {len(text):,}: it is another "
                "text. Pass the document's own, corpus.text(number), or the text that the corpus was made from."
            )
        spans = zip(rows["start"], rows["stop"], tokens, strict=True)
        tokens = [text[a:b] if b > a else (t if t.startswith("<") else "") for a, b, t in spans]
    else:
        # A token of a word tokenizer carries the white space before it in its span, not in its name.
        gaps = (rows["stop"] - rows["start"]).to_numpy() - np.array([len(t) for t in tokens])
        before = [" " if gap > 0 else "" for gap in gaps]
    ranks = rows["rank"].tolist() if "rank" in rows else [None] * len(tokens)
    yield from zip(tokens, before, rows["surprisal"].tolist(), ranks, strict=True)


def _token(token: str, before: str, surprisal: float, rank: int | None, scale: float) -> str:
    strength = min(max(surprisal / scale, 0.0), 1.0)
    number = "∞" if np.isinf(surprisal) else format_number(surprisal, 3)
    hint = f"{visible(token)}: {number} bits" + ("" if rank is None else f", rank {rank:,}")
    body = token if token == " " else visible(token).replace("␣", " ")
    breaks = "\n" * token.count("\n")
    return (
        f'{before}<span class="token" title="{html.escape(hint)}" style="background: rgba({COLOUR}, {strength:.2f})">'
        f"{html.escape(body)}</span>{breaks}"
    )
