import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from statlm.errors import SpecificationError
from statlm.models.ngram import NGram
from statlm.plots import surprisal_html
from statlm.report.augment import augment
from statlm.text.corpus import Corpus
from statlm.text.tokenizers import BytePairs

TEXT = '<b> não & "há" razão\nnem pão'


class Tokens(HTMLParser):
    """Collects what stands in the body, token by token."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tokens, self.hints, self.strengths, self.body, self.caption = [], [], [], [], "", ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.open.append((tag, attrs.get("class")))
        if attrs.get("class") == "token":
            self.tokens.append("")
            self.hints.append(attrs["title"])
            self.strengths.append(float(re.search(r"([\d.]+)\)$", attrs["style"])[1]))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if ("span", "token") in self.open:
            self.tokens[-1] += data
        if ("div", None) in self.open:
            self.body += data
        if ("figcaption", None) in self.open:
            self.caption += data


def test_every_token_is_there_with_its_numbers():
    table = augment(NGram(n=1).fit(Corpus.from_text(TEXT)))
    found = Tokens(surprisal_html(table))
    assert [t.replace("⏎", "\n") for t in found.tokens] == list(TEXT)
    assert found.body.replace("⏎", "") == TEXT
    for hint, bits, rank in zip(found.hints, table.surprisal, table["rank"], strict=True):
        assert hint.endswith(f"bits, rank {rank}")
        assert float(hint.split(": ")[-1].split(" ")[0]) == pytest.approx(bits, rel=0.005)
    assert f"{len(TEXT)} tokens" in found.caption


def test_colour_grows_with_surprisal_and_is_full_at_the_scale():
    table = pd.DataFrame(
        {"document": "d", "position": range(4), "token": list("abcd"), "surprisal": [0.0, 3.0, 6.0, np.inf]}
    )
    found = Tokens(surprisal_html(table, scale=6))
    assert found.strengths == [0.0, 0.5, 1.0, 1.0]
    assert found.hints[-1] == "d: ∞ bits"


def test_byte_pairs_are_shown_as_the_text_has_them():
    corpus = Corpus.from_text(TEXT, BytePairs(size=270))
    table = augment(NGram(n=1).fit(corpus))
    found = Tokens(surprisal_html(table, text=corpus.text(0)))
    assert found.body.replace("⏎", "") == TEXT
    with pytest.raises(SpecificationError, match="it is another text"):
        surprisal_html(table, text="short")


def test_words_are_kept_apart():
    table = augment(NGram(n=1).fit(Corpus.from_text("to be, or not", "word")))
    assert Tokens(surprisal_html(table)).body == "to be, or not"
    states = augment(NGram(n=1).fit(Corpus.from_tokens([["sun", "rain"]])))
    assert Tokens(surprisal_html(states)).body == "sun rain"


def test_a_document_is_chosen_by_name_and_a_long_one_is_cut_with_a_word():
    table = augment(NGram(n=1).fit(Corpus.from_texts(["aaa", "bbbb"], names=["one", "two"])))
    assert Tokens(surprisal_html(table)).tokens == ["a", "a", "a", "<eos>"]
    found = Tokens(surprisal_html(table, "two", max_tokens=2))
    assert found.tokens == ["b", "b"]
    assert "The first 2 are shown." in found.caption


def test_what_cannot_be_coloured_is_refused():
    table = augment(NGram(n=1).fit(Corpus.from_text("aab")))
    with pytest.raises(SpecificationError, match="There is no document 'x'"):
        surprisal_html(table, "x")
    with pytest.raises(SpecificationError, match=r"lacks \['surprisal'\]"):
        surprisal_html(table.drop(columns="surprisal"))
    with pytest.raises(SpecificationError, match="scale=0"):
        surprisal_html(table, scale=0)
