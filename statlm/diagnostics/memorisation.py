"""Whether a model knows particular documents better than others of their kind: membership as a likelihood ratio."""

from __future__ import annotations

import numpy as np
import pandas as pd

from statlm.errors import NoEstimate, NotComparable, SpecificationError
from statlm.likelihood import Predictive
from statlm.numerics.repeated_rows import sum_by
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

STATISTICS = ("mean", "total")


def memorisation(
    model: Predictive, reference: Predictive, suspects: Corpus, null: Corpus, *, statistic: str = "mean"
) -> pd.DataFrame:
    r"""Likelihood ratios of documents under a model and a reference, ranked among documents that the model never saw.

    For a document, :math:`\log p(\text{model}) - \log p(\text{reference})` says how much better the model predicts it than a
    model that cannot have memorised it. Documents that the model did not see show how large that is by chance: with m of them,
    of which r reach the suspect's ratio, the p-value is :math:`(r + 1) / (m + 1)`.

    Parameters
    ----------
    model : Predictive
        What may have memorised.
    reference : Predictive
        A model of the same kind that saw neither `suspects` nor `null`, such as a smaller one, or one fitted to other text.
    suspects : Corpus
        Documents whose memorisation is asked about.
    null : Corpus
        Documents of the same kind that neither model was fitted to.
    statistic : "mean" or "total"
        The ratio a token, or of the whole document. Lengths should be alike in both corpora; "mean" depends on them less.

    Returns
    -------
    DataFrame
        A row a suspect, in order: ``document`` (name), ``tokens``, ``loglike``, ``reference_loglike`` (nats), ``ratio`` (the
        statistic, nats), ``p_value``, ``p_holm`` (adjusted for the number of suspects). ``attrs["null"]`` holds the ratios of the
        null documents; ``attrs["auc"]`` the chance that a suspect's ratio exceeds a null document's, with
        ``attrs["auc_p_value"]`` of 1/2 by the Mann-Whitney test; ``attrs["notes"]`` sentences to read with it.

    Raises
    ------
    NotComparable
        If a document is both a suspect and in the null corpus.
    SpecificationError
        If there is no such statistic.
    NoEstimate
        If a model gives some document probability 0, or there are fewer than 2 null documents.

    Notes
    -----
    The p-value of one suspect is exact, whatever the dependence within documents, if under the null hypothesis the suspect is
    exchangeable with the null documents. A different period, author or topic breaks that, and then looks like memorisation. It is
    never below 1 / (m + 1).

    References
    ----------
    Yeom et al. (2018), Privacy risk in machine learning. Carlini et al. (2022), Membership inference attacks from first
    principles. Davison and Hinkley (1997), section 4.3, for the rank p-value.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.datasets.load("sotu", years=(1985, 2010), unk=True)
    >>> seen, other = corpus.subset(range(3)), corpus.subset(range(3, corpus.ndocuments))
    >>> model, reference = slm.NGram(6, pseudo_count=0.01).fit(seen), slm.NGram(2, pseudo_count=0.01).fit(seen)
    >>> memorisation(model, reference, seen, other).p_value.round(3).tolist()
    [0.05, 0.05, 0.05]
    """
    if statistic not in STATISTICS:
        raise SpecificationError(f"statistic={statistic!r}: use the 'mean' ratio a token, or the 'total' of a document.")
    if null.ndocuments < 2:
        raise NoEstimate(
            f"The null corpus has {null.ndocuments} document, and a distribution of ratios needs more: with m of them no "
            "p-value is below 1 / (m + 1). Give 19 or more for a test of 5 %."
        )
    both = _contents(suspects) & _contents(null)
    if both:
        raise NotComparable(
            f"{len(both):,} documents are both suspects and in the null corpus. Null documents are those that the model never "
            "saw: take them out."
        )
    found, others = (_ratios(model, reference, corpus, statistic) for corpus in (suspects, null))
    m = null.ndocuments
    reached = m - np.searchsorted(np.sort(others.ratio), found.ratio, side="left")
    found["p_value"] = (reached + 1) / (m + 1)
    found["p_holm"] = _holm(found["p_value"].to_numpy(float))
    from scipy.stats import mannwhitneyu

    test = mannwhitneyu(found.ratio, others.ratio, alternative="greater")
    auc = float(test.statistic) / (m * len(found))
    lengths = np.median(found.tokens), np.median(others.tokens)
    notes = [
        f"{m:,} null documents: no p-value can be below {1 / (m + 1):.2g}. Each is exact if its document is exchangeable with "
        "them when it was not memorised."
    ]
    if max(lengths) > 2 * min(lengths):
        notes.append(
            f"Documents differ in length (medians {lengths[0]:,.0f} and {lengths[1]:,.0f} tokens), and so does the spread of "
            "their ratios. Cut both into blocks of one length."
        )
    found.attrs |= {"null": others.ratio.to_numpy(float), "auc": auc, "auc_p_value": float(test.pvalue), "notes": notes}
    return found


def _contents(corpus: Corpus) -> set[bytes]:
    return {corpus.tokens[i:j].tobytes() for i, j in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)}


def _ratios(model: Predictive, reference: Predictive, corpus: Corpus, statistic: str) -> pd.DataFrame:
    groups = corpus.ndocuments
    tokens = np.bincount(corpus.document_index, minlength=groups)
    if not tokens.all():
        raise NoEstimate("A document has no observation, so it has no ratio. Lower given=, or leave it out.")
    logs = []
    for which, each in (("model", model), ("reference", reference)):
        logs.append(sum_by(np.asarray(each.on(corpus).loglike_obs(), float), corpus.document_index, groups))
        if impossible := int(np.count_nonzero(np.isneginf(logs[-1]))):
            raise NoEstimate(
                f"The {which} gives probability 0 to {impossible:,} of {groups:,} documents, and their ratio is infinite. "
                "Use a model with pseudo_count > 0 or a smoothing."
            )
    ratio = logs[0] - logs[1]
    return pd.DataFrame(
        {
            "document": corpus.documents["name"].to_numpy(dtype=object),
            "tokens": tokens,
            "loglike": logs[0],
            "reference_loglike": logs[1],
            "ratio": ratio / tokens if statistic == "mean" else ratio,
        }
    )


def _holm(p: Array) -> Array:
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]), 1.0)
    adjusted = np.empty(len(p))
    adjusted[order] = stepped
    return adjusted
