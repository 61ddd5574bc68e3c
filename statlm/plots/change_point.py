"""Where a text changes: the likelihood ratio of a change at each place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statlm.inference.change_point import ChangePoint
from statlm.plots.style import GREY, PALETTE, axes, house_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_change_point(found: ChangePoint, ax: Axes | None = None) -> Axes:
    """The likelihood ratio of a change at each place of a text, its largest, and what chance alone would reach.

    A sharp peak speaks for a jump there, a dome for a slow drift.

    Parameters
    ----------
    found : ChangePoint
        As `change_point_test` gives it.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import statlm as slm
    >>> text = slm.Corpus.from_tokens([list("abaab" * 30 + "abbab" * 60)])
    >>> plot_change_point(slm.change_point_test(text, replicates=19)).get_ylabel()
    'Likelihood ratio of a change'
    """
    path = found.path
    with house_style():
        ax = axes(ax, 7.0, 3.6)
        ax.plot(path["observation"], path["statistic"], color=PALETTE[0], gid="path")
        ax.axhline(found.critical, color=GREY, linewidth=1.2, linestyle=(0, (5, 3)), gid="critical")
        ax.plot([found.observation], [found.statistic], "o", color=PALETTE[1], gid="change")
        top = max(found.statistic, found.critical)
        ax.set_xlim(0, found.nobs)
        ax.set_ylim(0, 1.14 * top)
        right = found.observation < 0.6 * found.nobs
        label = f"{found.document}, {found.observation / found.nobs:.0%} of the text"
        ax.annotate(
            label,
            (found.observation, found.statistic),
            xytext=(7 if right else -7, 4),
            textcoords="offset points",
            ha="left" if right else "right",
            va="bottom",
            color=PALETTE[1],
        ).set_parse_math(False)
        ax.annotate(
            "5 % of texts without a change reach this somewhere",
            (found.nobs, found.critical),
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=GREY,
        )
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        ax.set_xlabel("Observation at which the change is put")
        ax.set_ylabel("Likelihood ratio of a change")
        ax.grid(axis="y")
    return ax
