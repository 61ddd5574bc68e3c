"""Covariates of a corpus: given to documents by order or by name."""

import pandas as pd
import pytest

import statlm as slm
from statlm.errors import CorpusError


@pytest.fixture
def corpus():
    return slm.Corpus.from_texts(
        ["abba", "baba", "bab"], names=["x", "y", "z"], covariates=pd.DataFrame({"year": [1, 2, 3]})
    )


def test_rows_stand_in_the_order_of_documents(corpus):
    found = corpus.with_covariates(pd.DataFrame({"author": ["p", "q", "r"]}))
    assert found.documents.to_dict("list") == {"name": ["x", "y", "z"], "year": [1, 2, 3], "author": ["p", "q", "r"]}
    assert corpus.documents.columns.tolist() == ["name", "year"]
    assert found.fingerprint == corpus.fingerprint


def test_rows_are_found_by_the_names_of_documents(corpus):
    frame = pd.DataFrame({"document": ["z", "x", "other", "y"], "author": ["r", "p", "s", "q"], "year": [30, 10, 40, 20]})
    found = corpus.with_covariates(frame)
    assert found.documents.to_dict("list") == {"name": ["x", "y", "z"], "author": ["p", "q", "r"], "year": [10, 20, 30]}


def test_they_go_with_the_documents(corpus):
    found = corpus.with_covariates(pd.DataFrame({"author": ["p", "q", "r"]}))
    assert found.subset([2, 0]).documents.author.tolist() == ["r", "p"]
    assert found.blocks(2).documents.author.tolist() == ["p", "p", "p", "q", "q", "q", "r", "r"]


def test_documents_without_a_row_are_named(corpus):
    with pytest.raises(CorpusError, match=r"1 of 3 documents have no row in the table of covariates \(the first: 'z'\)"):
        corpus.with_covariates(pd.DataFrame({"document": ["x", "y"], "author": ["p", "q"]}))


def test_two_rows_for_a_document_are_refused(corpus):
    with pytest.raises(CorpusError, match="several rows for the document 'x'"):
        corpus.with_covariates(pd.DataFrame({"document": ["x", "x", "y", "z"], "author": list("pqrs")}))


def test_another_number_of_rows_is_refused(corpus):
    with pytest.raises(CorpusError, match="has 2 rows, but there are 3 documents"):
        corpus.with_covariates(pd.DataFrame({"author": ["p", "q"]}))
