"""Softmax regression of characters beside statsmodels, scikit-learn and R, to equal log-likelihood.

    python benchmarks/softmax.py [--design 27x1@100000 ...] [--tool statlm ...] [--limit 300] [--repeats 5] [--threads 1 2]

A design is symbols x lags @ characters. 10 symbols are the commonest letters and one for the others, so that no pair is
missing; 27 are letters and space, 65 all characters of the text. Time is from the token ids to estimates, log-likelihood
and, where the tool has them, standard errors; the text is read and cut, and packages are imported, before. Each case runs in
a process of its own, repeats are interleaved, medians are shown, each tool in the better of its numbers of BLAS threads. A
case that took longer than a tenth of the limit is not repeated, one that reaches the limit is stopped, and one that would
not fit into memory is not begun.

Where a pair of symbols never occurs the maximum is at infinity: statlm reports the supremum, the others whatever they end with.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sparse
from measure import answer, run_case, seconds

import statlm as slm

DESIGNS = [
    "10x2@100000",
    "27x1@100000",
    "27x2@100000",
    "27x3@100000",
    "27x1@1000000",
    "27x2@1000000",
    "27x3@1000000",
    "65x2@1000000",
]
TOOLS = ["statlm", "statlm_errors", "statsmodels_newton", "statsmodels_lbfgs", "sklearn_lbfgs", "sklearn_newton_cg"]
R_TOOLS = ["r_multinom", "r_vglm"]
MEMORY = 12.0  # GiB that a dense design with its copies may take
THREADS = ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"]
GAP = 1e-6  # nats an observation at which log-likelihoods count as equal


def corpus_of(design: str) -> tuple[slm.Corpus, int]:
    """The corpus of a design, its first `lags` tokens given, and the number of lags."""
    symbols, lags, size = (int(part) for part in re.fullmatch(r"(\d+)x(\d+)@(\d+)", design).groups())  # type: ignore[union-attr]
    text = slm.datasets.load("shakespeare", tokenizer="char")
    letters = "".join(np.array(text.vocabulary.tokens, dtype=object)[text.tokens])
    if symbols == 27:
        letters = re.sub("[^a-z]+", " ", letters.lower())
    if symbols == 10:
        letters = re.sub("[^etoahnsir]", "*", re.sub("[^a-z]+", "", letters.lower()))
    return slm.Corpus.from_text(letters[: size + lags], given=lags), lags


def observations(corpus: slm.Corpus, lags: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Classes and lags as numbers from 0."""
    return corpus.targets.astype(np.int64), [column.astype(np.int64) for column in corpus.context_columns(lags)]


def one_hot(columns: list[np.ndarray], size: int, intercept: bool) -> sparse.csr_matrix:
    """Indicators of the levels of each lag but the first."""
    n = len(columns[0])
    rows, places = ([np.arange(n)], [np.zeros(n, np.int64)]) if intercept else ([], [])
    for j, column in enumerate(columns):
        here = np.flatnonzero(column > 0)
        rows.append(here)
        places.append(int(intercept) + j * (size - 1) + column[here] - 1)
    row, place = np.concatenate(rows), np.concatenate(places)
    return sparse.csr_matrix((np.ones(len(row)), (row, place)), shape=(n, int(intercept) + len(columns) * (size - 1)))


def _ready() -> None:
    """Import what a fit imports, as the other tools are imported before their time begins."""
    slm.SoftmaxRegression(1).fit(slm.Corpus.from_text("abracadabra")).std_errors()


def case_statlm(design: str) -> None:
    """Estimates and log-likelihood."""
    corpus, lags = corpus_of(design)
    _ready()
    taken, fit = seconds(lambda: _with_loglike(slm.SoftmaxRegression(lags).fit(corpus)))
    answer(seconds=taken, loglike=fit.loglike, nobs=fit.nobs, says=_says(fit))


def case_statlm_errors(design: str) -> None:
    """The same with standard errors."""
    corpus, lags = corpus_of(design)
    _ready()
    taken, fit = seconds(lambda: _with_loglike(slm.SoftmaxRegression(lags).fit(corpus)))
    errors, _ = seconds(fit.std_errors)
    answer(seconds=taken + errors, loglike=fit.loglike, nobs=fit.nobs, says=_says(fit) + ", std. errors")


def _with_loglike(fit: slm.Fit) -> slm.Fit:
    fit.loglike  # noqa: B018
    return fit


def _says(fit: slm.Fit) -> str:
    infinite = fit.dof - len(fit.params)
    ends = f"supremum, {infinite:,} of {fit.dof:,} infinite" if infinite else f"converged, {fit.dof:,} parameters"
    return f"{ends}, {fit.report.iterations} steps"


def case_statsmodels_newton(design: str) -> None:
    """MNLogit by Newton's method, which comes with standard errors."""
    _statsmodels(design, "newton", maxiter=100, tol=1e-8)


def case_statsmodels_lbfgs(design: str) -> None:
    """MNLogit by L-BFGS; statsmodels then evaluates the Hessian for the errors."""
    _statsmodels(design, "lbfgs", maxiter=20_000, pgtol=1e-6, factr=10.0)


def _statsmodels(design: str, method: str, **settings: float) -> None:
    import statsmodels.api as sm

    corpus, lags = corpus_of(design)
    y, columns = observations(corpus, lags)
    size = corpus.vocabulary.size
    # The design, the probabilities, and the temporaries that the Hessian is made with.
    needed = len(y) * (2 * (1 + lags * (size - 1)) + 4 * size) * 8 / 2**30
    if needed > MEMORY:
        answer(seconds=None, says=f"not begun: needs about {needed:.0f} GiB")
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def fit() -> object:
            found = sm.MNLogit(y, one_hot(columns, size, intercept=True).toarray()).fit(
                method=method, disp=False, **settings
            )
            np.asarray(found.bse)
            return found

        try:
            taken, found = seconds(fit)
        except np.linalg.LinAlgError as error:
            answer(seconds=None, says=f"LinAlgError: {error}")
            return
    says = "converged" if found.mle_retvals["converged"] else "did not converge"
    bad = int(np.count_nonzero(~np.isfinite(np.asarray(found.bse))))
    said = sorted({warning.category.__name__ for warning in caught})
    largest = float(np.abs(np.asarray(found.params)).max())
    says += f", largest estimate {largest:.3g}" + (f", {bad:,} errors not finite" if bad else "")
    answer(seconds=taken, loglike=float(found.llf), nobs=len(y), says=", ".join([says, *said]))


def case_sklearn_lbfgs(design: str) -> None:
    """LogisticRegression by L-BFGS; no errors."""
    _sklearn(design, "lbfgs")


def case_sklearn_newton_cg(design: str) -> None:
    """LogisticRegression by Newton-CG; no errors."""
    _sklearn(design, "newton-cg")


def _sklearn(design: str, solver: str) -> None:
    from sklearn.linear_model import LogisticRegression

    corpus, lags = corpus_of(design)
    y, columns = observations(corpus, lags)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def fit() -> tuple[LogisticRegression, float]:
            x = one_hot(columns, corpus.vocabulary.size, intercept=False)
            model = LogisticRegression(C=np.inf, solver=solver, tol=1e-6, max_iter=20_000).fit(x, y)
            logits = x @ model.coef_.T + model.intercept_
            logits -= logits.max(axis=1, keepdims=True)
            place = np.searchsorted(model.classes_, y)
            return model, float((logits[np.arange(len(y)), place] - np.log(np.exp(logits).sum(axis=1))).sum())

        taken, (model, loglike) = seconds(fit)
    said = sorted({warning.category.__name__ for warning in caught})
    largest = float(np.abs(model.coef_).max())
    says = f"{int(np.max(model.n_iter_))} steps, no errors, largest estimate {largest:.3g}"
    answer(seconds=taken, loglike=loglike, nobs=len(y), says=", ".join([says, *said]))


R_SCRIPT = """
arguments <- commandArgs(TRUE)
data <- read.csv(arguments[2])
lags <- grep("^lag", names(data), value = TRUE)
for (lag in lags) data[[lag]] <- factor(data[[lag]])
terms <- paste(lags, collapse = " + ")
count <- as.matrix(data[, grep("^y", names(data))])
if (arguments[1] == "multinom") {
  suppressPackageStartupMessages(library(nnet))
  taken <- system.time({
    fit <- multinom(as.formula(paste("count ~", terms)), data, reltol = 1e-12, abstol = 1e-12, maxit = 5000, MaxNWts = 1e6,
                    trace = FALSE, Hess = TRUE)
    errors <- tryCatch(suppressWarnings(sqrt(diag(solve(fit$Hessian)))), error = function(e) rep(NaN, nrow(fit$Hessian)))
  })[["elapsed"]]
  loglike <- -fit$value
  says <- if (fit$convergence == 0) "converged" else "maxit reached"
  largest <- max(abs(coef(fit)))
} else {
  suppressPackageStartupMessages(library(VGAM))
  taken <- system.time({
    fit <- vglm(as.formula(paste("count ~", terms)), multinomial, data, epsilon = 1e-10, maxit = 50)
    errors <- sqrt(diag(vcov(fit)))
  })[["elapsed"]]
  p <- fitted(fit)
  loglike <- sum(count[count > 0] * log(p[count > 0]))
  says <- sprintf("%d steps", fit@iter)
  largest <- max(abs(coef(fit)))
}
bad <- sum(!is.finite(errors))
said <- if (length(warnings())) paste(length(warnings()), "warnings") else ""
cat(sprintf("%.6f|%.10g|%s, largest estimate %.3g, %d errors not finite %s\\n", taken, loglike, says, largest, bad, said))
"""


def case_r_multinom(design: str) -> None:
    """nnet::multinom on the table of contexts, with its Hessian inverted."""
    _r(design, "multinom")


def case_r_vglm(design: str) -> None:
    """VGAM::vglm on the table of contexts."""
    _r(design, "vglm")


def _r(design: str, tool: str) -> None:
    corpus, lags = corpus_of(design)
    y, columns = observations(corpus, lags)
    size = corpus.vocabulary.size
    contexts, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    counts = np.bincount(place * size + y, minlength=len(contexts) * size).reshape(len(contexts), size)
    if tool == "vglm":
        # vglm works on a dense matrix with a row for each context and class.
        needed = len(contexts) * (size - 1) * (1 + lags * (size - 1)) * (size - 1) * 8 * 2 / 2**30
        if needed > MEMORY:
            answer(seconds=None, says=f"not begun: needs about {needed:.0f} GiB")
            return
    data = pd.DataFrame(contexts, columns=[f"lag{j + 1}" for j in range(lags)])
    data = pd.concat([data, pd.DataFrame(counts, columns=[f"y{j}" for j in range(size)])], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        script, table = Path(folder) / "fit.R", Path(folder) / "table.csv"
        script.write_text(R_SCRIPT)
        data.to_csv(table, index=False)
        done = subprocess.run(["Rscript", str(script), tool, str(table)], capture_output=True, text=True, check=False)
    if done.returncode:
        message = " ".join(done.stderr.strip().splitlines()[-3:])
        answer(seconds=None, says=f"R stopped: {message[-120:]}")
        return
    taken, loglike, says = done.stdout.strip().splitlines()[-1].split("|")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    answer(seconds=float(taken), loglike=float(loglike), nobs=len(y), child_gib=peak, says=says.strip())


def _median(runs: list[dict]) -> float:
    times = [run["seconds"] for run in runs if run["seconds"] is not None]
    return float(np.median(times)) if times else np.inf


def measured(design: str, tools: list[str], limit: float, repeats: int, threads: list[int]) -> pd.DataFrame:
    """Median seconds of each tool in its better number of threads, repeats interleaved."""
    found: dict[tuple[str, int], list[dict]] = {(tool, number): [] for tool in tools for number in threads}
    for _ in range(repeats):
        for (tool, number), before in found.items():
            if before and (before[0]["seconds"] is None or before[0]["seconds"] > limit / 10):
                continue
            for variable in THREADS:
                os.environ[variable] = str(number)
            try:
                before.append(run_case(__file__, tool, "--design", design, limit=limit))
            except subprocess.TimeoutExpired:
                before.append({"seconds": None, "says": f"stopped after {limit:g} s"})
            except SystemExit as error:
                before.append({"seconds": None, "says": f"failed: {str(error).strip().splitlines()[-1][:120]}"})
    rows = []
    for tool in tools:
        number = min(threads, key=lambda t: _median(found[tool, t]))
        runs = found[tool, number]
        first = runs[0]
        rows.append(
            {
                "design": design,
                "tool": tool,
                "seconds": _median(runs) if np.isfinite(_median(runs)) else np.nan,
                "threads": number,
                "runs": len(runs),
                "peak_gib": max(
                    first.get("peak_gib", np.nan) if "child_gib" not in first else 0.0, first.get("child_gib", 0.0)
                ),
                "loglike": first.get("loglike", np.nan),
                "nobs": first.get("nobs", np.nan),
                "says": first["says"],
            }
        )
    table = pd.DataFrame(rows)
    ours = table[table.tool == "statlm_errors"]
    if len(ours):
        own = ours.iloc[0]
        table["ratio"] = table.seconds / own.seconds
        gap = (own.loglike - table.loglike) / own.nobs
        table["equal"] = np.where(table.loglike.isna(), "", np.where(gap.abs() < GAP, "yes", [f"{g:+.1e}" for g in gap]))
    return table.drop(columns="nobs")


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--design", nargs="*", default=DESIGNS)
    parser.add_argument("--tool", nargs="*")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which a case is stopped")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="*", default=sorted({1, os.cpu_count() or 1}), help="of BLAS, to try")
    parser.add_argument("--case")
    asked = parser.parse_args()
    if asked.case:
        globals()[f"case_{asked.case}"](asked.design[0])
        return
    tools = asked.tool or [t for t in TOOLS if not t.startswith("sklearn") or find_spec("sklearn")]
    missing = [] if find_spec("sklearn") else ["scikit-learn"]
    if not asked.tool:
        tools += R_TOOLS if shutil.which("Rscript") else []
        missing += [] if shutil.which("Rscript") else ["R"]
    pd.set_option("display.width", 250, "display.max_colwidth", 90)
    for design in asked.design:
        table = measured(design, tools, asked.limit, asked.repeats, asked.threads)
        print(
            f"\n{design}: load average {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores; ratio to statlm with standard errors"
        )
        shown = table.drop(columns="design").round({"seconds": 3, "peak_gib": 2, "ratio": 1, "loglike": 2})
        print(shown.to_string(index=False), flush=True)
    if missing:
        print(f"Not installed, left out: {', '.join(missing)}.")


if __name__ == "__main__":
    main()
