"""Log-likelihood of a mixture against the weight of each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from statlm.comparison.compare import named_models
from statlm.errors import NoEstimate
from statlm.numerics.mixture_weights import mixture_weights
from statlm.plots.style import PALETTE, axes, house_style
from statlm.text.corpus import Corpus

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_mixture(models: Mapping[str, Any] | Sequence[Any], on: Corpus, ax: Axes | None = None) -> Axes:
    """Mean log-loss as one model's weight goes from 0 to 1, the others keeping their best proportions; dots at the best weights.

    Parameters
    ----------
    models : mapping of names to fits, or sequence of fits
    on : Corpus
        Held-out text.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    NoEstimate
        If every model gives some token probability 0.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 20).split(test=0.5)
    >>> plot_mixture([slm.NGram(n, pseudo_count=0.5).fit(train) for n in (1, 2, 3)], test).get_xlabel()
    'Weight'
    """
    named = named_models(models)
    logs = np.stack([np.asarray(model.on(on).loglike_obs(), float) for model in named.values()], axis=1)
    if np.isneginf(logs).all(axis=1).any():
        raise NoEstimate("Some token has probability 0 under every model, and so under every mixture. Add a smoothed model.")
    best = mixture_weights(logs)
    with np.errstate(divide="ignore", invalid="ignore"), house_style():
        ax = axes(ax, 5.8, 3.8)
        highest = 0.0
        for i, name in enumerate(named):
            others = np.delete(best.weights, i)
            others = others / others.sum() if others.sum() > 0 else np.full(len(others), 1 / len(others))
            rest = np.logaddexp.reduce(np.delete(logs, i, axis=1) + np.log(others), axis=1)
            weight = np.linspace(0, 1, 51)
            loss = np.array([-np.logaddexp(logs[:, i] + np.log(w), rest + np.log1p(-w)).mean() for w in weight])
            colour = PALETTE[i % len(PALETTE)]
            finite = np.isfinite(loss)
            ax.plot(weight[finite], loss[finite], color=colour, label=name, gid="loss")
            ax.plot(best.weights[i], -best.loglike / on.nobs, "o", color=colour, clip_on=False, gid="best")
            highest = max(highest, float(np.quantile(loss[finite], 0.8)))
        low = -best.loglike / on.nobs
        ax.set_ylim(low - 0.08 * (highest - low) - 1e-9, highest + 0.1 * (highest - low) + 1e-9)
        ax.set_xlim(0, 1)
        ax.set(xlabel="Weight", ylabel="Log-loss of the mixture (nats a token)")
        ax.grid()
        for text in ax.legend().get_texts():
            text.set_parse_math(False)
    return ax
