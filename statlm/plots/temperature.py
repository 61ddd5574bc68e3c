"""Log-likelihood against the temperature of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from statlm.diagnostics.temperature_test import temperature_test
from statlm.diagnostics.tempering import distributions, tempered
from statlm.errors import SpecificationError
from statlm.likelihood import Predictive
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_temperature(
    models: Mapping[str, Predictive], ax: Axes | None = None, *, temperatures: Sequence[float] | None = None
) -> Axes:
    """Nats a token gained over temperature 1, a line a model, with the best temperature and its interval.

    Parameters
    ----------
    models : mapping of names to Predictives
        On text that they were not fitted to.
    ax : Axes, optional
        Where to draw; a new figure by default.
    temperatures : sequence of float, optional
        Where lines are computed; by default around 1 and the best temperatures.

    Returns
    -------
    Axes

    Raises
    ------
    SpecificationError
        If there is no model, or a temperature is not positive.
    NoEstimate
        As of `temperature_test`.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 40).split(test=0.5)
    >>> fit = slm.NGram(n=2, pseudo_count=20).fit(train)
    >>> plot_temperature({"cautious": fit.on(test)}).get_xlabel()
    'Temperature'
    """
    if not models or (temperatures is not None and not (np.asarray(temperatures) > 0).all()):
        raise SpecificationError("There is nothing to draw: give a model by name, and temperatures above 0.")
    found = {name: temperature_test(model) for name, model in models.items()}
    best = [test.temperature for test in found.values()]
    reach = 1.25 * max(max(best), 1.0), 0.8 * min(*best, 1.0)
    grid = np.geomspace(reach[1], reach[0], 17) if temperatures is None else np.sort(np.asarray(temperatures, float))
    with house_style():
        ax = axes(ax, 5.6, 3.8)
        ax.axvline(1.0, color=GREY, linewidth=1)
        ax.axhline(0.0, color=GREY, linewidth=1)
        lowest = 0.0
        for i, (name, model) in enumerate(models.items()):
            own = np.asarray(model.loglike_obs(), float)
            fetch = distributions(model)
            gain = np.array(
                [float(tempered(model, 1 / t, fetch(), own).loglike_obs.mean()) - float(own.mean()) for t in grid]
            )
            colour, test = PALETTE[i % len(PALETTE)], found[name]
            ax.plot(grid, gain, color=colour, label=name, gid="gain")
            ax.hlines(test.gain, *test.conf_int, color=colour, linewidth=4, alpha=0.4, gid="intervals")
            ax.plot(test.temperature, test.gain, "o", color=colour, gid="best")
            lowest = min(lowest, float(np.median(gain)))
        top = max(test.gain for test in found.values())
        ax.set_ylim(min(lowest, -0.5 * top), 1.3 * top + 0.05 * abs(lowest) + 1e-9)
        ax.set(xlabel="Temperature", ylabel="Gain over temperature 1 (nats a token)")
        ax.grid()
        ax.legend()
    return ax
