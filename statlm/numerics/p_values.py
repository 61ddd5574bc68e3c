"""How a p-value is written: never as 0, which no finite sample can show."""

from __future__ import annotations

SMALLEST = 1e-16


def p_value_text(p: float) -> str:
    """A p-value after its sign of relation.

    Examples
    --------
    >>> p_value_text(0.0312), p_value_text(0.0)
    ('= 0.0312', '< 1e-16')
    """
    return f"< {SMALLEST:.0e}" if p < SMALLEST else f"= {p:.3g}"
