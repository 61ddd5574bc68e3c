"""Continuations of a prompt, drawn a token at a time from a model's next-token distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import CorpusError, SpecificationError
from statlm.likelihood import Predictive, Reader, Sequential, underlying
from statlm.numerics.ranges import concatenate_ranges
from statlm.numerics.sampling import INTEGER, check_truncation, invert, truncate
from statlm.numerics.types import Array
from statlm.text.encoding import normalise
from statlm.text.prompts import context_array, context_ids
from statlm.text.vocabulary import UNK, Vocabulary

BLOCK = 2**22  # numbers in one array of log-probabilities: 32 MB


@dataclass(frozen=True, eq=False, repr=False)
class Generation:
    """Continuations of a prompt; printing it shows them.

    Attributes
    ----------
    prompt : str
        What was continued.
    tokens : list of (n_s,) int64 arrays
        Ids drawn in each sample, a final ``<eos>`` or stop token included.
    texts : list of str
        The tokens of each sample as text, without ``<eos>``.
    documents : list of str
        Prompt and text together.
    table : DataFrame
        A row a drawn token: ``sample``, ``position`` in the document (from 0, prompt included), ``token``, and in nats
        ``loglike`` under the model and ``sampler_loglike`` under the truncated sampler that it was drawn from.
    """

    prompt: str
    tokens: list[Array]
    texts: list[str]
    documents: list[str]
    table: pd.DataFrame

    @property
    def loglike(self) -> Array:
        """(samples,) log-probability of each continuation given the prompt, under the model, nats."""
        return self._sums("loglike")

    @property
    def sampler_loglike(self) -> Array:
        """(samples,) log-probability of each continuation under the sampler, nats."""
        return self._sums("sampler_loglike")

    def _sums(self, column: str) -> Array:
        return np.bincount(self.table["sample"], weights=self.table[column], minlength=len(self.tokens))

    def __str__(self) -> str:
        if len(self.documents) == 1:
            return self.documents[0]
        return "\n\n".join(f"[{i}] {document}" for i, document in enumerate(self.documents))

    def __repr__(self) -> str:
        sizes = [(len(self.tokens), "sample"), (len(self.table), "token")]
        counted = ", ".join(f"{n:,} {noun}{'s' * (n != 1)}" for n, noun in sizes)
        return f"<Generation: {counted}, after {self.prompt!r}>"


def generate(
    model: Predictive,
    prompt: str | Sequence[Any] = "",
    *,
    max_tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    greedy: bool = False,
    seed: int = 0,
    samples: int = 1,
    stop: str | Sequence[Any] | None = None,
) -> Generation:
    r"""Continue a prompt.

    Each token is one multinomial draw, given all before it. A sample ends with ``<eos>`` where the model predicts ends of
    documents, with a token of `stop`, or after `max_tokens`.

    Parameters
    ----------
    model : Predictive
        A fit, or any distribution over the next token.
    prompt : str, or sequence of tokens or ids
        The beginning of a document: ``<bos>`` stands before it.
    max_tokens : int
        At most this many are drawn a sample.
    temperature : float
        T in :math:`q_w \propto p_w^{1/T}`; 1 is the model itself, 0 is greedy.
    top_k : int, optional
        Draw only among the k most probable tokens.
    top_p : float, optional
        Draw only from the smallest set of tokens with at least this probability; after temperature and `top_k`. See
        `statlm.numerics.sampling.truncate`.
    greedy : bool
        Take the most probable token each time, as temperature 0 does. The other sampler settings then change nothing.
    seed : int
        Equal seeds give equal samples. The first sample is the same however many are asked for.
    samples : int
        Number of continuations, drawn independently.
    stop : str, or sequence of tokens or ids, optional
        Tokens that end a sample; each must be one token of the vocabulary. They are kept.

    Returns
    -------
    Generation

    Raises
    ------
    CorpusError
        If the prompt holds tokens that the vocabulary lacks (where ``<unk>`` has no probability of its own), or ``<eos>``.
    SpecificationError
        If a setting is outside of its range, or a stop is not one token.

    Notes
    -----
    Only the model's own distribution (temperature 1, no truncation) gives draws from the model. What a truncated sampler
    draws is more probable than text of the model is, so its log-likelihood says nothing about the fit; for replicates of a
    corpus use `simulate`.

    References
    ----------
    Fan, Lewis and Dauphin (2018), Hierarchical neural story generation. ACL. (top-k)
    Holtzman, Buys, Du, Forbes and Choi (2020), The curious case of neural text degeneration. ICLR. (top-p)

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> drawn = generate(fit, "ab", max_tokens=8, seed=3, samples=2)
    >>> print(drawn.documents[0][:4], len(drawn.tokens[0]))
    abra 8
    >>> drawn.table.columns.tolist()
    ['sample', 'position', 'token', 'loglike', 'sampler_loglike']
    >>> print(generate(fit, "c", max_tokens=6, greedy=True))
    cabrabr
    """
    check_truncation(temperature, top_k, top_p)
    check_count("max_tokens", max_tokens, "draws no token")
    check_count("samples", samples, "asks for no continuation")
    vocabulary = model.corpus.vocabulary
    start = prompt_ids(vocabulary, prompt)
    ends = np.append(_stop_ids(vocabulary, stop), vocabulary.eos)
    uniforms = generator(seed).random((samples, max_tokens))
    rows, ids, loglike, sampler_loglike = extend(
        model,
        [start] * samples,
        np.full(samples, max_tokens),
        ends=ends,
        sampler=partial(truncate, temperature=0.0 if greedy else temperature, top_k=top_k, top_p=top_p),
        uniforms=lambda chosen, step: uniforms[chosen, step],
    )
    lengths = np.bincount(rows, minlength=samples)
    tokens = np.split(ids, np.cumsum(lengths)[:-1])
    texts = [vocabulary.decode(sample[sample != vocabulary.eos]) for sample in tokens]
    written = prompt if isinstance(prompt, str) else vocabulary.decode(start)
    joint = " " if vocabulary.tokenizer is None or vocabulary.tokenizer.name == "word" else ""
    table = pd.DataFrame(
        {
            "sample": rows,
            "position": len(start) + concatenate_ranges(np.zeros_like(lengths), lengths),
            "token": np.array(vocabulary.tokens, dtype=object)[ids],
            "loglike": loglike,
            "sampler_loglike": sampler_loglike,
        }
    )
    documents = [joint.join(part for part in (written, text) if part) for text in texts]
    return Generation(written, tokens, texts, documents, table)


def next_token_table(
    model: Predictive,
    prompt: str | Sequence[Any] = "",
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> pd.DataFrame:
    """One step of `generate` before the draw: what each setting in turn makes of the next token's probabilities.

    Parameters
    ----------
    model : Predictive
    prompt : str, or sequence of tokens or ids
        The beginning of a document.
    temperature, top_k, top_p
        As of `generate`.

    Returns
    -------
    DataFrame
        A row a token, most probable first (ties by id): ``token``, ``probability`` under the model, and
        ``after_temperature``, ``after_top_k``, ``after_top_p``. Each column of probabilities sums to 1; the token is drawn
        from the last.

    Raises
    ------
    CorpusError, SpecificationError
        As of `generate`.

    References
    ----------
    Fan, Lewis and Dauphin (2018); Holtzman, Buys, Du, Forbes and Choi (2020).

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> print(next_token_table(fit, "a", top_k=2).round(2).to_string(index=False))
    token  probability  after_temperature  after_top_k  after_top_p
        b         0.50               0.50         0.67         0.67
        c         0.25               0.25         0.33         0.33
        d         0.25               0.25         0.00         0.00
        a         0.00               0.00         0.00         0.00
        r         0.00               0.00         0.00         0.00
    """
    check_truncation(temperature, top_k, top_p)
    vocabulary = model.corpus.vocabulary
    rows = reader_of(model, [prompt_ids(vocabulary, prompt)]).logprobs()
    stages = {
        "probability": rows,
        "after_temperature": truncate(rows, temperature=temperature),
        "after_top_k": truncate(rows, temperature=temperature, top_k=top_k),
        "after_top_p": truncate(rows, temperature=temperature, top_k=top_k, top_p=top_p),
    }
    order = np.argsort(-rows[0], kind="stable")
    tokens = np.array(vocabulary.tokens[: vocabulary.size], dtype=object)
    return pd.DataFrame({"token": tokens[order]} | {name: np.exp(stage[0, order]) for name, stage in stages.items()})


def extend(
    model: Predictive,
    starts: Sequence[Array],
    limits: Array,
    *,
    ends: Array,
    sampler: Callable[[Array], Array],
    uniforms: Callable[[Array, int], Array],
) -> tuple[Array, Array, Array, Array]:
    """Draw on from the beginnings of documents, all of them abreast, one token each a step.

    Parameters
    ----------
    model : Predictive
    starts : sequence of D integer arrays
        Token ids that each document begins with, ``<bos>`` not included.
    limits : (D,) integer array
        At most how many tokens are drawn for each.
    ends : integer array
        Ids that end a document once drawn.
    sampler : callable
        From (m, V) log-probabilities of the model to those of the draws.
    uniforms : callable
        From document numbers (m,) and the step to the uniform numbers of the draws, (m,) in [0, 1).

    Returns
    -------
    rows, ids : (n,) int64 arrays
        Document and token of each draw, document after document.
    loglike, sampler_loglike : (n,) arrays
        Log-probability of each draw under the model and under the sampler, nats.
    """
    vocabulary = model.corpus.vocabulary
    abreast = max(BLOCK // vocabulary.size, 1)
    none = np.zeros(0, np.int64)
    records: list[tuple[Array, Array, Array, Array]] = [(none, none, np.zeros(0), np.zeros(0))]
    unfinished = np.flatnonzero(limits > 0)
    for first in range(0, len(unfinished), abreast):
        rows = unfinished[first : first + abreast]
        reader = reader_of(model, [starts[row] for row in rows])
        step = 0
        while len(rows):
            under_model = reader.logprobs()  # (m, V)
            under_sampler = sampler(under_model)
            ids = invert(under_sampler, uniforms(rows, step))
            drawn = np.arange(len(rows)), ids
            records.append((rows, ids, under_model[drawn], under_sampler[drawn]))
            step += 1
            active = (limits[rows] > step) & (ids[:, None] != ends).all(axis=1)
            rows = rows[active]
            if len(rows):
                reader.read(ids, active)
    found = [np.concatenate(column) for column in zip(*records, strict=True)]
    order = np.argsort(found[0], kind="stable")  # within a document the draws stay in their order
    return found[0][order], found[1][order], found[2][order], found[3][order]


def reader_of(model: Predictive, starts: Sequence[Array]) -> Reader:
    """Documents that grow, read by the model itself where it can, and else by asking it for each whole context."""
    held = underlying(model)
    return held.reader(starts) if isinstance(held, Sequential) else _ContextReader(held, starts)


class _ContextReader:
    """Documents of a model that is asked for the distribution after each context."""

    def __init__(self, model: Predictive, starts: Sequence[Array]) -> None:
        self.model = model
        self.contexts = _recent(context_array(model.corpus.vocabulary, starts), model.memory)

    def logprobs(self) -> Array:
        return self.model.logprobs(self.contexts)  # (m, k) -> (m, V)

    def read(self, ids: Array, kept: Array) -> None:
        grown = np.concatenate([self.contexts, ids[:, None]], axis=1)
        self.contexts = _recent(grown, self.model.memory)[kept]


def prompt_ids(vocabulary: Vocabulary, prompt: str | Sequence[Any]) -> Array:
    """(k,) ids of a prompt, without ``<bos>``.

    Raises
    ------
    CorpusError
        If the prompt is no text and no sequence of tokens, or holds tokens after which the model says nothing.
    """
    if isinstance(prompt, str) and not prompt:
        return np.zeros(0, np.int64)
    if not isinstance(prompt, str):
        prompt = _as_tokens(prompt)
    [ids] = context_ids(vocabulary, [prompt])
    if (ids == vocabulary.eos).any():
        raise CorpusError(
            "The prompt holds <eos>, after which its document has nothing more, so there is nothing to continue. "
            "Leave it out."
        )
    if not vocabulary.with_unk and (ids == vocabulary.unk).any():
        lacking = _lacking(vocabulary, prompt)
        named = ", ".join(map(repr, lacking[:5])) + (f" and {len(lacking) - 5} more" if lacking[5:] else "")
        raise CorpusError(
            f"The prompt holds {named}, which the vocabulary of {len(vocabulary.types):,} types lacks, so the model has no "
            "estimate of what follows. Write the prompt in the types of training (model.corpus.vocabulary.types), or train "
            "on a corpus made with unk=True."
        )
    return ids


def check_count(name: str, value: Any, consequence: str) -> None:
    """Raise SpecificationError unless the setting is a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, INTEGER) or value < 1:
        raise SpecificationError(f"{name}={value!r} {consequence}. Choose a whole number, 1 or more.")


def generator(seed: Any) -> np.random.Generator:
    """The random numbers that a seed stands for."""
    if isinstance(seed, bool) or not isinstance(seed, INTEGER) or seed < 0:
        raise SpecificationError(
            f"seed={seed!r} starts no random numbers that can be drawn again. Choose a whole number, 0 or more."
        )
    return np.random.default_rng(int(seed))


def _recent(contexts: Array, memory: int | None) -> Array:
    """The last columns, as many as the model can use."""
    return contexts if memory is None else contexts[:, max(contexts.shape[1] - memory, 0) :]


def _as_tokens(prompt: Any) -> list[Any]:
    tokens = list(prompt) if isinstance(prompt, (Sequence, np.ndarray)) else None
    if tokens is None or not (
        all(isinstance(t, str) for t in tokens) or all(isinstance(t, INTEGER) and not isinstance(t, bool) for t in tokens)
    ):
        raise CorpusError(
            f"A prompt is a text, a list of tokens, or a list of ids; got {prompt!r}. Write for example "
            'generate(model, "th") or generate(model, ["to", "be"]).'
        )
    return tokens


def _lacking(vocabulary: Vocabulary, prompt: str | Sequence[Any]) -> list[str]:
    """The distinct tokens of a prompt that the vocabulary lacks, in their order."""
    if isinstance(prompt, str):
        text, found = normalise(prompt), vocabulary.encode(prompt)
        ends = np.cumsum(found.nchars, dtype=np.int64)
        unknown = np.flatnonzero(found.ids == vocabulary.unk)
        # White space before a word is counted with the word; a token that is nothing else is itself white space.
        parts = [text[end - n : end] for n, end in zip(found.nchars[unknown].tolist(), ends[unknown].tolist(), strict=True)]
        return list(dict.fromkeys(part.strip() or part for part in parts))
    known = vocabulary.tokens
    return list(dict.fromkeys(t if isinstance(t, str) else known[t] for t in prompt if _is_unknown(vocabulary, t)))


def _is_unknown(vocabulary: Vocabulary, token: Any) -> bool:
    return bool((vocabulary.ids_of([token])[0] if isinstance(token, str) else token) == vocabulary.unk)


def _stop_ids(vocabulary: Vocabulary, stop: str | Sequence[Any] | None) -> Array:
    """Ids of the tokens that end a sample."""
    if stop is None:
        return np.zeros(0, np.int64)
    items = [stop] if isinstance(stop, (str, *INTEGER)) else list(stop)
    return np.array([_stop_id(vocabulary, item) for item in items], np.int64)


def _stop_id(vocabulary: Vocabulary, item: Any) -> int:
    if isinstance(item, str):
        found = vocabulary.ids_of([item])
        if item not in vocabulary.tokens and vocabulary.tokenizer is not None:
            found = vocabulary.encode(item).ids  # a byte-level token is not spelled like its text
        if len(found) == 1 and found[0] < vocabulary.size and (found[0] != vocabulary.unk or item == UNK):
            return int(found[0])
    elif isinstance(item, INTEGER) and not isinstance(item, bool) and 0 <= item < vocabulary.size:
        return int(item)
    raise SpecificationError(
        f"stop={item!r} is not one token that the model predicts, so no draw can be it. Choose tokens of the vocabulary's "
        f"{vocabulary.size:,}, or cut the text afterwards."
    )
