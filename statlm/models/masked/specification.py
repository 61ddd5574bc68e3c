"""The masked transformer: what is fitted, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from statlm.errors import DamagedFile, SpecificationError
from statlm.fit.fit import Fit, FitReport
from statlm.inference.perplexity_interval import mean_estimate
from statlm.models.masked.likelihood import MaskedLikelihood
from statlm.networks.architecture import Architecture
from statlm.networks.training import Training
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    from statlm.networks.decoder import Decoder
    from statlm.networks.descent import Descended, Progress


@dataclass(frozen=True, kw_only=True)
class MaskedTransformer(Architecture, Training):
    r"""A transformer that fills gaps: each token given those on both of its sides (Devlin et al. 2019), by pseudo-likelihood.

    .. math::

        \mathrm{p}\ell(\theta) = \sum_i \log p_\theta(y_i \mid y_{-i})

    (Besag 1975). The conditionals need not be those of any distribution of texts, so the sum is no log-likelihood: what needs one
    (perplexity, AIC, likelihood-ratio tests, the next token) is refused.

    Parameters
    ----------
    share : float, optional
        Of the tokens that are masked at a time in training. None masks one of each piece, so that what is maximised is the
        pseudo-likelihood itself for texts in pieces of equal length; with several gaps at once it is the mean of the
        conditionals of tokens given some of the others, which takes far fewer steps.
    **settings
        Those of `statlm.networks.architecture.Architecture` and of `statlm.networks.training.Training`; `lags` is 0 and
        `prefix` False.

    Raises
    ------
    SpecificationError
        If a setting is outside of its range, or has no meaning here.

    Notes
    -----
    All gaps are gaps: BERT's random replacements, which make encodings useful for other tasks, would change what is estimated.
    Errors of functionals are those of the sandwich, :math:`H^{-1} J H^{-1}` with J the variance of document sums of the
    scores of the pseudo-log-likelihood (Godambe 1960; Lindsay 1988): ``functional(fit, Filled("th", "s", "i"), cov="cluster")``.

    References
    ----------
    Besag (1975), Statistical analysis of non-lattice data. The Statistician 24. Lindsay (1988), Composite likelihood methods.
    Devlin, Chang, Lee and Toutanova (2019), BERT. NAACL. Salazar, Liang, Nguyen and Kirchhoff (2020), Masked language
    model scoring.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_texts(["abracadabra", "barbara", "cadabra"] * 10)
    >>> fit = slm.MaskedTransformer(layers=1, heads=2, width=16, context=16, steps=60, batch=256, seed=1).fit(corpus)
    >>> slm.pseudo_perplexity(fit).pseudo_perplexity < 6
    True
    """

    lags: int = 0
    share: float | None = 0.15

    def __post_init__(self) -> None:
        Architecture.__post_init__(self)
        Training.__post_init__(self)
        if self.share is not None and not 0 < self.share < 1:
            raise SpecificationError(
                f"share={self.share!r} of the tokens are masked at a time: choose between 0 and 1, or None for one a piece."
            )
        if self.lags or self.prefix or self.optimizer == "lbfgs":
            wrong = "lags" if self.lags else "prefix" if self.prefix else "optimizer"
            raise SpecificationError(
                f"{wrong}={getattr(self, wrong)!r} has no meaning for gaps that are drawn anew at each step and seen from "
                f"both sides. Leave it out."
            )
        if self.context < 2:
            raise SpecificationError(f"context={self.context}: a gap has at least one neighbour. Choose 2 or more.")

    def __str__(self) -> str:
        layers = f"{self.layers} layer{'' if self.layers == 1 else 's'}"
        return f"masked transformer {layers}, width {self.width}, context {self.context}"

    @property
    def architecture(self) -> Architecture:
        """The shape of the network."""
        return Architecture(**{f.name: getattr(self, f.name) for f in fields(Architecture)})

    def fit(self, corpus: Corpus, *, held_out: Corpus | None = None) -> Fit:
        """Fit the weights to a corpus.

        Parameters
        ----------
        corpus : Corpus
        held_out : Corpus, optional
            Text whose mean pseudo-loss is evaluated along the way; the weights returned are those of the lowest.

        Raises
        ------
        NoEstimate
            If the loss is no longer a number.
        """
        import torch

        from statlm.networks import descent
        from statlm.networks.decoder import Decoder
        from statlm.networks.fitting import fit_network
        from statlm.networks.masked import MaskedReading, masked_batch, pseudo_loglike_obs
        from statlm.networks.windows import Stream, Windows, evaluation_windows

        size = corpus.vocabulary.size
        bos, mask, reach = size, size + 1, self.context - 1
        stream = Stream.of(corpus, size, bos)

        def evaluated(network: Decoder, text: Corpus) -> Callable[[], tuple[float, float]]:
            own = Stream.of(text, size, bos)
            reading = MaskedReading.of(own, evaluation_windows(own, reach, reach), mask, next(network.parameters()).device)

            def loss() -> tuple[float, float]:
                estimate = mean_estimate(-pseudo_loglike_obs(network, reading, size), text)
                return estimate.mean, estimate.std_error

            return loss

        def gaps(windows: Windows, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
            return masked_batch(windows, stream, mask, self.share, device)

        def method(network: Decoder, progress: Progress) -> Descended:
            held = None if held_out is None else evaluated(network, held_out)
            balance = self.balance if self.experts > 1 else 0.0
            return descent.descend(
                network, stream, self, context=reach, balance=balance, held_out=held, tensors=gaps, progress=progress
            )

        fitted = fit_network(lambda: Decoder(self.architecture, size + 2, size), self, method)
        likelihood = MaskedLikelihood(corpus, self.architecture, fitted.weights, size)
        how = f"{self.optimizer}, {fitted.descended.steps:,} steps, " + (
            "one gap a piece" if self.share is None else f"{self.share:.0%} gaps"
        )
        report = FitReport(how, False, fitted.descended.steps, None, path=tuple(fitted.descended.path))
        return Fit(self, likelihood, report)

    def restore(self, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> MaskedLikelihood:
        """The pseudo-likelihood of a saved fit; the inverse of `MaskedLikelihood.state`."""
        try:
            weights = {name: arrays[f"weights.{name}"] for name in settings["order"]}
            return MaskedLikelihood(corpus, self.architecture, weights, int(settings["predicted"]))
        except KeyError as error:
            raise DamagedFile(f"The saved masked model lacks {error}. Save the fit again.") from error
