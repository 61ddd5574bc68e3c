"""Numbers that describe a model on a corpus, each a function of the contract alone."""

from statlm.measures.fit_measures import (
    aic,
    aicc,
    bic,
    bits_per_byte,
    bits_per_char,
    bits_per_token,
    deviance,
    entropy,
    hqic,
    loglike,
    null_loglike,
    perplexity,
    pseudo_r2,
)

__all__ = [
    "aic",
    "aicc",
    "bic",
    "bits_per_byte",
    "bits_per_char",
    "bits_per_token",
    "deviance",
    "entropy",
    "hqic",
    "loglike",
    "null_loglike",
    "perplexity",
    "pseudo_r2",
]
