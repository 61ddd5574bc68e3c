"""The chapters in Portuguese are the chapters in English: the same cells and formulas, in the same order.

They have one section more, on Dom Casmurro, which is not in every folder: its cells say so where it is missing.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import statlm as slm

VIGNETTES = Path(__file__).parents[1] / "vignettes"
CHAPTERS = sorted((VIGNETTES / "pt").glob("*.md"))
CELL = re.compile(r"^```\{code-cell\} python\n.*?^```$", re.MULTILINE | re.DOTALL)
DISPLAY = re.compile(r"^\$\$\n(.*?)^\$\$$", re.MULTILINE | re.DOTALL)
TRANSLATED = {  # chapters that are to be had in Portuguese
    "01-what-is-a-language-model",
    "02-tokens-and-vocabularies",
    "ngram",
    "04-perplexity-entropy-bits",
    "softmax",
    "07-transformer",
    "09-generation",
    "11-calibration",
}
OWN = re.compile(r"^## Em \*Dom Casmurro\*\n.*?(?=^## )", re.MULTILINE | re.DOTALL)


def translated(path):
    """The chapter without its own section."""
    return OWN.sub("", path.read_text(encoding="utf-8"))


def test_the_chapters_that_are_promised_are_there():
    assert {path.stem for path in CHAPTERS} == TRANSLATED


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_cells_are_those_of_the_english_chapter(path):
    english = (VIGNETTES / path.name).read_text(encoding="utf-8")
    portuguese = translated(path)
    assert CELL.findall(portuguese) == CELL.findall(english), f"vignettes/pt/{path.name} lags behind the English cells"
    assert CELL.findall(english)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_displayed_formulas_and_the_outline_are_in_step(path):
    english = (VIGNETTES / path.name).read_text(encoding="utf-8")
    portuguese = translated(path)

    def symbols(text):
        """Formulas without their words."""
        return [re.sub(r"\\(text|operatorname|mathrm)\{[^}]*\}|\s+", "", formula) for formula in DISPLAY.findall(text)]

    def outline(text):
        return [len(level) for level in re.findall(r"^(#+) ", CELL.sub("", text), re.MULTILINE)]

    assert [len(f) for f in map(str, symbols(portuguese))] == [len(f) for f in map(str, symbols(english))]
    assert outline(portuguese) == outline(english)
    assert portuguese.count("<details>") == portuguese.count("</details>") == english.count("<details>")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_prose_is_translated(path):
    """No paragraph of twelve words or more is left as it is in English, references apart."""

    def paragraphs(text):
        text = CELL.sub("", text).split("\n---\n", 1)[1]
        text = re.split(r"^## Refer", text, flags=re.MULTILINE)[0]
        return {
            p.strip() for p in re.split(r"\n\s*\n", DISPLAY.sub("", text)) if len(re.sub(r"\$[^$]*\$", "", p).split()) >= 12
        }

    english = (VIGNETTES / path.name).read_text(encoding="utf-8")
    assert not paragraphs(translated(path)) & paragraphs(english)


@pytest.mark.parametrize("there", [True, False], ids=["with the novel", "without"])
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_section_on_dom_casmurro_runs_and_says_what_is_missing(path, there, monkeypatch, tmp_path, capsys):
    (section,) = OWN.findall(path.read_text(encoding="utf-8"))
    if there:
        try:
            slm.datasets.load("dom_casmurro")
        except slm.errors.DataUnavailable:
            pytest.skip("dom_casmurro.txt is not in the folder STATLM_DATA")
    else:
        monkeypatch.setenv("STATLM_DATA", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    names = {"slm": slm, "np": np, "pd": pd, "re": re}
    for cell in CELL.findall(section):
        exec(compile(cell.split("\n", 1)[1].removesuffix("```"), path.name, "exec"), names)
    plt.close("all")
    said = capsys.readouterr().out
    assert ("148 documents" in said) == there
    assert ("has no file here" in said) == (not there)
