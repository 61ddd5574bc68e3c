"""Markov chains with known transition probabilities, alike in all documents or each with its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from statlm.errors import SpecificationError
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.datasets.record import Dataset, Generated
from statlm.text.vocabulary import Vocabulary

MOST_CELLS = 10**8  # of an array of probabilities: 800 MB
ROUNDING = 1e-8  # how far a row's sum may be from 1
EXTREME = 1e6  # a Dirichlet parameter of 1 / EXTREME puts all probability on one state, to the last digit


def markov(
    transition: Any = None,
    *,
    states: int = 4,
    lags: int = 1,
    documents: int = 100,
    length: int = 100,
    concentration: float = 1.0,
    seed: int = 0,
    eos: bool = False,
    heterogeneity: float = 0.0,
) -> Generated:
    """Draw documents from a Markov chain whose transition probabilities are known.

    The first `lags` tokens of a document are uniform and marked as given: they are conditioned on, so that the likelihood
    is that of the transitions alone, and an n-gram with ``n = lags + 1`` is the true model.

    Parameters
    ----------
    transition : (S,) * lags + (S,) array, optional
        Probability of the last index after the ones before it, *oldest first*: ``transition[i, j, k]`` is that of k after
        ``i, j``. Its shape then decides the number of states and lags. By default its rows are drawn.
    states, lags : int
        Number S of states and of lags, where `transition` is drawn.
    documents, length : int
        Number D of documents and tokens in each, the given ones included: there are ``D * (length - lags)`` observations.
    concentration : float
        Rows are drawn from the symmetric Dirichlet distribution with this parameter: small makes them concentrated.
    seed : int
    eos : bool
        Whether documents end in ``<eos>``. Their length is fixed, so this token obeys no Markov chain and `truth` leaves
        it out.
    heterogeneity : float
        How much documents differ, h >= 0. Each document's row is drawn from the Dirichlet distribution with parameter
        ``p / h``, where p is the row of `truth`: its mean is p and the variance of an entry ``p (1 - p) h / (1 + h)``, so
        two tokens after the same context in one document correlate by ``h / (1 + h)``. With 0, documents are alike.

    Returns
    -------
    Generated
        `truth` is the (S,) * lags + (S,) transition array; `truth_by_document`, where documents differ, is (D, S ** lags,
        S), its contexts in the order of ``truth.reshape(-1, S)``. The types of the corpus are "0", "1", ..., so that a
        token's id is its index in `truth`.

    Raises
    ------
    SpecificationError
        If a setting is out of its range, or `transition` is no array of probability distributions.

    Examples
    --------
    >>> drawn = markov([[0.9, 0.1], [0.5, 0.5]], documents=50, length=101)
    >>> drawn.corpus.nobs, drawn.corpus.vocabulary.types
    (5000, ('0', '1'))
    >>> context, token = drawn.corpus.contexts(1)[:, 0], drawn.corpus.targets
    >>> round(float((token[context == 0] == 1).mean()), 1)
    0.1
    """
    rng = np.random.default_rng(seed)
    if transition is None:
        _check_sizes(states, lags)
        if not 1 / EXTREME <= concentration <= EXTREME:
            raise SpecificationError(
                f"concentration={concentration} lies outside {1 / EXTREME:g} to {EXTREME:g}, where a Dirichlet distribution "
                "is all but degenerate. Use 1 for rows uniform over all distributions, less for more concentrated ones."
            )
        truth = _dirichlet(np.full((states,) * (lags + 1), float(concentration)), rng)
    else:
        truth = _checked(transition)
        states, lags = truth.shape[-1], truth.ndim - 1
    if documents < 1 or length <= lags:
        raise SpecificationError(
            f"{documents:,} documents of {length:,} tokens, of which the first {lags} are given, hold no transition. Use at "
            f"least one document, and length={lags + 1} or more."
        )
    if not 0 <= heterogeneity <= EXTREME:
        raise SpecificationError(
            f"heterogeneity={heterogeneity} lies outside 0 to {EXTREME:g}: it sets the correlation within documents, "
            "h / (1 + h). Use 0 for documents that are alike, 1 for a correlation of one half."
        )
    rows = truth.reshape(-1, states)
    own = _own_rows(rows, heterogeneity, documents, rng) if heterogeneity > 0 else None
    tokens = _draw(rows[None] if own is None else own, states, lags, documents, length, rng)
    vocabulary = Vocabulary(tuple(str(state) for state in range(states)), with_eos=eos)
    for array in (truth, own):
        if array is not None:
            array.flags.writeable = False
    return Generated(Corpus.from_tokens(list(tokens), vocabulary=vocabulary, given=lags), truth, own)


def _draw(rows: Array, states: int, lags: int, documents: int, length: int, rng: np.random.Generator) -> Array:
    """(D, length) states; `rows` is (D, S ** lags, S), or (1, S ** lags, S) where documents are alike."""
    cumulative = np.cumsum(rows, axis=-1)
    cumulative /= cumulative[..., -1:]  # exactly 1 from the last possible state on, so that none after it is drawn
    document = np.arange(documents) if len(rows) > 1 else np.zeros(documents, np.int64)
    tokens = np.empty((documents, length), np.int64)
    tokens[:, :lags] = rng.integers(states, size=(documents, lags))
    context = tokens[:, :lags] @ states ** np.arange(lags - 1, -1, -1)  # (D,) its number, oldest token most significant
    for t in range(lags, length):
        uniform = rng.random(documents)
        tokens[:, t] = (uniform[:, None] >= cumulative[document, context]).sum(axis=1)  # (D, S) -> (D,)
        context = (context * states + tokens[:, t]) % states**lags
    return tokens


def _own_rows(rows: Array, heterogeneity: float, documents: int, rng: np.random.Generator) -> Array:
    """(D, S ** lags, S) Dirichlet draws around each of (S ** lags, S) rows."""
    if documents * rows.size > MOST_CELLS:
        raise SpecificationError(
            f"{documents:,} documents with {rows.size:,} transition probabilities of their own are "
            f"{documents * rows.size:,} numbers, more than the {MOST_CELLS:,} that are sensible to hold. Use fewer "
            "documents, states or lags, or heterogeneity=0."
        )
    return _dirichlet(np.broadcast_to(rows / heterogeneity, (documents, *rows.shape)), rng)


def _dirichlet(alpha: Array, rng: np.random.Generator) -> Array:
    """One draw for each row of Dirichlet parameters, (..., S); a parameter of 0 gives probability 0."""
    # A gamma variable with a small parameter underflows; its logarithm, by G(a) = G(a + 1) U^(1/a), does not.
    uniform = 1 - rng.random(alpha.shape)  # in (0, 1]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        logs = np.log(rng.standard_gamma(alpha + 1)) + np.where(alpha > 0, np.log(uniform) / alpha, -np.inf)
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
    drawn: Array = weights / weights.sum(axis=-1, keepdims=True)
    return drawn


def _check_sizes(states: int, lags: int) -> None:
    if states < 2 or lags < 1:
        raise SpecificationError(
            f"states={states}, lags={lags}: a chain needs at least 2 states, or nothing is random, and 1 lag, or it is no "
            "chain. Choose more."
        )
    if states ** (lags + 1) > MOST_CELLS:
        raise SpecificationError(
            f"{states:,} states and {lags:,} lags have {states}^{lags + 1} transition probabilities, more than the "
            f"{MOST_CELLS:,} that are sensible to hold. Use fewer states or lags."
        )


def _checked(transition: Any) -> Array:
    try:
        array = np.array(transition, np.float64)  # a copy, which is then frozen
    except (TypeError, ValueError) as error:
        raise SpecificationError(
            f"transition is no array of numbers ({error}), so it says no probabilities. Give an array of shape (S, S) for "
            "one lag, (S, S, S) for two."
        ) from error
    if array.ndim < 2 or len(set(array.shape)) != 1 or array.shape[0] < 2:
        raise SpecificationError(
            f"transition has shape {array.shape}, but every axis runs over the same S >= 2 states. Give an array of shape "
            "(S, S) for one lag, (S, S, S) for two."
        )
    if not np.isfinite(array).all() or array.min() < 0:
        wrong = int(np.count_nonzero(~(np.isfinite(array) & (array >= 0))))
        raise SpecificationError(
            f"{wrong:,} of the {array.size:,} entries of transition are negative or not finite (smallest: "
            f"{array.min():.6g}), and no probability is. Give entries from 0 to 1."
        )
    sums = array.sum(axis=-1)
    wrong = int(np.count_nonzero(np.abs(sums - 1) > ROUNDING))
    if wrong:
        at = np.unravel_index(np.argmax(np.abs(sums - 1)), sums.shape)
        raise SpecificationError(
            f"{wrong:,} of the {sums.size:,} rows of transition do not sum to 1 (worst: {sums[at]:.6g} after state "
            f"{', '.join(str(int(i)) for i in at)}), so they are no distributions. Divide by the sums: transition / "
            "transition.sum(axis=-1, keepdims=True)."
        )
    return array


MARKOV = Dataset(
    name="markov",
    title="Markov chains with known transition probabilities",
    citation="simulated by statlm from a seed; nothing to cite",
    license="none needed (simulated)",
    load=markov,
)
