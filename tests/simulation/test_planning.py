"""Mixtures, plans and anytime comparisons keep their promises."""

import numpy as np
import pytest

import statlm as slm
from statlm.comparison.anytime import BURN_IN, _scale, anytime_from
from statlm.inference.perplexity_interval import mean_estimate
from statlm.numerics.e_process import betting, normal_mixture, symmetric

pytestmark = pytest.mark.slow


class Table:
    """Independent tokens with known probabilities, as a model on a corpus."""

    memory = 0

    def __init__(self, p, corpus):
        self.p, self.corpus = np.asarray(p), corpus
        self.specification = f"table {self.p}"

    def logprobs(self, contexts):
        return np.log(np.tile(self.p, (len(contexts), 1)))

    def loglike_obs(self):
        return np.log(self.p)[self.corpus.targets]

    def on(self, corpus):
        return Table(self.p, corpus)


A, B, C = [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.4, 0.1, 0.25]


def texts(letters, p, replicates, seed, documents=40, length=20, concentration=None):
    rng = np.random.default_rng(seed)
    for _ in range(replicates):
        shares = (
            np.tile(p, (documents, 1)) if concentration is None else rng.dirichlet(concentration * np.array(p), documents)
        )
        states = [rng.choice(4, size=length, p=share) for share in shares]
        yield slm.Corpus.from_tokens(states, vocabulary=letters(4))


def test_a_weight_that_is_zero_is_called_zero(letters, measured):
    one, two, score = [], [], []
    for corpus in texts(letters, A, 1000, 1):
        models = {name: Table(p, corpus) for name, p in (("a", A), ("b", B), ("c", C))}
        pair = {k: models[k] for k in "ab"}
        one.append(slm.weight_test(pair, "b", corpus).p_value <= 0.05)
        two.append(slm.weight_test(models, ["b", "c"], corpus).p_value <= 0.05)
        score.append(slm.weight_test(pair, "b", corpus, dependence="cluster").p_value <= 0.05)
    setting = "800 observations from the first model"
    assert measured("`weight_test`, one weight", setting, one, 0.05).near
    assert measured("`weight_test`, two weights", setting, two, 0.05).near
    assert measured("`weight_test`, one weight, `cluster`", setting + ", 40 documents", score, 0.05).near


def test_the_robust_test_of_a_weight_holds_where_documents_differ(letters, measured):
    robust, naive = [], []
    for corpus in texts(letters, A, 600, 2, documents=60, concentration=6):
        pair = {name: Table(p, corpus) for name, p in (("a", A), ("b", B))}
        robust.append(slm.weight_test(pair, "b", corpus, dependence="cluster").p_value <= 0.05)
        naive.append(slm.weight_test(pair, "b", corpus).p_value <= 0.05)
    setting = "60 documents of 20 tokens, each with its own shares around the first model's"
    assert measured("`weight_test`, one weight, `cluster`", setting, robust, 0.05).near
    assert measured("`weight_test`, one weight", setting, naive, 0.05).value > 0.08


def test_intervals_of_a_weight_inside_cover(letters, measured):
    mixed = 0.7 * np.array(A) + 0.3 * np.array(B)
    cover = []
    for corpus in texts(letters, mixed, 600, 3, documents=60, length=40):
        fit = slm.Mixture({"a": Table(A, corpus), "b": Table(B, corpus)}).fit(corpus)
        row = fit.conf_int().iloc[0]
        cover.append(row.conf_low < 0.3 < row.conf_high)
    assert measured("weight of a `Mixture`", "2,400 observations, weight 0.3", cover, 0.95).near


@pytest.mark.parametrize(("documents", "tokens", "icc"), [(12, 200, 0.01), (40, 50, 0.05), (80, 20, 0.0)])
def test_power_is_what_the_plan_says(letters, measured, documents, tokens, icc):
    noise = slm.Pilot(std_a=1.0, std_b=1.0, correlation=0.9, icc=icc, tokens=tokens)
    effect = slm.plan(noise, documents=documents, tokens=tokens, power=0.7).effect
    rng = np.random.default_rng(4)
    corpus = slm.Corpus.from_tokens([[0] * tokens] * documents, vocabulary=letters(2))
    rejected = []
    for _ in range(2000):
        own = rng.normal(0, np.sqrt(icc), documents)[:, None] + rng.normal(0, np.sqrt(1 - icc), (documents, tokens))
        x = np.log1p(effect) + noise.std_difference * own.ravel()
        rejected.append(mean_estimate(x, corpus, slm.Clustered()).p_value <= 0.05)
    setting = f"{documents} documents of {tokens} tokens, intra-class correlation {icc:g}"
    assert abs(measured("`plan`, power", setting, rejected, 0.7).value - 0.7) < 0.03


SCALE = _scale(50, 0.05)
NULLS = {
    "betting": [
        ("three-valued, skewed", lambda rng, n: rng.choice([-0.1, 0.0, 0.9], size=n, p=[0.45, 0.5, 0.05])),
        ("uniform of changing width", lambda rng, n: rng.uniform(-1, 1, n) * np.where(np.arange(n) % 50 < 25, 0.05, 1.0)),
    ],
    "symmetric": [
        ("Student's t, 2 degrees of freedom", lambda rng, n: rng.standard_t(2, n)),
        ("normal of growing variance", lambda rng, n: rng.normal(size=n) * np.sqrt(1 + np.arange(n))),
    ],
    "normal": [
        ("normal", lambda rng, n: rng.normal(size=n)),
        ("exponential, centred", lambda rng, n: rng.exponential(size=n) - 1),
    ],
}


@pytest.mark.parametrize("method", ["betting", "symmetric", "normal"])
@pytest.mark.parametrize("which", [0, 1])
def test_looking_after_every_document_does_not_inflate_the_error(measured, method, which):
    """Stopping at the first rejection, of 500 documents: the most optional stopping there is."""
    name, draw = NULLS[method][which]
    rng = np.random.default_rng(5)
    crossed, fixed = [], []
    for _ in range(2000):
        x = draw(rng, 500)
        if method == "betting":
            e = betting(x, np.zeros(1), 1.0)[:, 0]
        elif method == "symmetric":
            e = symmetric(x, np.zeros(1), SCALE)[:, 0]
        else:
            e = normal_mixture(x, np.zeros(1), SCALE)[BURN_IN - 1 :, 0]
        crossed.append(e.max() >= 20)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = np.cumsum(x) / np.sqrt(np.cumsum(x**2))
        fixed.append((np.abs(z[9::10]) > 1.96).any())
    rate = measured(f"`anytime_test`, {method}", f"500 documents, every one looked at; {name}", crossed, 0.05)
    assert rate.value <= (0.1 if "exponential" in name else 0.05 + 3.3 * rate.error)
    assert np.mean(fixed) > 0.15  # what a fixed-sample test does when it is looked at every 10 documents


@pytest.mark.parametrize("method", ["betting", "symmetric", "normal"])
def test_confidence_sequences_cover_at_all_times(measured, method):
    rng = np.random.default_rng(6)
    cover = []
    for _ in range(150):
        x = 0.1 + 0.2 * (rng.beta(2, 2, 150) - 0.5)
        table = anytime_from(x, method=method, bound=1.0).table
        cover.append(bool(((table.conf_low <= 0.1) & (table.conf_high >= 0.1)).all()))
    assert measured(f"`anytime_test`, {method}, confidence sequence", "150 documents, at all of them", cover, 0.95).not_below
