"""Pictures: each function draws on the Axes it is given, or on new ones, and returns them."""

from statlm.plots.perplexity import plot_perplexity, save_perplexity
from statlm.plots.probabilities import plot_next_token
from statlm.plots.smoothing import plot_perplexity_by_n
from statlm.plots.style import PALETTE, house_style
from statlm.plots.surprisal import surprisal_html
from statlm.plots.transitions import plot_transitions

__all__ = [
    "PALETTE",
    "house_style",
    "plot_next_token",
    "plot_perplexity",
    "plot_perplexity_by_n",
    "plot_transitions",
    "save_perplexity",
    "surprisal_html",
]
