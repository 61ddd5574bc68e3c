"""Pictures: each function draws on the Axes it is given, or on new ones, and returns them."""

from statlm.plots.anytime import plot_anytime
from statlm.plots.attention import plot_attention
from statlm.plots.calibration import plot_calibration
from statlm.plots.change_point import plot_change_point
from statlm.plots.coefficients import plot_coefficients
from statlm.plots.contrasts import plot_contrast
from statlm.plots.drift import plot_drift
from statlm.plots.embeddings import plot_embeddings
from statlm.plots.groups import plot_groups
from statlm.plots.influence import plot_influence
from statlm.plots.memorisation import plot_memorisation
from statlm.plots.mixture import plot_mixture
from statlm.plots.path import plot_path
from statlm.plots.perplexity import plot_perplexity, save_perplexity
from statlm.plots.planning import plot_power
from statlm.plots.prediction_sets import plot_coverage
from statlm.plots.probabilities import plot_next_token
from statlm.plots.rates import plot_rates
from statlm.plots.residuals import plot_autocorrelation, plot_residuals
from statlm.plots.sampler import plot_sampler
from statlm.plots.saving import save_picture
from statlm.plots.smoothing import plot_perplexity_by_n
from statlm.plots.style import PALETTE, house_style
from statlm.plots.surprisal import surprisal_html
from statlm.plots.temperature import plot_temperature
from statlm.plots.transitions import plot_transitions

__all__ = [
    "PALETTE",
    "house_style",
    "plot_anytime",
    "plot_attention",
    "plot_autocorrelation",
    "plot_calibration",
    "plot_change_point",
    "plot_coefficients",
    "plot_contrast",
    "plot_coverage",
    "plot_drift",
    "plot_embeddings",
    "plot_groups",
    "plot_influence",
    "plot_memorisation",
    "plot_mixture",
    "plot_next_token",
    "plot_path",
    "plot_perplexity",
    "plot_perplexity_by_n",
    "plot_power",
    "plot_rates",
    "plot_residuals",
    "plot_sampler",
    "plot_temperature",
    "plot_transitions",
    "save_perplexity",
    "save_picture",
    "surprisal_html",
]
