"""Smoothings of n-gram counts, one file each; `resolve` finds them by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statlm.errors import SpecificationError
from statlm.models.ngram.smoothing.absolute_discounting import AbsoluteDiscounting
from statlm.models.ngram.smoothing.additive import Additive
from statlm.models.ngram.smoothing.estimated import FitsCounts, Smoothing
from statlm.models.ngram.smoothing.held_out_discount import HeldOutDiscount
from statlm.models.ngram.smoothing.jelinek_mercer import JelinekMercer
from statlm.models.ngram.smoothing.katz import Katz
from statlm.models.ngram.smoothing.kneser_ney import KneserNey
from statlm.models.ngram.smoothing.modified_kneser_ney import ModifiedKneserNey
from statlm.models.ngram.smoothing.pitman_yor import PitmanYor
from statlm.models.ngram.smoothing.witten_bell import WittenBell

__all__ = [
    "AbsoluteDiscounting",
    "Additive",
    "FitsCounts",
    "HeldOutDiscount",
    "JelinekMercer",
    "Katz",
    "KneserNey",
    "ModifiedKneserNey",
    "PitmanYor",
    "Smoothing",
    "WittenBell",
    "resolve",
]

SMOOTHINGS: dict[str, type[Any]] = {
    "additive": Additive,
    "witten-bell": WittenBell,
    "absolute-discounting": AbsoluteDiscounting,
    "kneser-ney": KneserNey,
    "modified-kneser-ney": ModifiedKneserNey,
    "katz": Katz,
    "jelinek-mercer": JelinekMercer,
    "pitman-yor": PitmanYor,
    "held-out-discount": HeldOutDiscount,
}


def resolve(smoothing: Any) -> Smoothing:
    """The strategy for a name, for the settings that a saved fit holds, or for itself.

    Raises
    ------
    SpecificationError
        If there is none of that name.

    Examples
    --------
    >>> resolve("katz")
    Katz(max_count=5, fallback=True)
    """
    settings: dict[str, Any] = {}
    if isinstance(smoothing, Mapping):
        settings = dict(smoothing)
        smoothing = settings.pop("name", None)
    if isinstance(smoothing, str):
        if smoothing not in SMOOTHINGS:
            known = ", ".join(repr(name) for name in SMOOTHINGS)
            raise SpecificationError(
                f"There is no smoothing {smoothing!r}. Choose one of {known}; an object with settings, as in "
                "slm.KneserNey(discount=0.75); or None for maximum likelihood."
            )
        made: Smoothing = SMOOTHINGS[smoothing](**settings)
        return made
    if callable(getattr(smoothing, "fit", None)) and callable(getattr(smoothing, "restore", None)):
        given: Smoothing = smoothing
        return given
    raise SpecificationError(
        f"smoothing={smoothing!r} is no smoothing: it must be a name such as 'modified-kneser-ney', or an object such as "
        "slm.ModifiedKneserNey()."
    )
