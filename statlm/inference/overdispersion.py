"""Whether documents differ by more than chance in what follows a context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from statlm.covariance.groups import DOCUMENT, document_groups
from statlm.errors import CorpusError, SpecificationError
from statlm.inference.homogeneity import check_settings, joined_columns
from statlm.inference.multiplicity import adjusted, check_adjustment
from statlm.numerics.context_table import ContextTable
from statlm.numerics.dirichlet_multinomial import DirichletMultinomial
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus
from statlm.text.prompts import context_array, context_ids

FEWEST_DOCUMENTS = 2


def overdispersion_test(
    corpus: Corpus,
    lags: int = 1,
    *,
    contexts: Sequence[Any] | None = None,
    top: int = 30,
    by: str = DOCUMENT,
    adjust: str = "holm",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Dirichlet-multinomial over-dispersion between documents, context by context.

    After a context, document d draws its tokens with shares of its own, :math:`p_d \sim \mathrm{Dirichlet}(\pi / \theta)`. The
    n-gram is the case :math:`\theta = 0`; the intraclass correlation :math:`\rho = \theta / (1 + \theta)` is that between the
    indicators of a token at two places of one document. The likelihood ratio of :math:`\theta > 0` against 0 stands on the
    boundary, and is 0 or a :math:`\chi^2_1` with probability 1/2 each under the null hypothesis (Self and Liang 1987).

    Parameters
    ----------
    corpus : Corpus
        Two documents or more.
    lags : int
        Length of the contexts, tokens.
    contexts : sequence of strings, or of sequences of tokens, optional
        The contexts to test; one shorter than `lags` is the beginning of a document. By default the `top` most frequent.
    top : int
        How many of the most frequent contexts to test.
    by : str
        What draws shares of its own: "document", or a column of ``corpus.documents``.
    adjust : "holm", "bh", "by" or "bonferroni"
        Adjustment for the number of contexts; see `adjust_p_values`.
    level : float
        Level of the profile-likelihood intervals of the correlation.

    Returns
    -------
    DataFrame
        A row a context, the most frequent first: ``context``, ``nobs``, ``documents`` (in which it occurs), ``types``
        (tokens that follow it), ``correlation``, ``conf_low``, ``conf_high``, ``design_effect``, ``statistic``, ``p_value``,
        and the adjusted ``p_holm`` (or as `adjust` says). A context after which nothing varies, or that no document has
        twice, has no estimate: nan.

    Raises
    ------
    CorpusError
        If there is a single document, or a context asked for never occurs.
    SpecificationError
        If a setting is out of range.

    Notes
    -----
    ``design_effect``, :math:`1 + (\sum_d n_d^2 / n - 1) \rho`, is about the factor by which the variance of a share exceeds
    that of independent draws: its root is what errors that ignore documents lack. `Clustered` errors have it in them without
    a model. Correlations of a few thousandths are plenty in long documents. The estimate takes documents as exchangeable,
    and tokens within one as exchangeable given its shares; a drift within documents also shows as over-dispersion.

    References
    ----------
    Mosimann (1962), On the compound multinomial distribution. Biometrika 49. Self and Liang (1987), Asymptotic properties of
    maximum likelihood estimators under nonstandard conditions. JASA 82. Paul, Liang and Self (1989), On testing departure
    from the binomial and multinomial assumptions. Biometrics 45. Church and Gale (1995), Poisson mixtures.

    Examples
    --------
    >>> import statlm as slm
    >>> texts = ["aab" * 20, "abb" * 20, "aba" * 20, "bba" * 20, "aaaab" * 12, "bbbab" * 12]
    >>> table = overdispersion_test(slm.Corpus.from_texts(texts, eos=False), lags=0)
    >>> table[["nobs", "documents", "correlation", "design_effect", "p_value"]].round(4).values.tolist()
    [[360.0, 6.0, 0.1604, 10.4659, 0.0]]
    """
    check_settings(lags, "chi2", ("chi2",), 0)
    check_adjustment(adjust)
    if not 0 < level < 1:
        raise SpecificationError(f"level={level}: the confidence level must lie between 0 and 1, as in 0.95.")
    if top < 1:
        raise SpecificationError(f"top={top}: test one context at least.")
    of_document, groups = document_groups(corpus, by)
    if groups < FEWEST_DOCUMENTS:
        raise CorpusError(
            f"There is {groups} {by}, and over-dispersion is how documents differ. Cut the text (split='paragraph', "
            "corpus.blocks(length=...)); for changes along one text there are stationarity_test and change_point_test."
        )
    lags = int(lags)
    columns = joined_columns([corpus], lags)
    targets = corpus.targets.astype(np.int64)
    table = ContextTable.count(columns, targets, corpus.vocabulary.nids)
    rows, names = _chosen(corpus, table, lags, contexts, top)
    row_of_obs = table.find_contexts(columns, len(targets))
    group = of_document[corpus.document_index]
    order = np.argsort(row_of_obs, kind="stable")
    starts = np.searchsorted(row_of_obs[order], np.arange(table.ncontexts + 1))
    records = []
    for row, name in zip(rows, names, strict=True):
        here = order[starts[row] : starts[row + 1]]
        records.append({"context": name, **_tested(targets[here], group[here], level)})
    found = pd.DataFrame(records)
    return found.assign(**{f"p_{adjust}": adjusted(found["p_value"].to_numpy(float), adjust)})


def _tested(targets: Array, group: Array, level: float) -> dict[str, float]:
    """Estimate and test for the observations after one context."""
    from scipy.stats import chi2

    types, token = np.unique(targets, return_inverse=True)
    present, unit = np.unique(group, return_inverse=True)
    counts = np.zeros((len(present), len(types)), np.int64)
    np.add.at(counts, (unit, token), 1)
    sizes = counts.sum(axis=1)
    record = {"nobs": len(targets), "documents": len(present), "types": len(types)}
    if len(types) < 2 or sizes.max() < 2 or len(present) < 2:
        nothing = ("correlation", "conf_low", "conf_high", "design_effect", "statistic", "p_value")
        return record | dict.fromkeys(nothing, np.nan)
    fit = DirichletMultinomial(counts).fit(float(chi2.isf(1 - level, 1)) / 2)
    correlation = fit.theta / (1 + fit.theta)
    return record | {
        "correlation": correlation,
        "conf_low": fit.low / (1 + fit.low),
        "conf_high": 1.0 if np.isinf(fit.high) else fit.high / (1 + fit.high),
        "design_effect": 1 + ((sizes**2).sum() / sizes.sum() - 1) * correlation,
        "statistic": fit.statistic,
        "p_value": float(chi2.sf(fit.statistic, 1)) / 2 if fit.statistic > 0 else 1.0,
    }


def _chosen(
    corpus: Corpus, table: ContextTable, lags: int, contexts: Sequence[Any] | None, top: int
) -> tuple[Array, list[str]]:
    """Rows of the contexts to test, the most frequent first, and their names."""
    vocabulary = corpus.vocabulary
    if contexts is None:
        rows = np.argsort(-table.totals, kind="stable")[:top]
    else:
        given = context_array(vocabulary, context_ids(vocabulary, contexts))
        padded = np.full((len(given), max(lags - given.shape[1], 0)), vocabulary.pad)
        given = np.concatenate([padded, given], axis=1)[:, ::-1]
        rows = table.find_contexts(list(given[:, :lags].T), len(given))
        if (rows < 0).any():
            missing = contexts[int(np.flatnonzero(rows < 0)[0])]
            raise CorpusError(
                f"The context {missing!r} never occurs before an observation, so there is nothing to test. A context of "
                f"fewer than {lags} tokens is the beginning of a document."
            )
        rows = rows[np.argsort(-table.totals[rows], kind="stable")]
    between = "" if vocabulary.tokenizer is not None and vocabulary.tokenizer.name != "word" else " "
    types = np.array([*vocabulary.tokens], dtype=object)
    types[vocabulary.pad] = ""
    return rows, [between.join(types[table.contexts[row][::-1]]).lstrip(between) if lags else "" for row in rows]
