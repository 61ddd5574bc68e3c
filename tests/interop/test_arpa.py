"""ARPA files: what is written is read again, KenLM's are read as KenLM reads them, and damage is named with its line."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import CorpusError, DamagedFile, NoEstimate, SpecificationError
from statlm.interop import arpa
from statlm.testing import check_predictive

REFERENCE = Path(__file__).parents[1] / "reference" / "kenlm"
TEXT = ["the cat sat on the mat", "the dog sat on the cat", "a dog and a cat", "the mat"]

SMALL = """\
comment before the data
\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1\t<unk>\t0
-99\t<s>\t-0.30103
-0.60206\t</s>\t0
-0.30103\ta\t-0.1
-0.69897\tb\t-0.2

\\2-grams:
-0.2\t<s> a\t-0.05
-0.4\ta b\t0
-0.1\tb </s>\t0

\\3-grams:
-0.3\t<s> a b

\\end\\
"""


@pytest.fixture(scope="module")
def fit():
    return slm.NGram(3, smoothing="modified-kneser-ney").fit(slm.Corpus.from_texts(TEXT, "word", unk=True))


def damaged(tmp_path, old, new):
    assert old in SMALL
    path = tmp_path / "small.arpa"
    path.write_text(SMALL.replace(old, new, 1))
    return path


@pytest.mark.parametrize("name", ["model.arpa", "model.arpa.gz"])
@pytest.mark.parametrize("smoothing", ["modified-kneser-ney", "katz", "jelinek-mercer", "witten-bell"])
def test_what_is_written_is_read_again(tmp_path, name, smoothing):
    fit = slm.NGram(3, smoothing=smoothing).fit(slm.Corpus.from_texts(TEXT, "word", unk=True))
    arpa.write(fit, tmp_path / name)
    model = arpa.read(tmp_path / name)
    assert model.n == 3
    sentences = [text.split() for text in [*TEXT, "the unheard cat", "dog"]]
    held = slm.Corpus.from_tokens(sentences, vocabulary=model.vocabulary)
    own = slm.Corpus.from_texts([" ".join(s) for s in sentences], vocabulary=fit.corpus.vocabulary)
    assert_allclose(model.on(held).loglike_obs(), fit.on(own).loglike_obs(), atol=1e-7)
    assert not list(tmp_path.glob(".*"))


def test_a_model_that_was_read_obeys_the_contract_and_can_be_written(tmp_path, fit):
    arpa.write(fit, tmp_path / "one.arpa")
    model = arpa.read(tmp_path / "one.arpa")
    held = slm.Corpus.from_tokens([text.split() for text in TEXT], vocabulary=model.vocabulary)
    # Nine digits are written: rows sum to one to about as many.
    assert_allclose(np.exp(model.logprobs(held.contexts(2))).sum(1), 1, atol=1e-7)
    arpa.write(model, tmp_path / "two.arpa")
    again = arpa.read(tmp_path / "two.arpa")
    assert_allclose(again.on(held).loglike_obs(), model.on(held).loglike_obs(), atol=1e-7)
    with pytest.raises(CorpusError, match="another vocabulary"):
        model.on(slm.Corpus.from_text("abc"))
    with pytest.raises(NoEstimate, match="holds no text"):
        model.loglike_obs()


def test_the_conventions_of_kenlm(tmp_path):
    path = tmp_path / "small.arpa"
    path.write_text(SMALL)
    model = arpa.read(path)
    held = slm.Corpus.from_tokens([["a", "b"], ["b", "zzz"]], vocabulary=model.vocabulary)
    log10 = model.on(held).loglike_obs() / np.log(10)
    # <s> a | <s> a b | b </s>, and for the second: <s> backs off to b, b backs off to <unk>, <unk> to </s>
    assert_allclose(log10, [-0.2, -0.3, -0.1, -0.30103 - 0.69897, -0.2 - 1, -0.60206], atol=1e-12)


def test_kenlms_scores_from_a_file_that_was_written(tmp_path):
    figures = json.loads((REFERENCE / "figures.json").read_text())["words-3"]
    with gzip.open(REFERENCE / "text.json.gz") as file:
        train, test = ([line.split() for line in lines] for lines in json.load(file)["words"])
    corpus = slm.Corpus.from_tokens(train, eos=True, unk=True)
    arpa.write(slm.NGram(3, smoothing="modified-kneser-ney").fit(corpus), tmp_path / "k.arpa.gz")
    model = arpa.read(tmp_path / "k.arpa.gz")
    scores = model.on(slm.Corpus.from_tokens(test, vocabulary=model.vocabulary)).loglike_obs() / np.log(10)
    theirs = np.concatenate(figures["sentences"])
    assert_allclose(scores[: len(theirs)], theirs, atol=1e-6, rtol=0)


def test_pruned_suffixes_and_contexts_back_off(tmp_path):
    pruned = SMALL.replace("ngram 2=3", "ngram 2=2").replace("-0.4\ta b\t0\n", "")
    (tmp_path / "pruned.arpa").write_text(pruned)
    model = arpa.read(tmp_path / "pruned.arpa")
    held = slm.Corpus.from_tokens([["a", "b"], ["b", "a", "b"]], vocabulary=model.vocabulary)
    log10 = model.on(held).loglike_obs() / np.log(10)
    assert_allclose(log10[1], -0.3, atol=1e-12)
    assert_allclose(log10[5], -0.1 - 0.69897, atol=1e-12)  # a backs off to b


def test_the_digits_of_a_file_are_too_few_for_the_contract(tmp_path):
    corpus = slm.Corpus.from_texts(TEXT, "word", unk=True)
    arpa.write(slm.NGram(2, smoothing="witten-bell").fit(corpus), tmp_path / "w.arpa")
    model = arpa.read(tmp_path / "w.arpa")
    # Nine digits: rows sum to one to about 1e-8, and the contract asks for 1e-10.
    with pytest.raises(AssertionError, match="probabilities sum to 1"):
        check_predictive(model.on(slm.Corpus.from_tokens([t.split() for t in TEXT], vocabulary=model.vocabulary)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\end\\\n", "", r"line 21: the file ends without \\end\\: it was cut short"),
        ("\\data\\\n", "", r"line 6: found .*1-grams:' before \\data"),
        ("ngram 2=3", "ngram 2=three", r"line 4: expected 'ngram 2=' and a count"),
        ("ngram 2=3", "ngram 2=4", r"line 18: expected a log10 probability"),
        ("-0.4\ta b\t0", "-0.4\ta\t0", r"line 16: expected 2 tokens separated by single spaces, found 'a'"),
        ("-0.4\ta b", "x\ta b", r"line 16: expected a log10 probability, 2 tokens"),
        ("-0.4\ta b", "0.4\ta b", r"line 16: 0.4 with back-off 0 is no probability"),
        ("-0.4\ta b", "nan\ta b", r"line 16: nan with back-off 0"),
        ("a b\t0", "a c\t0", r"one of the 2-grams above holds 'c', which is not among the 1-grams"),
        ("\ta\t-0.1", "\tb\t-0.1", r"the 1-gram 'b' stands twice"),
        ("</s>\t0\n", "<e>\t0\n", r"there is no </s>"),
        ("\\3-grams:", "\\4-grams:", r"line 19: expected \\3-grams:"),
        ("\\end\\", "-1\ta a a", r"line 22: expected \\end\\ after the 3-grams"),
        ("\\2-grams:\n", "", r"line 14: expected \\2-grams:"),
    ],
)
def test_malformed_files_are_refused_with_their_line(tmp_path, old, new, message):
    with pytest.raises(DamagedFile, match=message):
        arpa.read(damaged(tmp_path, old, new))


@pytest.mark.parametrize("keep", range(0, len(SMALL.splitlines()) - 1))
def test_a_file_cut_at_any_line_is_refused(tmp_path, keep):
    path = tmp_path / "cut.arpa"
    path.write_text("\n".join(SMALL.splitlines()[:keep]))
    with pytest.raises(DamagedFile):
        arpa.read(path)


def test_cut_compressed_files_binary_files_and_missing_files_are_refused(tmp_path, fit):
    arpa.write(fit, tmp_path / "m.arpa.gz")
    data = (tmp_path / "m.arpa.gz").read_bytes()
    (tmp_path / "cut.arpa.gz").write_bytes(data[:-40])
    with pytest.raises(DamagedFile, match="was cut short or changed"):
        arpa.read(tmp_path / "cut.arpa.gz")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DamagedFile, match="is not UTF-8 text"):
        arpa.read(tmp_path / "binary")
    with pytest.raises(DamagedFile, match="cannot be read"):
        arpa.read(tmp_path / "nothing")


def test_what_the_format_cannot_hold_is_refused(tmp_path, fit):
    characters = slm.NGram(2, smoothing="katz").fit(slm.Corpus.from_texts(["a b", "b a"]))
    with pytest.raises(SpecificationError, match="The type ' ' cannot stand in an ARPA file"):
        arpa.write(characters, tmp_path / "c.arpa")
    arpa.write(characters, tmp_path / "c.arpa", rename={" ": "_"})
    assert "_" in arpa.read(tmp_path / "c.arpa").vocabulary.types
    with pytest.raises(SpecificationError, match="gives two types the same name"):
        arpa.write(characters, tmp_path / "c.arpa", rename={" ": "a"})
    with pytest.raises(SpecificationError, match="has no back-off weights"):
        arpa.write(slm.NGram(2).fit(fit.corpus), tmp_path / "c.arpa")
    with pytest.raises(SpecificationError, match="has no ends of documents"):
        arpa.write(slm.NGram(2, smoothing="katz").fit(slm.Corpus.from_text("abab")), tmp_path / "c.arpa")


def test_what_is_written_here_scores_the_same_in_kenlm(tmp_path):
    kenlm = pytest.importorskip("kenlm", reason="KenLM's Python package is not installed")
    sentences = ["the cat sat on the mat", "the dog sat on the log", "a cat saw the dog", "the log lay on the mat"] * 3
    train = slm.Corpus.from_texts(sentences, slm.Words(punctuation="attached"), eos=True, unk=True)
    held = ["the cat saw a zebra", "a dog lay on the cat"]
    model = slm.NGram(3, smoothing="modified-kneser-ney").fit(train)
    arpa.write(model, tmp_path / "model.arpa")
    theirs = [score for text in held for score, *_ in kenlm.Model(str(tmp_path / "model.arpa")).full_scores(text)]
    ours = model.on(slm.Corpus.from_texts(held, vocabulary=train.vocabulary)).loglike_obs() / np.log(10)
    assert_allclose(ours, theirs, atol=1e-5)
