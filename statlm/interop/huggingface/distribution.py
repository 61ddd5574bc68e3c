"""A pretrained model on a corpus: a distribution over the next token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from statlm.errors import CorpusError
from statlm.likelihood.protocols import Reader
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.pretrained_tokenizer import PretrainedTokenizer

if TYPE_CHECKING:
    from statlm.interop.huggingface.pretrained import Pretrained


@dataclass(frozen=True, eq=False)
class PretrainedDistribution:
    """A pretrained model on a corpus: a `Predictive`.

    Parameters
    ----------
    pretrained : Pretrained
    corpus : Corpus
        Over one of its two vocabularies.
    """

    pretrained: Pretrained
    corpus: Corpus

    def __post_init__(self) -> None:
        vocabulary, ours = self.corpus.vocabulary, self.pretrained
        known = ours.vocabulary_with_ends if vocabulary.with_eos and ours.eos is not None else ours.vocabulary
        known.check_same(vocabulary)
        outside = int(np.count_nonzero(self.corpus.tokens >= vocabulary.size))
        if outside:
            raise CorpusError(
                f"{outside:,} of {len(self.corpus.tokens):,} tokens are not of the {vocabulary.size:,} types of {ours.name}: it "
                "has no probability for them, and cannot read them either. Make the corpus from text: pretrained.read(texts)."
            )
        if ours.bos is None and not self.corpus.given.all():
            raise CorpusError(
                f"{np.count_nonzero(self.corpus.given == 0):,} documents begin with a token that is to be predicted, and the "
                f"tokenizer of {ours.name} has no token that begins a document, so nothing stands before the first. Condition on "
                "it: corpus.with_given(1), or pretrained.read(texts); or name the token with which the model was trained to "
                "begin: load(..., bos='<|endoftext|>'), say."
            )

    @property
    def memory(self) -> int:
        """How many tokens back the model looks."""
        return self.pretrained.context

    @property
    def numbers(self) -> Array:
        """(V,) the network's number of each token of the support."""
        tokenizer = self.corpus.vocabulary.tokenizer
        assert isinstance(tokenizer, PretrainedTokenizer)
        return tokenizer.numbers

    def loglike_obs(self) -> Array:
        """(nobs,) log-probability of each observation, nats; every one exactly once, whatever the windows."""
        return self._loglike_obs

    @cached_property
    def _loglike_obs(self) -> Array:
        from statlm.interop.huggingface import scoring
        from statlm.networks.windows import Stream, evaluation_windows

        ours = self.pretrained
        numbered = replace(self.corpus, tokens=self.numbers[self.corpus.tokens])
        if ours.bos is not None:
            stream = Stream.of(numbered, ours.rows, ours.bos)
        else:  # each document's first token takes the place of <bos>
            stream = Stream(numbered.tokens, numbered.offsets, numbered.given - 1)
        windows = evaluation_windows(stream, ours.context, ours.stride)
        found = scoring.loglike_obs(ours.network, stream, windows, ours.rows)
        found.flags.writeable = False
        return found

    def logprobs(self, contexts: Array) -> Array:
        """(m, V) log-probabilities of the next token, nats, given the last `memory` tokens of each context.

        Raises
        ------
        CorpusError
            If a context holds a token that the model does not know, or nothing that it can read.
        """
        from statlm.interop.huggingface import scoring

        contexts = np.asarray(contexts, np.int64)
        contexts = contexts[:, max(contexts.shape[1] - self.memory, 0) :]
        found = scoring.logprobs(self.pretrained.network, [self._numbered(row) for row in contexts], self.pretrained.rows)
        return found[:, self.numbers]

    def reader(self, starts: Sequence[Array]) -> Reader:
        """Documents that grow token by token, each place read once: what `generate` draws from."""
        from statlm.interop.huggingface.reader import CachedReader

        ours, bos = self.pretrained, self.corpus.vocabulary.bos
        begun = [self._numbered(np.concatenate([[bos], ids]).astype(np.int64)) for ids in starts]
        return CachedReader(ours.network, begun, numbers=self.numbers, context=ours.context, stride=ours.stride)

    def on(self, corpus: Corpus) -> PretrainedDistribution:
        """The same model on another corpus."""
        return PretrainedDistribution(self.pretrained, corpus)

    def _numbered(self, ids: Array) -> Array:
        """A context as the network numbers it; one of nothing at all begins a document."""
        vocabulary, bos = self.corpus.vocabulary, self.pretrained.bos
        ids = ids[ids != vocabulary.pad]
        if not len(ids):
            ids = np.array([vocabulary.bos])
        starts, ids = ids[0] == vocabulary.bos, ids[ids != vocabulary.bos]
        if (ids >= vocabulary.size).any():
            raise CorpusError(
                f"A context holds {vocabulary.tokens[int(ids.max())]}, which {self.pretrained.name} does not know, so it cannot "
                "say what follows. Write it as text."
            )
        begin = [bos] if starts and bos is not None else []
        numbered = np.concatenate([begin, self.numbers[ids]]).astype(np.int64)
        if not len(numbered):
            raise CorpusError(
                f"The tokenizer of {self.pretrained.name} has no token that begins a document, so the model says nothing before "
                "the first token. Give it a prompt."
            )
        return numbered

    # --- words --------------------------------------------------------------------------------------------------------

    def convention(self) -> str | None:
        """What the number is of: windows, rounded weights, first tokens; None where nothing is to be said."""
        ours, said = self.pretrained, []
        if ours.quantised:
            said.append(f"the likelihood is of a quantised model ({ours.quantised}), not of the one that was trained")
        if ours.bos is None:
            said.append("the tokenizer has no token that begins a document, so the first token of each is given")
        if int(np.diff(self.corpus.offsets).max()) - (ours.bos is None) > ours.context:
            said.append(self._windows())
        return "; ".join(said) or None

    def _windows(self) -> str:
        ours = self.pretrained
        return (
            f"documents longer than {ours.context:,} tokens are read in windows of {ours.context:,} that advance by "
            f"{ours.stride:,}: each token is predicted from at least {ours.context - ours.stride:,} tokens before it, or all "
            "there are"
        )

    def notes(self) -> list[str]:
        """What a reader of the numbers must know."""
        convention = self.convention()
        sentences = [convention[0].upper() + convention[1:] + "."] if convention else []
        sentences.append(
            f"{self.pretrained.name} may have been trained on this very text; held-out error is known only of text that it "
            "cannot have seen."
        )
        return sentences
