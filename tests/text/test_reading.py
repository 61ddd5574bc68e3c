import codecs
import errno
import os
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from statlm.errors import CorpusError
from statlm.text import reading
from statlm.text.corpus import Corpus

TEXT = (
    "São João, 1 de maio.\n\nA cafe\u0301 — 日本語 — costs “5 €” 😀👍🏽.\n  \n\n  Indented  twice,\tand tabbed.\n"
    "One more line a\u0323\u0301 here\n\n\nThe end: it's over, isn't it?\n"
)
alphabet = st.sampled_from(["a", "b", " ", "\n", "\n", "\t", "'", "é", "\u0301", "\u0323", "日", "😀", "\r\n"])
texts = st.lists(alphabet, min_size=1, max_size=80).map("".join)


def same(one, other):
    assert one.fingerprint == other.fingerprint
    for a, b in zip(one.token_sizes, other.token_sizes, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def write(tmp_path):
    def write(content, name="text.txt", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
@pytest.mark.parametrize("split", [None, "paragraph", "line"])
def test_a_file_gives_the_corpus_of_its_text(write, tokenizer, split):
    same(Corpus.from_file(write(TEXT), tokenizer, split=split), Corpus.from_text(TEXT, tokenizer, split=split))


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
@pytest.mark.parametrize("split", [None, "paragraph", "line"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 16, 31])
def test_where_chunks_end_does_not_matter(write, monkeypatch, tokenizer, split, chunk):
    whole = Corpus.from_text(TEXT, tokenizer, split=split)
    path = write(TEXT.replace("\n", "\r\n"))
    monkeypatch.setattr(reading, "CHUNK", chunk)  # bytes of the file: characters, marks and line ends are cut through
    same(Corpus.from_file(path, tokenizer, split=split), whole)
    same(Corpus.from_text(TEXT, tokenizer, split=split), whole)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts, split=st.sampled_from([None, "paragraph", "line"]), chunk=st.integers(1, 9))
@example(text="a\n\n  b", split="paragraph", chunk=3)
@example(text="a\n \nb\n\nc", split="paragraph", chunk=2)
def test_pieces_do_not_depend_on_chunks(write, text, split, chunk):
    def documents(source):
        found = [""]
        for piece, last in reading.pieces(source, split):
            found[-1] += piece
            if last:
                found.append("")
        return found

    plain = text.replace("\r\n", "\n")
    whole = documents(reading.string_source("text", plain))
    path = write(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK", chunk)
        assert documents(reading.string_source("text", plain)) == whole
        assert documents(reading.file_source(path)) == whole
    if split is None:
        assert "".join(whole) == unicodedata.normalize("NFC", plain)


def test_a_text_without_spaces_is_cut_all_the_same_so_that_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(reading, "CHUNK", 10)
    monkeypatch.setattr(reading, "LONGEST_RUN", 20)
    text = "abcde" * 20
    found = [piece for piece, _ in reading.pieces(reading.string_source("text", text), None)]
    assert "".join(found) == text
    assert max(map(len, found)) <= 40
    marks = "e\u0301\u0323" * 40
    found = [piece for piece, _ in reading.pieces(reading.string_source("text", marks), None)]
    assert "".join(found) == unicodedata.normalize("NFC", marks)


def test_the_last_letter_of_a_line_is_not_a_word_of_its_own():
    assert set(Corpus.from_text("hello world", "word").vocabulary.types) == {"hello", "world"}


def test_line_ends_of_windows_are_line_ends(write):
    same(Corpus.from_file(write("ab\r\ncd\r\n")), Corpus.from_text("ab\ncd\n"))
    assert Corpus.from_file(write("a\rb\r")).text(0) == "a\rb\r"


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf_8"])
def test_a_byte_order_mark_is_no_token(write, encoding):
    same(Corpus.from_file(write(codecs.BOM_UTF8 + b"abc"), encoding=encoding), Corpus.from_text("abc"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf_16", "UTF-32"])
def test_wide_encodings_are_read_when_asked_for(write, encoding):
    same(Corpus.from_file(write("añb\n日", encoding=encoding), encoding=encoding), Corpus.from_text("añb\n日"))


def test_several_files_are_documents_and_a_folder_is_its_text_files_by_name(write, tmp_path):
    write("second", "b.txt")
    write("first one", "a.txt")
    write("not read", "c.md")
    corpus = Corpus.from_files(tmp_path)
    assert corpus.documents["name"].tolist() == ["a.txt", "b.txt"]
    assert [corpus.text(0), corpus.text(1)] == ["first one", "second"]
    same(corpus, Corpus.from_files([tmp_path / "a.txt", tmp_path / "b.txt"]))


def test_a_function_can_split_a_text():
    corpus = Corpus.from_text("one;two;three", split=lambda text: text.split(";"))
    assert [corpus.text(d) for d in range(3)] == ["one", "two", "three"]
    assert corpus.documents["name"].tolist() == ["text:1", "text:2", "text:3"]


def test_paragraphs_lose_what_separates_them_and_nothing_else():
    corpus = Corpus.from_text("\nfirst\nline two\n \n\n second\n\n\n", split="paragraph", eos=False)
    assert [corpus.text(d) for d in range(corpus.ndocuments)] == ["first\nline two", "second"]
    lines = Corpus.from_text("a\n\n  b \n \nc", split="line", eos=False)
    assert [lines.text(d) for d in range(lines.ndocuments)] == ["a", "  b ", "c"]


def test_latin_1_is_read_with_its_encoding(write):
    same(Corpus.from_file(write("São é", encoding="latin-1"), encoding="latin-1"), Corpus.from_text("São é"))


@pytest.mark.parametrize("before", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("chunk", [1, 2, 4, 1000])
def test_a_byte_that_cannot_be_decoded_is_named_with_its_position(write, monkeypatch, before, chunk):
    monkeypatch.setattr(reading, "CHUNK", chunk)
    content = before + "né".encode() + "né".encode("latin-1") + b" end"
    where = content.index(b"\xe9")
    with pytest.raises(CorpusError, match=rf"text\.txt is not utf-8: byte 0xe9 at position {where} .*latin-1"):
        Corpus.from_file(write(content))


def test_a_file_that_ends_inside_a_character_is_refused(write):
    with pytest.raises(CorpusError, match="byte 0xc3 at position 2 cannot be decoded"):
        Corpus.from_file(write(b"ab\xc3"))


@pytest.mark.parametrize("chunk", [3, 1000])
def test_a_binary_file_is_refused(write, monkeypatch, chunk):
    monkeypatch.setattr(reading, "CHUNK", chunk)
    with pytest.raises(CorpusError, match="zero byte at position 7, so it is a binary file"):
        Corpus.from_file(write(b"GGUF abc"[:7] + b"\0\1"))


def test_an_unknown_encoding_is_refused(write):
    with pytest.raises(CorpusError, match="encoding='klingon' is no encoding that Python knows"):
        Corpus.from_file(write("abc"), encoding="klingon")


@pytest.mark.parametrize("split", [None, "paragraph", "line"])
@pytest.mark.parametrize("eos", [None, True])
def test_an_empty_file_is_refused(write, split, eos):
    with pytest.raises(CorpusError, match="The corpus is empty"):
        Corpus.from_file(write(b""), split=split, eos=eos)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"none\.txt cannot be read: No such file.* Check the path"):
        Corpus.from_file(tmp_path / "none.txt")


def test_a_folder_among_files_is_refused(write, tmp_path):
    with pytest.raises(CorpusError, match="cannot be read: Is a directory"):
        Corpus.from_files([write("abc"), tmp_path])


def test_a_file_without_permission_is_refused(write, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    path = write("abc")
    monkeypatch.setattr(reading, "open", refuse, raising=False)  # the superuser may read every file
    with pytest.raises(CorpusError, match="cannot be read: Permission denied"):
        Corpus.from_file(path)


def test_a_folder_without_text_files_is_refused(write, tmp_path):
    write("abc", "notes.md")
    with pytest.raises(CorpusError, match=r"The folder .* holds no \.txt file"):
        Corpus.from_files(tmp_path)


def test_an_unknown_way_to_split_is_refused():
    with pytest.raises(CorpusError, match=r"split='sentence' is unknown\. Use None, 'paragraph', 'line'"):
        Corpus.from_text("a b", split="sentence")
