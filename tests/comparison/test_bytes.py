"""Bits a byte compare models across tokenizers: the ratio of sums, paired by document, on the same text only."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import statlm as slm
from statlm.comparison.bytes import document_bytes
from statlm.errors import CorpusError, NoEstimate, NotComparable, SpecificationError, TooFewClusters

WORDS = ["to", "be", "or", "not", "do", "is", "Ação", "that", "the", "question"]


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(1)
    return [" ".join(rng.choice(WORDS, size=rng.integers(20, 60))) for _ in range(40)]


@pytest.fixture(scope="module")
def held(texts):
    """Each model on its own corpus of the last ten texts."""
    result = {}
    for name, tokenizer in (("characters", "char"), ("pairs", slm.BytePairs(300)), ("words", "word")):
        train = slm.Corpus.from_texts(texts[:30], tokenizer, eos=True)
        test = slm.Corpus.from_texts(texts[30:], vocabulary=train.vocabulary, eos=True)
        result[name] = slm.NGram(2, pseudo_count=0.1).fit(train).on(test)
    return result


def test_bits_a_byte_are_those_of_each_model_alone(held):
    table = slm.compare_bytes(held).set_index("model")
    for name, model in held.items():
        assert_allclose(table.bits_per_byte[name], model.bits_per_byte, rtol=1e-12)
        assert table.nobs[name] == model.nobs
    assert table.bytes.nunique() == 1
    assert table.bits_per_byte.is_monotonic_increasing


def test_differences_are_a_regression_through_the_origin_on_bytes(held, texts):
    """The ratio of sums weights documents by bytes; its error is that of the cluster-robust mean."""
    table = slm.compare_bytes(held)
    best = table.model[0]
    nbytes = np.array([len(text.encode()) for text in texts[30:]])
    sums = {
        name: -np.bincount(model.corpus.document_index, weights=model.loglike_obs()) / np.log(2)
        for name, model in held.items()
    }
    for row in table.itertuples():
        if row.model == best:
            assert row.difference == 0
            continue
        d = sums[row.model] - sums[best]
        ratio = d.sum() / nbytes.sum()
        error = np.sqrt(10 / 9 * ((d - ratio * nbytes) ** 2).sum()) / nbytes.sum()
        assert_allclose([row.difference, row.std_error], [ratio, error], rtol=1e-12)
        assert_allclose(row.p_value, 2 * stats.t.sf(abs(ratio / error), 9), rtol=1e-9)


def test_one_tokenizer_agrees_with_the_paired_test_in_its_unit(texts):
    """With documents as clusters and one-byte characters, bits a byte are nats a token in another unit."""
    corpus = slm.Corpus.from_texts([text.replace("Ação", "act") for text in texts], eos=False)
    a, b = (slm.NGram(n, pseudo_count=1.0).fit(corpus) for n in (2, 1))
    table = slm.compare_bytes({"a": a, "b": b})
    test = slm.paired_test(a, b, dependence="cluster")
    assert_allclose(table.difference[1], test.difference / np.log(2), rtol=1e-9)
    assert_allclose(table.std_error[1], test.std_error / np.log(2), rtol=1e-9)
    assert_allclose(table.p_value[1], test.p_value, rtol=1e-6)


def test_given_text_is_not_counted(texts):
    corpus = slm.Corpus.from_texts(texts[:3], given=5)
    assert document_bytes(corpus).tolist() == [len(text[5:].encode()) for text in texts[:3]]


def test_what_a_tokenizer_loses_is_said(texts):
    spaced = [text.replace(" ", "  ") for text in texts]
    models = {
        name: slm.NGram(1, pseudo_count=0.1).fit(slm.Corpus.from_texts(spaced, tokenizer, eos=True))
        for name, tokenizer in (("characters", "char"), ("words", "word"))
    }
    notes = slm.compare_bytes(models).attrs["notes"]
    assert "documents as clusters, Student's t with 39 degrees of freedom" in notes[0]
    assert [note.partition(":")[0] for note in notes[1:]] == ["words"]
    assert "cannot be put together again" in notes[1]


def test_unknown_tokens_are_refused_or_spelled(texts):
    train = slm.Corpus.from_texts(texts[:30], eos=True, unk=True)
    new = [*texts[30:39], texts[39] + " ßé"]
    test = slm.Corpus.from_texts(new, vocabulary=train.vocabulary, eos=True)
    model = slm.NGram(2, pseudo_count=0.1).fit(train).on(test)
    with pytest.raises(CorpusError, match=r"2 of the .* tokens of 'a' are <unk>.*unknown='spell'"):
        slm.compare_bytes({"a": model})
    table = slm.compare_bytes({"a": model}, unknown="spell")
    bits = -model.loglike_obs().sum() / np.log(2) + 8 * len("ßé".encode())
    assert_allclose(table.bits_per_byte[0], bits / test.nbytes, rtol=1e-12)
    assert "2 of" in table.attrs["notes"][1]
    assert "charged 8 bits a byte" in table.attrs["notes"][1]


def test_impossible_tokens_make_infinite_bits(held, texts):
    train = slm.Corpus.from_texts(texts[:30], eos=True)
    test = slm.Corpus.from_texts(texts[30:], vocabulary=train.vocabulary, eos=True)
    sharp = slm.NGram(6).fit(train).on(test)
    table = slm.compare_bytes({"sharp": sharp, **held})
    assert table.model.iloc[-1] == "sharp"
    assert np.isinf(table.bits_per_byte.iloc[-1])
    assert np.isinf(table.difference.iloc[-1])
    assert table.impossible.iloc[-1] > 0
    assert np.isnan(table.p_value.iloc[-1])


# --- what is not the same text ------------------------------------------------------------------------------------------


def fitted(texts, tokenizer="char", **settings):
    return slm.NGram(1, pseudo_count=0.1).fit(slm.Corpus.from_texts(texts, tokenizer, **settings))


def test_other_texts_are_refused(texts):
    one = fitted(texts[:12])
    with pytest.raises(NotComparable, match=r"'a' stands on 12 documents and 'b' on 11"):
        slm.compare_bytes({"a": one, "b": fitted(texts[:11], "word")})
    with pytest.raises(NotComparable, match=r"2 of 12 documents differ in bytes \(first document 0"):
        slm.compare_bytes({"a": one, "b": fitted([texts[1] + "!", texts[0], *texts[2:12]], slm.BytePairs(300))})
    swapped = [texts[0].replace("to", "ot"), *texts[1:12]]
    with pytest.raises(NotComparable, match=r"document 0 has [\d,]+ bytes in both, and other characters"):
        slm.compare_bytes({"a": one, "b": fitted(swapped, slm.BytePairs(300))})
    with pytest.raises(NotComparable, match=r"'b' predicts where documents end and 'a' does not"):
        slm.compare_bytes({"a": fitted(texts[:12], eos=False), "b": fitted(texts[:12], slm.BytePairs(300), eos=True)})


def test_tokens_without_text_have_no_bytes():
    chain = slm.datasets.markov(documents=12).corpus
    with pytest.raises(CorpusError, match="made of tokens and not of text"):
        slm.compare_bytes({"chain": slm.NGram(1, pseudo_count=1).fit(chain)})


def test_one_document_has_no_error(texts):
    with pytest.raises(TooFewClusters, match="1 document"):
        slm.compare_bytes({"a": fitted(texts[:1])})


def test_documents_that_are_copies_have_none_either():
    with pytest.raises(NoEstimate, match="without variation"):
        slm.compare_bytes({"a": fitted(["abab"] * 12)})


def test_settings_that_make_no_sense_are_refused(held):
    with pytest.raises(SpecificationError, match="unknown='skip'"):
        slm.compare_bytes(held, unknown="skip")
    with pytest.raises(SpecificationError, match="level=95"):
        slm.compare_bytes(held, level=95)


def test_compare_points_to_it(held):
    with pytest.raises(NotComparable, match="compare_bytes"):
        slm.compare(held)


def test_how_bounded_contexts_are_read_is_said():
    pytest.importorskip("torch")
    texts = ["to be or not to be, that is the question", "to do is to be and to be is to do"] * 6
    characters, pairs = slm.Corpus.from_texts(texts), slm.Corpus.from_texts(texts, slm.BytePairs(270))
    decoder = slm.TransformerDecoder(layers=1, heads=1, width=4, context=16, steps=2, batch=128).fit(characters)
    table = slm.compare_bytes({"decoder": decoder, "bigram": slm.NGram(2, pseudo_count=0.1).fit(pairs)})
    said = [note for note in table.attrs["notes"] if "windows of 16 that advance by" in note]
    assert len(said) == 1
    assert said[0].startswith("decoder: documents longer than 16 tokens")
