"""Held-out loss by group of documents, with intervals that hold together and a test that all groups are alike."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from statlm.covariance import Dependence, SeriesDependence
from statlm.errors import FewClustersWarning, NoEstimate, NotComparable, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.perplexity_interval import mean_estimate
from statlm.inference.result import TestResult
from statlm.likelihood import Predictive
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


def group_loss(
    model: Predictive,
    by: str | Sequence[Any] | Array | pd.Series = "document",
    *,
    against: Predictive | None = None,
    level: float = 0.95,
    dependence: str | Dependence | SeriesDependence | None = None,
) -> pd.DataFrame:
    r"""Mean log-loss of each group of documents, with simultaneous intervals.

    Parameters
    ----------
    model : Predictive
        On text that it was not fitted to.
    by : str or sequence
        "document", a column of ``corpus.documents`` such as "year", or a label for each document.
    against : Predictive, optional
        A second model on the same text: the mean is then of its log-loss minus the first model's, positive where the first model
        is better. It takes out how hard a group's text is for every model.
    level : float
        Level at which all intervals hold together (Šidák, exact for independent groups).
    dependence : str or object, optional
        As of `perplexity_interval`, within groups. None takes documents as clusters where every group has at least two, and HAC
        in all groups otherwise: the intervals then say how sure one is of *these* documents, not of others of their group.

    Returns
    -------
    DataFrame
        A row a group, in order of its label: ``group``, ``documents``, ``nobs``, ``loss`` (nats a token), ``std_error``,
        ``conf_low``, ``conf_high``, ``perplexity`` (with `against`, ``ratio``, of the second model's perplexity to the first's).
        ``attrs["test"]`` is Welch's test that all groups have one mean, a TestResult; ``attrs["dependence"]`` the assumption in
        words.

    Raises
    ------
    SpecificationError
        If there is no such column, not a label for each document, or only one group.
    NotComparable
        If the two models stand on different observations.
    NoEstimate
        If an observation has probability 0, or the loss of a group does not vary.

    Notes
    -----
    Welch's (1951) test allows each group a variance, and degrees of freedom, of its own; documents in different groups are
    independent.

    References
    ----------
    Welch (1951), On the comparison of several mean values. Biometrika 38. Šidák (1967).

    Examples
    --------
    >>> import statlm as slm
    >>> texts = ["abracadabra", "barbara", "cadabra", "zebra", "zabra", "razor"] * 10
    >>> corpus = slm.Corpus.from_texts(texts)
    >>> table = group_loss(slm.NGram(n=1).fit(corpus), by=["ab", "ab", "ab", "z", "z", "z"] * 10)
    >>> table.group.tolist(), bool(table.loss[1] > table.loss[0]), table.attrs["test"].p_value < 1e-6
    (['ab', 'z'], True, True)
    """
    corpus = model.corpus
    labels = group_labels(corpus, by)
    values = -np.asarray(model.loglike_obs(), float)
    if against is not None:
        if against.corpus is not corpus and against.corpus.fingerprint != corpus.fingerprint:
            raise NotComparable(
                f"The models were scored on different observations ({corpus.nobs:,} and {against.corpus.nobs:,} tokens, "
                "different fingerprints). Score both on one corpus: group_loss(a.on(test), against=b.on(test))."
            )
        with np.errstate(invalid="ignore"):
            values = -np.asarray(against.loglike_obs(), float) - values
    if impossible := int(np.count_nonzero(~np.isfinite(values))):
        raise NoEstimate(
            f"{impossible:,} of {len(values):,} observations have probability 0 under a model, and the loss of their group is "
            "infinite. Use a model with pseudo_count > 0 or a smoothing."
        )
    codes, names = pd.factorize(labels, sort=True)
    if len(names) < 2:
        raise SpecificationError(
            f"All {corpus.ndocuments:,} documents are in one group, so nothing can differ. Name two or more."
        )
    sizes = np.bincount(codes)
    chosen = dependence if dependence is not None else ("cluster" if sizes.min() >= 2 else "HAC")
    of_observation = codes[corpus.document_index]
    rows, dofs, described = [], [], ""
    for g, name in enumerate(names):
        members = np.flatnonzero(codes == g)
        part = corpus if len(members) == corpus.ndocuments else corpus.subset(members)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewClustersWarning)  # degrees of freedom by group take care of it
            estimate = mean_estimate(values[of_observation == g], part, chosen)
        if not estimate.std_error > 1e-14 * abs(estimate.mean):
            raise NoEstimate(
                f"The loss in group {name!r} ({estimate.nobs:,} tokens, {len(members):,} documents) does not vary between its "
                "units, so it has no standard error. Merge it with another group."
            )
        half = half_width(level ** (1 / len(names)), estimate.reference_dof) * estimate.std_error
        low, high = estimate.mean - half, estimate.mean + half
        rows.append((name, len(members), estimate.nobs, estimate.mean, estimate.std_error, low, high))
        dofs.append(estimate.reference_dof)
    if chosen == "cluster":
        described = "documents are the clusters within each group, t distributions with their number less 1"
    elif dependence is None:
        described = (
            "HAC within documents, because some groups have a single one; how documents of a group differ is not in it"
        )
    else:
        described = f"{chosen} within groups, as asked"
    table = pd.DataFrame(rows, columns=["group", "documents", "nobs", "loss", "std_error", "conf_low", "conf_high"])
    table["perplexity" if against is None else "ratio"] = np.exp(table.loss)
    if against is not None:
        table = table.rename(columns={"loss": "difference"})
    mean = table[table.columns[3]].to_numpy(float)
    table.attrs |= {"test": _welch(mean, table.std_error.to_numpy(float), np.array(dofs)), "dependence": described}
    return table


def group_labels(corpus: Corpus, by: str | Sequence[Any] | Array | pd.Series) -> Array:
    """(D,) label of each document."""
    if isinstance(by, str):
        if by == "document":
            return np.arange(corpus.ndocuments)
        if by not in corpus.documents:
            raise SpecificationError(
                f"The documents have no column {by!r}; they have {', '.join(map(repr, corpus.documents.columns))}. Or give a "
                "label for each document."
            )
        return corpus.documents[by].to_numpy()
    labels = np.asarray(by)
    if labels.shape != (corpus.ndocuments,):
        raise SpecificationError(
            f"There are {labels.size:,} labels for {corpus.ndocuments:,} documents. Give one a document."
        )
    return labels


def _welch(mean: Array, se: Array, dof: Array) -> TestResult:
    from scipy.stats import chi2, f

    weight = 1.0 / se**2
    share = weight / weight.sum()
    groups = len(mean)
    centre = float(share @ mean)
    between = float(weight @ (mean - centre) ** 2) / (groups - 1)
    spread = float(((1 - share) ** 2 / dof).sum())
    details = {"mean": centre, "groups": float(groups)}
    null = "all groups have the same expected loss"
    if spread == 0:
        return TestResult(
            "Homogeneity",
            between * (groups - 1),
            groups - 1,
            float(chi2.sf(between * (groups - 1), groups - 1)),
            null,
            "",
            details,
        )
    statistic = between / (1 + 2 * (groups - 2) / (groups**2 - 1) * spread)
    lower = (groups**2 - 1) / (3 * spread)
    note = f"Welch's F with {groups - 1} and {lower:.1f} degrees of freedom."
    return TestResult(
        "Homogeneity (Welch)", statistic, groups - 1, float(f.sf(statistic, groups - 1, lower)), null, note, details
    )
