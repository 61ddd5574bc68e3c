"""Coverage of intervals for what a network says, by method, damping and size of the network; resumable.

    python benchmarks/network_coverage.py --replicates 200 --refitted 40 --results coverage.jsonl --table docs/network_coverage.md

A replicate is a corpus drawn from a known chain. Each finished replicate is a line of the results file; started again, the
script goes on with those that are missing. Truths, networks and methods are the tables below.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from scipy import stats

import statlm as slm
from statlm.numerics.evidence import best_precision

STATES = "abcd"
DOCUMENTS, LENGTH = 40, 25

# Rows: previous state. State d is rare: it is reached in about 2 % of the steps.
CHAIN = np.array([[0.50, 0.30, 0.18, 0.02], [0.20, 0.50, 0.28, 0.02], [0.35, 0.20, 0.43, 0.02], [0.40, 0.30, 0.28, 0.02]])


TILT = np.array([[0.6, -0.6, 0.0, 0.0], [-0.6, 0.6, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]])


def of_two_states(logits):
    """(4, 4, 4) probabilities given the last but one and the last state."""
    p = np.exp(logits)
    return p / p.sum(axis=2, keepdims=True)


def interacting():
    """Logits in which the last but one state acts one way after a and b, and the other way after c and d."""
    sign = np.array([1.0, 1.0, -1.0, -1.0])
    return np.log(CHAIN)[None] + sign[None, :, None] * TILT[:, None]


TRUTHS = {
    "chain of order 1": np.broadcast_to(CHAIN, (4, 4, 4)),
    "softmax of two lags": of_two_states(np.log(CHAIN)[None] + TILT[:, None]),  # main effects, no interaction
    "chain of order 2": of_two_states(interacting()),
}
# Without normalisations: under a weight decay a network that normalises its vectors has no mode.
COMMON = {
    "context": LENGTH + 1,
    "precision": "float64",
    "optimizer": "lbfgs",
    "heads": 1,
    "norm": "none",
    "embedding_norm": False,
    "query_key_norm": False,
}
NETWORKS = {
    "too small": {"layers": 0, "lags": 0, "width": 2},
    "about as many": {"layers": 0, "lags": 1, "width": 4},
    "many more": {"layers": 1, "lags": 1, "width": 4, "hidden": 8},
}
ENDS = {"converged": {"steps": 2000, "weight_decay": 0.5}, "early stopped": {"steps": 12, "weight_decay": 0.0}}
# A fit of the largest network to its mode takes half a minute: a tenth of the replicates, and no refits; early stopped, a third.
COSTLY = {("many more", "converged"): 10, ("many more", "early stopped"): 3}
CONTEXTS = {"seen": ["a", "b"], "rare": ["d", "a"]}  # the last state is what matters most
TOKEN = "a"
COVARIANCES = ("nonrobust", "HC0", "cluster")


def draw(p, seed):
    """A corpus of documents from a chain of second order."""
    rng = np.random.default_rng(seed)
    cumulated = p.cumsum(axis=2)
    states = np.zeros((DOCUMENTS, LENGTH + 2), np.int64)
    states[:, :2] = rng.integers(3, size=(DOCUMENTS, 2))
    for t in range(2, LENGTH + 2):
        below = rng.random(DOCUMENTS)[:, None] > cumulated[states[:, t - 2], states[:, t - 1]]
        states[:, t] = np.minimum(below.sum(axis=1), 3)
    vocabulary = slm.Vocabulary(tuple(STATES), with_eos=False)
    return slm.Corpus.from_tokens([[STATES[s] for s in row] for row in states], vocabulary=vocabulary, given=2, eos=False)


def fitted(specification, corpus):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", slm.errors.StatlmWarning)  # that the descent ended before its maximum is the setting
        return specification.fit(corpus)


def interval(table):
    """Standard errors and limits of a table of functionals."""
    return {name: table[name].tolist() for name in ("std_error", "conf_low", "conf_high")}


def interval_at_mode(held, quantities, cov):
    """The same, or None where the weights are at no mode and errors are refused."""
    try:
        return interval(held.functional(quantities, cov=cov))
    except slm.errors.NoEstimate:
        return None


def interval_between(members, quantities):
    """From the spread between seeds alone, with Student's t."""
    each = np.array([[q.measure(m.likelihood)[0] for q in quantities] for m in members])
    error = each.std(axis=0, ddof=1)
    half = stats.t.ppf(0.975, len(members) - 1) * error
    return {"std_error": error.tolist(), "conf_low": (each[0] - half).tolist(), "conf_high": (each[0] + half).tolist()}


def replicate(truth, network, end, number, *, refits=0, seeds=0):
    """One replicate: log-odds of `TOKEN` after each context, estimated, and their errors and limits by method."""
    p = TRUTHS[truth]
    corpus = draw(p, [number, list(TRUTHS).index(truth)])
    specification = slm.TransformerDecoder(**COMMON, **NETWORKS[network], **ENDS[end], seed=number)
    fit = fitted(specification, corpus)
    quantities = [slm.LogOdds(context, TOKEN) for context in CONTEXTS.values()]
    inside = [p[STATES.index(c[0]), STATES.index(c[1]), STATES.index(TOKEN)] for c in CONTEXTS.values()]
    true = [float(np.log(q / (1 - q))) for q in inside]
    estimates = [quantity.measure(fit.likelihood)[0] for quantity in quantities]
    methods = {}
    evidence = slm.damped(fit, None).likelihood.differentiated.information.spectrum
    squared = float((fit.params**2).sum())
    dampings = {"evidence": best_precision(evidence, squared), "0.01": 0.01}
    if ENDS[end]["weight_decay"]:
        dampings["fitted"] = ENDS[end]["weight_decay"]
    for name, damping in dampings.items():
        held = slm.damped(fit, damping)
        for cov in COVARIANCES:
            methods[f"{cov}, {name}"] = interval(held.functional(quantities, cov=cov))
    if "fitted" in dampings:
        at_mode = slm.damped(fit, dampings["fitted"], curvature="hessian")
        for cov in COVARIANCES:
            methods[f"{cov} with the second derivative, fitted"] = interval_at_mode(at_mode, quantities, cov)
    if seeds:
        members = [fit] + [
            fitted(slm.TransformerDecoder(**COMMON, **NETWORKS[network], **ENDS[end], seed=1000 * k + number), corpus)
            for k in range(1, seeds)
        ]
        methods["between seeds only"] = interval_between(members, quantities)
    if refits:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", slm.errors.StatlmWarning)
            again = slm.refit_bootstrap(fit, quantities, replicates=refits, seed=number)
        methods[f"bootstrap of documents, {refits} refits"] = interval(again)
    return {
        "truth": truth,
        "network": network,
        "end": end,
        "replicate": number,
        "contexts": list(CONTEXTS),
        "true": true,
        "estimate": estimates,
        "methods": methods,
        "weights": int(fit.dof),
        "damping": dampings,
    }


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run(path, truths, replicates, *, networks=tuple(NETWORKS), ends=tuple(ENDS), refitted=0, refits=0, seeds=0):
    """Add what is missing to the results file; refits and ensembles of the first replicates only."""
    done = {(r["truth"], r["network"], r["end"], r["replicate"]) for r in read(path)}
    wanted = [(t, n, e) for t in truths for n in networks for e in ends]
    for number in range(replicates):
        for setting in wanted:
            share = COSTLY.get(setting[1:], 1)
            if (*setting, number) not in done and number < replicates / share:
                again = number < refitted / share and share < 10
                more = {"refits": refits, "seeds": seeds} if again else {}
                row = replicate(*setting, number, **more)
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def rates(rows):
    """Coverage of nominal 95 % intervals and what it is made of, by setting, context and method."""
    table = {}
    for row in rows:
        for method, found in row["methods"].items():
            for k, context in enumerate(row["contexts"] if found is not None else []):
                key = (row["truth"], row["network"], row["end"], context, method)
                inside = found["conf_low"][k] <= row["true"][k] <= found["conf_high"][k]
                table.setdefault(key, []).append((row["estimate"][k] - row["true"][k], found["std_error"][k], inside))
    found = []
    for key, parts in table.items():
        off, error, inside = np.array(parts).T
        found.append((*key, len(off), inside.mean(), off.mean(), off.std(), np.median(error)))
    return found


HEAD = """# Coverage of intervals for what a network says

Nominal 95 % intervals for the log-odds of a token after a context that is common, and after one whose last state is rare (2 % of
the text); an interval of the probability is the same one mapped back, and covers as often. Texts are drawn from known laws: 40
documents of 25 tokens. `benchmarks/network_coverage.py` writes this page.

*Bias* is the mean of estimate less truth, *spread* its standard deviation over texts (and seeds), *error* the median
clustered standard error: where error equals spread and coverage is low, bias is to blame, which no standard error repairs.
The other columns are coverage in per cent: *model*-based, HC0 and clustered errors with the Gauss-Newton matrix, damped by the
precision of the largest Laplace evidence; clustered ones with a damping of *0.01* and with the *fitted* precision; clustered
ones with the second derivative (*hessian*), in the texts, whose number is in brackets, that bring the weights to a mode;
*refits* to resampled documents; and the spread between *seeds* alone. Refits and ensembles are of the first texts only,
whose number is the second in the last column.
"""
COLUMNS = {
    "model": "nonrobust, evidence",
    "HC0": "HC0, evidence",
    "cluster": "cluster, evidence",
    "0.01": "cluster, 0.01",
    "fitted": "cluster, fitted",
    "hessian": "cluster with the second derivative, fitted",
    "refits": "bootstrap of documents",
    "seeds": "between seeds only",
}


def _cell(name, values, number):
    if values is None:
        return ""
    some = f" ({values[0]})" if name == "hessian" and values[0] < number else ""
    return f"{100 * values[1]:.0f}{some}"


def page(rows):
    found = {key: values for *key, values in ((*row[:5], row[5:]) for row in rates(rows)) for key in [tuple(key)]}
    names = ["network, fit", "context", *COLUMNS, "bias", "spread", "error", "texts"]
    head = ["", "| " + " | ".join(names) + " |", "| --- " * 2 + "| ---: " * (len(names) - 2) + "|"]
    lines = []
    settings = list(dict.fromkeys(key[:4] for key in found))
    for setting in sorted(settings, key=lambda s: list(TRUTHS).index(s[0])):
        truth, network, fit, context = setting
        if f"**{truth.capitalize()}**" not in lines:
            lines += ["", f"**{truth.capitalize()}**", *head]
        methods = {key[4]: values for key, values in found.items() if key[:4] == setting}
        of = {name: next((v for m, v in methods.items() if m.startswith(start)), None) for name, start in COLUMNS.items()}
        number, _, bias, spread, error = of["cluster"]
        again = of["refits"]
        lines.append(
            f"| {network}, {fit} | {context} | "
            + " | ".join(_cell(name, values, number) for name, values in of.items())
            + f" | {bias:+.2f} | {spread:.2f} | {error:.2f} | {number}{'' if again is None else f', {again[0]}'} |"
        )
    return HEAD + "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--results", type=Path, default=Path("network_coverage.jsonl"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--truth", action="append", choices=list(TRUTHS), help="one or several; all by default")
    parser.add_argument(
        "--refitted", type=int, default=0, help="replicates with a bootstrap and an ensemble: the first ones"
    )
    parser.add_argument("--refits", type=int, default=20, help="of a bootstrap of documents, 20 or more")
    parser.add_argument("--seeds", type=int, default=5, help="of an ensemble, 2 or more")
    asked = parser.parse_args()
    run(
        asked.results,
        asked.truth or list(TRUTHS),
        asked.replicates,
        refitted=asked.refitted,
        refits=asked.refits,
        seeds=asked.seeds,
    )
    text = page(read(asked.results))
    print(text)
    if asked.table:
        asked.table.write_text(text)


if __name__ == "__main__":
    main()
