"""Processor seconds and peak memory of every verb on a million characters of Shakespeare, for an n-gram and a softmax regression.

    python benchmarks/verbs.py [--verbs vcov,influence] [--models bigram,softmax] [--limit 300] [--output verbs.md]

Models are fitted first, and each verb runs in a fork of the process that holds them: their time is not in its seconds,
and their memory (0.2 GiB) is in its peak. The models are the bigram and the softmax regression on one lag (65 types, some
4,000 parameters), and where a verb needs a smaller or a smoothed model, that one. Nine tenths of the text are fitted, the
last tenth is held out. Refits are 20. Shakespeare has to be in the folder that ``STATLM_DATA`` names, or can be downloaded.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import resource
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

SLOW, HEAVY = 20.0, 4.0


class Bench:
    """The models and the text that verbs are asked of; fitted before anything is timed."""

    def __init__(self, model):
        import statlm as slm

        self.slm = slm
        self.name = model
        self.corpus = slm.datasets.load("shakespeare", split="paragraph")
        self.train, self.test = self.corpus.split(test=0.1)
        self.make = (lambda: slm.NGram(2)) if model == "bigram" else (lambda: slm.SoftmaxRegression(lags=1))
        self.fit = self.make().fit(self.train)
        self.smooth = (
            slm.NGram(2, pseudo_count=0.5).fit(self.train)
            if model == "bigram"
            else slm.SoftmaxRegression(lags=1, penalty="ridge", strength=1.0).fit(self.train)
        )
        self.unigram = slm.NGram(1, pseudo_count=0).fit(self.train)
        self.held = self.smooth.on(self.test)
        self.other = slm.NGram(3, pseudo_count=0.1).fit(self.train).on(self.test)
        self.odds = slm.LogOdds("th", "e", against="a")


def verbs():
    """Name to a function of a Bench."""

    def refits(cls, **settings):
        return lambda b: b.fit.std_errors(cov=cls(b)(replicates=20, **settings))

    return {
        "fit": lambda b: b.make().fit(b.corpus),
        "on": lambda b: b.fit.on(b.test).loglike,
        "measures": lambda b: (b.fit.aic, b.fit.bic, b.fit.hqic, b.fit.pseudo_r2, b.fit.bits_per_byte),
        "save, load": lambda b: saved(b),
        "vcov": lambda b: b.fit.vcov(),
        "std_errors nonrobust": lambda b: b.fit.std_errors(),
        "std_errors opg": lambda b: b.fit.std_errors(cov="opg"),
        "std_errors HC0": lambda b: b.fit.std_errors(cov="HC0"),
        "std_errors cluster": lambda b: b.fit.std_errors(cov="cluster"),
        "std_errors HAC": lambda b: b.fit.std_errors(cov="HAC"),
        "std_errors bootstrap": refits(lambda b: b.slm.DocumentBootstrap),
        "std_errors block bootstrap": refits(lambda b: b.slm.BlockBootstrap, length=500),
        "std_errors infinitesimal-jackknife": lambda b: b.fit.std_errors(cov="infinitesimal-jackknife"),
        "conf_int": lambda b: b.fit.conf_int(),
        "predict": lambda b: b.fit.predict(["th", "qu"], interval=0.95, cov="cluster"),
        "functional": lambda b: b.slm.functional(b.fit, b.odds, cov="cluster"),
        "marginal_effects": lambda b: b.slm.marginal_effects(b.smooth, lag=1),
        "profile_interval": lambda b: b.slm.profile_interval(b.fit, b.fit.param_names[10]),
        "influence": lambda b: b.slm.influence(b.fit),
        "leverage": lambda b: b.slm.leverage(b.fit),
        "hauck_donner": lambda b: b.slm.hauck_donner(b.fit),
        "posterior": lambda b: b.slm.posterior(b.smooth, draws=200).loglike(),
        "to_arviz": lambda b: b.slm.interop.arviz.to_arviz(b.smooth, draws=200),
        "perplexity_interval": lambda b: b.held.perplexity_interval(),
        "perplexity_interval HAC": lambda b: b.held.perplexity_interval(dependence="HAC"),
        "perplexity_interval bootstrap": lambda b: b.held.perplexity_interval(dependence="bootstrap"),
        "held_out_error": lambda b: b.slm.held_out_error(b.smooth, b.test, cov="cluster"),
        "paired_test": lambda b: b.slm.paired_test(b.held, b.other),
        "compare": lambda b: b.slm.compare({"model": b.smooth, "unigram": b.unigram}, on=b.test),
        "compare_bytes": lambda b: b.slm.compare_bytes({"model": b.held, "trigram": b.other}),
        "confidence_set": lambda b: b.slm.confidence_set({"model": b.held, "trigram": b.other}, on=b.test),
        "stacking_weights": lambda b: b.slm.stacking_weights({"model": b.held, "trigram": b.other}, on=b.test),
        "weight_test": lambda b: b.slm.weight_test({"model": b.held, "trigram": b.other}, ["model"], on=b.test),
        "anytime_test": lambda b: b.slm.anytime_test(b.held, b.other, bound=5.0),
        "vuong_test": lambda b: b.slm.vuong_test(b.slm.SoftmaxRegression(formula="next ~ lag2").fit(b.train), b.fit),
        "tic": lambda b: b.slm.tic(b.fit),
        "wbic": lambda b: b.slm.wbic(b.smooth, prior_sd=10.0),
        "lr_test": lambda b: b.slm.lr_test(b.unigram, b.fit),
        "wald_test": lambda b: b.slm.wald_test(b.fit, restrictions(b), cov="cluster"),
        "score_test": lambda b: b.slm.score_test(b.slm.SoftmaxRegression(lags=0).fit(b.train), b.make().fit(b.train)),
        "anova": lambda b: b.slm.anova(b.unigram, b.fit),
        "ladder": lambda b: b.slm.ladder({"unigram": b.unigram, "model": b.fit}),
        "markov_order_test": lambda b: b.slm.markov_order_test(b.train, max_order=2),
        "markov_order_test bootstrap": lambda b: b.slm.markov_order_test(
            b.train, max_order=2, method="bootstrap", replicates=19
        ),
        "homogeneity_test": lambda b: b.slm.homogeneity_test({"train": b.train, "test": b.test}),
        "stationarity_test": lambda b: b.slm.stationarity_test(b.train),
        "change_point_test": lambda b: b.slm.change_point_test(b.train, replicates=19),
        "overdispersion_test": lambda b: b.slm.overdispersion_test(b.train),
        "information_matrix_test": lambda b: b.slm.information_matrix_test(
            b.slm.SoftmaxRegression(lags=2).fit(few_types(b.train))
        ),
        "calibration": lambda b: b.slm.calibration(b.held),
        "hosmer_lemeshow": lambda b: b.slm.hosmer_lemeshow(b.held),
        "temperature_test": lambda b: b.slm.temperature_test(b.held),
        "quantile_residuals": lambda b: b.slm.residual_tests(b.slm.quantile_residuals(b.held)),
        "conformal_sets": lambda b: b.slm.conformal_sets(b.held, 0.9),
        "contrast": lambda b: b.slm.contrast(b.smooth, ["th", "qu"], "e", "a"),
        "memorisation": lambda b: b.slm.memorisation(
            b.smooth, b.unigram, b.train.subset(range(50)), b.test.subset(range(50))
        ),
        "group_loss": lambda b: b.slm.group_loss(b.held),
        "drift_alarm": lambda b: b.slm.drift_alarm(b.held, b.test.ndocuments // 2, replicates=199),
        "generate": lambda b: b.smooth.generate("ROMEO:", max_tokens=200),
        "simulate": lambda b: b.slm.simulate(b.smooth),
        "summary": lambda b: str(b.fit.summary()),
        "summary cluster": lambda b: str(b.fit.summary(cov="cluster")),
        "tidy": lambda b: b.fit.tidy(),
        "augment": lambda b: b.held.augment(),
    }


def few_types(corpus):
    """The same text over vowels, other letters and the rest: the test's indicators are quadratic in the parameters."""
    import statlm as slm

    kind = np.array([0 if t.lower() in "aeiou" else 1 if t.isalpha() else 2 for t in corpus.vocabulary.types])
    states = slm.Vocabulary(("vowel", "letter", "other"))
    bounds = zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)
    kinds = np.append(kind, [2] * 4)
    rows = [kinds[corpus.tokens[a:b]] for a, b in bounds]
    return slm.Corpus.from_tokens([row for row in rows if len(row) > 2], vocabulary=states, eos=False, given=2)


def restrictions(bench):
    """That some coefficients are equal."""
    import scipy.sparse as sparse

    p = len(bench.fit.params)
    return sparse.csr_array(([1.0, -1.0, 1.0, -1.0], ([0, 0, 1, 1], [10, 11, 20, 21])), shape=(2, p)).toarray()


def saved(bench):
    with TemporaryDirectory() as folder:
        bench.fit.save(folder + "/fit")
        return bench.slm.load(folder + "/fit")


def measure(bench, verb, out):
    """In a fork: the verb's own memory comes on top of what the models hold."""
    warnings.simplefilter("ignore")
    before = time.process_time()
    try:
        verbs()[verb](bench)
        took, words = time.process_time() - before, ""
    except bench.slm.errors.StatlmError as error:
        took, words = None, f"refused: {type(error).__name__}: {error}"[:120]
    except Exception as error:  # a verb that fails is a finding, and the others go on
        took, words = None, f"FAILED: {type(error).__name__}: {error}"[:120]
    out.put((took, words, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))


def forked(bench, verb, limit):
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    child = context.Process(target=measure, args=(bench, verb, out))
    child.start()
    try:
        return out.get(timeout=limit)
    except queue.Empty:
        child.terminate()
        return None, f"over {limit:g}", float("nan")
    finally:
        child.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--verbs")
    parser.add_argument("--models", default="bigram,softmax")
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    chosen = asked.verbs.split(",") if asked.verbs else list(verbs())
    lines = ["| verb | model | seconds | GiB |", "| --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    for model in asked.models.split(","):
        bench = Bench(model)
        for verb in chosen:
            took, words, peak = forked(bench, verb, asked.limit)
            cell = words if took is None else f"{took:.2f}{' (slow)' if took > SLOW else ''}"
            lines.append(f"| `{verb}` | {model} | {cell} | {peak:.2f}{' (heavy)' if peak > HEAVY else ''} |")
            print(lines[-1], flush=True)
    if asked.output:
        asked.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
