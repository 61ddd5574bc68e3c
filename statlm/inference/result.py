"""What a test found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from statlm.numerics.p_values import p_value_text


@dataclass(frozen=True)
class TestResult:
    """A test statistic, what it was referred to, and what that says about the null hypothesis.

    Parameters
    ----------
    name : str
        The test.
    statistic : float
    dof : float
        Degrees of freedom of the reference distribution; ``inf`` for the normal.
    p_value : float
    null : str
        The null hypothesis in words.
    note : str
        What the reader should know beside it; may be empty.
    details : mapping of str to float
        Numbers that the statistic was made of.

    Examples
    --------
    >>> print(TestResult("Likelihood ratio", 512.3, 16, 0.0, "the unigram is enough"))
    Likelihood ratio: statistic = 512.3, dof = 16, p < 1e-16
    Null hypothesis: the unigram is enough
    """

    __test__: ClassVar[bool] = False  # pytest takes a class called Test... for a test

    name: str
    statistic: float
    dof: float
    p_value: float
    null: str
    note: str = ""
    details: Mapping[str, float] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """One row: test, statistic, dof, p_value, the details, null, note."""
        return pd.DataFrame(
            [
                {
                    "test": self.name,
                    "statistic": self.statistic,
                    "dof": self.dof,
                    "p_value": self.p_value,
                    **self.details,
                    "null": self.null,
                    "note": self.note,
                }
            ]
        )

    def __str__(self) -> str:
        head = f"{self.name}: statistic = {self.statistic:.4g}, dof = {self.dof:g}, p {p_value_text(self.p_value)}"
        lines = [head, f"Null hypothesis: {self.null}"]
        if self.details:
            lines.append(", ".join(_in_words(name, value) for name, value in self.details.items()))
        return "\n".join([*lines, self.note] if self.note else lines)


def _in_words(name: str, value: float) -> str:
    """A detail as it is printed; a p-value, by its name, never as 0."""
    return f"{name} {p_value_text(value)}" if name.startswith("p_") else f"{name} = {value:,.6g}"
