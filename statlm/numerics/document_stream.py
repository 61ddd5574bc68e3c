"""Documents end to end, each with its start mark: the form in which n-grams are counted and scored."""

from __future__ import annotations

import numpy as np

from statlm.numerics.types import Array


def document_stream(tokens: Array, offsets: Array, given: Array, start: int) -> tuple[Array, Array]:
    """Put the start mark before each document.

    Parameters
    ----------
    tokens : (T,) integer array
        All documents end to end.
    offsets : (D + 1,) integer array
        Document d is ``tokens[offsets[d]:offsets[d + 1]]``.
    given : (D,) integer array
        How many leading tokens of each are no observations.
    start : int
        The mark.

    Returns
    -------
    stream : (T + D,) int32 array
    observations : (nobs,) int64 array
        Places of the observations in the stream.

    Examples
    --------
    >>> stream, observations = document_stream(np.array([0, 1, 0]), np.array([0, 2, 3]), np.array([1, 0]), start=9)
    >>> stream.tolist(), observations.tolist()
    ([9, 0, 1, 9, 0], [2, 4])
    """
    lengths = np.diff(offsets)
    starts = offsets[:-1] + np.arange(len(given))
    is_start = np.zeros(len(tokens) + len(given), bool)
    is_start[starts] = True
    stream = np.empty(len(is_start), np.int32)
    stream[is_start] = start
    stream[~is_start] = tokens
    if not given.any():
        return stream, np.flatnonzero(~is_start)
    place = np.arange(len(stream)) - np.repeat(starts, lengths + 1)
    return stream, np.flatnonzero(place > np.repeat(given, lengths + 1))
