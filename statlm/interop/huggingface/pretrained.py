"""A pretrained causal language model as a distribution over the next token."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from statlm.errors import DamagedFile, SpecificationError
from statlm.fit.evaluation import Evaluation
from statlm.generation.generate import Generation, generate, prompt_ids
from statlm.interop.huggingface.distribution import PretrainedDistribution
from statlm.interop.huggingface.recutting import given_at_least, placeholder, recut
from statlm.interop.huggingface.source import Source, find
from statlm.models.transformer.likelihood import check_stride
from statlm.networks.architecture import check_whole
from statlm.text.corpus import Corpus
from statlm.text.pretrained_tokenizer import PretrainedTokenizer
from statlm.text.reading import Splitter
from statlm.text.vocabulary import Vocabulary

LONGEST = 2048  # default context, where the network allows more: attention costs its square


@dataclass(frozen=True, eq=False, repr=False)
class Pretrained:
    """A pretrained model; made by `load`.

    Parameters
    ----------
    name : str
    network : torch.nn.Module
        A causal language model of transformers.
    backend : tokenizers.Tokenizer
    rows : int
        Tokens that the network predicts.
    context : int
        Most tokens that it is given at once, the one that begins a document included.
    stride : int
        Places by which windows advance in documents longer than the context.
    bos, eos : int or None
        The network's numbers of the tokens that begin and end a document, where there are such.
    quantised : str
        How its weights were rounded, in words; empty where they were not.
    """

    name: str
    network: Any
    backend: Any
    rows: int
    context: int
    stride: int
    bos: int | None
    eos: int | None
    quantised: str = ""

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        size = sum(p.numel() for p in self.network.parameters())
        return f"<Pretrained: {self.name}, {size:,} weights, {self.rows:,} types, context {self.context:,}>"

    # --- text ---------------------------------------------------------------------------------------------------------

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """A type for each token that the network predicts; ends of documents are not predicted."""
        return self._vocabulary(None)

    @cached_property
    def vocabulary_with_ends(self) -> Vocabulary:
        """The same with the token that ends a document as ``<eos>``.

        Raises
        ------
        SpecificationError
            If there is no such token.
        """
        if self.eos is None:
            raise SpecificationError(
                f"The tokenizer of {self.name} has no token that ends a document, so ends have no probability. Use eos=False."
            )
        return self._vocabulary(self.eos)

    def _vocabulary(self, end: int | None) -> Vocabulary:
        marks = [mark for mark in (self.bos, self.eos) if mark is not None]
        tokenizer = PretrainedTokenizer(self.backend, self.rows, end, marks)
        return Vocabulary(tokenizer.types, end is not None, tokenizer.unknown is not None, tokenizer)

    def read(
        self,
        texts: str | Iterable[str] | Corpus,
        *,
        eos: bool = False,
        given: int = 0,
        names: Sequence[str] | None = None,
        split: str | Splitter | None = None,
        covariates: pd.DataFrame | None = None,
    ) -> Corpus:
        """Texts, or the text of another corpus, cut by the model's tokenizer.

        Parameters
        ----------
        texts : str, iterable of str, or Corpus
            Of a corpus, the documents, their names and covariates stay, and what is given stays given: that text and the rest
            are cut apart, so that several models read from one corpus are scored on the same bytes.
        eos : bool
            Whether the ends of documents are predicted. They are not by default, since an excerpt does not end where the texts
            did that the model was trained on.
        given : int
            Condition on this many leading tokens of each document; of texts, not of a corpus.
        names, split, covariates
            As of `Corpus.from_texts`.

        Returns
        -------
        Corpus
            Over `vocabulary`, or `vocabulary_with_ends`. Where the tokenizer has no token that begins a document, nothing
            says how likely a first token is, so the first of each document is given.

        Raises
        ------
        CorpusError
            If a corpus does not keep its text: words, or tokens from the start.
        """
        vocabulary = self.vocabulary_with_ends if eos else self.vocabulary
        if isinstance(texts, Corpus):
            if given or names is not None or split is not None or covariates is not None:
                raise SpecificationError(
                    "given=, names=, split= and covariates= are of texts; a corpus has its own. Set them there: "
                    "corpus.with_given(...), corpus.with_covariates(...)."
                )
            corpus = recut(texts, vocabulary)
        elif isinstance(texts, str):
            corpus = Corpus.from_text(texts, vocabulary=vocabulary, split=split, given=given, covariates=covariates)
        else:
            corpus = Corpus.from_texts(
                texts, vocabulary=vocabulary, names=names, split=split, given=given, covariates=covariates
            )
        return corpus if self.bos is not None else given_at_least(corpus, 1)

    # --- the model on a text ------------------------------------------------------------------------------------------

    def on(self, corpus: Corpus) -> Evaluation:
        """The model on a corpus that `read` made, or one over its vocabulary.

        Raises
        ------
        CorpusError
            If the vocabulary is another, or a token is not of the support; if the first token of a document is to be
            predicted, and the model does not say how documents begin.
        """
        return Evaluation(self, PretrainedDistribution(self, corpus))

    def generate(self, prompt: str | Sequence[Any] = "", **settings: Any) -> Generation:
        """Continue a prompt; a sample ends with the model's end of document. See `statlm.generate`."""
        vocabulary = self.vocabulary if self.eos is None else self.vocabulary_with_ends
        drawn = generate(PretrainedDistribution(self, placeholder(vocabulary)), prompt, **settings)
        # Some tokenizers drop the white space before a text, so what follows a prompt is told from the whole.
        start = prompt_ids(vocabulary, prompt)
        before = vocabulary.decode(start)
        whole = [vocabulary.decode([*start, *ids[ids != vocabulary.eos]]) for ids in drawn.tokens]
        texts = [text.removeprefix(before) for text in whole]
        return replace(drawn, texts=texts, documents=[drawn.prompt + text for text in texts])

    def strided(self, stride: int) -> Pretrained:
        """The same model, read in windows that advance by `stride` places: 1 gives each token all the context there is.

        Raises
        ------
        SpecificationError
            If the stride is not between 1 and the context.
        """
        check_stride(stride, self.context)
        return replace(self, stride=stride)


def load(
    source: str | os.PathLike[str],
    *,
    tokenizer: str | os.PathLike[str] | None = None,
    context: int | None = None,
    stride: int | None = None,
    bos: str | None = None,
    precision: str = "float32",
    device: str | None = None,
    revision: str | None = None,
    unused: Sequence[str] = (),
) -> Pretrained:
    """Load a causal language model of the package transformers.

    Parameters
    ----------
    source : str or path
        A folder, a GGUF file, or a name on the Hugging Face Hub.
    tokenizer : str or path, optional
        Where its tokenizer lies, if not beside it.
    context : int, optional
        Tokens that it is given at once; by default all that it can read, at most 2,048.
    stride : int, optional
        Places by which windows advance in documents longer than that; by default half the context, so that each token has at
        least that many before it.
    bos : str, optional
        The token that begins a document, by default as the tokenizer says. It is put before every document.
    precision : "float32", "float64" or "bfloat16"
        What it computes in. Log-probabilities are float64 sums.
    device : str, optional
        Such as "cpu" or "cuda"; by default the accelerator if there is one.
    revision : str, optional
        Of a model on the Hub: a commit, so that the numbers can be had again.
    unused : sequence of str
        Beginnings of the names of tensors that may be left over, such as those of a second head.

    Returns
    -------
    Pretrained

    Raises
    ------
    SpecificationError
        If transformers is not installed (``pip install 'statlm[hf]'``), or a setting is outside of its range.
    DamagedFile
        If a file is cut short, pickled, needs code to be run, or does not fit the settings; if the model looks ahead.
    DataUnavailable
        If there is nothing of this name.

    Notes
    -----
    Evaluation is that of `TransformerDecoder`: every token of every document exactly once, in windows, without dropout. Weights
    in GGUF files are mostly quantised: the likelihood is that of the quantised model, and ``.notes()`` says so.

    Code that comes with a model is never run, and weights are read from safetensors and GGUF files alone.

    Examples
    --------
    >>> from statlm.interop import huggingface as hf
    >>> pretrained = hf.load("SmolLM2-135M")                                                # doctest: +SKIP
    >>> pretrained.on(pretrained.read(["It was a dark night."])).bits_per_byte              # doctest: +SKIP
    """
    from statlm.interop.huggingface import loading
    from statlm.interop.huggingface.library import library

    library()
    place = find(source, revision)
    cutter = place if tokenizer is None else _tokenizer_place(tokenizer)
    loaded = loading.read(place, cutter, precision, device, unused)
    backend = loaded.tokenizer.backend_tokenizer
    begin = loaded.tokenizer.bos_token_id if bos is None else backend.token_to_id(bos)
    if bos is not None and begin is None:
        raise SpecificationError(f"bos={bos!r} is no token of the tokenizer of {place.label}. Choose one of its tokens.")
    embedded = loaded.network.get_input_embeddings().num_embeddings
    if begin is not None and begin >= embedded:
        raise DamagedFile(
            f"The tokenizer numbers the token that begins a document {begin:,}, and {place.label} reads {embedded:,} tokens: "
            "they do not belong together. Use the tokenizer that it was trained with."
        )
    limit = loaded.places
    if context is None:
        context = min(limit or LONGEST, LONGEST)
    check_whole("context", context, 1)
    if limit is not None and context > limit:
        raise SpecificationError(
            f"context={context:,} is longer than {place.label} can read: it was trained with {limit:,} places. Choose up to that "
            "many; longer documents are read in windows."
        )
    if stride is None:
        stride = max(context // 2, 1)
    check_stride(stride, context)
    pretrained = Pretrained(
        place.label if place.hub else os.path.basename(place.label.rstrip("/\\")) or place.label,
        loaded.network,
        backend,
        loaded.rows,
        context,
        stride,
        begin,
        loaded.tokenizer.eos_token_id,
        loaded.quantised,
    )
    assert pretrained.vocabulary.size  # the tokenizer fits the network, or it raises here
    return pretrained


def _tokenizer_place(tokenizer: str | os.PathLike[str]) -> Source:
    path = Path(tokenizer)
    return Source(str(path), str(path)) if path.is_dir() else find(tokenizer)
