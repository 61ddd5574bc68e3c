"""Whether a mixture of models needs one of them: a weight of 0 lies on the boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from statlm.comparison.compare import named_models
from statlm.covariance import Clustered, Dependence
from statlm.errors import NoEstimate, NotComparable, SpecificationError
from statlm.inference.perplexity_interval import choose_dependence
from statlm.inference.result import TestResult
from statlm.numerics.chi_bar_square import chi_bar_sf, chi_bar_weights, project
from statlm.numerics.mixture_weights import MixtureWeights, mixture_weights
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus


def weight_test(
    models: Mapping[str, Any] | Sequence[Any],
    zero: str | Sequence[str],
    on: Corpus,
    *,
    dependence: str | Dependence | None = "model",
) -> TestResult:
    r"""Test that some components of a mixture of models have weight 0.

    The statistic is the likelihood ratio of the best mixture of all models against the best one without those in `zero`. A weight
    cannot be negative, so the null hypothesis is on the boundary, and the ratio has not a chi-square distribution but a mixture
    of them: for one weight, 0 with probability 1/2 and :math:`\chi^2_1` otherwise.

    Parameters
    ----------
    models : mapping of names to fits, or sequence of fits
        In a sequence each is called by its specification.
    zero : str, or sequence of str
        Names of those whose weight is 0 under the null hypothesis; not all of them.
    on : Corpus
        Held-out text, to which none was fitted.
    dependence : "model", str or object
        "model": the mixture of the others is the truth under the null hypothesis. With "iid", "cluster" or "HAC" the null is
        weaker, that the others predict best without, on average over texts: the test is then a one-sided score test with the
        variance of the scores under that assumption, projected onto non-negative weights.

    Returns
    -------
    TestResult
        ``details`` has the weights of the full mixture and those of the chi-squares.

    Raises
    ------
    SpecificationError
        If there is no such model, or none is left.
    NotComparable
        If a model was given that stands on another vocabulary.
    NoEstimate
        If the mixture without them gives some token probability 0, another of its weights is 0 too, or the models cannot be told
        apart.

    See Also
    --------
    Mixture : the mixture as a model, with standard errors of weights inside.

    Notes
    -----
    The weights of the chi-squares depend on the angle of the boundary in the metric of the information at the null estimate; the
    weights of the other models are profiled out.

    References
    ----------
    Self and Liang (1987), Asymptotic properties of maximum likelihood estimators and likelihood ratio tests under nonstandard
    conditions. JASA 82. Silvapulle and Silvapulle (1995), A score test against one-sided alternatives. JASA 90.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 20).split(test=0.5)
    >>> fits = {str(n): slm.NGram(n, pseudo_count=0.5).fit(train) for n in (1, 2)}
    >>> print(weight_test(fits, "1", on=test))
    Weight 0: statistic = 0, dof = 1, p = 1
    Null hypothesis: the mixture does without 1
    weight of 1 = 0, weight of 2 = 1, chi2(0) = 0.5, chi2(1) = 0.5
    """
    named = named_models(models)
    out = [zero] if isinstance(zero, str) else list(zero)
    names = list(named)
    if not out or set(out) - set(names) or len(set(out)) != len(out) or len(out) == len(names):
        raise SpecificationError(
            f"zero={zero!r}: name one or more of the models {', '.join(map(repr, names))}, each once, and leave at least one."
        )
    for name, model in named.items():
        if model.corpus.vocabulary.fingerprint != on.vocabulary.fingerprint:
            raise NotComparable(
                f"{name!r} has another vocabulary ({model.corpus.vocabulary.size:,} types) than the text "
                f"({on.vocabulary.size:,}), so its probabilities are of other events. Fit all models over one vocabulary: "
                "vocabulary=train.vocabulary."
            )
    kept = [name for name in names if name not in out]
    logs = np.stack([np.asarray(named[name].on(on).loglike_obs(), float) for name in [*kept, *out]], axis=1)
    if impossible := int(np.count_nonzero(np.isneginf(logs[:, : len(kept)]).all(axis=1))):
        raise NoEstimate(
            f"Without {', '.join(out)} the mixture gives probability 0 to {impossible:,} of {len(logs):,} tokens: it is "
            "refuted, and the likelihood ratio is infinite. Keep a smoothed model among the others."
        )
    null, full = mixture_weights(logs[:, : len(kept)]), mixture_weights(logs)
    if (null.weights == 0).any():
        bare = ", ".join(name for name, w in zip(kept, null.weights, strict=True) if w == 0)
        raise NoEstimate(
            f"Without {', '.join(out)} the best mixture gives weight 0 to {bare} too. With other weights on the boundary the "
            "ratio has a distribution that depends on how near they are to it. Leave those models out, or test them together."
        )
    score = _scores(logs, null)
    q = len(out)
    weight = dict(zip([*kept, *out], np.round(full.weights, 12).tolist(), strict=True))
    found: dict[str, float] = {f"weight of {name}": weight[name] for name in names}
    null_in_words = f"the mixture does without {', '.join(out)}"
    information = score.T @ score
    inverse = _inverse(information)
    if dependence == "model":
        covariance = inverse[-q:, -q:]
        statistic = max(2 * (full.loglike - null.loglike), 0.0)
        statistic = 0.0 if statistic < 1e-6 else statistic  # what the EM algorithm leaves
        name, note = "Weight 0", ""
    else:
        chosen, reason = choose_dependence(dependence, on)
        if not isinstance(chosen, Dependence):
            raise SpecificationError(
                f"{dependence!r} gives the variance of one series, and here covariances of several are needed. Use 'iid', "
                "'cluster' or 'HAC'."
            )
        along = np.asarray(chosen.factor(score - score.mean(axis=0), on) @ np.eye(score.shape[1]))
        sandwich = inverse @ (along.T @ along) @ inverse
        covariance = sandwich[-q:, -q:]
        step = (inverse @ score.sum(axis=0))[-q:]
        _, squares = project(step[None, :], covariance)
        statistic = float(squares[0])
        name, note = "Weight 0, one-sided score", f"Dependence: {chosen.describe(on)}, {reason}."
        if isinstance(chosen, Clustered) and on.ndocuments < 30:
            note += " With so few documents the chi-squares are a little too short."
    weights = chi_bar_weights(covariance)
    found |= {f"chi2({j})": float(w) for j, w in enumerate(weights)}
    return TestResult(name, statistic, q, chi_bar_sf(statistic, weights), null_in_words, note, found)


def _scores(logs: Array, null: MixtureWeights) -> Array:
    """(nobs, k - 1) scores at the null estimate, of all weights but the first."""
    top = logs.max(axis=1, keepdims=True)
    p = np.exp(logs - top)
    mixed = p[:, : len(null.weights)] @ null.weights
    score: Array = (p[:, 1:] - p[:, :1]) / mixed[:, None]
    return score


def _inverse(information: Array) -> Array:
    scale = np.sqrt(np.diag(information))
    if (scale == 0).any() or np.linalg.eigvalsh(information / np.outer(scale, scale))[0] < 1e-10:
        raise NoEstimate(
            "Two of the models give every token the same probability, or one is a mixture of others, so their weights cannot "
            "be told apart. Leave one out."
        )
    result: Array = np.linalg.inv(information)
    return result
