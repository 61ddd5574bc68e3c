"""Make calibration.json of this folder: calibration measures of 300 forecasts by scikit-learn.

python make_reference.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

HERE = Path(__file__).parent


def main() -> None:
    """Write the file."""
    rng = np.random.default_rng(11)
    probability = np.round(rng.beta(1.2, 2.0, 300), 3).clip(0.001, 0.999)
    happened = rng.random(300) < probability**1.3
    isotonic = IsotonicRegression(y_min=0, y_max=1).fit_transform(probability, happened)
    curves = {}
    for strategy in ("uniform", "quantile"):
        frequency, forecast = calibration_curve(happened, probability, n_bins=10, strategy=strategy)
        curves[strategy] = {"frequency": frequency.tolist(), "forecast": forecast.tolist()}
    found = {
        "made by": f"scikit-learn {sklearn.__version__}",
        "probability": probability.tolist(),
        "happened": happened.astype(int).tolist(),
        "curves": curves,
        "brier": brier_score_loss(happened, probability),
        "log_loss": log_loss(happened, probability),
        "brier_recalibrated": brier_score_loss(happened, isotonic),
        "log_loss_recalibrated": log_loss(happened, isotonic),
    }
    (HERE / "calibration.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
