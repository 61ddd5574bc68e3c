"""The transformer decoder: what is fitted, and how."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from statlm.errors import CorpusError, DamagedFile, SpecificationError, StatlmWarning
from statlm.fit.fit import Fit, FitReport
from statlm.inference.perplexity_interval import mean_estimate
from statlm.models.transformer.budget import BY_BUDGET, settings_by_budget
from statlm.models.transformer.likelihood import DecoderLikelihood, check_stride
from statlm.models.transformer.presets import PRESETS
from statlm.networks.architecture import Architecture, check_whole
from statlm.networks.training import RATES, Training
from statlm.numerics.types import Array
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    from statlm.networks.decoder import Decoder
    from statlm.networks.descent import Descended, Progress


@dataclass(frozen=True, kw_only=True)
class TransformerDecoder(Architecture, Training):
    r"""A decoder: multinomial regression on features of the context that are learned.

    .. math::

        p_\theta(\cdot \mid x) = \mathrm{softmax}(W h_\theta(x)), \qquad
        \ell(\theta) = \sum_i \log p_\theta(y_i \mid x_i)

    where :math:`h_\theta` passes the context through blocks of attention and feed-forward maps. Fitted by stochastic gradient
    descent on :math:`-\ell`.

    Parameters
    ----------
    layers, context, dropout, weight_decay, learning_rate : optional
        By default they follow the budget, as tokens that are read in training (15,000 a second where it is of time): below
        250,000, which are seconds, 2 layers and, under "muon", a rate of 0.05 for them; then 4 layers and 0.02; context 128
        and neither dropout nor decay, and from 3.6 million on context 256, dropout 0.1 and, under "muon", a decay of 0.05.
        The specification shows what was chosen.
    stride : int, optional
        In evaluation, places by which windows advance in documents longer than the context; by default half the context.
    **settings
        Those of `statlm.networks.architecture.Architecture` (layers, heads, width, context, ...) and of
        `statlm.networks.training.Training` (steps or time, optimizer, learning_rate, seed, ...).

    Raises
    ------
    SpecificationError
        If a setting is outside of its range, or two of them contradict each other.

    Notes
    -----
    Weights of a network are not identified (heads can be permuted, for one), so there is no table of them. What the network
    says is: probabilities, perplexity, contrasts.

    *Evaluation.* Every token of every document is scored exactly once, in windows of at most `context` tokens that begin with
    ``<bos>`` at a document's start. In longer documents windows advance by `stride`; in generation as well, so that text is
    drawn from the distribution that is evaluated.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need. NeurIPS.
    Radford, Wu, Child, Luan, Amodei and Sutskever (2019), Language models are unsupervised multitask learners.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abracadabra " * 30)
    >>> decoder = slm.TransformerDecoder(layers=1, heads=2, width=16, context=16, steps=30, batch=256, seed=1).fit(corpus)
    >>> decoder.perplexity < slm.NGram(n=1).fit(corpus).perplexity
    True
    """

    layers: int = BY_BUDGET
    context: int = BY_BUDGET
    dropout: float = BY_BUDGET
    weight_decay: float = BY_BUDGET
    stride: int | None = None

    def __post_init__(self) -> None:
        for name, value in settings_by_budget(self, own_layers=self.layers is not None).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)  # before anyone has seen it
        Architecture.__post_init__(self)
        Training.__post_init__(self)
        if self.stride is not None:
            check_stride(self.stride, self.context)

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Self:
        """A published configuration, with changes.

        Parameters
        ----------
        name : str
            "gpt2" (small), "gpt4r", "alga" or "nanogpt-cpu".
        **changes
            Settings that replace the published ones.

        Examples
        --------
        >>> import statlm as slm
        >>> slm.TransformerDecoder.preset("gpt4r").count_parameters(66)
        10796544
        """
        if name not in PRESETS:
            raise SpecificationError(f"There is no preset {name!r}. Use one of {', '.join(map(repr, PRESETS))}.")
        return cls(**(PRESETS[name] | changes))

    def __str__(self) -> str:
        layers = f"{self.layers} layer{'' if self.layers == 1 else 's'}"
        experts = f", {self.experts} experts" if self.experts > 1 else ""
        return f"decoder {layers}, width {self.width}, context {self.context}{experts}"

    @property
    def architecture(self) -> Architecture:
        """The shape of the network."""
        return Architecture(**{f.name: getattr(self, f.name) for f in fields(Architecture)})

    def fit(
        self,
        corpus: Corpus,
        *,
        held_out: Corpus | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Fit:
        """Fit the weights to a corpus.

        Parameters
        ----------
        corpus : Corpus
        held_out : Corpus, optional
            Text that is evaluated along the way: the path then has its loss with a standard error, and the weights returned
            are those of the lowest.
        checkpoint : path, optional
            A file to write the state to every minute, at Ctrl-C and at the end.
        resume : bool
            Go on from the checkpoint, if there is one, to the same result as without the interruption.

        Raises
        ------
        CorpusError
            If a document is longer than the context with ``prefix=True``.
        SpecificationError
            If the checkpoint is of another fit.
        NoEstimate
            If the loss is no longer a number.

        Notes
        -----
        Ctrl-C stops after the step under way and returns the best fit so far, with a warning.
        """
        if resume and checkpoint is None:
            raise SpecificationError("resume=True goes on from a checkpoint. Pass its file as well: checkpoint=...")
        return self._fitted(corpus, held_out, checkpoint, resume, None, None)

    def update(
        self,
        likelihood: DecoderLikelihood,
        corpus: Corpus,
        *,
        held_out: Corpus | None = None,
        rank: int | None = None,
        **settings: Any,
    ) -> Fit:
        """Go on from a fitted network on another text: fine-tuning; what `Fit.update` calls.

        Parameters
        ----------
        likelihood : DecoderLikelihood
            Where to start.
        corpus : Corpus
            Over the same vocabulary.
        held_out : Corpus, optional
            As of `fit`.
        rank : int, optional
            Fit a low-rank update of the matrices in the blocks, and hold all else fixed (Hu et al. 2022).
        **settings
            Of the training, which replace this specification's: steps, optimizer, learning_rate, ... By default 200 steps of
            Adam at 0.001, without the weight decay of another optimizer.

        References
        ----------
        Hu et al. (2022), LoRA: low-rank adaptation of large language models. ICLR.
        """
        given = {"steps", "tokens", "time"} & set(settings)
        budget = dict.fromkeys(("steps", "tokens", "time")) | ({} if given else {"steps": 200})
        start: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 1e-3, "embedding_rate": 1e-3} | budget
        if "optimizer" not in settings and self.optimizer != "adamw":
            start["weight_decay"] = 0.0  # that of another optimizer means something else under Adam
        if "optimizer" in settings:
            start["learning_rate"] = RATES.get(settings["optimizer"])
        specification = replace(self, **(start | settings))
        likelihood.corpus.vocabulary.check_same(corpus.vocabulary)
        if rank is not None:
            check_whole("rank", rank, 1)
        return specification._fitted(corpus, held_out, None, False, likelihood, rank)

    def _fitted(
        self,
        corpus: Corpus,
        held_out: Corpus | None,
        checkpoint: str | os.PathLike[str] | None,
        resume: bool,
        start: DecoderLikelihood | None,
        rank: int | None,
    ) -> Fit:
        from statlm.networks import descent, full_batch, scoring
        from statlm.networks.checkpoint import Checkpoint
        from statlm.networks.fitting import fit_network
        from statlm.networks.windows import Stream, evaluation_windows

        if held_out is not None:
            corpus.vocabulary.check_same(held_out.vocabulary)
        if self.patience is not None and held_out is None:
            raise SpecificationError(
                f"patience={self.patience} stops by the loss on held-out text, and there is none. Pass fit(train, held_out=...)."
            )
        self._check_prefix(corpus)
        size = corpus.vocabulary.size if start is None else start.predicted
        embedded, bos = (size + 1, size) if start is None else (start.embedded, start.bos)
        advance = self.windows_advance
        stream = Stream.of(corpus, size, bos)
        kept = None if checkpoint is None else Checkpoint(Path(checkpoint), self._identity(corpus), resume)

        def evaluated(network: Decoder) -> Callable[[], tuple[float, float]] | None:
            if held_out is None:
                return None
            text = Stream.of(held_out, size, bos)
            windows = evaluation_windows(text, self.context, advance)

            def loss() -> tuple[float, float]:
                obs = scoring.loglike_obs(network, text, windows, predicted=size, prefix=self.prefix)
                estimate = mean_estimate(-obs, held_out)
                return estimate.mean, estimate.std_error

            return loss

        def method(network: Decoder, progress: Progress) -> Descended:
            if self.optimizer == "lbfgs":
                windows = evaluation_windows(stream, self.context, advance)
                return full_batch.maximise(network, stream, windows, self, prefix=self.prefix, progress=progress)
            return descent.descend(
                network,
                stream,
                self,
                context=self.context,
                prefix=self.prefix,
                balance=self.balance if self.experts > 1 else 0.0,
                held_out=evaluated(network),
                checkpoint=kept,
                progress=progress,
            )

        fitted = fit_network(
            lambda: self._network(embedded, size, bos),
            self,
            method,
            weights=None if start is None else start.weights,
            rank=rank,
        )
        likelihood = self._likelihood(
            corpus,
            self.architecture,
            fitted.weights,
            size,
            bos,
            advance,
            self._prior_precision(corpus),
            fitted.descended.converged and self.weight_decay == 0 and start is None,
            fitted.dof,
        )
        return Fit(self, likelihood, self._report(fitted.descended, corpus, start, rank))

    def _network(self, embedded: int, predicted: int, bos: int) -> Decoder:
        from statlm.networks.decoder import Decoder

        return Decoder(self.architecture, embedded, predicted)

    def _likelihood(self, *parts: Any) -> DecoderLikelihood:
        return DecoderLikelihood(*parts)

    def _prior_precision(self, corpus: Corpus) -> float:
        """Of the normal prior whose mode the weight decay aims at; 0 where a decay is not that of a prior."""
        return self.weight_decay * {"lbfgs": 1.0, "sgd": float(corpus.nobs)}.get(self.optimizer, 0.0)

    @property
    def windows_advance(self) -> int:
        """Places by which windows advance in evaluation."""
        return max(1, self.context // 2) if self.stride is None else self.stride

    def restore(self, corpus: Corpus, arrays: dict[str, Array], settings: dict[str, Any]) -> DecoderLikelihood:
        """The likelihood of a saved fit; the inverse of `DecoderLikelihood.state`."""
        try:
            weights = {name.removeprefix("weights."): a for name, a in arrays.items() if name.startswith("weights.")}
            likelihood = self._likelihood(
                corpus,
                self.architecture,
                {name: weights[name] for name in settings["order"]},
                int(settings["predicted"]),
                int(settings["bos"]),
                int(settings["stride"]),
                float(settings["decay"]),
                bool(settings["maximum"]),
                settings["free"],
            )
        except KeyError as error:
            raise DamagedFile(f"The saved decoder lacks {error}. Save the fit again.") from error
        expected = self.count_parameters(likelihood.embedded, likelihood.predicted)
        stored = sum(w.size for w in weights.values())
        if stored != expected:
            raise DamagedFile(
                f"The saved decoder has {stored:,} weights, and its settings need {expected:,}. Save the fit again."
            )
        return likelihood

    def _identity(self, corpus: Corpus) -> dict[str, Any]:
        """What a fit depends on."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("device", "stride")}
        return own | {"corpus": corpus.fingerprint}

    def _check_prefix(self, corpus: Corpus) -> None:
        longest = int(np.diff(corpus.offsets).max())
        if self.prefix and longest > self.context:
            raise CorpusError(
                f"The longest document has {longest:,} tokens, and with prefix=True its given tokens must all be seen at once: "
                f"the context is {self.context}. Raise context=, or shorten documents."
            )

    def _report(self, descended: Descended, corpus: Corpus, start: DecoderLikelihood | None, rank: int | None) -> FitReport:
        if self.optimizer == "lbfgs":
            method = f"L-BFGS on all {corpus.nobs:,} observations"
        else:
            read = descended.path[-1]["tokens"] if descended.path else 0
            method = (
                f"{self.optimizer}, {descended.steps:,} steps of {self.batch * self.accumulate:,} tokens "
                f"({read / corpus.nobs:.3g} passes)"
            )
        if start is not None:
            whole = "all weights" if rank is None else f"rank-{rank} update"
            method = f"{whole} from a fit to {start.corpus.nobs:,} tokens; {method}"
        if descended.stopped is not None:
            method += f"; stopped {descended.stopped}"
            if descended.stopped.startswith("interrupted"):
                warnings.warn(
                    f"The fit was {descended.stopped}; it returns the weights of step {descended.best:,}, which are not what the "
                    "specification says. With checkpoint= it can go on: fit(..., resume=True).",
                    StatlmWarning,
                    stacklevel=4,
                )
        if self.optimizer == "lbfgs" and not descended.converged:
            warnings.warn(
                f"L-BFGS stopped after {descended.steps:,} iterations with a gradient of {descended.gradient:.2g} nats an "
                "observation: this is not the maximum. Raise steps=, add weight_decay=, or try another seed=.",
                StatlmWarning,
                stacklevel=4,
            )
        return FitReport(method, descended.converged, descended.steps, descended.gradient, path=tuple(descended.path))
