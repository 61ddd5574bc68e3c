"""Tables to the terminal and to files, and numbers as tables print them."""

from __future__ import annotations

import html
import json
import math
import os
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from statlm.errors import SpecificationError
from statlm.text.display import format_number, format_p, visible

WIDE = 200  # columns of a terminal that is none: a file or a pipe


def print_table(
    table: pd.DataFrame, title: str | None = None, notes: Sequence[str] = (), file: IO[str] | None = None
) -> None:
    """Print a table to the terminal, or to a text file.

    Parameters
    ----------
    table : DataFrame
        An index with a name is printed as columns.
    title : str, optional
    notes : sequence of str
        Lines below the table.
    file : text file, optional
        Standard output by default. Where it is no terminal, the table is given 200 columns rather than cut to 80.

    Examples
    --------
    >>> print_table(pd.DataFrame({"model": ["bigram"], "perplexity": [11.98765]}))
      model    perplexity
    ─────────────────────
      bigram        11.99
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=WIDE)
    table = _with_index(table)
    columns = [list(map(_formatter(table, column), table[column])) for column in table.columns]
    if title is not None:
        console.print(Text(title, style="bold"))
    for block in _blocks([str(column) for column in table.columns], columns, console.width):
        shown = Table(box=box.SIMPLE_HEAD, pad_edge=True, show_edge=False)
        for i in block:
            values = table.iloc[:, i]
            numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
            shown.add_column(Text(str(table.columns[i])), justify="right" if numeric else "left", overflow="fold")
        for row in zip(*(columns[i] for i in block), strict=True):
            shown.add_row(*map(Text, row))  # Text: a token such as "[b]" is no markup
        console.print(shown)
    for note in notes:
        console.print(Text(note))


def _blocks(names: Sequence[str], columns: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """Columns side by side as far as they fit; what does not goes below, the first column repeated."""
    sizes = [max(map(len, [name, *cells])) + 3 for name, cells in zip(names, columns, strict=True)]
    blocks: list[list[int]] = []
    used = 0
    for i in range(1, len(names)):
        if not blocks or used + sizes[i] > width:
            blocks.append([0])
            used = sizes[0]
        blocks[-1].append(i)
        used += sizes[i]
    return blocks or [[0]]


def save_table(
    table: pd.DataFrame, path: str | os.PathLike[str], title: str | None = None, notes: Sequence[str] = ()
) -> None:
    """Write a table to a file, whole or not at all.

    Parameters
    ----------
    table : DataFrame
        An index with a name is written as columns.
    path : path
        The suffix says the format: ".csv" (the rows alone), ".html" (a page that needs no other file) or ".json" (an object
        with ``title``, ``rows`` and ``notes``; infinity is the string "inf", a missing value null).
    title : str, optional
    notes : sequence of str

    Raises
    ------
    SpecificationError
        If the suffix is another one, or the folder does not exist.
    """
    check_suffix(path)
    path = Path(path)
    write_whole(path, _FORMATS[path.suffix](_with_index(table), title, notes))


def write_whole(path: Path, content: str) -> None:
    """Write a text file whole or not at all: an interruption leaves what was there before.

    Raises
    ------
    SpecificationError
        If the folder does not exist.
    """
    if not path.parent.is_dir():
        raise SpecificationError(f"There is no folder {str(path.parent)!r} to write {path.name!r} to. Make it first.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(content, encoding="utf-8", newline="")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_suffix(path: str | os.PathLike[str]) -> None:
    """Refuse a path that `save_table` could not write, before any work is done for it.

    Raises
    ------
    SpecificationError
        If the suffix names no format, or the folder does not exist.
    """
    path = Path(path)
    if path.suffix not in _FORMATS:
        raise SpecificationError(
            f"A table cannot be written to {path.name!r}: the suffix {path.suffix!r} names no format. Use one of "
            f"{', '.join(_FORMATS)}."
        )
    if not path.parent.is_dir():
        raise SpecificationError(f"There is no folder {str(path.parent)!r} to write {path.name!r} to. Make it first.")


def _with_index(table: pd.DataFrame) -> pd.DataFrame:
    named = any(name is not None for name in table.index.names)
    return table.reset_index() if named else table


def _formatter(table: pd.DataFrame, column: Hashable) -> Callable[[Any], str]:
    if str(column).startswith(("p_value", "p_holm")):
        return format_p
    if str(column) in ("token", "response", "context", "term"):
        return lambda value: visible(str(value))
    return lambda value: value if isinstance(value, str) else _any(value)


def _any(value: Any) -> str:
    number = value is None or value is pd.NA or isinstance(value, (bool, int, float, np.bool_, np.number))
    return format_number(value) if number else str(value)


# --- formats ----------------------------------------------------------------------------------------------------------

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; line-height: 1.4; margin: 2rem; color: #1a1a1a; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
caption {{ text-align: left; font-weight: bold; padding-bottom: .5rem; }}
th, td {{ padding: .25rem .75rem; text-align: left; }}
thead th {{ border-top: 2px solid; border-bottom: 1px solid; }}
tbody tr:last-child td {{ border-bottom: 2px solid; }}
.number {{ text-align: right; }}
</style>
</head>
<body>
<table>
{caption}<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
{notes}
</body>
</html>
"""


def _page(table: pd.DataFrame, title: str | None, notes: Sequence[str]) -> str:
    classes = [
        ' class="number"' if pd.api.types.is_numeric_dtype(table[c]) and not pd.api.types.is_bool_dtype(table[c]) else ""
        for c in table.columns
    ]
    head = "".join(f"<th{k}>{html.escape(str(c))}</th>" for c, k in zip(table.columns, classes, strict=True))
    columns = [[html.escape(f(v)) for v in table[c]] for c in table.columns for f in [_formatter(table, c)]]
    rows = zip(*columns, strict=True)
    body = "\n".join(
        "<tr>" + "".join(f"<td{k}>{cell}</td>" for cell, k in zip(row, classes, strict=True)) + "</tr>" for row in rows
    )
    return _PAGE.format(
        title=html.escape(title or "Table"),
        caption="" if title is None else f"<caption>{html.escape(title)}</caption>\n",
        head=head,
        body=body,
        notes="\n".join(f"<p>{html.escape(note)}</p>" for note in notes),
    )


def _json(table: pd.DataFrame, title: str | None, notes: Sequence[str]) -> str:
    columns = [[_plain(value) for value in table[column]] for column in table.columns]
    names = [str(column) for column in table.columns]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return (
        json.dumps({"title": title, "rows": rows, "notes": list(notes)}, ensure_ascii=False, allow_nan=False, indent=1)
        + "\n"
    )


def _csv(table: pd.DataFrame, title: str | None, notes: Sequence[str]) -> str:
    return table.to_csv(index=False, lineterminator="\n")  # a title or a note would be a row to whoever reads it


_FORMATS: dict[str, Callable[[pd.DataFrame, str | None, Sequence[str]], str]] = {
    ".csv": _csv,
    ".html": _page,
    ".json": _json,
}


def _plain(value: Any) -> Any:
    """A value as strict JSON has it."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return ("inf" if value > 0 else "-inf") if math.isinf(value) else value
    return value if isinstance(value, (bool, int, str)) else str(value)
