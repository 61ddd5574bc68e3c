"""Token tables larger than memory: the same counts as in memory, to the last digit, whatever the shards."""

import builtins
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import statlm as slm
from statlm.errors import CorpusError, DamagedFile, MemoryLimitReached, NotWritten, SpecificationError
from statlm.interop import parquet
from statlm.models.ngram.stream import count_corpus
from statlm.models.ngram.table import count_table

pa = pytest.importorskip("pyarrow")
pytest.importorskip("duckdb")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = ["abracadabra", "barbara", "a cab", "bad card", "crab", "z"]


def table(path, documents, shuffle=None):
    """A token table of documents."""
    rows = [(d, p, t) for d, document in enumerate(documents) for p, t in enumerate(document)]
    if shuffle is not None:
        np.random.default_rng(shuffle).shuffle(rows := np.array(rows, dtype=object))
    doc, pos, tok = zip(*rows, strict=True) if len(rows) else ([], [], [])
    pq.write_table(pa.table({"doc": list(map(int, doc)), "pos": list(map(int, pos)), "tok": list(tok)}), path)
    return path


def counted(folder, documents, vocabulary, n, shards):
    """Merged counts of documents dealt to shards."""
    folder.mkdir(exist_ok=True)
    cuts = np.array_split(np.arange(len(documents)), shards)
    for i, cut in enumerate(cuts):
        tokens = table(folder / f"tokens{i}", [documents[j] for j in cut], shuffle=i)
        parquet.count_shard(tokens, folder / f"counts{i}.parquet", n, vocabulary, memory_limit="200MB")
    return parquet.merge_counts(folder, vocabulary, memory_limit="200MB")


def assert_same_counts(merged, corpus, n):
    found, expected = merged.ngram_counts(n), count_corpus(corpus, n)
    for m in range(1, n + 1):
        assert_array_equal(found.raw[m - 1], expected.raw[m - 1])
        assert_array_equal(found.continuation[m - 1], expected.continuation[m - 1])
    for one, other in zip(found.index.levels, expected.index.levels, strict=True):
        for part in ("suffix", "oldest", "context"):
            assert_array_equal(getattr(one, part), getattr(other, part))
    assert found.last_rows(found.arrival) == expected.last_rows(expected.arrival)
    one, other = merged.context_table(n), count_table(corpus, n)
    for part in ("contexts", "starts", "tokens", "counts"):
        assert_array_equal(getattr(one, part), getattr(other, part))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize("eos", [True, False])
def test_counts_of_shards_are_those_of_the_text(tmp_path, n, shards, eos):
    corpus = slm.Corpus.from_tokens([list(text) for text in TEXTS], eos=eos)
    merged = counted(tmp_path, TEXTS, corpus.vocabulary, n, shards)
    assert merged.nobs == corpus.nobs
    for m in range(1, n + 1):
        assert_same_counts(merged, corpus, m)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=8), min_size=1, max_size=5), st.integers(1, 4), st.booleans()
)
def test_counts_are_those_of_the_text_with_and_without_unknown_tokens(tmp_path_factory, documents, n, unk):
    vocabulary = slm.Vocabulary(("a", "b", "c", "d"), with_eos=True, with_unk=unk)
    texts = ["".join("abcdz"[i] for i in document) for document in documents]
    corpus = slm.Corpus.from_tokens([list(text) for text in texts], vocabulary=vocabulary)
    merged = counted(tmp_path_factory.mktemp("shards"), texts, vocabulary, n, min(2, len(texts)))
    assert_same_counts(merged, corpus, n)


@pytest.mark.parametrize("smoothing", [None, "additive", "modified-kneser-ney", "katz", "witten-bell", "pitman-yor"])
@pytest.mark.parametrize("n", [1, 3])
def test_models_of_counts_are_those_of_the_text(tmp_path, smoothing, n):
    corpus = slm.Corpus.from_tokens([list(text) for text in TEXTS])
    merged = counted(tmp_path, TEXTS, corpus.vocabulary, 4, 3)
    found = slm.NGram(n, smoothing=smoothing).fit_counts(merged, on=corpus)
    assert_array_equal(found.loglike_obs(), slm.NGram(n, smoothing=smoothing).fit(corpus).loglike_obs())


def test_counts_do_not_serve_longer_ngrams_or_smoothings_that_need_the_text(tmp_path):
    corpus = slm.Corpus.from_tokens([list(text) for text in TEXTS])
    merged = counted(tmp_path, TEXTS, corpus.vocabulary, 2, 1)
    with pytest.raises(SpecificationError, match="n=3 needs 3-grams, and 2-grams were counted"):
        slm.NGram(3).fit_counts(merged, on=corpus)
    with pytest.raises(SpecificationError, match="jelinek-mercer holds documents out and needs the text itself"):
        slm.NGram(2, smoothing="jelinek-mercer").fit_counts(merged, on=corpus)
    with pytest.raises(CorpusError, match="another vocabulary"):
        slm.NGram(2).fit_counts(merged, on=slm.Corpus.from_text("xyz"))


# --- corpora ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"eos": False}, {"min_count": 2}, {"given": 2, "unk": True}], ids=str)
def test_a_corpus_of_tables_is_that_of_its_tokens(tmp_path, settings):
    paths = [table(tmp_path / f"{i}.parquet", TEXTS[2 * i : 2 * i + 2], shuffle=i) for i in range(3)]
    expected = slm.Corpus.from_tokens([list(text) for text in TEXTS], **settings)
    found = slm.Corpus.from_parquet(paths, **settings, memory_limit="200MB")
    assert found.fingerprint == expected.fingerprint
    assert slm.Corpus.from_parquet(tmp_path, **settings).fingerprint == expected.fingerprint
    assert found.documents.name.tolist() == ["0", "1"] * 3


@pytest.mark.parametrize("eos", [True, False])
def test_a_corpus_that_was_written_is_read_again(tmp_path, eos, monkeypatch):
    monkeypatch.setattr(parquet, "CHUNK", 7)
    corpus = slm.Corpus.from_texts(TEXTS, "word", eos=eos)
    parquet.write_tokens(corpus, tmp_path / "tokens.parquet")
    again = slm.Corpus.from_parquet(tmp_path / "tokens.parquet", vocabulary=corpus.vocabulary)
    assert again.fingerprint == corpus.fingerprint


# --- bad input --------------------------------------------------------------------------------------------------------


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name == "duckdb":
            raise ImportError("no", name="duckdb")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(
        SpecificationError, match=r"need duckdb, which is not installed.*pip install 'statlm\[distributed\]'"
    ):
        slm.Corpus.from_parquet(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"doc": [0, 0], "word": ["a", "b"]}, "lacks pos, tok"),
        ({"doc": [0, 0], "pos": [0, 1], "tok": [0.5, 1.5]}, "tok of type DOUBLE"),
        ({"doc": [0, 0], "pos": [0, None], "tok": ["a", "b"]}, r"missing values in doc, pos or tok \(1 rows\)"),
        ({"doc": [0, 0], "pos": [1, 1], "tok": ["a", "b"]}, "stands twice, so the order of the tokens is not known"),
        ({"doc": [0, 0], "pos": [0, 1], "tok": [0, 9]}, "Ids run from 0 to 9, but the vocabulary has ids 0 to 5"),
        ({"doc": [0, 0], "pos": [0, 1], "tok": [0, 3]}, "mark documents' bounds"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    vocabulary = slm.Vocabulary(("a", "b"))
    with pytest.raises((DamagedFile, CorpusError), match=message):
        slm.Corpus.from_parquet(tmp_path / "t.parquet", vocabulary=vocabulary)
    with pytest.raises((DamagedFile, CorpusError), match=message):
        parquet.count_shard(tmp_path / "t.parquet", tmp_path / "out", 2, vocabulary)
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_integers_without_a_vocabulary_empty_tables_and_empty_folders_are_refused(tmp_path):
    table(tmp_path / "t.parquet", [[0, 1]])
    with pytest.raises(CorpusError, match="are integers, which are ids of some vocabulary"):
        slm.Corpus.from_parquet(tmp_path / "t.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"no \.parquet file to read"):
        slm.Corpus.from_parquet(tmp_path / "empty")
    pq.write_table(
        pa.table({"doc": pa.array([], pa.int64()), "pos": pa.array([], pa.int64()), "tok": pa.array([], pa.string())}),
        tmp_path / "none.parquet",
    )
    with pytest.raises(CorpusError, match="no token in the tables"):
        slm.Corpus.from_parquet(tmp_path / "none.parquet")


def test_files_that_are_no_parquet_or_not_there_are_refused(tmp_path):
    (tmp_path / "t.parquet").write_text("a text and no Parquet file")
    for name in ("t.parquet", "nowhere.parquet"):
        with pytest.raises(DamagedFile, match=f"{name} cannot be read as Parquet"):
            slm.Corpus.from_parquet(tmp_path / name, vocabulary=slm.Vocabulary(("a", "b")))


def test_counts_of_another_vocabulary_or_length_are_refused(tmp_path):
    vocabulary = slm.Vocabulary(("a", "b"), with_eos=True)
    tokens = table(tmp_path / "t", ["ab"])
    for n in (1, 2):
        parquet.count_shard(tokens, tmp_path / f"{n}.parquet", n, vocabulary)
    with pytest.raises(DamagedFile, match="different lengths, n = 1, 2"):
        parquet.merge_counts(tmp_path, vocabulary)
    with pytest.raises(DamagedFile, match="counted with another vocabulary"):
        parquet.merge_counts(tmp_path / "1.parquet", slm.Vocabulary(("b", "a"), with_eos=True))
    with pytest.raises(DamagedFile, match=r"holds no counts that count_shard\(\) wrote"):
        parquet.merge_counts(tokens, vocabulary)
    with pytest.raises(SpecificationError, match="n=0 is not an n-gram length"):
        parquet.count_shard(tokens, tmp_path / "x", 0, vocabulary)


def test_a_memory_limit_that_is_too_low_or_no_size_is_said(tmp_path):
    vocabulary = slm.Vocabulary(("a", "b"))
    tokens = tmp_path / "t.parquet"
    generator = np.random.default_rng(0)
    pq.write_table(
        pa.table({"doc": np.zeros(400_000, int), "pos": np.arange(400_000), "tok": generator.integers(0, 2, 400_000)}),
        tokens,
    )
    out = tmp_path / "counts"
    out.write_text("old")
    with pytest.raises(MemoryLimitReached, match=r"does not fit into memory_limit='8MB'.*Raise the limit"):
        parquet.count_shard(tokens, out, 16, vocabulary, memory_limit="8MB")
    assert out.read_text() == "old"
    with pytest.raises(SpecificationError, match="memory_limit='a lot' is no amount of memory"):
        slm.Corpus.from_parquet(tokens, vocabulary=vocabulary, memory_limit="a lot")


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    import duckdb

    vocabulary = slm.Vocabulary(("a", "b"))
    tokens, out = table(tmp_path / "t.parquet", ["abba"]), tmp_path / "counts.parquet"
    out.write_text("old")

    def full(*args):
        raise duckdb.IOException("IO Error: Could not write file: No space left on device")

    monkeypatch.setattr(parquet, "view_of_ids", full)
    with pytest.raises(NotWritten, match="no room on the disk"):
        parquet.count_shard(tokens, out, 2, vocabulary)
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counts.parquet", "t.parquet"]


def test_an_ordinary_name_with_a_quote_is_no_trouble(tmp_path):
    vocabulary = slm.Vocabulary(("a", "b"))
    tokens = table(tmp_path / "it's.parquet", ["abba"])
    parquet.count_shard(tokens, tmp_path / "o'clock", 2, vocabulary)
    assert parquet.merge_counts([tmp_path / "o'clock"], vocabulary).nobs == 4
    assert list(itertools.chain(slm.Corpus.from_parquet(tokens, vocabulary=vocabulary).tokens)) == [0, 1, 1, 0]
