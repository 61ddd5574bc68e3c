"""The program as a user meets it: what it prints, what it writes, and one clear line on bad input."""

import json
import sys

import pytest

from statlm.cli import main as cli

TEXT = "the cat sat on the mat. the dog sat on the log. " * 12


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(TEXT[i : i + 60] for i in range(0, 540, 45)), encoding="utf-8")
    return path


def run(capsys, monkeypatch, *arguments):
    """Exit status, standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["statlm", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_compare_prints_the_table_the_ladder_and_the_sentence(capsys, monkeypatch, text, tmp_path):
    table, picture = tmp_path / "table.json", tmp_path / "picture.png"
    code, out, _ = run(
        capsys, monkeypatch, "compare", text, "--split", "paragraph", "--max-n", 3, "--output", table, "--plot", picture
    )
    assert code == 0
    assert "trigram modified-kneser-ney" in out
    assert "softmax 2 lags" in out
    assert "Likelihood-ratio ladder" in out
    assert "The held-out text" in out
    assert {row["model"] for row in json.loads(table.read_text())["rows"]} >= {"uniform", "unigram", "bigram", "trigram"}
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_fit_summary_perplexity_and_generate_work_on_what_was_saved(capsys, monkeypatch, text, tmp_path):
    folder = tmp_path / "model"
    code, out, _ = run(
        capsys, monkeypatch, "fit", text, "--n", 2, "--pseudo-count", 0.1, "--split", "paragraph", "--output", folder
    )
    assert code == 0
    assert "NGram(n=2, pseudo_count=0.1)" in out
    code, out, _ = run(capsys, monkeypatch, "summary", folder, "--cov", "cluster")
    assert code == 0
    assert "clustered by document" in out
    code, out, _ = run(capsys, monkeypatch, "perplexity", folder, text, "--split", "paragraph")
    assert code == 0
    assert "95% interval" in out
    arguments = ("generate", folder, "--prompt", "the ", "--max-tokens", 20, "--seed", 3)
    first, second = (run(capsys, monkeypatch, *arguments)[1] for _ in range(2))
    assert first == second
    assert first.startswith("the ")


def test_each_command_draws(capsys, monkeypatch, text, tmp_path):
    folder, cut = tmp_path / "model", ("--split", "paragraph")
    drawn = {name: tmp_path / f"{name}.png" for name in ("fit", "summary", "perplexity", "generate", "coverage", "decoder")}
    small = ("--layers", 1, "--heads", 1, "--width", 8, "--context", 8, "--steps", 3)
    commands = {
        "fit": ("fit", text, *cut, "--n", 2, "--pseudo-count", 0.1, "--output", folder),
        "summary": ("summary", folder, "--cov", "cluster", "--term", "t"),
        "perplexity": ("perplexity", folder, text, *cut),
        "generate": ("generate", folder, "--prompt", "the ", "--max-tokens", 5, "--top-k", 3),
        "coverage": ("coverage", "--replicates", 5),
        "decoder": ("fit", text, *cut, "--model", "decoder", *small),
    }
    for name, command in commands.items():
        code, _, err = run(capsys, monkeypatch, *command, "--plot", drawn[name])
        assert (code, drawn[name].read_bytes()[:4]) == (0, b"\x89PNG"), name
        assert f"Picture saved to {drawn[name]}" in err
    page = tmp_path / "text.html"
    run(capsys, monkeypatch, "perplexity", folder, text, *cut, "--plot", page)
    assert page.read_text(encoding="utf-8").count('class="token"') == 61  # the first paragraph, and its end


def test_a_picture_that_could_not_be_written_is_refused_before_the_work(capsys, monkeypatch, text, tmp_path):
    for command in (("compare", text), ("fit", text), ("summary", "none"), ("generate", "none"), ("coverage",)):
        code, out, err = run(capsys, monkeypatch, *command, "--plot", tmp_path / "picture.txt")
        assert (code, out) == (1, "")
        assert "A picture cannot be written to 'picture.txt': the suffix '.txt' names no format" in err


def test_what_has_no_coefficients_is_not_drawn_and_says_so(capsys, monkeypatch, text, tmp_path):
    picture = tmp_path / "picture.png"
    smoothed = ("fit", text, "--split", "paragraph", "--smoothing", "kneser-ney", "--plot", picture)
    code, out, err = run(capsys, monkeypatch, *smoothed)
    assert code == 1
    assert "NGram results" in out
    assert "a distribution without a likelihood theory" in err
    assert not picture.exists()


def test_fit_takes_the_other_members_of_the_family(capsys, monkeypatch, text):
    code, out, _ = run(capsys, monkeypatch, "fit", text, "--model", "softmax", "--lags", 1, "--split", "paragraph")
    assert code == 0
    assert "Separation" in out
    code, out, _ = run(capsys, monkeypatch, "fit", text, "--n", 3, "--smoothing", "witten-bell")
    assert code == 0
    code, _, err = run(capsys, monkeypatch, "fit", text, "--model", "oracle")
    assert code == 1
    assert "There is no model 'oracle'" in err


def test_an_impossible_token_is_explained(capsys, monkeypatch, text, tmp_path):
    run(capsys, monkeypatch, "fit", text, "--n", 1, "--output", tmp_path / "model")
    other = tmp_path / "other.txt"
    other.write_text("zebra", encoding="utf-8")
    code, out, _ = run(capsys, monkeypatch, "perplexity", tmp_path / "model", other)
    assert code == 0
    assert "perplexity      inf" in out
    assert "3 of them unknown to its vocabulary" in out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The corpus is empty"),
        (b"a", "single type"),
        (b"caf\xe9 con leche", "is not utf-8: byte 0xe9 at position 3"),
        (b"GIF89a\x00\x01\x02", "it is a binary file"),
    ],
)
def test_a_bad_file_ends_with_one_line_and_status_one(capsys, monkeypatch, tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    code, out, err = run(capsys, monkeypatch, "compare", path)
    assert code == 1
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("statlm: error: ")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "nowhere.txt"), "nowhere.txt cannot be read"),
        (("compare", "--dataset", "nosuch"), "There is no data set 'nosuch'"),
        (("compare", "--tokenizer", "syllable"), "There is no tokenizer 'syllable'"),
        (("compare", "--output", "table.doc"), "names no format"),
        (("compare", "--max-n", "0"), "choose 1 or more"),
        (("compare", "--lowercase"), "--lowercase applies to words"),
        (("summary", "nowhere"), "is not a saved fit"),
    ],
)
def test_a_bad_request_ends_with_one_line_and_status_one(capsys, monkeypatch, arguments, message):
    code, _, err = run(capsys, monkeypatch, *arguments)
    assert code == 1
    assert err.count("\n") == 1
    assert message in err


def test_the_version_is_told(capsys, monkeypatch):
    code, out, _ = run(capsys, monkeypatch, "--version")
    assert code == 0
    assert out.startswith("statlm ")
