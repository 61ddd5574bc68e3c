"""Diagnostics have their size, cover, and see what is wrong: on data drawn from a model, and on text whose documents differ."""

import numpy as np
import pytest

import statlm as slm
from statlm.diagnostics.events import event_of

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
CHAIN = RNG.dirichlet(np.full(4, 1.5), size=4)


class Table:
    """A first-order chain with known probabilities, as a model on a corpus."""

    memory = 1

    def __init__(self, chain, corpus):
        self.chain, self.corpus = np.asarray(chain), corpus

    def logprobs(self, contexts):
        if np.shape(contexts)[1] == 0:
            return np.log(np.tile(self.chain[0], (len(contexts), 1)))
        last = np.asarray(contexts)[:, -1]
        return np.log(self.chain[np.where(last < len(self.chain), last, 0)])

    def loglike_obs(self):
        rows = self.logprobs(self.corpus.contexts(1))
        return rows[np.arange(len(rows)), self.corpus.targets]

    def on(self, corpus):
        return Table(self.chain, corpus)


def corpus_of(states, letters):
    return slm.Corpus.from_tokens(list(states), vocabulary=letters(len(CHAIN)), given=1)


def drawn(chains, letters, seed, replicates, documents, length, concentration=None):
    """Corpora from the chain, or from chains around it, one for each document."""
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        if concentration is None:
            matrices = np.tile(CHAIN, (documents, 1, 1))
        else:
            matrices = rng.gamma(concentration * np.tile(CHAIN, (documents, 1, 1))) + 1e-12
            matrices /= matrices.sum(axis=2, keepdims=True)
        yield corpus_of(chains(matrices, length, rng), letters)


def test_temperature_has_its_size_under_the_truth_and_sees_a_sharpened_model(chains, letters, measured):
    true, sharp = CHAIN, CHAIN**1.3 / (CHAIN**1.3).sum(axis=1, keepdims=True)
    size, robust, power, cover = [], [], [], []
    for corpus in drawn(chains, letters, 1, 1000, 30, 30):
        found = slm.temperature_test(Table(true, corpus))
        size.append(found.p_value <= 0.05)
        robust.append(found.robust_p_value <= 0.05)
        power.append(slm.temperature_test(Table(sharp, corpus)).p_value <= 0.05)
        cover.append(found.conf_int.low < 1 < found.conf_int.high)
    setting = "4 states, 870 observations drawn from the model"
    assert measured("`temperature_test`, likelihood ratio", setting, size, 0.05).near
    assert measured("`temperature_test`, robust", setting + ", 30 documents", robust, 0.05).near
    assert measured("temperature, interval", setting, cover, 0.95).near
    assert np.mean(power) > 0.9


def test_the_error_of_a_temperature_is_clustered_where_documents_differ(chains, letters, measured):
    """The best temperature on average over documents is found by a long text; its interval covers it."""
    (long,) = drawn(chains, letters, 2, 1, 4000, 60, concentration=4)
    best = slm.temperature_test(Table(CHAIN, long)).temperature
    hits, naive = [], []
    for corpus in drawn(chains, letters, 3, 600, 40, 60, concentration=4):
        for dependence, into in (("cluster", hits), ("iid", naive)):
            low, high = slm.temperature_test(Table(CHAIN, corpus), dependence=dependence).conf_int
            into.append(low < best < high)
    setting = "4 states, 40 documents of 60 tokens, each with its own chain"
    assert measured("temperature, interval, `cluster`", setting, hits, 0.95).not_below
    measured("temperature, interval, `iid`", setting, naive, 0.95)


def test_bands_and_errors_of_calibration_cover(chains, letters, measured):
    bands, errors, errors_calibrated = [], [], []
    wrong = CHAIN**1.3 / (CHAIN**1.3).sum(axis=1, keepdims=True)
    (long,) = drawn(chains, letters, 4, 1, 20_000, 60, concentration=8)
    truth = event_of(Table(wrong, long), "a")
    p_long, y_long = truth.probability, truth.happened
    share = {p: (y_long[p_long == p].mean(), np.mean(p_long == p)) for p in np.unique(p_long)}
    expected = sum(weight * abs(p - f) for p, (f, weight) in share.items())
    for corpus in drawn(chains, letters, 5, 600, 40, 60, concentration=8):
        found = slm.calibration(Table(wrong, corpus), "a", bins=100, strategy="uniform")
        assert len(found.table) == 4  # a bin for each row of the chain
        rows = found.table.sort_values("forecast")
        true = np.array([share[min(share, key=lambda p, q=q: abs(p - q))][0] for q in rows.forecast])
        bands.append(bool(((rows.conf_low < true) & (true < rows.conf_high)).all()))
        errors.append(found.error_interval.low <= expected <= found.error_interval.high)
    for corpus in drawn(chains, letters, 6, 600, 40, 60):
        errors_calibrated.append(slm.calibration(Table(CHAIN, corpus), "a").error_interval.low == 0)
    setting = "4 states, 40 documents of 60 tokens, each with its own chain"
    assert measured("`calibration`, all bands at once", setting, bands, 0.95).not_below
    assert measured("expected calibration error, interval", setting + "; a sharpened model", errors, 0.95).not_below
    assert measured(
        "expected calibration error, interval", "4 states, drawn from the model", errors_calibrated, 0.95
    ).not_below


def test_debiasing_takes_a_part_of_the_bias_away(chains, letters):
    found = [slm.calibration(Table(CHAIN, c), "a", dependence="iid") for c in drawn(chains, letters, 7, 300, 20, 30)]
    plain, debiased = np.mean([f.error for f in found]), np.mean([f.error_debiased for f in found])
    assert plain > 0.01
    assert debiased < 0.65 * plain


def test_hosmer_and_lemeshow_have_their_size(chains, letters, measured):
    model, robust = [], []
    for corpus in drawn(chains, letters, 8, 1000, 40, 30):
        model.append(slm.hosmer_lemeshow(Table(CHAIN, corpus)).p_value <= 0.05)
        robust.append(slm.hosmer_lemeshow(Table(CHAIN, corpus), dependence="cluster").p_value <= 0.05)
    setting = "4 states, 40 documents of 29 observations, drawn from the model"
    assert measured("`hosmer_lemeshow`", setting, model, 0.05).near
    assert measured("`hosmer_lemeshow`, `cluster`", setting, robust, 0.05).near


def test_residuals_are_uniform_and_independent_under_the_truth(chains, letters, measured):
    rejected = []
    for i, corpus in enumerate(drawn(chains, letters, 9, 1000, 20, 40)):
        table = slm.residual_tests(slm.quantile_residuals(Table(CHAIN, corpus), seed=i), lags=10)
        rejected.append((table.p_value <= 0.05).tolist())
    for k, name in enumerate(("uniform", "Ljung-Box", "documents")):
        setting = "4 states, 20 documents of 39 observations, drawn from the model"
        assert measured(f"`residual_tests`, {name}", setting, np.array(rejected)[:, k], 0.05).near


@pytest.mark.parametrize(("score", "randomise"), [("lac", False), ("aps", True)])
def test_prediction_sets_cover_a_token_of_a_new_document(chains, letters, measured, score, randomise):
    rng = np.random.default_rng(10)
    hits, pooled = [], []
    for i, corpus in enumerate(drawn(chains, letters, 11, 1500, 21, 40, concentration=1)):
        one = Table(CHAIN, corpus.subset(range(20)))
        new = corpus.subset([20])
        at = int(rng.integers(new.nobs))
        for by, into in (("document", hits), ("token", pooled)):
            sets = slm.conformal_sets(one, 0.8, score=score, by=by, randomise=randomise, seed=2 * i)
            rows = one.on(new).logprobs(new.contexts(1)[[at]])
            into.append(bool(sets.members(rows, rng.random(1))[0, new.targets[at]]))
    setting = "4 states, 20 documents of 39 observations, each with its own chain; a far model"
    rate = measured(f"`conformal_sets`, {score}", setting, hits, 0.8)
    assert rate.not_below
    assert rate.value < 0.8 + 1 / 21 + 0.06
    measured(f"`conformal_sets`, {score}, by token", setting, pooled, 0.8)


def test_a_contrast_over_clustered_contexts_has_its_size(measured, letters):
    """Templates have effects of their own on how much more probable a is than b."""
    rng = np.random.default_rng(12)
    templates, fillers = 15, 8
    vocabulary = slm.Vocabulary(tuple(["a", "b", *map(str, range(templates * fillers))]), with_eos=False)
    clustered, naive = [], []
    labels = np.repeat(np.arange(templates), fillers)
    contexts = [[str(i)] for i in range(templates * fillers)]
    for _ in range(600):
        effect = rng.normal(0, 0.5, templates)[labels] + rng.normal(0, 0.5, len(labels))
        chain = np.full((len(labels) + 2, len(labels) + 2), 0.5 / (len(labels)))
        chain[2:, 0] = 0.5 / (1 + np.exp(-effect))
        chain[2:, 1] = 0.5 - chain[2:, 0]
        chain[:2, :2] = 0.25
        start = slm.Corpus.from_tokens([["a", "b"]], vocabulary=vocabulary)
        model = Table(chain, start)
        clustered.append(slm.contrast(model, contexts, ["a"], ["b"], scale="log", clusters=labels).p_value <= 0.05)
        naive.append(slm.contrast(model, contexts, ["a"], ["b"], scale="log").p_value <= 0.05)
    assert measured("`contrast`", "15 templates of 8 contexts, with effects of templates", clustered, 0.05).near
    measured("`contrast`, clusters left out", "15 templates of 8 contexts, with effects of templates", naive, 0.05)


def test_memorisation_has_its_size_for_documents_that_differ(chains, letters, measured):
    other = CHAIN**0.5 / (CHAIN**0.5).sum(axis=1, keepdims=True)
    p = []
    for corpus in drawn(chains, letters, 13, 1000, 40, 40, concentration=3):
        model, reference = Table(CHAIN, corpus), Table(other, corpus)
        p.append(slm.memorisation(model, reference, corpus.subset([39]), corpus.subset(range(39))).p_value[0])
    setting = "39 null documents of 39 observations, each with its own chain"
    assert measured("`memorisation`", setting, np.array(p) <= 0.05 + 1e-9, 0.05).near


def test_groups_that_are_alike_are_called_alike(chains, letters, measured):
    rejected, cover, few = [], [], []
    by = np.repeat(["p", "q", "r", "s"], 10)
    (long,) = drawn(chains, letters, 14, 1, 5000, 60, concentration=4)
    mean = -Table(CHAIN, long).loglike_obs().mean()
    for corpus in drawn(chains, letters, 15, 1000, 40, 60, concentration=4):
        table = slm.group_loss(Table(CHAIN, corpus), by)
        rejected.append(table.attrs["test"].p_value <= 0.05)
        cover.append(bool(((table.conf_low < mean) & (mean < table.conf_high)).all()))
        few.append(slm.group_loss(Table(CHAIN, corpus), by, dependence="iid").attrs["test"].p_value <= 0.05)
    setting = "4 groups of 10 documents of 59 observations, each with its own chain"
    assert measured("`group_loss`, homogeneity", setting, rejected, 0.05).near
    assert measured("`group_loss`, all intervals at once", setting, cover, 0.95).near
    measured("`group_loss`, homogeneity, `iid`", setting, few, 0.05)


class Losses:
    """A model of which only the losses matter, one token a document."""

    memory = 0

    def __init__(self, losses, corpus):
        self.losses, self.corpus = losses, corpus

    def loglike_obs(self):
        return -self.losses


@pytest.mark.parametrize("shape", ["normal", "skewed"])
@pytest.mark.parametrize("scores", ["ranks", "standardised"])
@pytest.mark.parametrize("baseline", [15, 40])
def test_an_alarm_is_false_as_often_as_it_says(measured, letters, shape, scores, baseline):
    rng = np.random.default_rng(16)
    horizon = 40
    corpus = slm.Corpus.from_tokens([["a"]] * (baseline + horizon), vocabulary=letters(2))
    alarms = []
    for i in range(500):
        x = rng.normal(2, 0.3, baseline + horizon) if shape == "normal" else rng.gamma(6, 0.3, baseline + horizon)
        found = slm.drift_alarm(Losses(x, corpus), baseline, scores=scores, replicates=399, seed=i)
        alarms.append(found.alarm is not None)
    setting = f"{baseline} documents in control, 40 monitored, {shape} losses"
    rate = measured(f"`drift_alarm`, {scores}", setting, alarms, 0.05)
    if shape == "normal" or scores == "ranks":
        assert rate.near
    else:
        assert rate.value > 0.1  # why ranks are the default
