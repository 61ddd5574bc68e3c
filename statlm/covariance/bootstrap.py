"""The bootstrap that a corpus allows: of its documents, or of blocks of its one text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

from statlm.covariance.block_bootstrap import BlockBootstrap
from statlm.covariance.document_bootstrap import DocumentBootstrap
from statlm.covariance.functionals import Covariance
from statlm.likelihood import Likelihood
from statlm.numerics.types import Array, Matrix


@dataclass(frozen=True)
class Bootstrap:
    """`DocumentBootstrap` where there are two documents or more, `BlockBootstrap` where there is one: what "bootstrap" means."""

    specification: Any = field(default=None, repr=False)

    def bound_to(self, specification: Any) -> Self:
        """The bootstrap of models estimated in this way."""
        return replace(self, specification=specification)

    def chosen(self, model: Likelihood) -> Covariance:
        """The one that the model's corpus allows."""
        if model.corpus.ndocuments > 1:
            return DocumentBootstrap(specification=self.specification)
        return BlockBootstrap(specification=self.specification)

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) covariance over replicates."""
        return self.chosen(model).of(model, gradients)

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        return self.chosen(model).variances(model, gradients)

    def reference_dof(self, model: Likelihood) -> float:
        """That of the bootstrap chosen."""
        return self.chosen(model).reference_dof(model)

    def describe(self, model: Likelihood) -> str:
        """In words."""
        return self.chosen(model).describe(model)
