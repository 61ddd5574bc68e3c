"""Draw, refit, ask: replicates in parallel, kept chunk by chunk so that a study goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from statlm.errors import DamagedFile, SpecificationError, StatlmError, StatlmWarning
from statlm.generation.simulate import simulate
from statlm.inference.maxima import Specified
from statlm.likelihood import underlying
from statlm.numerics.types import Array
from statlm.simulation.questions import Question
from statlm.simulation.table import COLUMNS, tabulate
from statlm.text.corpus import Corpus
from statlm.text.writing import written_whole

POPULATION = 10_001  # stream of random numbers of the population


def coverage(
    truth: Any,
    questions: Sequence[Question],
    specification: Any = None,
    *,
    replicates: int = 200,
    documents: int | None = None,
    length: int | None = None,
    population: int = 0,
    level: float = 0.95,
    seed: int = 0,
    jobs: int | None = None,
    chunk: int = 25,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Simulate corpora from a known model, refit, and tabulate how intervals cover and tests reject.

    Parameters
    ----------
    truth : Fit or Predictive, or sequence of them
        What corpora are drawn from. Of several, each document has one drawn at random: documents then differ, as those of a
        clustered sample do.
    questions : sequence
        `Probabilities`, `Perplexity` and `Rejection` objects.
    specification : object, optional
        What is fitted to each replicate; by default the specification of `truth`.
    replicates : int
    documents, length : int, optional
        Of each replicate, as of `statlm.simulate`.
    population : int
        Documents of a large corpus from the truth, for questions whose truth has no closed form; what several models amount to is
        the specification's fit to it.
    level : float
        Confidence level of intervals; tests are at 1 - level.
    seed : int
        Replicate r is the same corpus whatever the number of jobs and the size of chunks.
    jobs : int, optional
        Processes, by joblib; -1 takes all cores. None: as a ``joblib.parallel_config`` around the call says, which may send
        them to a cluster (dask, ray), and one without it.
    chunk : int
        Replicates that are computed and kept together.
    folder : path, optional
        Where each chunk is kept, whole, as soon as it is there. A study that was stopped goes on with the missing ones; more
        `replicates` add to it.
    progress : callable, optional
        Called with the number of replicates of each chunk that is done.

    Returns
    -------
    DataFrame
        As of `tabulate`; ``attrs["replicates"]`` holds the raw answers, a row a replicate and question.

    Raises
    ------
    SpecificationError
        If a setting is out of its range, or the folder holds another study.
    DamagedFile
        If a chunk in the folder cannot be read.

    References
    ----------
    Morris, White and Crowther (2019), Using simulation studies to evaluate statistical methods. Statistics in Medicine 38.

    Examples
    --------
    >>> import statlm as slm
    >>> from statlm.simulation import Probabilities, coverage
    >>> chain = slm.datasets.markov([[0.8, 0.2], [0.4, 0.6]], documents=5, length=41).corpus
    >>> table = coverage(slm.NGram(2).fit(chain), [Probabilities([["0"]], tokens=["1"])], replicates=40)
    >>> table[["what", "method", "nominal", "replicates"]].to_dict("records")
    [{'what': 'p(1 | 0)', 'method': 'wald, nonrobust', 'nominal': 0.95, 'replicates': 40}]
    """
    models = list(truth) if isinstance(truth, (list, tuple)) else [truth]
    if not models or not questions:
        raise SpecificationError("A study needs a true model and a question. Give for example [Probabilities(['th'])].")
    if replicates < 1 or chunk < 1:
        raise SpecificationError(f"replicates={replicates}, chunk={chunk}: both count something. Choose 1 or more.")
    if not 0 < level < 1:
        raise SpecificationError(f"level={level!r} is no confidence level. Choose a number between 0 and 1.")
    if specification is None:
        if not isinstance(models[0], Specified):
            raise SpecificationError(
                "The true model carries no specification to refit. Name one: coverage(truth, questions, slm.NGram(2))."
            )
        specification = models[0].specification
    models = [underlying(model) for model in models]
    large = _drawn(models, population, length, [seed, POPULATION]) if population else None
    if len(models) > 1 and large is None:
        raise SpecificationError(
            f"{len(models)} models together have no closed form of their truth. Give the size of a corpus that stands for it: "
            "population=2000."
        )
    target = models[0] if len(models) == 1 else underlying(specification.fit(large))
    store = (
        None
        if folder is None
        else _Store(
            Path(folder), _identity(models, questions, specification, documents, length, population, level, seed, chunk)
        )
    )
    starts = range(0, replicates, chunk)
    parts = {start: store.read(start) for start in starts} if store else dict.fromkeys(starts)
    # A chunk that an earlier, shorter study cut off is drawn again.
    missing = [s for s, part in parts.items() if part is None or part.replicate.nunique() < min(chunk, replicates - s)]

    def done(start: int, part: pd.DataFrame) -> None:
        parts[start] = part
        if progress is not None:
            progress(part.replicate.nunique())

    calls = [
        (
            models,
            questions,
            specification,
            documents,
            length,
            target,
            large,
            level,
            seed,
            range(s, min(s + chunk, replicates)),
            store,
        )
        for s in missing
    ]
    if jobs == 1:
        for start, call in zip(missing, calls, strict=True):
            done(start, _chunk(*call))
    else:
        from joblib import Parallel, delayed

        results = Parallel(n_jobs=jobs, return_as="generator")(delayed(_chunk)(*call) for call in calls)
        for start, part in zip(missing, results, strict=True):
            done(start, part)
    answers = pd.concat([part for part in parts.values() if part is not None], ignore_index=True)
    answers = answers[answers.replicate < replicates].reset_index(drop=True)
    table = tabulate(answers, level)
    table.attrs["replicates"] = answers
    return table


def _chunk(
    models: list[Any],
    questions: Sequence[Question],
    specification: Any,
    documents: int | None,
    length: int | None,
    target: Any,
    population: Corpus | None,
    level: float,
    seed: int,
    numbers: range,
    store: _Store | None,
) -> pd.DataFrame:
    """The answers of some replicates, kept on disk where there is a folder."""
    rows: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatlmWarning)  # what they warn of is what is being measured
        for number in numbers:
            corpus = _drawn(models, documents, length, [seed, number])
            try:
                fit = specification.fit(corpus)
                found = [answer for question in questions for answer in question.answers(fit, target, population, level)]
            except SpecificationError:
                raise
            except StatlmError as error:
                found = [{"kind": "failed", "what": type(error).__name__, "method": str(error)[:200]}]
            rows += [{"replicate": number, **answer} for answer in found]
    part = pd.DataFrame(rows).reindex(columns=COLUMNS)
    if store is not None:
        store.write(numbers.start, part)
    return part


def _drawn(models: list[Any], documents: int | None, length: int | None, seed: list[int]) -> Corpus:
    """A corpus, each document from one of the models."""
    state = [int(x) for x in np.random.SeedSequence(seed).generate_state(len(models) + 1)]
    if len(models) == 1:
        return simulate(models[0], documents=documents, length=length, seed=state[0])
    number = models[0].corpus.ndocuments if documents is None else documents
    counts = np.bincount(np.random.default_rng(state[-1]).integers(len(models), size=number), minlength=len(models))
    drawn = [
        simulate(model, documents=int(count), length=length, seed=s)
        for model, count, s in zip(models, counts, state[:-1], strict=True)
        if count
    ]
    lengths: Array = np.concatenate([np.diff(part.offsets) for part in drawn])
    return Corpus(
        models[0].corpus.vocabulary,
        np.concatenate([part.tokens for part in drawn]),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([part.given for part in drawn]),
        pd.concat([part.documents for part in drawn], ignore_index=True),
    )


def _identity(
    models: list[Any],
    questions: Sequence[Question],
    specification: Any,
    documents: int | None,
    length: int | None,
    population: int,
    level: float,
    seed: int,
    chunk: int,
) -> dict[str, Any]:
    """What makes two studies the same; the models by what they are fitted to and what they give it."""
    digest = hashlib.sha256()
    for model in models:
        digest.update(model.corpus.fingerprint.encode())
        digest.update(np.ascontiguousarray(model.loglike_obs()).data)
    return {
        "truth": digest.hexdigest(),
        "questions": [question.describe() for question in questions],
        "specification": repr(specification),
        "documents": documents,
        "length": length,
        "population": population,
        "level": level,
        "seed": seed,
        "chunk": chunk,
    }


class _Store:
    """A folder of chunks, and what study they belong to."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        description = folder / "study.json"
        if description.exists():
            try:
                kept = json.loads(description.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DamagedFile(f"{description} is no description of a study. Choose another folder.") from error
            different = [name for name in identity if kept.get(name) != identity[name]]
            if different:
                raise SpecificationError(
                    f"{folder} holds another study (it differs in {', '.join(different)}), and answers of two studies must "
                    "not be mixed. Choose another folder, or remove it."
                )
            return
        with written_whole(description) as path:
            path.write_text(json.dumps(identity, indent=1), encoding="utf-8")

    def _path(self, start: int) -> Path:
        return self.folder / f"replicates-{start:06d}.csv"

    def read(self, start: int) -> pd.DataFrame | None:
        """A chunk, None where it is not there."""
        path = self._path(start)
        if not path.exists():
            return None
        try:
            part = pd.read_csv(path, dtype=str, keep_default_na=False)
        except (ValueError, OSError) as error:
            raise DamagedFile(f"{path} cannot be read ({error}). Remove it, and its replicates are drawn again.") from error
        if list(part.columns) != list(COLUMNS):
            raise DamagedFile(f"{path} holds no answers of a study. Remove it, and its replicates are drawn again.")
        numbers = {name: part[name].map(lambda x: float(x) if x else np.nan) for name in COLUMNS[4:]}  # to the last digit
        return part.assign(replicate=part.replicate.astype(int), **numbers)

    def write(self, start: int, part: pd.DataFrame) -> None:
        """Keep a chunk."""
        with written_whole(self._path(start)) as path:
            part.to_csv(path, index=False)
