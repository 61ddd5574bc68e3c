"""Which models cannot be told from the best: the model confidence set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from statlm.comparison.compare import named_models
from statlm.covariance.clustered import ENOUGH
from statlm.errors import NoEstimate, SpecificationError
from statlm.numerics.repeated_rows import sum_by
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

UNITS = (None, "document", "token")
METHODS = ("R", "max")
SAME = 1e-12  # relative difference below which two mean losses are one


def confidence_set(
    models: Mapping[str, Any] | Sequence[Any],
    on: Corpus,
    *,
    level: float = 0.95,
    by: str | None = None,
    block_length: float | None = None,
    method: Literal["R", "max"] = "R",
    replicates: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Model confidence set: the models among which the best one is, with the confidence asked for.

    Models are dropped one at a time, the worst first, as long as the hypothesis that all that are left have equal expected
    loss is rejected (Hansen, Lunde and Nason 2011), by the procedure of the package ``arch``.

    Parameters
    ----------
    models : mapping of names to fits, or sequence of fits
        In a sequence each is called by its specification.
    on : Corpus
        Held-out text of the same vocabulary.
    level : float
        Confidence that the best model is in the set; 0.95 or 0.90, say.
    by : "document", "token", optional
        What is resampled: documents, as independent; or tokens in blocks of random length (the stationary bootstrap of Politis
        and Romano 1994), along the text with its documents end to end. By default documents where there are 10 or more.
    block_length : float, optional
        Mean length of a block of tokens. By default the largest of Politis and White's (2004) choices over the pairs of models,
        for the series of their *differences* in loss, which depend on each other far less than the losses.
    method : "R" or "max"
        The statistic: the largest t-ratio over pairs of models, or over models against the mean of all.
    replicates : int
        Resamples.
    seed : int
        Seed of the resampling.

    Returns
    -------
    DataFrame
        A row a model, smallest loss first: ``model``, ``loss`` (mean log-loss, nats a token), ``difference`` from the smallest,
        ``p_value`` (the model is in every set of level above 1 minus it; 0 means fewer than 1 in `replicates`), ``included``.
        ``attrs["notes"]`` holds sentences to read with it: what was resampled, and which models were set apart.

    Raises
    ------
    SpecificationError
        If there is no model, or a setting is unknown or out of range.
    NoEstimate
        If every model gives something probability 0; if there are fewer than 2 documents to resample; or if two different
        models have exactly the same loss.

    See Also
    --------
    paired_test : two models.
    compare : a table with paired tests against the best.

    Notes
    -----
    *Documents of unequal size.* The loss of document g is the sum of its tokens' losses, times G / n for G documents and n
    tokens in all. Its mean over documents is then the mean loss a *token*, so that the ranking is that of perplexity. The mean of
    a document's losses would count a short document as much as a long one, and answer another question. That a resample of
    documents has another number of tokens does not matter for the hypothesis: it concerns differences, whose expected sum is 0
    for a document of any size where two models are equally good.

    A model of infinite loss is refuted by the text. It is left out of the procedure, with a p-value of 0, and the notes say so.
    Models that give every observation the same probability share one place in it.

    References
    ----------
    Hansen, Lunde and Nason (2011), The model confidence set. Econometrica 79.
    Politis and White (2004), Automatic block-length selection for the dependent bootstrap. Econometric Reviews 23.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("the cat sat. the dog ran. a cat ran. " * 30, split=lambda t: t.split(". ")).split(0.5)
    >>> table = confidence_set([slm.NGram(n=n, pseudo_count=0.1).fit(train) for n in (1, 2, 3)], on=test, level=0.9)
    >>> table.model[table.included].tolist()
    ['trigram + 0.1']
    """
    if by not in UNITS:
        raise SpecificationError(
            f"by={by!r}: resample by 'document' or by 'token', or leave None to choose by their number."
        )
    if method not in METHODS:
        raise SpecificationError(
            f"method={method!r}: the statistic is 'R' (pairs of models) or 'max' (each against the mean)."
        )
    if not 0 < level < 1:
        raise SpecificationError(f"level={level}: a confidence level lies between 0 and 1, as in level=0.95.")
    if replicates < 99:
        raise SpecificationError(
            f"replicates={replicates} is too few for a p-value near {1 - level:.2g}. Choose 99 or more."
        )
    if block_length is not None and not block_length >= 1:
        raise SpecificationError(f"block_length={block_length}: a block holds at least one token.")
    size = round(1 - level, 12)  # 1 - 0.9 is a little less than 0.1
    losses = pd.DataFrame({name: -model.on(on).loglike_obs() for name, model in named_models(models).items()})
    impossible = np.isinf(losses).sum()
    refuted = impossible[impossible > 0]
    if len(refuted) == losses.shape[1]:
        raise NoEstimate(
            f"Every one of the {losses.shape[1]} models gives probability 0 to some of the {on.nobs:,} held-out tokens, so all "
            "losses are infinite and there is no best. Fit with pseudo_count > 0 or a smoothing."
        )
    notes = []
    if len(refuted):
        counts = ", ".join(f"{name}: {number:,}" for name, number in refuted.items())
        notes.append(f"Left out, as they give probability 0 to what happened ({counts} of {on.nobs:,} held-out tokens).")
    finite = losses.drop(columns=refuted.index)
    stands_for = _representatives(finite)
    distinct = finite[sorted(set(stands_for.values()), key=list(finite).index)]
    for name, other in stands_for.items():
        if name != other:
            notes.append(f"{name} gives every token the probability that {other} gives it; they share a p-value.")
    p_values = {str(distinct.columns[0]): 1.0}
    if distinct.shape[1] > 1:
        rows, block, sentence = _units(distinct, on, by, block_length)
        p_values = model_confidence_p_values(rows, size, block, method, replicates, seed)
        notes.insert(0, f"Resampled: {sentence}, {replicates:,} replicates.")
    table = pd.DataFrame({"model": list(losses), "loss": losses.mean().to_numpy()})
    table["difference"] = table.loss - table.loss.min()
    table["p_value"] = [p_values[stands_for[name]] if name in stands_for else 0.0 for name in table.model]
    table["included"] = table.p_value > size
    table = table.sort_values(["loss", "p_value"], ascending=[True, False], kind="stable").reset_index(drop=True)
    inside = table.model[table.included].tolist()
    notes.insert(0, f"Model confidence set at {level:.0%}: {', '.join(inside)} ({len(inside)} of {len(table)} models).")
    table.attrs |= {"notes": notes, "level": level}
    return table


def model_confidence_p_values(
    losses: pd.DataFrame, size: float, block_length: int, method: Literal["R", "max"], replicates: int, seed: int
) -> dict[str, float]:
    """P-values of the procedure of ``arch``, by model.

    Parameters
    ----------
    losses : (T, k) DataFrame
        A row what is resampled.
    size : float
        1 minus the confidence.
    block_length : int
        Mean length of a block of rows; 1 resamples rows one at a time.
    method : "R" or "max"
    replicates, seed : int
    """
    from arch.bootstrap import MCS

    means = losses.mean().sort_values()
    near = np.flatnonzero(np.diff(means) <= SAME * np.abs(means.iloc[-1]))
    if len(near):
        raise NoEstimate(
            f"{means.index[near[0]]} and {means.index[near[0] + 1]} have exactly the same loss ({means.iloc[near[0]]:.6g} nats) "
            "though they are different models, and the procedure has no rule for ties. Use more text, or leave one out."
        )
    procedure = MCS(
        losses, size=size, reps=replicates, block_size=block_length, method=method, bootstrap="stationary", seed=seed
    )
    procedure.compute()
    return {str(name): float(p) for name, p in procedure.pvalues.Pvalue.items()}


def _representatives(losses: pd.DataFrame) -> dict[str, str]:
    """For each model, the first that gives every observation the same probability."""
    found: dict[str, str] = {}
    for name in losses:
        same = (other for other in set(found.values()) if np.allclose(losses[name], losses[other], rtol=1e-9, atol=1e-12))
        found[str(name)] = next(same, str(name))
    return found


def _units(
    losses: pd.DataFrame, corpus: Corpus, by: str | None, block_length: float | None
) -> tuple[pd.DataFrame, int, str]:
    """The rows to resample, the block length, and both in words."""
    groups = corpus.ndocuments
    reason = ""
    if by is None:
        by = "document" if groups >= ENOUGH and block_length is None else "token"
        reason = f" (chosen because there are {ENOUGH} or more)" if by == "document" else ""
    if by == "document":
        if groups < 2:
            raise NoEstimate(
                "There is 1 document, and resampling documents needs at least 2 (10 or more to be reliable). Use by='token', or "
                "cut the text with corpus.blocks(length=...), which states that the pieces are independent."
            )
        if block_length is not None:
            raise SpecificationError(
                f"block_length={block_length} is of tokens, and documents are independent. Use by='token'."
            )
        sums = sum_by(losses.to_numpy(), corpus.document_index, groups) * (groups / corpus.nobs)
        return pd.DataFrame(sums, columns=losses.columns), 1, f"{groups:,} documents{reason}"
    if block_length is None:
        block_length = max(_block_length((losses[a] - losses[b]).to_numpy()) for a, b in combinations(losses, 2))
        reason = " (that of the most dependent difference)"
    block = max(int(np.ceil(block_length)), 1)
    return losses, block, f"{corpus.nobs:,} tokens in blocks of {block:,} on average{reason}"


def _block_length(series: Array) -> float:
    from arch.bootstrap import optimal_block_length

    return 1.0 if np.ptp(series) == 0 else max(float(optimal_block_length(series)["stationary"].iloc[0]), 1.0)
