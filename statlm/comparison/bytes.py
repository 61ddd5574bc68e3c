"""Models with different tokenizers on the same text: paired differences by document, in bits a byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statlm.comparison.compare import conventions, named_models
from statlm.covariance.clustered import check_clusters
from statlm.errors import CorpusError, NoEstimate, NotComparable, SpecificationError
from statlm.inference.perplexity_interval import MeanEstimate
from statlm.likelihood import Predictive
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

UNKNOWN = ("refuse", "spell")
BITS_OF_A_BYTE = 8.0
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class _Scored:
    """(D,) bits that a model needs for each document, and (D,) bytes of its observed text."""

    corpus: Corpus
    bits: Array
    nbytes: Array
    impossible: int


def compare_bytes(
    models: Mapping[str, Any] | Sequence[Any], *, level: float = 0.95, unknown: str = "refuse"
) -> pd.DataFrame:
    r"""Compare models that cut the same text into different tokens, each standing on its own corpus of that text.

    With :math:`b_g` the bits that a model needs for document g and :math:`m_g` the bytes of its text, the estimate is the
    ratio :math:`\sum_g b_g / \sum_g m_g`, whatever the tokens. Differences between models are paired by document; standard errors
    are those of a ratio, with documents as clusters.

    Parameters
    ----------
    models : mapping of names to evaluations, or sequence of evaluations
        ``a.on(characters)``, ``b.on(words)``: held-out corpora of the same documents in the same order.
    level : float
        Confidence level of the intervals; Student's t with D - 1 degrees of freedom.
    unknown : "refuse" or "spell"
        What becomes of tokens that a vocabulary lacks. Their probability is that of *some* unknown token, which does not say
        which; "spell" charges 8 bits for each of their bytes on top, as if they were spelled out by uniform bytes.

    Returns
    -------
    DataFrame
        A row a model, best first: ``nobs`` (tokens), ``bytes``, ``bits_per_byte`` with ``conf_low`` and ``conf_high``,
        ``impossible`` (tokens of probability 0), and the paired ``difference`` from the best in bits a byte (positive: worse)
        with ``std_error`` and ``p_value``. ``attrs["notes"]`` says what was assumed, which tokens lose part of the text, and how
        models that read a bounded context did so.

    Raises
    ------
    NotComparable
        If the corpora do not hold the same text, or one predicts ends of documents and another does not.
    CorpusError
        If a corpus has no text behind its tokens, or has unknown ones and `unknown` is "refuse".
    TooFewClusters
        If there is a single document.

    References
    ----------
    Miller (2024), Adding error bars to evals. Cochran (1977), Sampling techniques, section 6.3.

    Examples
    --------
    >>> import statlm as slm
    >>> texts = ["to be or not to be", "to be is to do", "do be do be do", "be or do", "to do or not to do"] * 4
    >>> characters, pairs = slm.Corpus.from_texts(texts), slm.Corpus.from_texts(texts, slm.BytePairs(270))
    >>> fits = {"characters": slm.NGram(2, pseudo_count=0.1), "byte pairs": slm.NGram(2, pseudo_count=0.1)}
    >>> held = {name: fit.fit(corpus) for (name, fit), corpus in zip(fits.items(), (characters, pairs))}
    >>> slm.compare_bytes(held).columns.tolist()[:4]
    ['model', 'nobs', 'bytes', 'bits_per_byte']
    """
    if unknown not in UNKNOWN:
        raise SpecificationError(f"unknown={unknown!r} is no way to treat unknown tokens. Use 'refuse' or 'spell'.")
    if not 0 < level < 1:
        raise SpecificationError(f"level={level!r} is no confidence level. Choose a number between 0 and 1.")
    named = named_models(models)
    scored = {name: _scored(name, model, unknown) for name, model in named.items()}
    first_name, first = next(iter(scored.items()))
    for name, other in scored.items():
        check_same_text(first_name, first.corpus, name, other.corpus)
    documents = check_clusters(first.corpus)
    rows = []
    for name, one in scored.items():
        estimate = None if one.impossible else _ratio(one.bits, one.nbytes)
        low, high = (np.nan, np.nan) if estimate is None else estimate.interval(level)
        rows.append(
            {
                "model": name,
                "nobs": one.corpus.nobs,
                "bytes": int(one.nbytes.sum()),
                "bits_per_byte": np.inf if estimate is None else estimate.mean,
                "conf_low": low,
                "conf_high": high,
                "impossible": one.impossible,
            }
        )
    table = pd.DataFrame(rows).sort_values(["bits_per_byte", "impossible"], kind="stable").reset_index(drop=True)
    best = scored[table.model[0]]
    columns: dict[str, list[float]] = {"difference": [], "std_error": [], "p_value": []}
    for place, name in enumerate(table.model):
        one = scored[name]
        if place == 0:
            values = (0.0, np.nan, np.nan)
        elif one.impossible or best.impossible:
            values = (np.nan if best.impossible else np.inf, np.nan, np.nan)
        else:
            paired = _ratio(one.bits - best.bits, one.nbytes)
            values = (paired.mean, paired.std_error, paired.p_value)
        for column, value in zip(columns, values, strict=True):
            columns[column].append(value)
    for column, filled in columns.items():
        table[column] = filled
    table.attrs["notes"] = _notes(scored, documents, level, unknown) + conventions(named)
    return table


def check_same_text(first_name: str, first: Corpus, name: str, other: Corpus) -> None:
    """Raise NotComparable unless two corpora cut the same documents of the same text, given tokens apart.

    Bytes are compared document by document, and the text itself where both keep it to the byte.
    """
    if first is other or first.fingerprint == other.fingerprint:
        return
    if first.ndocuments != other.ndocuments:
        raise NotComparable(
            f"{first_name!r} stands on {first.ndocuments:,} documents and {name!r} on {other.ndocuments:,}, so they cannot "
            "be paired. Make both corpora of the same texts, cut in the same way."
        )
    a, b = document_bytes(first), document_bytes(other)
    different = np.flatnonzero(a != b)
    if len(different):
        d = int(different[0])
        raise NotComparable(
            f"{first_name!r} and {name!r} do not encode the same text: {len(different):,} of {len(a):,} documents differ in "
            f"bytes (first document {d}: {a[d]:,} and {b[d]:,}). Bits a byte compare models on the same text only. Make both "
            "corpora of the same texts, with the same split=, and condition on the same text (given= counts tokens, which "
            "differ)."
        )
    ends = [corpus.vocabulary.with_eos for corpus in (first, other)]
    if ends[0] != ends[1]:
        raise NotComparable(
            f"{(first_name if ends[0] else name)!r} predicts where documents end and {(name if ends[0] else first_name)!r} "
            "does not, so one of them encodes more than the other. Make both corpora with eos=True, or both with eos=False."
        )
    for d in range(first.ndocuments):
        one, two = _text(first, d, int(a[d])), _text(other, d, int(a[d]))
        if one is not None and two is not None and one != two:
            raise NotComparable(
                f"{first_name!r} and {name!r} do not encode the same text: document {d} has {a[d]:,} bytes in both, and other "
                "characters. Make both corpora of the same texts, in the same order."
            )


def document_bytes(corpus: Corpus) -> Array:
    """(D,) UTF-8 bytes of the observed text of each document.

    Raises
    ------
    CorpusError
        If there is no text behind the tokens.
    """
    sizes = corpus.token_sizes
    if sizes is None:
        raise CorpusError(
            "The corpus was made of tokens and not of text, so there are no bytes to share. Make it with Corpus.from_texts, or "
            "compare models of the same tokens: compare(models, on=test)."
        )
    observed = np.ones(len(corpus.tokens), bool)
    places = np.arange(len(corpus.tokens)) - np.repeat(corpus.offsets[:-1], np.diff(corpus.offsets))
    observed[places < np.repeat(corpus.given, np.diff(corpus.offsets))] = False
    return np.bincount(corpus.document_index, weights=sizes[0][observed], minlength=corpus.ndocuments).astype(np.int64)


def _text(corpus: Corpus, document: int, nbytes: int) -> str | None:
    """Observed text of a document, None where its tokens do not keep it to the byte."""
    start, stop = corpus.offsets[document] + corpus.given[document], corpus.offsets[document + 1]
    ids = corpus.tokens[start:stop]
    ids = ids[ids != corpus.vocabulary.eos]
    if (ids == corpus.vocabulary.unk).any():
        return None
    text = corpus.vocabulary.decode(ids)
    return text if len(text.encode()) == nbytes else None


def _lossy(corpus: Corpus) -> int:
    """Number of documents whose tokens do not keep the text to the byte, unknown tokens apart."""
    nbytes = document_bytes(corpus)
    unknown = corpus.document_index[corpus.targets == corpus.vocabulary.unk]
    whole = np.setdiff1d(np.arange(corpus.ndocuments), unknown)
    return sum(_text(corpus, int(d), int(nbytes[d])) is None for d in whole)


def _scored(name: str, model: Predictive, unknown: str) -> _Scored:
    corpus = model.corpus
    obs = model.loglike_obs()
    bits = -np.where(np.isneginf(obs), 0.0, obs) / np.log(2.0)
    nbytes = document_bytes(corpus)
    spelled: Array = np.zeros(corpus.ndocuments)
    if corpus.nunknown:
        if unknown == "refuse":
            raise CorpusError(
                f"{corpus.nunknown:,} of the {corpus.nobs:,} tokens of {name!r} are <unk>: the model says that something "
                "unknown comes, not what, so its bits do not encode the text. Use a tokenizer that spells everything "
                "(BytePairs), or unknown='spell', which charges 8 bits for each of their bytes on top."
            )
        sizes = corpus.token_sizes
        assert sizes is not None
        places = np.flatnonzero(corpus.tokens == corpus.vocabulary.unk)
        document = np.searchsorted(corpus.offsets, places, side="right") - 1
        inside = places - corpus.offsets[document] >= corpus.given[document]
        spelled = np.bincount(
            document[inside], weights=BITS_OF_A_BYTE * sizes[0][places[inside]], minlength=corpus.ndocuments
        )
    total = np.bincount(corpus.document_index, weights=bits, minlength=corpus.ndocuments) + spelled
    return _Scored(corpus, total, nbytes, int(np.count_nonzero(np.isneginf(obs))))


def _ratio(values: Array, sizes: Array) -> MeanEstimate:
    """A sum over documents relative to their sizes, with the error of a ratio."""
    groups, total = len(values), float(sizes.sum())
    ratio = float(values.sum()) / total
    residual = values - ratio * sizes
    error = np.sqrt(groups / (groups - 1) * float((residual**2).sum())) / total
    if error < ROUNDING * abs(ratio):
        raise NoEstimate(
            f"All {groups:,} documents have exactly {ratio:.4g} bits a byte: without variation there is no standard error. "
            "Check that the documents are not copies of each other."
        )
    return MeanEstimate(ratio, float(error), float(groups - 1), f"clustered by document ({groups:,} clusters)", groups)


def _notes(scored: dict[str, _Scored], documents: int, level: float, unknown: str) -> list[str]:
    total = int(next(iter(scored.values())).nbytes.sum())
    notes = [
        f"{total:,} bytes of text in {documents:,} documents. Intervals at {level:.0%} and p-values: documents as clusters, "
        f"Student's t with {documents - 1:,} degrees of freedom."
    ]
    for name, one in scored.items():
        if one.corpus.nunknown and unknown == "spell":
            notes.append(
                f"{name}: {one.corpus.nunknown:,} of {one.corpus.nobs:,} tokens are <unk> and were charged 8 bits a byte on top."
            )
        if lost := _lossy(one.corpus):
            notes.append(
                f"{name}: {lost:,} of {documents:,} documents cannot be put together again from their tokens (white space "
                "or case is lost). What is lost is not paid for, so its bits are a lower bound of what the text would cost."
            )
        if one.impossible:
            notes.append(f"{name}: {one.impossible:,} tokens have probability 0, so its bits are infinite. Smooth it.")
    return notes
