"""Saving and loading: the same numbers, whole or not at all, and nothing executed."""

import json
import os

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import statlm as slm
from statlm.errors import DamagedFile, SpecificationError

TEXTS = ["São João", "ação e reação", "coração", "não há pão"]
SPECIFICATIONS = [
    slm.NGram(1),
    slm.NGram(3),
    slm.NGram(2, pseudo_count=0.5),
    slm.NGram(3, smoothing="modified-kneser-ney"),
    slm.SoftmaxRegression(2),
    slm.SoftmaxRegression(1, penalty="ridge", strength=0.5),
]


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(TEXTS)


@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=str)
def test_a_loaded_fit_gives_the_same_numbers(specification, corpus, tmp_path):
    fit = specification.fit(corpus)
    fit.save(tmp_path / "fit")
    again = slm.load(tmp_path / "fit")
    assert again.specification == specification
    assert again.corpus.fingerprint == fit.corpus.fingerprint
    assert_array_equal(again.loglike_obs(), fit.loglike_obs())
    other = slm.Corpus.from_texts(["pão de ló", "João"], vocabulary=again.corpus.vocabulary)
    assert_array_equal(again.on(other).loglike_obs(), fit.on(other).loglike_obs())


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_the_tokenizer_is_saved_too(tokenizer, tmp_path):
    fit = slm.NGram(1).fit(slm.Corpus.from_texts(TEXTS, tokenizer))
    fit.save(tmp_path / "fit")
    again = slm.load(tmp_path / "fit")
    text = "não é <eos> São"
    assert_array_equal(again.corpus.vocabulary.encode(text).ids, fit.corpus.vocabulary.encode(text).ids)
    assert again.corpus.nbytes == fit.corpus.nbytes


def test_standard_errors_survive(corpus, tmp_path):
    fit = slm.NGram(2).fit(corpus)
    fit.save(tmp_path / "fit")
    assert_array_equal(slm.load(tmp_path / "fit").std_errors(), fit.std_errors())


def test_a_later_save_replaces_an_older_one(corpus, tmp_path):
    slm.NGram(2).fit(corpus).save(tmp_path / "fit")
    slm.NGram(1).fit(corpus).save(tmp_path / "fit")
    assert slm.load(tmp_path / "fit").specification == slm.NGram(1)
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


def test_an_interrupted_save_leaves_the_older_fit(corpus, tmp_path, monkeypatch):
    slm.NGram(2).fit(corpus).save(tmp_path / "fit")
    real = os.replace

    def fail(source, target):
        if str(source).endswith("new"):
            raise OSError("disk full")
        real(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        slm.NGram(1).fit(corpus).save(tmp_path / "fit")
    monkeypatch.undo()
    assert slm.load(tmp_path / "fit").specification == slm.NGram(2)
    assert [path.name for path in tmp_path.iterdir()] == ["fit"]


def test_another_folder_is_not_overwritten(corpus, tmp_path):
    (tmp_path / "thesis.tex").write_text("chapter 1")
    with pytest.raises(SpecificationError, match="holds something else than a saved fit"):
        slm.NGram(1).fit(corpus).save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "chapter 1"


def test_damage_is_noticed(corpus, tmp_path):
    slm.NGram(2).fit(corpus).save(tmp_path / "fit")
    arrays = tmp_path / "fit" / "arrays.safetensors"
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-8])
    with pytest.raises(DamagedFile, match="does not match its checksum"):
        slm.load(tmp_path / "fit")
    arrays.unlink()
    with pytest.raises(DamagedFile, match=r"arrays.safetensors is missing"):
        slm.load(tmp_path / "fit")
    arrays.write_bytes(whole)
    (tmp_path / "fit" / "fit.json").write_text("{")
    with pytest.raises(DamagedFile, match="holds a damaged fit"):
        slm.load(tmp_path / "fit")
    with pytest.raises(DamagedFile, match="is not a saved fit"):
        slm.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model", "os.system", "holds a model of kind 'os.system'"),
        ("format", 99, "was written in format 99"),
        ("specification", {"n": 2, "shell": "x"}, "settings that a NGram does not have"),
    ],
)
def test_a_description_from_elsewhere_is_refused(corpus, tmp_path, key, value, message):
    slm.NGram(2).fit(corpus).save(tmp_path / "fit")
    path = tmp_path / "fit" / "fit.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(DamagedFile, match=message):
        slm.load(tmp_path / "fit")


def test_covariates_survive(tmp_path):
    import pandas as pd

    corpus = slm.Corpus.from_texts(TEXTS, covariates=pd.DataFrame({"year": [1899, 1900, 1901, 1902]}))
    slm.NGram(1).fit(corpus).save(tmp_path / "fit")
    assert slm.load(tmp_path / "fit").corpus.documents.year.tolist() == [1899, 1900, 1901, 1902]
    assert np.isfinite(slm.load(tmp_path / "fit").loglike)
