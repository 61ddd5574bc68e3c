"""Log-likelihood, perplexity, and the criteria made of them. Natural logarithms throughout."""

from __future__ import annotations

from contextlib import suppress
from weakref import WeakKeyDictionary

import numpy as np

from statlm.errors import CorpusError, NoEstimate, SpecificationError
from statlm.likelihood import Likelihood, Predictive, underlying, why_no_maximum

# Models are frozen, so a log-likelihood once summed over the text holds for good; ten measures of a fit cost one pass.
_KNOWN: WeakKeyDictionary[Predictive, float] = WeakKeyDictionary()


def loglike(model: Predictive) -> float:
    """Log-likelihood, the sum of ``log p(y_i | x_i)`` over the corpus, in nats.

    By the chain rule it is the log-probability of the whole corpus. ``-inf`` where an observation has probability 0.
    """
    model = underlying(model)
    try:
        return _KNOWN[model]
    except (KeyError, TypeError):  # not asked before, or a model of one's own that cannot be a key
        total = float(model.loglike_obs().sum())
    with suppress(TypeError):
        _KNOWN[model] = total
    return total


def null_loglike(model: Predictive) -> float:
    """Log-likelihood of the unigram model fitted to the same observations, in nats: the intercept-only regression."""
    counts = model.corpus.type_counts
    counts = counts[counts > 0]
    return float((counts * np.log(counts / counts.sum())).sum())


def deviance(model: Predictive) -> float:
    """``-2 loglike``, in nats: the saturated model of one-hot observations has log-likelihood 0."""
    return -2.0 * loglike(model)


def entropy(model: Predictive) -> float:
    """Cross-entropy ``-loglike / nobs``, in nats a token."""
    return -loglike(model) / model.corpus.nobs


def perplexity(model: Predictive) -> float:
    """Geometric mean of the inverse probability given to each token, ``exp(-loglike / nobs)``.

    Comparable only between models scored on the same tokens; see `bits_per_byte` for others. ``inf`` where an
    observation has probability 0.

    Examples
    --------
    >>> import statlm as slm
    >>> fair = slm.NGram(n=1).fit(slm.Corpus.from_text("abab"))
    >>> round(perplexity(fair), 12)
    2.0
    """
    return float(np.exp(entropy(model)))


def bits_per_token(model: Predictive) -> float:
    """Cross-entropy in bits a token."""
    return entropy(model) / float(np.log(2.0))


def bits_per_char(model: Predictive) -> float:
    """Bits that the model needs for a character of the observed text.

    Raises
    ------
    CorpusError
        If the corpus was made of tokens that are not text.
    """
    return _bits(model) / _size(model.corpus.nchars, "characters")


def bits_per_byte(model: Predictive) -> float:
    """Bits that the model needs for a UTF-8 byte of the observed text; comparable across tokenizers on the same text.

    Raises
    ------
    CorpusError
        If the corpus was made of tokens that are not text.
    """
    return _bits(model) / _size(model.corpus.nbytes, "bytes")


def _bits(model: Predictive) -> float:
    return -loglike(model) / float(np.log(2.0))


def _size(size: int | None, unit: str) -> int:
    if not size:
        raise CorpusError(
            f"The corpus has no text behind its tokens, so there are no {unit} to divide by. Use bits_per_token, or make the "
            "corpus with Corpus.from_text."
        )
    return size


def pseudo_r2(model: Predictive) -> float:
    """McFadden's ``1 - loglike / null_loglike``.

    Raises
    ------
    NoEstimate
        If the corpus repeats a single token, so that the null log-likelihood is 0.
    """
    null = null_loglike(model)
    if null == 0:
        raise NoEstimate(
            "Every observation is the same token, so the null model predicts perfectly and there is nothing to explain. "
            "pseudo_r2 is not defined."
        )
    return 1.0 - loglike(model) / null


def check_maximum(model: Likelihood, criterion: str) -> None:
    """Raise NoEstimate where a criterion that rests on maximum likelihood is asked of an estimate that is no maximum."""
    reason = why_no_maximum(model)
    if reason is not None:
        raise NoEstimate(
            f"{criterion} rests on maximum likelihood, and this estimate is no maximum: {reason}, so that the dof parameters are "
            "not freely fitted. Compare on held-out text: compare(..., on=test), paired_test."
        )


def aic(model: Likelihood) -> float:
    """Akaike's criterion ``-2 loglike + 2 dof``.

    Raises
    ------
    NoEstimate
        If the estimate is penalised, here and for the other criteria.
    """
    check_maximum(model, "AIC")
    return deviance(model) + 2.0 * model.dof


def aicc(model: Likelihood) -> float:
    """AIC corrected for small samples, ``aic + 2 q (q + 1) / (nobs - q - 1)`` (Hurvich and Tsai 1989).

    Raises
    ------
    NoEstimate
        If there are not more observations than parameters plus one.
    """
    check_maximum(model, "AICc")
    n, q = model.corpus.nobs, model.dof
    if n - q - 1 <= 0:
        raise NoEstimate(
            f"AICc is not defined for {q:,} parameters and {n:,} observations: its correction divides by nobs - dof - 1. "
            "Compare on held-out text instead."
        )
    return aic(model) + 2.0 * q * (q + 1) / (n - q - 1)


def bic(model: Likelihood, n: str = "tokens") -> float:
    """Schwarz's criterion ``-2 loglike + dof log(n)``.

    Parameters
    ----------
    model : Likelihood
        At its maximum-likelihood estimate.
    n : "tokens" or "documents"
        What counts as an observation. Tokens, where each is a draw of its own given its context. Documents, where they are the
        independent units and what is estimated varies between them: their tokens then repeat each other, and ``log(nobs)``
        charges too much for a parameter. The truth often lies between, so a choice of model should not hang on it.

    Raises
    ------
    SpecificationError
        If `n` is another word.
    NoEstimate
        If `n` is "documents" and there is one: log(1) = 0 would charge nothing for parameters.

    References
    ----------
    Schwarz (1978), Estimating the dimension of a model. Annals of Statistics 6. Jones (2011), Bayesian information criterion for
    longitudinal and clustered data. Statistics in Medicine 30.
    """
    check_maximum(model, "BIC")
    return deviance(model) + model.dof * float(np.log(_independent_units(model, n)))


def _independent_units(model: Likelihood, n: str) -> int:
    if n == "tokens":
        return model.corpus.nobs
    if n != "documents":
        raise SpecificationError(f"n={n!r}: BIC counts 'tokens' or 'documents'.")
    if model.corpus.ndocuments == 1:
        raise NoEstimate(
            "BIC with n=1 document charges nothing for parameters, since log(1) = 0, and would choose the largest model. Count "
            "tokens (n='tokens'), or cut the text into documents: split='paragraph', corpus.blocks(length=...)."
        )
    return model.corpus.ndocuments


def hqic(model: Likelihood) -> float:
    """Hannan and Quinn's criterion ``-2 loglike + 2 dof log(log(nobs))``.

    Raises
    ------
    NoEstimate
        If there are fewer than 3 observations, where log(log(nobs)) is not positive.
    """
    check_maximum(model, "HQIC")
    n = model.corpus.nobs
    if n < 3:
        raise NoEstimate(f"HQIC is not defined for {n} observations: log(log(nobs)) must be positive. Use more text.")
    return deviance(model) + 2.0 * model.dof * float(np.log(np.log(n)))
