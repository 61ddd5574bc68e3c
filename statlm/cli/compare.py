"""``statlm compare``: from a text to a table of models with honest errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from statlm.cli.pictures import check_plot
from statlm.cli.texts import DatasetName, Encoding, Lowercase, Split, Texts, TokenizerName, VocabularySize, read_corpus
from statlm.errors import SpecificationError


def compare(
    texts: Texts = None,
    dataset: DatasetName = None,
    tokenizer: TokenizerName = "char",
    vocabulary_size: VocabularySize = None,
    lowercase: Lowercase = False,
    split: Split = None,
    encoding: Encoding = "utf-8",
    max_n: Annotated[int, typer.Option(help="Fit n-grams up to this length.")] = 5,
    pseudo_count: Annotated[
        float,
        typer.Option(
            help="Fit each n-gram also with this added to every count (posterior mean under a Dirichlet prior), so that "
            "nothing has probability 0. 0 leaves these out."
        ),
    ] = 0.01,
    smoothing: Annotated[
        str,
        typer.Option(help="Fit the longest n-grams also with this smoothing (none leaves it out)."),
    ] = "modified-kneser-ney",
    lags: Annotated[
        int,
        typer.Option(help="Fit softmax regressions (main effects) on 2 up to this many previous tokens; 0 leaves them out."),
    ] = 2,
    decoder: Annotated[
        float, typer.Option(help="Fit also a transformer decoder, for this many minutes; 0 leaves it out.")
    ] = 0.0,
    test: Annotated[
        float, typer.Option(help="Share of the documents held out (of the tokens, for a single document).")
    ] = 0.1,
    seed: Annotated[
        int | None, typer.Option(help="Draw the held-out documents at random. By default: the last ones.")
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    dependence: Annotated[
        str | None,
        typer.Option(
            help="Dependence of tokens: iid, cluster, HAC or bootstrap. By default chosen by the number of documents."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Save the table: .csv, .html or .json.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw perplexity with intervals: .png, .svg or .pdf.")] = None,
) -> None:
    """Fit the family to a text and compare its members on held-out documents, best first.

    Each row is a model: its log-likelihood, degrees of freedom, AIC and BIC on the training text; its perplexity with an
    interval on the held-out text, bits per byte, and the paired difference from the best (nats a token) with its standard
    error and p-value. Below, the likelihood-ratio ladder, and which models the data cannot tell apart.

    \b
    Examples: statlm compare
              statlm compare novel.txt --split paragraph --max-n 4
              statlm compare novel.txt --decoder 5
              statlm compare folder/ --tokenizer word --vocabulary-size 5000 --output table.html --plot perplexity.png
    """
    from rich.console import Console
    from rich.progress import Progress

    from statlm.comparison.compare import compare as compare_models
    from statlm.comparison.ladder import ladder
    from statlm.models.ngram import NGram
    from statlm.models.softmax import SoftmaxRegression
    from statlm.report.tables import check_suffix, print_table, save_table

    if max_n < 1:
        raise SpecificationError(f"--max-n {max_n}: choose 1 or more.")
    if output is not None:
        check_suffix(output)
    check_plot(plot)
    corpus, name = read_corpus(texts, dataset, tokenizer, vocabulary_size, lowercase, split, encoding)
    train, held_out = corpus.split(test, seed=seed)
    # Each rung of the ladder contains the one before: main effects of k lags lie between the k-gram and the (k + 1)-gram.
    nested: list[Any] = [NGram(n) for n in range(min(max_n, 2) + 1)]
    for n in range(3, max_n + 1):
        nested += [SoftmaxRegression(n - 1)] if n == 3 and lags >= 2 else []
        nested.append(NGram(n))
    others: list[Any] = [SoftmaxRegression(k) for k in range(2, lags + 1) if k > 2 or max_n < 3]
    if pseudo_count:
        others += [NGram(n, pseudo_count=pseudo_count) for n in range(1, max_n + 1)]
    if smoothing != "none":
        others += [NGram(n, smoothing=smoothing) for n in range(min(3, max_n), max_n + 1)]
    if decoder:
        from statlm.models.transformer import TransformerDecoder

        others.append(TransformerDecoder(time=60 * decoder))
    specifications = nested + others
    fits = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Fitting", total=len(specifications) + 1)
        for specification in specifications:
            progress.update(task, description=f"Fitting {specification}")
            fits[str(specification)] = specification.fit(train)
            progress.advance(task)
        progress.update(task, description="Scoring held-out text")
        table = compare_models(fits, on=held_out, dependence=dependence, level=level)
        progress.advance(task)
    rungs = ladder({str(s): fits[str(s)] for s in nested})
    title = (
        f"{name}: {corpus.ndocuments:,} {'document' if corpus.ndocuments == 1 else 'documents'}, "
        f"{corpus.vocabulary.size:,} types ({tokenizer}); fitted to {train.nobs:,} tokens, held out {held_out.nobs:,}"
    )
    print_table(table, title, table.attrs["notes"])
    print_table(rungs, "Likelihood-ratio ladder (training text)", rungs.attrs["notes"])
    if output is not None:
        save_table(table, output, title, table.attrs["notes"])
        typer.echo(f"Table saved to {output}", err=True)
    if plot is not None:
        from statlm.plots.perplexity import save_perplexity

        save_perplexity(table, plot, title)
        typer.echo(f"Picture saved to {plot}", err=True)
