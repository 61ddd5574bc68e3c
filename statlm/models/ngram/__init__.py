"""The n-gram family: counting, and the smoothings of its counts."""

from statlm.models.ngram.interpolated import InterpolatedNGram
from statlm.models.ngram.mixture import MixtureNGram
from statlm.models.ngram.smoothing import (
    AbsoluteDiscounting,
    Additive,
    HeldOutDiscount,
    JelinekMercer,
    Katz,
    KneserNey,
    ModifiedKneserNey,
    PitmanYor,
    Smoothing,
    WittenBell,
)
from statlm.models.ngram.specification import NGram
from statlm.models.ngram.variable_length import VariableLengthNGram

__all__ = [
    "AbsoluteDiscounting",
    "Additive",
    "HeldOutDiscount",
    "InterpolatedNGram",
    "JelinekMercer",
    "Katz",
    "KneserNey",
    "MixtureNGram",
    "ModifiedKneserNey",
    "NGram",
    "PitmanYor",
    "Smoothing",
    "VariableLengthNGram",
    "WittenBell",
]
