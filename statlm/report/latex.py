"""Text that LaTeX typesets as it stands."""

from __future__ import annotations

_OF = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "#": r"\#",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row, a bare one opens an optional argument
    "]": "{]}",
    "*": "{*}",  # and this is part of the end of the row
    "␣": r"\textvisiblespace{}",
    "⏎": r"\ensuremath{\hookleftarrow}",
    "⇥": r"\ensuremath{\mapsto}",
    "◌": r"\ensuremath{\circ}",
    "²": r"\textsuperscript{2}",
}


def escape(text: str) -> str:
    r"""Text with the characters that LaTeX takes for commands escaped.

    Examples
    --------
    >>> print(escape("<bos> 5% of a_b␣"))
    \textless{}bos\textgreater{} 5\% of a\_b\textvisiblespace{}
    """
    return "".join(_OF.get(c, c) for c in text)
