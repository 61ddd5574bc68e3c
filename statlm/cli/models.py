"""``statlm fit``, ``summary``, ``perplexity`` and ``generate``: one model at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from statlm.cli.pictures import check_plot, save_plot
from statlm.cli.texts import (
    DatasetName,
    Encoding,
    Lowercase,
    Split,
    Texts,
    TokenizerName,
    VocabularySize,
    read_corpus,
    read_like,
)
from statlm.errors import SpecificationError
from statlm.text.writing import written_whole

MOST_NAMES = 40  # of documents in one picture

FitFolder = Annotated[Path, typer.Argument(help="Folder of a fit that `statlm fit` saved.", show_default=False)]
CovName = Annotated[str, typer.Option(help="Standard errors: nonrobust, opg, HC0, cluster or HAC.")]
Level = Annotated[float, typer.Option(help="Confidence level of the intervals.")]


def fit(
    texts: Texts = None,
    output: Annotated[Path | None, typer.Option(help="Save the fit to this folder.")] = None,
    model: Annotated[str, typer.Option(help="ngram, softmax or decoder.")] = "ngram",
    n: Annotated[int, typer.Option("--n", help="Length of the n-gram.")] = 3,
    pseudo_count: Annotated[float, typer.Option(help="Added to each count of an n-gram; 0 is maximum likelihood.")] = 0.0,
    smoothing: Annotated[str | None, typer.Option(help="Smoothing of an n-gram, as modified-kneser-ney.")] = None,
    lags: Annotated[int, typer.Option(help="Number of previous tokens in a softmax regression.")] = 1,
    interactions: Annotated[str | None, typer.Option(help="Of the lags in a softmax regression: pairwise or all.")] = None,
    ridge: Annotated[float | None, typer.Option(help="Strength of a ridge penalty on a softmax regression.")] = None,
    rank: Annotated[int | None, typer.Option(help="Rank of the coefficients of a softmax regression: embeddings.")] = None,
    layers: Annotated[
        int | None, typer.Option(help="Blocks of a transformer decoder; by default as its budget suits.")
    ] = None,
    heads: Annotated[int, typer.Option(help="Attention heads of a decoder.")] = 4,
    width: Annotated[int, typer.Option(help="Length of a decoder's vectors.")] = 128,
    context: Annotated[
        int | None, typer.Option(help="Most tokens that a decoder sees; by default as its budget suits.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="How long to fit a decoder; sets its schedule. By default --steps.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of a decoder's fit.")] = 500,
    seed: Annotated[int, typer.Option(help="Of a decoder's initial weights and batches.")] = 0,
    held_out: Annotated[
        float, typer.Option(help="Share of the text that a decoder is evaluated on along the way, and not fitted to.")
    ] = 0.0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File for a decoder's state, written every minute and at Ctrl-C.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    dataset: DatasetName = None,
    tokenizer: TokenizerName = "char",
    vocabulary_size: VocabularySize = None,
    lowercase: Lowercase = False,
    split: Split = None,
    encoding: Encoding = "utf-8",
    cov: CovName = "nonrobust",
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the first coefficients, or a decoder's path to its estimate: .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Fit one model to a text, print its summary, and save it on request.

    \b
    Examples: statlm fit novel.txt --n 4 --pseudo-count 0.01 --output novel-4gram
              statlm fit --dataset sotu --n 2 --cov cluster
              statlm fit --model softmax --lags 2 --split paragraph novel.txt
              statlm fit --model decoder --minutes 5 --checkpoint state novel.txt --output novel-decoder
    """
    from statlm.models.ngram import NGram
    from statlm.models.softmax import SoftmaxRegression
    from statlm.models.transformer import TransformerDecoder

    check_plot(plot)
    specification: Any
    if model == "ngram":
        specification = NGram(n, smoothing=smoothing, pseudo_count=pseudo_count)
    elif model == "softmax":
        penalty = None if ridge is None else "ridge"
        specification = SoftmaxRegression(lags, interactions=interactions, penalty=penalty, strength=ridge, rank=rank)
    elif model == "decoder":
        shape: dict[str, Any] = {"layers": layers, "context": context}
        specification = TransformerDecoder(
            heads=heads,
            width=width,
            **{name: value for name, value in shape.items() if value is not None},
            steps=steps if minutes is None else None,
            time=None if minutes is None else 60 * minutes,
            seed=seed,
        )
    else:
        raise SpecificationError(f"There is no model {model!r}. Use ngram, softmax or decoder.")
    corpus, _ = read_corpus(texts, dataset, tokenizer, vocabulary_size, lowercase, split, encoding)
    if model == "decoder":
        train, test = corpus.split(held_out) if held_out else (corpus, None)
        fitted = specification.fit(train, held_out=test, checkpoint=checkpoint, resume=resume)
    else:
        fitted = specification.fit(corpus)
    typer.echo(str(fitted.summary(cov=cov)))
    if output is not None:
        fitted.save(output)
        typer.echo(f"Fit saved to {output}", err=True)
    save_plot(plot, fitted.plot.path if model == "decoder" else partial(fitted.plot.coefficients, cov=cov))


def summary(
    folder: FitFolder,
    cov: CovName = "nonrobust",
    level: Level = 0.95,
    output: Annotated[Path | None, typer.Option(help="Save instead of printing: .txt, .html or .tex.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the coefficients with their intervals: .png, .svg or .pdf.")
    ] = None,
    response: Annotated[str | None, typer.Option(help="In the picture, coefficients of this response only.")] = None,
    term: Annotated[
        str | None, typer.Option(help="In the picture, coefficients of this term only, as of that context.")
    ] = None,
) -> None:
    """Print the summary of a saved fit, with the standard errors of your choice.

    \b
    Examples: statlm summary novel-4gram --cov cluster
              statlm summary novel-4gram --cov cluster --plot after-e.png --term e
    """
    from statlm.models.load import load
    from statlm.report.summary import save_summary

    check_plot(plot)
    fitted = load(folder)
    made = fitted.summary(cov=cov, level=level)
    if output is None:
        typer.echo(str(made))
    else:
        save_summary(made, output)
        typer.echo(f"Summary saved to {output}", err=True)
    save_plot(plot, partial(fitted.plot.coefficients, response=response, term=term, cov=cov, level=level))


def perplexity(
    folder: FitFolder,
    texts: Annotated[list[Path], typer.Argument(help="Text files, or folders of .txt files, to score.", show_default=False)],
    split: Split = None,
    encoding: Encoding = "utf-8",
    level: Level = 0.95,
    dependence: Annotated[
        str | None, typer.Option(help="iid, cluster, HAC or bootstrap. By default chosen by the number of documents.")
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option(help="Save a row a token (surprisal, entropy, rank) to this .csv file.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the loss of each document with its interval: .png, .svg or .pdf; or the first document coloured by "
            "surprisal: .html."
        ),
    ] = None,
) -> None:
    """Score texts with a saved fit: perplexity with its interval, bits per byte, and what caused infinities.

    \b
    Example: statlm perplexity novel-4gram other.txt --split paragraph
    """
    import numpy as np

    from statlm.inference.perplexity_interval import perplexity_estimate
    from statlm.models.load import load
    from statlm.report.augment import augment
    from statlm.report.tables import save_table

    coloured = plot is not None and plot.suffix == ".html"
    check_plot(None if coloured else plot)
    fitted = load(folder)
    corpus = read_like(texts, fitted.corpus, split, encoding)
    held = fitted.on(corpus)
    typer.echo(f"{fitted.specification} on {corpus!r}")
    obs = held.loglike_obs()
    impossible = np.isneginf(obs)
    typer.echo(f"log-likelihood  {obs.sum():,.2f} nats")
    typer.echo(f"perplexity      {held.perplexity:.6g}")
    if impossible.any():
        kinds = f"{impossible.sum():,} of {len(obs):,} tokens have probability 0 under the model"
        unknown = f", {corpus.nunknown:,} of them unknown to its vocabulary" if corpus.nunknown else ""
        known = obs[~impossible]
        typer.echo(
            f"                {kinds}{unknown}; perplexity of the others {np.exp(-known.mean()):.6g}"
            if len(known)
            else kinds
        )
    else:
        estimate = perplexity_estimate(held, dependence)
        low, high = np.exp(estimate.interval(level))
        typer.echo(f"{level:.0%} interval    {low:.6g} to {high:.6g} ({estimate.dependence})")
    if corpus.nbytes:
        typer.echo(f"bits per byte   {held.bits_per_byte:.6g}")
    if tokens is not None:
        save_table(augment(held), tokens)
        typer.echo(f"Tokens saved to {tokens}", err=True)
    if coloured and plot is not None:
        with written_whole(plot) as part:
            part.write_text(f'<!doctype html>\n<meta charset="utf-8">\n{held.plot.surprisal()}\n', encoding="utf-8")
        typer.echo(f"Coloured text saved to {plot}", err=True)
    else:
        by = corpus.documents["name"] if corpus.ndocuments <= MOST_NAMES else "document"
        save_plot(plot, partial(held.plot.groups, by, level=level, dependence=dependence))


def generate(
    folder: FitFolder,
    prompt: Annotated[str, typer.Option(help="Beginning of the text to continue.")] = "",
    max_tokens: Annotated[int, typer.Option(help="Stop after this many tokens.")] = 200,
    temperature: Annotated[float, typer.Option(help="Below 1 sharpens, above 1 flattens; 0 is greedy.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw only from the k most probable tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw only from the smallest set of this probability.")] = None,
    samples: Annotated[int, typer.Option(help="Number of continuations.")] = 1,
    seed: Annotated[int, typer.Option(help="Same seed, same text.")] = 0,
    log_probabilities: Annotated[
        bool, typer.Option("--log-probabilities", help="Print what was drawn, token by token.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw what the settings make of the first token's probabilities: .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Continue a text with a saved fit.

    \b
    Example: statlm generate novel-4gram --prompt "It was" --temperature 0.8 --top-p 0.9 --seed 7
    """
    from statlm.models.load import load

    check_plot(plot)
    fitted = load(folder)
    drawn = fitted.generate(
        prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        samples=samples,
        seed=seed,
    )
    typer.echo(str(drawn))
    for number, (model, sampler) in enumerate(zip(drawn.loglike, drawn.sampler_loglike, strict=True)):
        typer.echo(f"[{number}] log-probability {model:.3f} nats under the model, {sampler:.3f} under the sampler", err=True)
    if log_probabilities:
        typer.echo(drawn.table.to_string(index=False))
    save_plot(plot, partial(fitted.plot.sampler, prompt, temperature=temperature, top_k=top_k, top_p=top_p))
