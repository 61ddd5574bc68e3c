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
    "skip_grams": "statlm.text.skip_grams",
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
    "TransformerDecoder": "statlm.models.transformer",
    "EncoderDecoder": "statlm.models.transformer",
    "DecoderStates": "statlm.models.transformer",
    "gating": "statlm.models.transformer",
    "MaskedTransformer": "statlm.models.masked",
    "SkipGram": "statlm.models.skip_gram",
    "PseudoPerplexity": "statlm.models.masked",
    "pseudo_perplexity": "statlm.models.masked",
    "fill": "statlm.models.masked",
    "Filled": "statlm.models.masked",
    "Mixture": "statlm.models.mixture",
    "NearestNeighbour": "statlm.models.nearest_neighbour",
    "RecentTokens": "statlm.models.recent_tokens",
    "Temperature": "statlm.models.temperature",
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
    "TwoWayClustered": "statlm.covariance",
    "DocumentBootstrap": "statlm.covariance",
    "BlockBootstrap": "statlm.covariance",
    "InfinitesimalJackknife": "statlm.covariance",
    "LeaveOneDocumentOut": "statlm.covariance",
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
    "Probability": "statlm.inference.functionals",
    "LogOdds": "statlm.inference.functionals",
    "Difference": "statlm.inference.functionals",
    "CosineSimilarity": "statlm.inference.functionals",
    "Perplexity": "statlm.inference.functionals",
    "damped": "statlm.inference.damping",
    "damping_evidence": "statlm.inference.damping",
    "held_out_error": "statlm.inference.held_out_error",
    "ensemble": "statlm.inference.ensemble",
    "seeded_fits": "statlm.inference.ensemble",
    "refit_bootstrap": "statlm.inference.refit_bootstrap",
    "mixture_errors": "statlm.inference.mixture_errors",
    "head": "statlm.models.head",
    "TorchLikelihood": "statlm.models.torch_likelihood",
    "attention": "statlm.inference.attention",
    "embeddings": "statlm.inference.embeddings",
    "singular_values": "statlm.inference.embeddings",
    "embedding_plane": "statlm.inference.embeddings",
    "cosine_similarity": "statlm.inference.similarity",
    "embedding_distance": "statlm.inference.similarity",
    "most_similar": "statlm.inference.similarity",
    "leverage": "statlm.inference.leverage",
    "hauck_donner": "statlm.inference.hauck_donner",
    "profile_interval": "statlm.inference.profile",
    "homogeneity_test": "statlm.inference.homogeneity",
    "stationarity_test": "statlm.inference.stationarity",
    "change_point_test": "statlm.inference.change_point",
    "overdispersion_test": "statlm.inference.overdispersion",
    "adjust_p_values": "statlm.inference.multiplicity",
    "posterior": "statlm.inference.posterior",
    # comparison
    "compare": "statlm.comparison.compare",
    "compare_bytes": "statlm.comparison.bytes",
    "paired_test": "statlm.comparison.paired",
    "ladder": "statlm.comparison.ladder",
    "vuong_test": "statlm.comparison.vuong",
    "confidence_set": "statlm.comparison.confidence_set",
    "stacking_weights": "statlm.comparison.stacking",
    "weight_test": "statlm.comparison.weight_test",
    "anytime_test": "statlm.comparison.anytime",
    "pilot": "statlm.comparison.planning",
    "Pilot": "statlm.comparison.planning",
    "plan": "statlm.comparison.planning",
    "power_curve": "statlm.comparison.planning",
    "tic": "statlm.comparison.tic",
    "effective_parameters": "statlm.comparison.tic",
    "information_matrix_test": "statlm.comparison.information_matrix",
    "wbic": "statlm.comparison.wbic",
    "local_learning_coefficient": "statlm.comparison.wbic",
    # diagnostics
    "calibration": "statlm.diagnostics.calibration",
    "hosmer_lemeshow": "statlm.diagnostics.hosmer_lemeshow",
    "temperature_test": "statlm.diagnostics.temperature_test",
    "quantile_residuals": "statlm.diagnostics.quantile_residuals",
    "residual_tests": "statlm.diagnostics.residual_tests",
    "residual_autocorrelation": "statlm.diagnostics.residual_tests",
    "conformal_sets": "statlm.diagnostics.conformal",
    "contrast": "statlm.diagnostics.contrasts",
    "memorisation": "statlm.diagnostics.memorisation",
    "group_loss": "statlm.diagnostics.groups",
    "drift_alarm": "statlm.diagnostics.drift",
    # generation
    "generate": "statlm.generation.generate",
    "next_token_table": "statlm.generation.generate",
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
    "simulation": "statlm.simulation",
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
