"""One table of several models, best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from statlm import measures
from statlm.comparison.paired import check_same_observations, paired_test
from statlm.covariance import Dependence, SeriesDependence
from statlm.errors import NotComparable, SpecificationError
from statlm.inference.perplexity_interval import perplexity_estimate, perplexity_interval
from statlm.likelihood import Conventional, Predictive, is_likelihood, is_penalised, underlying
from statlm.text.corpus import Corpus

SIGNIFICANCE = 0.05


def compare(
    models: Mapping[str, Any] | Sequence[Any],
    on: Corpus | None = None,
    *,
    dependence: str | Dependence | SeriesDependence | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare models on the text they were fitted to and, with `on`, on held-out text.

    Parameters
    ----------
    models : mapping of names to fits, or sequence of fits
        In a sequence each is called by its specification.
    on : Corpus, optional
        Held-out text of the same vocabulary. Without it the table is sorted by AIC.
    dependence : str or object, optional
        As of `perplexity_interval`.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    DataFrame
        A row a model, best first. On the training text: ``nobs``, ``dof``, ``loglike``, ``aic``, ``bic`` (missing for a model
        without parameters, and where a penalty or a prior was fitted). With `on`: ``test_loglike``, ``perplexity`` with
        ``conf_low`` and ``conf_high``, ``bits_per_byte`` (missing where the corpus is not text), ``impossible`` (observations
        of probability 0), and the paired ``difference`` from the best in nats a token with ``std_error`` and ``p_value``
        (missing in the row of the best, and where a difference is infinite). ``attrs["notes"]`` holds sentences to read with
        it: the dependence assumed, and
        which models the data cannot tell apart.

    Raises
    ------
    NotComparable
        If the models were fitted to different observations, so that AIC and BIC cannot be compared.

    Notes
    -----
    The p-values compare each model with the one that did best on this very text, which favours the best a little; the
    sentence on indistinguishable models adjusts them for multiplicity by Holm's method.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra" * 20).split(test=0.5)
    >>> fits = [slm.NGram(n=n, pseudo_count=0.1).fit(train) for n in (1, 2, 3)]
    >>> slm.compare(fits, on=test).model.tolist()
    ['trigram + 0.1', 'bigram + 0.1', 'unigram + 0.1']
    """
    named = named_models(models)
    first = next(iter(named.values()))
    for name, model in named.items():
        if model.corpus is not first.corpus and model.corpus.fingerprint != first.corpus.fingerprint:
            raise NotComparable(
                f"{next(iter(named))!r} and {name!r} were fitted to different observations ({first.corpus.nobs:,} and "
                f"{model.corpus.nobs:,} tokens, different fingerprints), so their AIC and BIC cannot be compared. Fit all to "
                "one corpus; to compare only on held-out text use paired_test(a.on(test), b.on(test)), or "
                "compare_bytes where tokenizers differ."
            )
    table = pd.DataFrame([_training_row(name, model) for name, model in named.items()]).astype({"dof": "Int64"})
    notes: list[str] = []
    if on is None:
        table = table.sort_values("aic", kind="stable").reset_index(drop=True)
    else:
        evaluations = {name: model.on(on) for name, model in named.items()}
        table, notes = _held_out(table, evaluations, dependence, level)
    table.attrs["notes"] = notes
    return table


def named_models(models: Mapping[str, Any] | Sequence[Any]) -> dict[str, Predictive]:
    """Models by name: a mapping as it is, a sequence by its specifications."""
    if isinstance(models, Mapping):
        named = dict(models)
    else:
        named = {str(model.specification): model for model in models}
        if len(named) < len(models):
            raise SpecificationError(
                "Two of the models have the same specification, so their rows could not be told apart. Name them: "
                'compare({"first": a, "second": b}).'
            )
    if not named:
        raise SpecificationError("There is no model to compare. Give at least one fit.")
    return named


def _training_row(name: str, model: Predictive) -> dict[str, Any]:
    row: dict[str, Any] = {"model": name, "nobs": model.corpus.nobs}
    row["dof"] = None
    row["loglike"] = measures.loglike(model)
    row["aic"] = row["bic"] = np.nan
    model = underlying(model)
    if is_likelihood(model):
        row["dof"] = model.dof
    if is_likelihood(model) and not is_penalised(model):
        penalty = model.dof * np.array([2.0, np.log(model.corpus.nobs)])
        row["aic"], row["bic"] = penalty - 2.0 * row["loglike"]  # measures.aic and bic, without scoring the text again
    return row


def _held_out(
    table: pd.DataFrame,
    evaluations: dict[str, Predictive],
    dependence: str | Dependence | SeriesDependence | None,
    level: float,
) -> tuple[pd.DataFrame, list[str]]:
    corpus = next(iter(evaluations.values())).corpus
    has_text = bool(corpus.nbytes)
    rows = []
    for name, model in evaluations.items():
        check_same_observations(next(iter(evaluations.values())), model)
        obs = model.loglike_obs()
        impossible = int(np.count_nonzero(np.isneginf(obs)))
        low, high = (np.nan, np.nan) if impossible else perplexity_interval(model, level, dependence)
        rows.append(
            {
                "model": name,
                "test_loglike": float(obs.sum()),
                "perplexity": measures.perplexity(model),
                "conf_low": low,
                "conf_high": high,
                "bits_per_byte": measures.bits_per_byte(model) if has_text else np.nan,
                "impossible": impossible,
            }
        )
    table = table.merge(pd.DataFrame(rows), on="model")
    table = table.sort_values(["perplexity", "impossible"], kind="stable").reset_index(drop=True)
    best = evaluations[table.model[0]]
    columns: dict[str, list[float]] = {"difference": [0.0], "std_error": [np.nan], "p_value": [np.nan]}
    finite = np.isfinite(table.perplexity[0])
    for name, impossible in zip(table.model[1:], table.impossible[1:], strict=True):
        if impossible or not finite:
            values = (-np.inf if finite else np.nan, np.nan, np.nan)
        else:
            test = paired_test(evaluations[name], best, dependence=dependence, level=level)
            values = (test.difference, test.std_error, test.p_value)
        for column, value in zip(columns, values, strict=True):
            columns[column].append(value)
    for column, filled in columns.items():
        table[column] = filled
    return table, _notes(table, best, dependence, level) + conventions(evaluations)


def conventions(evaluations: Mapping[str, Predictive]) -> list[str]:
    """How models that read a bounded context read this corpus, each convention once."""
    models: dict[str, list[str]] = {}
    for name, model in evaluations.items():
        held = underlying(model)
        if isinstance(held, Conventional) and (convention := held.convention()) is not None:
            models.setdefault(convention, []).append(name)
    return [f"{', '.join(names)}: {convention}." for convention, names in models.items()]


def _notes(
    table: pd.DataFrame, best: Predictive, dependence: str | Dependence | SeriesDependence | None, level: float
) -> list[str]:
    corpus = best.corpus
    notes = []
    if np.isfinite(table.perplexity[0]):
        assumed = perplexity_estimate(best, dependence).dependence
        notes.append(
            f"Held out: {corpus.nobs:,} tokens in {corpus.ndocuments:,} "
            f"{'document' if corpus.ndocuments == 1 else 'documents'}. Intervals at {level:.0%} and p-values: {assumed}."
        )
        notes.append(indistinguishable(table))
    impossible = table[table.impossible > 0]
    if len(impossible):
        counts = ", ".join(f"{m}: {k:,}" for m, k in zip(impossible.model, impossible.impossible, strict=True))
        notes.append(
            f"Perplexity is infinite where a model gives probability 0 to something that happened ({counts} of {corpus.nobs:,} "
            "held-out tokens). It is not clipped."
        )
    if corpus.nunknown:
        notes.append(
            f"{corpus.nunknown:,} of the {corpus.nobs:,} held-out tokens are <unk>: their types are not in the vocabulary."
        )
    return notes


def indistinguishable(table: pd.DataFrame) -> str:
    """A sentence that says which models the held-out text cannot tell from the best, after Holm's adjustment."""
    from statsmodels.stats.multitest import multipletests

    best = table.model[0]
    tested = table[table.p_value.notna()]
    if tested.empty:
        return f"{best} is the only model with a finite perplexity." if len(table) > 1 else f"{best} is the only model."
    adjusted = multipletests(tested.p_value, method="holm")[1]
    same = tested.model[adjusted > SIGNIFICANCE].tolist()
    count = f"{len(tested)} paired {'test' if len(tested) == 1 else 'tests'}, Holm-adjusted at {SIGNIFICANCE:.0%}"
    if not same:
        return f"The held-out text tells {best} from every other model ({count})."
    listed = same[0] if len(same) == 1 else f"{', '.join(same[:-1])} and {same[-1]}"
    return f"The held-out text cannot tell {best} from {listed} ({count})."
