"""The spread of the estimate over refits to blocks of one long text put together anew."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from statlm.covariance.document_bootstrap import check_replicates, key_of
from statlm.covariance.refits import Replicates, failures, replicates, spread, spreads
from statlm.errors import SpecificationError
from statlm.likelihood import Likelihood, underlying
from statlm.numerics.types import Array, Matrix
from statlm.text.corpus import Corpus

FEWEST_BLOCKS = 5


@dataclass(frozen=True)
class BlockBootstrap:
    r"""Covariance over refits to blocks of observations drawn with replacement (Kuensch 1989; circular: Politis and Romano 1992).

    Blocks of `length` observations start anywhere, with equal probability; one that reaches the end goes on at the beginning, so
    that every observation is drawn equally often. Each carries along the tokens before it as given, as many as the model looks
    back, so that contexts are those of the text; none reaches across two documents. A replicate has as many observations as the
    text.

    Parameters
    ----------
    length : int or None
        Observations a block. None takes the larger of :math:`n^{1/3}` and the length that Politis and White (2004; corrected by
        Patton et al. 2009) choose for the log-likelihoods of the observations.
    replicates : int
        Number of refits, 20 or more.
    seed : int
        Each replicate is drawn with a stream of its own.
    context : int or None
        Tokens carried along; None takes the memory of the model.
    progress : bool
        Whether to show a bar.
    specification : object, optional
        How the model was estimated; a fit knows.

    Notes
    -----
    It takes the text to be stationary, with dependence that fades within a block. What binds a whole document together (its
    subject, its author) is not in it: where there are documents, `DocumentBootstrap` is safer. Variances come out too small by a
    share of about the length over the number of observations, and by what dependence reaches beyond a block. Refits, parallel
    runs and missing values are as of `DocumentBootstrap`.

    References
    ----------
    Kuensch (1989), The jackknife and the bootstrap for general stationary observations. Annals of Statistics 17. Politis and
    Romano (1992), A circular block-resampling procedure for stationary data. Politis and White (2004), Automatic block-length
    selection for the dependent bootstrap. Econometric Reviews 23.

    Examples
    --------
    A text of long runs of each token has fewer independent pieces than tokens:

    >>> import statlm as slm
    >>> runs = np.random.default_rng(0).geometric(0.1, size=80)
    >>> text = "".join("ab"[i % 2] * int(run) for i, run in enumerate(runs))
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text(text))
    >>> fit.std_errors(cov=BlockBootstrap(length=40)).round(3).tolist(), fit.std_errors().round(3).tolist()
    ([0.05], [0.017])
    """

    length: int | None = None
    replicates: int = 199
    seed: int = 0
    context: int | None = None
    progress: bool = field(default=False, compare=False)
    specification: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_replicates(self.replicates)
        if self.length is not None and self.length < 1:
            raise SpecificationError(f"length={self.length}: a block holds at least one observation.")
        if self.context is not None and self.context < 0:
            raise SpecificationError(f"context={self.context}: the number of tokens carried along cannot be negative.")

    def bound_to(self, specification: Any) -> Self:
        """The same bootstrap, of models estimated in this way."""
        return self if self.specification is not None else replace(self, specification=specification)

    def of(self, model: Likelihood, gradients: Matrix) -> Array:
        """(q, q) covariance over replicates."""
        made = self._made(model)
        return spread(made, model.params, gradients, _factor(made))

    def variances(self, model: Likelihood, gradients: Matrix | None = None) -> Array:
        """(q,) diagonal."""
        made = self._made(model)
        return spreads(made, model.params, gradients, _factor(made))

    def reference_dof(self, model: Likelihood) -> float:
        """The normal distribution."""
        return np.inf

    def describe(self, model: Likelihood) -> str:
        """In words."""
        key = key_of(self, model)
        words = f"blocks of {self.block_length(model):,} observations"
        return f"bootstrap of {words} ({self.replicates:,} refits{failures(key, model)})"

    def block_length(self, model: Likelihood) -> int:
        """The length that is used for a model on its corpus."""
        if self.length is not None:
            return self.length
        return chosen_length(model)

    def _made(self, model: Likelihood) -> Replicates:
        context = underlying(model).memory if self.context is None else self.context
        if context is None:
            raise SpecificationError(
                "This model looks back without end, so a block cannot carry its whole context along. Say how many tokens are "
                "enough: BlockBootstrap(context=1024)."
            )
        corpus, length = model.corpus, self.block_length(model)
        if corpus.nobs < FEWEST_BLOCKS * length:
            raise SpecificationError(
                f"Blocks of {length:,} out of {corpus.nobs:,} observations leave fewer than {FEWEST_BLOCKS} to draw, whose "
                "spread says nothing. Use shorter blocks (length=) or more text."
            )
        draws = [BlockDraw(self.seed, b, length, context) for b in range(self.replicates)]
        return replicates(key_of(self, model), model, self.specification, draws, progress=self.progress)


@dataclass(frozen=True)
class BlockDraw:
    """Draw number `number` of circular blocks."""

    seed: int
    number: int
    length: int
    context: int

    def __call__(self, corpus: Corpus) -> Corpus:
        """As many observations as there are, in blocks; the last one may be cut."""
        return corpus.observations(self._observations(corpus.nobs), context=self.context)

    def weights(self, corpus: Corpus, memory: int | None) -> Array | None:
        """(nobs,) how often each observation is drawn; None where blocks carry less along than a model looks back."""
        if memory is None or memory > self.context:
            return None
        return np.bincount(self._observations(corpus.nobs), minlength=corpus.nobs)

    def _observations(self, nobs: int) -> Array:
        starts = np.random.default_rng([self.seed, self.number]).integers(nobs, size=-(-nobs // self.length))
        return (starts[:, None] + np.arange(self.length)).ravel()[:nobs] % nobs


def chosen_length(model: Likelihood) -> int:
    """The larger of the cube root of the observations and Politis and White's choice for their log-likelihoods."""
    from arch.bootstrap import optimal_block_length

    obs = model.loglike_obs()
    cube_root = int(np.ceil(len(obs) ** (1 / 3)))
    if len(obs) < 10 or not np.isfinite(obs).all() or np.ptp(obs) < 1e-12:
        return cube_root
    return max(cube_root, int(np.ceil(optimal_block_length(obs)["circular"].iloc[0])))


def _factor(made: Replicates) -> float:
    return len(made.params) / (len(made.params) - 1)
