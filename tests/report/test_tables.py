import io
import json
import os
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from statlm.errors import SpecificationError
from statlm.report.tables import check_suffix, print_table, save_table
from statlm.text.display import format_number, format_p

TABLE = pd.DataFrame(
    {
        "model": ["bigram & <co>", "5-gram"],
        "token": ["\n", "[bold]"],
        "nobs": [1234567, 7],
        "perplexity": [11.987654321, np.inf],
        "difference": [np.nan, -np.inf],
        "p_value": [0.0, 0.25],
        "best": [True, False],
    }
)


class Cells(HTMLParser):
    """Collects the cells, and checks that every element is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.everything = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag in ("meta", "br", "link", "img"):
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.everything.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (1234567, "1,234,567"),
        (np.int64(-1000), "-1,000"),
        (1234.567, "1,235"),
        (9.99996, "10.00"),
        (12.3456, "12.35"),
        (-0.00123456, "-0.001235"),
        (1.2e-9, "1.200e-09"),
        (1.5e20, "1.500e+20"),
        (np.inf, "inf"),
        (-np.inf, "-inf"),
        (np.nan, ""),
        (None, ""),
        (pd.NA, ""),
        (True, "yes"),
    ],
)
def test_numbers_are_printed_to_their_meaningful_digits(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("p", "text"), [(0.0, "<1e-16"), (1e-300, "<1e-16"), (0.04321, "0.0432"), (1.0, "1.00"), (np.nan, "")]
)
def test_a_p_value_is_never_printed_as_0(p, text):
    assert format_p(p) == text


def test_a_csv_file_holds_the_rows(tmp_path):
    save_table(TABLE, tmp_path / "t.csv", "title", ["note"])
    back = pd.read_csv(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(back, TABLE, check_dtype=False)


def test_a_json_file_is_strict_and_holds_infinity_as_a_word(tmp_path):
    save_table(TABLE, tmp_path / "t.json", "title", ["note"])

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    found = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert set(found) == {"title", "rows", "notes"}
    assert found["title"] == "title"
    assert found["notes"] == ["note"]
    assert found["rows"][0]["perplexity"] == 11.987654321
    assert found["rows"][1]["perplexity"] == "inf"
    assert found["rows"][1]["difference"] == "-inf"
    assert found["rows"][0]["difference"] is None
    assert found["rows"][0]["nobs"] == 1234567
    assert found["rows"][0]["best"] is True


def test_an_html_file_is_a_page_of_its_own(tmp_path):
    save_table(TABLE, tmp_path / "t.html", "A & B", ["x < y"])
    text = (tmp_path / "t.html").read_text(encoding="utf-8")
    cells = Cells(text)
    assert cells.rows[0] == list(TABLE.columns)
    assert cells.rows[1] == ["bigram & <co>", "⏎", "1,234,567", "11.99", "", "<1e-16", "yes"]
    assert cells.rows[2][3] == "inf"
    assert "A & B" in cells.everything
    assert "x < y" in cells.everything
    assert "http" not in text
    assert text.startswith("<!DOCTYPE html>")


def test_a_named_index_is_saved_as_columns(tmp_path):
    save_table(TABLE.set_index("model"), tmp_path / "t.csv")
    assert list(pd.read_csv(tmp_path / "t.csv").columns) == list(TABLE.columns)


def test_an_unknown_suffix_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(SpecificationError, match=r"suffix '.xlsx' names no format. Use one of .csv, .html, .json"):
        save_table(TABLE, tmp_path / "t.xlsx")
    with pytest.raises(SpecificationError, match="names no format"):
        check_suffix(tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SpecificationError, match=r"There is no folder .*nowhere"):
        check_suffix(tmp_path / "nowhere" / "t.csv")


@pytest.mark.parametrize("suffix", [".csv", ".html", ".json"])
def test_a_failure_leaves_the_old_file_and_no_part_of_the_new(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"t{suffix}"
    path.write_text("old")

    def fail(source, target):
        assert os.path.dirname(source) == os.path.dirname(target)  # a rename across disks would not be atomic
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        save_table(TABLE, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        save_table(pd.DataFrame({"token": pd.Series(["\ud800"], dtype=object)}), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_was_replaced_is_whole(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    save_table(TABLE, path)
    assert len(pd.read_csv(path)) == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_printed_table_shows_every_cell_and_takes_no_token_for_markup():
    file = io.StringIO()
    print_table(TABLE, "The title", ["A note."], file=file)
    text = file.getvalue()
    for part in (
        "The title",
        "A note.",
        "bigram & <co>",
        "⏎",
        "[bold]",
        "1,234,567",
        "11.99",
        "inf",
        "-inf",
        "<1e-16",
        "yes",
    ):
        assert part in text
    assert "\x1b" not in text


def test_a_printed_table_is_not_cut_where_there_is_no_terminal():
    wide = pd.DataFrame({f"a_long_name_of_column_{i}": [f"value {i}"] for i in range(6)})
    file = io.StringIO()
    print_table(wide, file=file)
    for i in range(6):
        assert f"a_long_name_of_column_{i}" in file.getvalue()
        assert f"value {i}" in file.getvalue()


def test_a_printed_table_shows_its_named_index():
    file = io.StringIO()
    print_table(TABLE.set_index("model")[["nobs"]], file=file)
    assert "bigram & <co>" in file.getvalue()
