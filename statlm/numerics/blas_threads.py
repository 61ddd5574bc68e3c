"""How many threads the linear-algebra library may use."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


@cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def single_threaded() -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread.

    Thousands of small products are slower on two threads than on one, and several times slower where the machine is busy,
    because the threads spin while they wait for each other.
    """
    return _controller().limit(limits=1, user_api="blas")
