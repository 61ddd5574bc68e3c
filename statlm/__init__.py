"""Language models as multinomial regressions: likelihood, perplexity, standard errors and model comparison.

``import statlm as slm``; names are imported when they are first used, so that the import itself is light.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    # text
    "Corpus": "statlm.text.corpus",
    "Vocabulary": "statlm.text.vocabulary",
    "Characters": "statlm.text.tokenizers",
    "Words": "statlm.text.tokenizers",
    "BytePairs": "statlm.text.tokenizers",
    # models
    "NGram": "statlm.models.ngram",
    "VariableLengthNGram": "statlm.models.ngram",
    "Additive": "statlm.models.ngram",
    "WittenBell": "statlm.models.ngram",
    "AbsoluteDiscounting": "statlm.models.ngram",
    "KneserNey": "statlm.models.ngram",
    "ModifiedKneserNey": "statlm.models.ngram",
    "Katz": "statlm.models.ngram",
    "JelinekMercer": "statlm.models.ngram",
    "PitmanYor": "statlm.models.ngram",
    "HeldOutDiscount": "statlm.models.ngram",
    "SoftmaxRegression": "statlm.models.softmax",
    "load": "statlm.models.load",
    "Fit": "statlm.fit.fit",
    "Evaluation": "statlm.fit.evaluation",
    "Likelihood": "statlm.likelihood",
    "Predictive": "statlm.likelihood",
    # assumptions on dependence and covariances
    "Independent": "statlm.covariance",
    "Clustered": "statlm.covariance",
    "HAC": "statlm.covariance",
    "StationaryBootstrap": "statlm.covariance",
    "NonRobust": "statlm.covariance",
    "OPG": "statlm.covariance",
    "Sandwich": "statlm.covariance",
    "vcov": "statlm.covariance",
    "std_errors": "statlm.covariance",
    # inference
    "conf_int": "statlm.inference.conf_int",
    "predict": "statlm.inference.predict",
    "perplexity_interval": "statlm.inference.perplexity_interval",
    "perplexity_estimate": "statlm.inference.perplexity_interval",
    "lr_test": "statlm.inference.lr_test",
    "markov_order_test": "statlm.inference.markov_order",
    "wald_test": "statlm.inference.wald_test",
    "score_test": "statlm.inference.score_test",
    "anova": "statlm.inference.anova",
    "functional": "statlm.inference.delta",
    "marginal_effects": "statlm.inference.marginal_effects",
    "influence": "statlm.inference.influence",
    "profile_interval": "statlm.inference.profile",
    # comparison
    "compare": "statlm.comparison.compare",
    "paired_test": "statlm.comparison.paired",
    "ladder": "statlm.comparison.ladder",
    "vuong_test": "statlm.comparison.vuong",
    "confidence_set": "statlm.comparison.confidence_set",
    "stacking_weights": "statlm.comparison.stacking",
    "tic": "statlm.comparison.tic",
    "effective_parameters": "statlm.comparison.tic",
    # generation
    "generate": "statlm.generation.generate",
    "simulate": "statlm.generation.simulate",
    # tables
    "summary": "statlm.report.summary",
    "tidy": "statlm.report.tidy",
    "glance": "statlm.report.tidy",
    "augment": "statlm.report.augment",
}
_MODULES = {
    "datasets": "statlm.text.datasets",
    "errors": "statlm.errors",
    "interop": "statlm.interop",
    "measures": "statlm.measures",
    "plots": "statlm.plots",
    "testing": "statlm.testing",
}

__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _MODULES:
        return import_module(_MODULES[name])
    raise AttributeError(f"module 'statlm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
