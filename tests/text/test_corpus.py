import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from statlm.errors import CorpusError
from statlm.text.corpus import Corpus
from statlm.text.vocabulary import Vocabulary

ABC = Vocabulary(("a", "b", "c"), with_eos=True)


@st.composite
def corpora(draw, min_documents=1):
    """Documents over three states, with ends or without, some of their tokens given."""
    documents = draw(st.lists(st.text("abc", min_size=1, max_size=12), min_size=min_documents, max_size=5))
    ends = draw(st.booleans())
    given_tokens = draw(st.integers(0, 3))
    if max(map(len, documents)) + ends <= given_tokens:
        given_tokens = 0
    vocabulary = dataclasses.replace(ABC, with_eos=ends)
    return Corpus.from_tokens([list(d) for d in documents], vocabulary=vocabulary, given=given_tokens)


def documents_of(corpus):
    return [corpus.tokens[a:b].tolist() for a, b in zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)]


def observations_of(corpus, lags):
    """Contexts and targets one token at a time, as the definition says."""
    bos, pad = corpus.vocabulary.bos, corpus.vocabulary.pad
    found = []
    for tokens, skipped in zip(documents_of(corpus), corpus.given.tolist(), strict=True):
        whole = [pad] * lags + [bos] + tokens
        found += [(whole[i + 1 : i + lags + 1], tokens[i]) for i in range(skipped, len(tokens))]
    return found


def same_observations(one, other, lags):
    assert_array_equal(one.targets, other.targets)
    assert_array_equal(one.contexts(lags), other.contexts(lags))


# --- contexts ---------------------------------------------------------------------------------------------------------


@given(corpora(), st.integers(0, 5))
def test_contexts_never_cross_documents_and_start_with_bos_and_padding(corpus, lags):
    expected = observations_of(corpus, lags)
    assert corpus.nobs == len(expected) == len(corpus.document_index) == len(corpus.positions)
    assert corpus.contexts(lags).shape == (corpus.nobs, lags)
    assert corpus.contexts(lags).tolist() == [context for context, _ in expected]
    assert corpus.targets.tolist() == [target for _, target in expected]
    for lag, column in enumerate(corpus.context_columns(lags), start=1):
        assert_array_equal(column, corpus.contexts(lags)[:, -lag])


def test_contexts_by_hand():
    corpus = Corpus.from_tokens([["a", "b"], ["c"]], eos=True)
    v = corpus.vocabulary
    named = [[v.tokens[i] for i in row] for row in corpus.contexts(2)]
    assert named == [["<pad>", "<bos>"], ["<bos>", "a"], ["a", "b"], ["<pad>", "<bos>"], ["<bos>", "c"]]
    assert [v.tokens[i] for i in corpus.targets] == ["a", "b", "<eos>", "c", "<eos>"]


@given(corpora())
def test_each_observation_knows_its_document_and_its_place(corpus):
    for document, place, target in zip(corpus.document_index, corpus.positions, corpus.targets, strict=True):
        assert corpus.tokens[corpus.offsets[document] + place] == target
        assert place >= corpus.given[document]
    assert_array_equal(
        np.bincount(corpus.document_index, minlength=corpus.ndocuments), np.diff(corpus.offsets) - corpus.given
    )


def test_given_tokens_are_context_and_not_observations():
    corpus = Corpus.from_tokens([["a", "b", "c"], ["a"]], vocabulary=ABC, given=2)
    assert corpus.given.tolist() == [2, 2]
    assert corpus.nobs == 2
    assert [ABC.tokens[i] for i in corpus.targets] == ["c", "<eos>"]
    assert corpus.contexts(2).tolist() == [[0, 1], [1, 2]]


@given(corpora())
def test_one_hot_rows_are_the_targets(corpus):
    rows = corpus.one_hot()
    assert rows.shape == (corpus.nobs, corpus.vocabulary.size)
    assert_array_equal(corpus.vocabulary.from_one_hot(rows), corpus.targets)


# --- cutting ----------------------------------------------------------------------------------------------------------


def test_several_documents_are_split_between_documents():
    corpus = Corpus.from_tokens([[letter] * 3 + ["z"] for letter in "abcdefghij"], eos=False)
    train, test = corpus.split(test=0.2)
    assert (train.ndocuments, test.ndocuments, train.nobs, test.nobs) == (8, 2, 32, 8)
    assert [d[0] for d in documents_of(test)] == corpus.vocabulary.ids_of(["i", "j"]).tolist()
    assert test.documents["name"].tolist() == ["8", "9"]
    drawn, held = corpus.split(test=0.3, seed=1)
    assert (drawn.ndocuments, held.ndocuments) == (7, 3)
    assert sorted(documents_of(drawn) + documents_of(held)) == sorted(documents_of(corpus))
    assert documents_of(corpus.split(test=0.3, seed=1)[1]) == documents_of(held)
    assert documents_of(corpus.split(test=0.3, seed=2)[1]) != documents_of(held)


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_each_part_of_a_split_has_a_document(share):
    train, test = Corpus.from_tokens([["a", "b"]] * 3).split(test=share)
    assert min(train.ndocuments, test.ndocuments) == 1


def test_a_single_document_is_split_at_its_tail_which_keeps_its_contexts():
    corpus = Corpus.from_text("abracadabra" * 10)
    train, test = corpus.split(test=0.1)
    assert (train.nobs, test.nobs, test.given.tolist()) == (99, 11, [99])
    assert_array_equal(np.concatenate([train.targets, test.targets]), corpus.targets)
    assert_array_equal(np.concatenate([train.contexts(20), test.contexts(20)]), corpus.contexts(20))
    short = corpus.split(test=0.1, context=5)[1]
    assert (short.nobs, short.given.tolist(), len(short.tokens)) == (11, [5], 16)
    assert_array_equal(short.contexts(5), test.contexts(5))


@pytest.mark.parametrize(("share", "held"), [(0.9, 9), (0.7, 7), (0.3, 3), (0.1, 1)])
def test_the_share_held_out_of_a_single_document_is_not_lost_to_rounding(share, held):
    train, test = Corpus.from_text("abababacab").split(test=share)
    assert (train.nobs, test.nobs) == (10 - held, held)


@given(corpora(), st.integers(1, 7), st.integers(0, 4))
def test_blocks_keep_every_observation_and_with_context_what_is_before_it(corpus, length, context):
    blocks = corpus.blocks(length, context=context)
    assert blocks.nobs == corpus.nobs
    same_observations(blocks, corpus, context)
    sizes = np.diff(blocks.offsets) - blocks.given
    assert sizes.min() >= 1
    assert sizes.max() <= length
    assert blocks.given.max() <= max(context, corpus.given.max())


def test_blocks_without_context_start_afresh():
    corpus = Corpus.from_text("abcabca").blocks(3)
    assert corpus.ndocuments == 3
    bos = corpus.vocabulary.bos
    assert np.flatnonzero(corpus.contexts(1)[:, 0] == bos).tolist() == [0, 3, 6]


@given(corpora(), st.integers(1, 9), st.integers(0, 4))
def test_batches_concatenate_to_the_whole(corpus, size, context):
    batches = list(corpus.batches(size, context=context))
    assert_array_equal(np.concatenate([b.targets for b in batches]), corpus.targets)
    assert_array_equal(np.concatenate([b.contexts(context) for b in batches]), corpus.contexts(context))
    assert max(b.nobs for b in batches) < 2 * size


@given(corpora(), st.data())
def test_a_subset_repeats_documents_as_asked(corpus, data):
    numbers = st.integers(0, corpus.ndocuments - 1)
    index = data.draw(st.lists(numbers, min_size=1, max_size=8))
    # A document of which everything is given has no observation, and is left out.
    index = [d for d in index if np.diff(corpus.offsets)[d] > corpus.given[d]]
    if not index:
        return
    subset = corpus.subset(index)
    expected = documents_of(corpus)
    assert documents_of(subset) == [expected[d] for d in index]
    assert subset.given.tolist() == corpus.given[index].tolist()
    assert subset.documents["name"].tolist() == [str(d) for d in index]


def test_a_subset_by_mask_or_from_the_end():
    corpus = Corpus.from_tokens([["a"], ["b"], ["c"]])
    assert documents_of(corpus.subset(np.array([True, False, True]))) == documents_of(corpus.subset([0, 2]))
    assert documents_of(corpus.subset([-1])) == documents_of(corpus.subset([2]))


def test_conditioning_on_more_drops_documents_with_nothing_left():
    corpus = Corpus.from_tokens([["a", "b", "c"], ["b"], ["a", "a"]], eos=False)
    given_one = corpus.with_given(1)
    assert (given_one.nobs, given_one.ndocuments, given_one.given.tolist()) == (3, 2, [1, 1])
    assert given_one.documents["name"].tolist() == ["0", "2"]
    assert corpus.with_given(0).fingerprint == corpus.fingerprint
    assert given_one.with_given(0).nobs == 5


# --- identity ---------------------------------------------------------------------------------------------------------


def test_the_fingerprint_changes_with_tokens_bounds_given_and_vocabulary():
    def corpus(documents, vocabulary=ABC, **settings):
        return Corpus.from_tokens(documents, vocabulary=vocabulary, **settings)

    plain = dataclasses.replace(ABC, with_eos=False)
    different = [
        corpus([["a", "b"], ["c"]]),
        corpus([["a", "b"], ["b"]]),  # a token
        corpus([["a"], ["b", "c"]]),  # a bound
        corpus([["a", "b"], ["c"]], given=1),  # what is given
        corpus([["a", "b"], ["c"]], dataclasses.replace(ABC, with_unk=True)),  # the support
        corpus([["a", "b"], ["c"]], Vocabulary(("a", "c", "b"), with_eos=True)),  # the numbering
        corpus([["a", "b"], ["c"]], plain),  # the ends
        corpus([["a", "b", "c"]], plain),  # the same tokens in one document
    ]
    assert len({c.fingerprint for c in different}) == len(different)
    assert corpus([["a", "b"], ["c"]], names=["x", "y"]).fingerprint == different[0].fingerprint


@given(corpora())
def test_equal_observations_have_equal_fingerprints(corpus):
    renamed = corpus.documents.assign(name="other")
    assert dataclasses.replace(corpus, tokens=corpus.tokens.copy(), documents=renamed).fingerprint == corpus.fingerprint


def test_a_corpus_is_frozen():
    corpus = Corpus.from_text("abc")
    with pytest.raises(ValueError, match="read-only"):
        corpus.tokens[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'given'"):
        corpus.given = None


def test_the_printed_form_counts_documents_observations_bytes_and_types():
    assert repr(Corpus.from_text("é" * 600 + "a" * 600)) == (
        "<Corpus: 1 document, 1,200 observations, 1,800 bytes, 2 types>"
    )
    assert repr(Corpus.from_tokens([["a"], ["b"]])) == "<Corpus: 2 documents, 4 observations, 3 types>"


# --- from tokens ------------------------------------------------------------------------------------------------------


def test_strings_and_integers_are_types_in_their_order():
    assert Corpus.from_tokens([["b", "a"], ["b"]]).vocabulary.types == ("a", "b")
    numbers = Corpus.from_tokens([[10, 2], [2]])
    assert numbers.vocabulary.types == ("2", "10")
    assert documents_of(numbers)[0][:2] == [1, 0]
    assert documents_of(Corpus.from_tokens(np.array([[1, 0], [0, 1]]), eos=False)) == [[1, 0], [0, 1]]
    assert Corpus.from_tokens(np.array([1, 0, 1])).ndocuments == 1


def test_a_shared_vocabulary_numbers_alike_and_knows_what_it_lacks():
    train = Corpus.from_tokens([["sun", "rain"], ["sun"]])
    test = Corpus.from_tokens([["rain", "snow"]], vocabulary=train.vocabulary)
    v = train.vocabulary
    assert test.vocabulary is v
    assert documents_of(test) == [[v.ids_of(["rain"])[0], v.unk, v.eos]]
    assert test.nunknown == 1
    assert v.unk >= v.size  # outside of the support: training had no unknown token
    assert documents_of(Corpus.from_tokens([[0, 1]], vocabulary=v)) == [[0, 1, v.eos]]


def test_rare_states_become_unknown_and_are_then_in_the_support():
    corpus = Corpus.from_tokens([["a", "a", "b"], ["a", "c"]], min_count=2, eos=False)
    assert corpus.vocabulary.types == ("a",)
    assert (corpus.nunknown, corpus.vocabulary.size) == (2, 2)


def test_the_text_of_a_document_is_without_the_mark_of_its_end_unless_asked():
    corpus = Corpus.from_texts(["abra", "", "cadabra"])
    assert [corpus.text(d) for d in range(3)] == ["abra", "", "cadabra"]
    assert [corpus.text(d, eos=True) for d in (0, 1, -1)] == ["abra<eos>", "<eos>", "cadabra<eos>"]
    without = Corpus.from_texts(["abra", "cadabra"], eos=False)
    assert without.text(1) == without.text(1, eos=True) == "cadabra"
    start = corpus.blocks(length=3)  # blocks of a document: only the last ends in the mark
    assert [start.text(d, eos=True) for d in range(start.ndocuments)][:2] == ["abr", "a<eos>"]
    for number in (3, -4):
        with pytest.raises(CorpusError, match=rf"no document {number}: there are 3"):
            corpus.text(number)


def test_ends_are_predicted_by_default_where_there_are_several_documents():
    assert Corpus.from_tokens([["a", "b"]]).vocabulary.with_eos is False
    assert Corpus.from_tokens([["a"], ["b"]]).vocabulary.with_eos is True
    assert Corpus.from_texts(["ab", "b"], eos=False).nobs == 3
    assert Corpus.from_texts(["ab", ""], eos=True).nobs == 4  # an empty document ends at once


def test_covariates_stand_beside_the_names_and_follow_their_documents():
    table = pd.DataFrame({"year": [1901, 1902, 1903], "party": ["x", "y", "x"]}, index=[5, 6, 7])
    for corpus in (
        Corpus.from_tokens([["a"], ["b"], ["c"]], names=["p", "q", "r"], covariates=table),
        Corpus.from_texts(["a", "b", "c"], names=["p", "q", "r"], covariates=table),
    ):
        assert corpus.documents.columns.tolist() == ["name", "year", "party"]
        drawn = corpus.subset([2, 0, 2]).documents
        assert drawn["year"].tolist() == [1903, 1901, 1903]
        assert drawn["name"].tolist() == ["r", "p", "r"]


def test_documents_cut_from_one_text_share_its_covariates():
    table = pd.DataFrame({"year": [1901, 1902]})
    corpus = Corpus.from_texts(["a\n\nb", "c"], names=["p", "q"], split="paragraph", covariates=table)
    assert corpus.documents["name"].tolist() == ["p:1", "p:2", "q:1"]
    assert corpus.documents["year"].tolist() == [1901, 1901, 1902]


# --- bytes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer", ["char", "word", "bpe"])
def test_bytes_and_characters_of_a_corpus_are_those_of_its_text(tokenizer):
    texts = ["São João é", " 日本語 😀\n", "plain"]
    corpus = Corpus.from_texts(texts, tokenizer)
    assert corpus.nbytes == sum(len(t.encode()) for t in texts)
    assert corpus.nchars == sum(len(t) for t in texts)
    assert [len(column) for column in corpus.token_sizes] == [len(corpus.tokens)] * 2
    assert corpus.subset([1]).nbytes == len(texts[1].encode())


def test_bytes_of_given_tokens_are_not_counted():
    corpus = Corpus.from_text("ééab", given=1)
    assert (corpus.nobs, corpus.nbytes, corpus.nchars) == (3, 4, 3)


@pytest.mark.parametrize("tokenizer", ["char", "word"])
def test_unknown_tokens_keep_the_bytes_of_what_they_stand_for(tokenizer):
    train = Corpus.from_texts(["a b é", "b"], tokenizer)
    text = "a é 日本 b 😀"
    held = Corpus.from_texts(["b", text], vocabulary=train.vocabulary)
    assert held.nunknown == (3 if tokenizer == "char" else 2)
    assert held.nbytes == len(text.encode()) + 1
    assert held.nchars == len(text) + 1
    assert held.subset([1]).nbytes == len(text.encode())


def test_tokens_that_are_no_text_have_no_bytes():
    corpus = Corpus.from_tokens([["a", "b"]])
    assert (corpus.nbytes, corpus.nchars, corpus.token_sizes) == (None, None, None)


# --- refusals ---------------------------------------------------------------------------------------------------------

TEXTS, TOKENS = Corpus.from_texts(["ab", "ba"], eos=False), Corpus.from_tokens([["a", "b"]])
TABLE = pd.DataFrame({"year": [1]})
REFUSED = {
    "one type": (lambda: Corpus.from_text("aaa"), r"has a single type \('a'\): every model gives it probability 1"),
    "all given": (lambda: Corpus.from_text("ab", given=5), "All 2 tokens of the 1 documents are given"),
    "negative given": (lambda: Corpus.from_text("ab", given=-1), "given=-1: .* cannot be negative"),
    "no text": (lambda: Corpus.from_text(""), "The corpus is empty: there is no text in it to learn from"),
    "no texts": (lambda: Corpus.from_texts([]), "The corpus is empty"),
    "only white space": (lambda: Corpus.from_text(" \n", "word"), "The corpus is empty"),
    "nothing known": (lambda: Corpus.from_texts([""], vocabulary=ENDS), "The corpus is empty: there is no token"),
    "one string": (lambda: Corpus.from_texts("ab"), r"got one string\. Use from_text\(text\)"),
    "names": (lambda: Corpus.from_texts(["a", "b"], names=["x"]), "There are 1 names for 2 texts"),
    "token names": (lambda: Corpus.from_tokens([["a"], ["b"]], names=["x"]), "There are 1 names for 2 documents"),
    "covariates": (lambda: Corpus.from_texts(["a", "b"], covariates=TABLE), "has 1 rows, but there are 2 documents"),
    "empty document": (lambda: Corpus.from_texts(["ab", ""], eos=False), r"Document 2 \(1\) is empty"),
    "empty sequence": (lambda: Corpus.from_tokens([["a", "b"], []], eos=False), "Document 2 is empty"),
    "no tokens": (lambda: Corpus.from_tokens([[], []]), "The corpus is empty: there is no token"),
    "flat tokens": (lambda: Corpus.from_tokens(["a", "b"]), r"got single tokens\. For one document wrap it"),
    "mixed tokens": (lambda: Corpus.from_tokens([["a", 1]]), "must be all strings or all integers"),
    "missing value": (lambda: Corpus.from_tokens([["a", None]]), "a missing value"),
    "ids": (lambda: Corpus.from_tokens([[0, 99]], vocabulary=ABC), "Ids run from 0 to 99, but .* ids 0 to 6"),
    "own eos": (lambda: Corpus.from_tokens([["a", "<eos>"]], vocabulary=ABC), "hold <bos>, <pad> or <eos> as tokens"),
    "reserved": (lambda: Corpus.from_tokens([["a", "<pad>"]]), r"\['<pad>'\] are names of special tokens"),
    "type twice": (lambda: Vocabulary(("a", "b", "a")), "The type 'a' stands twice"),
    "no tokenizer": (lambda: Corpus.from_text("ab", vocabulary=ABC), "made from tokens and has no tokenizer"),
    "other vocabulary": (
        lambda: ABC.check_same(Vocabulary(("a",))),
        r"another vocabulary \(1 types\) than .* \(4 types\)",
    ),
    "empty subset": (lambda: TEXTS.subset([]), "The subset holds no document"),
    "subset": (lambda: TEXTS.subset([0, 7]), "Document numbers run from 0 to 7, but there are 2 documents"),
    "share": (lambda: TEXTS.split(test=1.5), "test=1.5: the share held out must lie between 0 and 1"),
    "tail at random": (lambda: TOKENS.split(seed=1), "drawing its tokens at random would break the contexts"),
    "short tail": (lambda: TOKENS.split(test=0.9), "A document of 2 tokens cannot be cut at 10%"),
    "block length": (lambda: TEXTS.blocks(0), "length=0: a block needs at least one observation"),
    "block context": (lambda: TEXTS.blocks(2, context=-1), "context=-1: .* cannot be negative"),
    "longer given": (lambda: TEXTS.with_given(3), r"No document is longer than 3 tokens \(the longest has 2\)"),
    "long word": (
        lambda: Corpus.from_text("a " + "b" * 70_000, "word"),
        "stands for 70,001 bytes of text; the limit is 65,535",
    ),
}
ENDS = Corpus.from_texts(["ab", "b"]).vocabulary


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_corpus_is_refused_with_numbers_and_advice(case):
    make, message = REFUSED[case]
    with pytest.raises(CorpusError, match=message):
        make()
