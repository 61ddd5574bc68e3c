"""``statlm coverage``: whether intervals cover and tests reject as they should, on corpora like yours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from statlm.cli.pictures import check_plot, save_plot
from statlm.cli.texts import DatasetName, Encoding, Lowercase, Split, Texts, TokenizerName, VocabularySize, read_corpus
from statlm.errors import SpecificationError

STATES = 3  # of the chain that is drawn where there is no text


def coverage(
    texts: Texts = None,
    dataset: DatasetName = None,
    tokenizer: TokenizerName = "char",
    vocabulary_size: VocabularySize = None,
    lowercase: Lowercase = False,
    split: Split = None,
    encoding: Encoding = "utf-8",
    model: Annotated[str, typer.Option(help="ngram or softmax.")] = "ngram",
    n: Annotated[int, typer.Option("--n", help="Length of the n-gram; a softmax regression has n - 1 lags.")] = 2,
    pseudo_count: Annotated[float, typer.Option(help="Added to each count of an n-gram; 0 is maximum likelihood.")] = 0.0,
    replicates: Annotated[int, typer.Option(help="Corpora to draw.")] = 200,
    documents: Annotated[int | None, typer.Option(help="Documents of each. By default as many as the text has.")] = None,
    length: Annotated[int | None, typer.Option(help="Tokens of each document. By default as in the text.")] = None,
    contexts: Annotated[int, typer.Option(help="Ask for probabilities after this many of the most frequent contexts.")] = 1,
    tokens: Annotated[int, typer.Option(help="And for this many of the most probable tokens after each.")] = 2,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals; tests are at 1 - level.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Same seed, same corpora.")] = 0,
    jobs: Annotated[int, typer.Option(help="Processes; -1 takes all cores.")] = 1,
    folder: Annotated[
        Path | None, typer.Option(help="Keep what is done here; a study that was stopped goes on from it.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Save the table: .csv, .html or .json.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw how far the rates are from nominal, with Monte-Carlo errors: .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Draw corpora from a known model, refit it to each, and tabulate coverage, bias, size and power.

    The model is fitted to your text and then taken as the truth; without a text it is a chain of three states. Each row is an
    interval or a test with its rate, the rate it should have, and the Monte-Carlo error of the simulation.

    \b
    Examples: statlm coverage
              statlm coverage novel.txt --split paragraph --replicates 1000 --folder study --jobs -1
              statlm coverage --model softmax --documents 20 --length 100
    """
    from rich.console import Console
    from rich.progress import Progress

    from statlm.models.ngram import NGram
    from statlm.models.softmax import SoftmaxRegression
    from statlm.report.tables import check_suffix, print_table, save_table
    from statlm.simulation.study import coverage as study
    from statlm.text.datasets import markov

    if output is not None:
        check_suffix(output)
    check_plot(plot)
    if n < 2:
        raise SpecificationError(f"--n {n}: the study asks for probabilities after a context. Choose 2 or more.")
    specification: Any
    if model == "ngram":
        specification = NGram(n, pseudo_count=pseudo_count)
    elif model == "softmax":
        specification = SoftmaxRegression(n - 1)
    else:
        raise SpecificationError(f"There is no model {model!r}. Use ngram or softmax.")
    if texts or dataset:
        corpus, name = read_corpus(texts, dataset, tokenizer, vocabulary_size, lowercase, split, encoding)
    else:
        drawn = markov(states=STATES, lags=n - 1, documents=documents or 20, length=length or 101, concentration=2.0, seed=1)
        corpus, name = drawn.corpus, f"a chain of {STATES} states"
    truth = specification.fit(corpus)
    questions = _questions(truth, n, model, pseudo_count, contexts, tokens)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Replicates", total=replicates)
        table = study(
            truth,
            questions,
            replicates=replicates,
            documents=documents,
            length=length,
            level=level,
            seed=seed,
            jobs=jobs,
            folder=folder,
            progress=lambda done: progress.advance(task, done),
        )
    title = f"{specification} fitted to {name} as the truth; {replicates:,} replicates"
    notes = _notes(table, replicates)
    shown = table.drop(columns=["failed"]).dropna(axis="columns", how="all")
    print_table(shown, title, notes)
    if output is not None:
        save_table(table, output, title, notes)
        typer.echo(f"Table saved to {os.fspath(output)}", err=True)
    save_plot(plot, lambda: _rates(table))


def _rates(table: Any) -> Any:
    from statlm.plots.rates import plot_rates

    return plot_rates(table)


def _questions(truth: Any, n: int, model: str, pseudo_count: float, contexts: int, tokens: int) -> list[Any]:
    """Probabilities after the most frequent contexts, and likelihood-ratio tests against the neighbours in the ladder."""
    import numpy as np

    from statlm.simulation import Probabilities, Rejection

    corpus = truth.corpus
    seen, counts = np.unique(corpus.contexts(n - 1), axis=0, return_counts=True)
    inside = (seen < len(corpus.vocabulary.types)).all(axis=1)
    most = seen[inside][np.argsort(-counts[inside], kind="stable")[:contexts]]
    names = np.array(corpus.vocabulary.tokens, dtype=object)
    methods = ["wald", "logit", *(["wilson", "jeffreys"] if model == "ngram" and not pseudo_count else [])]
    questions: list[Any] = []
    for row in most:
        context = names[row].tolist()
        likely = np.argsort(-truth.logprobs(row[None])[0], kind="stable")[:tokens]
        covs = ["nonrobust", "HC0", *(["cluster"] if corpus.ndocuments > 1 else [])]
        questions.append(Probabilities([context], names[likely].tolist(), methods, covs))
    if not pseudo_count:
        tests = {"ngram": (_longer_ngram, _shorter_ngram), "softmax": (_longer_softmax, _shorter_softmax)}[model]
        questions.append(Rejection(f"lr_test, {truth.specification} against one lag more", _Ladder(tests[0], n), True))
        questions.append(Rejection(f"lr_test, one lag less against {truth.specification}", _Ladder(tests[1], n), False))
    return questions


class _Ladder:
    """A likelihood-ratio test between neighbours; a class of a module, so that processes can share it."""

    def __init__(self, pair: Any, n: int) -> None:
        self.pair, self.n = pair, n

    def __call__(self, corpus: Any) -> float:
        from statlm.inference.lr_test import lr_test

        small, large = self.pair(self.n)
        given = corpus.with_given(self.n)  # the longer model's contexts are then whole for both
        return lr_test(small.fit(given), large.fit(given)).p_value


def _longer_ngram(n: int) -> tuple[Any, Any]:
    from statlm.models.ngram import NGram

    return NGram(n), NGram(n + 1)


def _shorter_ngram(n: int) -> tuple[Any, Any]:
    from statlm.models.ngram import NGram

    return NGram(n - 1), NGram(n)


def _longer_softmax(n: int) -> tuple[Any, Any]:
    from statlm.models.softmax import SoftmaxRegression

    return SoftmaxRegression(n - 1), SoftmaxRegression(n)


def _shorter_softmax(n: int) -> tuple[Any, Any]:
    from statlm.models.softmax import SoftmaxRegression

    return SoftmaxRegression(n - 2), SoftmaxRegression(n - 1)


def _notes(table: Any, replicates: int) -> list[str]:
    judged = table[table.agrees.notna()]
    off = judged[~judged.agrees.astype(bool)]
    notes = [
        f"{len(judged) - len(off)} of {len(judged)} rates are within 3.3 Monte-Carlo errors of their nominal value"
        + (
            f"; not {', '.join(sorted({f'{w} ({m})' if m else w for w, m in zip(off.what, off.method, strict=True)}))}."
            if len(off)
            else "."
        )
    ]
    failed = int(table.failed.max())
    if failed:
        notes.append(f"{failed:,} of {replicates:,} replicates had no estimate and are no part of the rates.")
    return notes
