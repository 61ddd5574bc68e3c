"""The two words of the numerics: an array, and a matrix that may be dense, sparse or only a product."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
# A dense array, a scipy sparse array or a scipy LinearOperator: the verbs use only @, .T and .shape of it.
Matrix: TypeAlias = Any
