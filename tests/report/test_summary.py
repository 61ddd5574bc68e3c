import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import numpy as np
import pytest

import statlm.report.summary as module
from statlm.errors import NoEstimate, TooFewClusters
from statlm.models.ngram import NGram
from statlm.models.softmax import SoftmaxRegression
from statlm.report.summary import Notes, Prominence, summary
from statlm.report.tidy import tidy
from statlm.text.corpus import Corpus

VARIED = "".join(chr(97 + i * (i + 3) // 7 % 13) for i in range(400))
NASTY = "a_b & 50%, #1 $x$ [k] {z} <br> ^~\\ |\n\t*"


@pytest.fixture(scope="module")
def fit():
    return NGram(n=2).fit(Corpus.from_texts(["abracadabra", "barbara", "cabra da barra", "a barra"] * 5))


class Parser(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.everything = [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.everything += data
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data


def test_the_header_holds_the_measures_to_the_printed_digits(fit):
    obs = fit.loglike_obs()
    n, q = len(obs), fit.dof
    counts = np.bincount(fit.corpus.targets)
    null = sum(c * np.log(c / n) for c in counts if c)
    text = str(summary(fit))
    header = dict(summary(fit).header)
    assert header["Log-likelihood"] == f"{obs.sum():,.2f}"
    assert header["Null log-likelihood"] == f"{null:,.2f}"
    assert header["AIC"] == f"{-2 * obs.sum() + 2 * q:,.2f}"
    assert header["BIC"] == f"{-2 * obs.sum() + q * np.log(n):,.2f}"
    assert float(header["Perplexity"]) == pytest.approx(np.exp(-obs.mean()), abs=5e-4)
    assert float(header["Pseudo R²"]) == pytest.approx(1 - obs.sum() / null, abs=5e-5)
    assert float(header["Bits per token"]) == pytest.approx(-obs.mean() / np.log(2), abs=5e-4)
    assert float(header["Bits per byte"]) == pytest.approx(-obs.sum() / np.log(2) / fit.corpus.nbytes, abs=5e-4)
    assert header["Observations"] == f"{n:,}"
    assert header["Documents"] == "20"
    assert header["Parameters (dof)"] == f"{q:,}"
    assert header["Distinct contexts"] == "7"
    for value in header.values():
        assert value in text


def test_the_text_prints_estimates_errors_and_intervals(fit):
    text = str(summary(fit, cov="cluster", level=0.9))
    table = tidy(fit, cov="cluster", level=0.9)
    rows = [line.split() for line in text.splitlines() if line.startswith(("b ", "␣ "))]
    assert rows
    for row in rows:
        found = table[(table.response == row[0].replace("␣", " ")) & (table.term == row[1].replace("␣", " "))].iloc[0]
        for printed, value in zip(row[2:], found.iloc[2:], strict=True):
            assert float(printed) == pytest.approx(value, abs=0.51 * 10.0 ** -len(printed.split(".")[1]))
    assert "clustered by document (20 clusters)" in text.replace("\n  ", " ")
    assert "level 0.9, t(19)" in text.replace("\n  ", " ")


def test_all_lines_of_the_text_are_as_wide_as_the_rules(fit):
    lines = str(summary(fit)).splitlines()
    rules = [line for line in lines if set(line) == {"="}]
    assert len(rules) == 3
    assert len(set(map(len, rules))) == 1
    assert max(map(len, lines)) == len(rules[0])


def test_probabilities_have_no_p_values_and_log_odds_do(fit):
    assert "p-value" not in str(summary(fit))
    regression = SoftmaxRegression(lags=1).fit(fit.corpus)
    text = str(summary(regression))
    assert "p-value" in text
    assert "statistic" in text


def test_a_p_value_is_never_printed_as_0():
    corpus = Corpus.from_text("a" * 9_000 + "b" * 1_000)
    text = str(summary(SoftmaxRegression(lags=1).fit(corpus)))
    assert "<1e-16" in text


def test_forty_rows_are_shown_and_the_others_counted():
    corpus = Corpus.from_text(VARIED)
    fit = NGram(n=2).fit(corpus)
    p = len(fit.params)
    assert p > 45
    shown = summary(fit)
    assert len(shown.cells) == len(shown.coefficients) == 40
    assert f"40 of {p} parameters; {p - 40} are left out. All: tidy()." in " ".join(shown.notes)


def test_the_most_prominent_parameters_are_shown_where_the_model_says_which():
    corpus = Corpus.from_text(VARIED)
    fit = NGram(n=2).fit(corpus)
    wanted = np.arange(len(fit.params)) % 50  # 49 is the largest

    class Prominent(Delegating):
        def prominence(self):
            return wanted

    assert isinstance(Prominent(fit.likelihood), Prominence)
    shown = summary(Wrapped(Prominent(fit.likelihood)))
    order = np.sort(np.argsort(-wanted, kind="stable")[:40])
    assert np.allclose(shown.coefficients.estimate, fit.params[order])
    assert any(note.startswith("The most prominent 40 of") for note in shown.notes)


class Delegating:
    """A likelihood that is another one in all but what a subclass says."""

    def __init__(self, likelihood):
        self.likelihood_ = likelihood

    corpus = property(lambda self: self.likelihood_.corpus)
    memory = property(lambda self: self.likelihood_.memory)
    params = property(lambda self: self.likelihood_.params)
    param_names = property(lambda self: self.likelihood_.param_names)
    dof = property(lambda self: self.likelihood_.dof)

    def loglike_obs(self):
        return self.likelihood_.loglike_obs()

    def logprobs(self, contexts):
        return self.likelihood_.logprobs(contexts)

    def on(self, corpus):
        return self.likelihood_.on(corpus)

    def score(self):
        return self.likelihood_.score()

    def information(self):
        return self.likelihood_.information()

    def at(self, params):
        return self.likelihood_.at(params)


@dataclass(frozen=True)
class HandMade:
    method: str = "by hand"
    converged: bool = True
    iterations: int | None = 7


@dataclass(frozen=True)
class Wrapped:
    likelihood: object
    specification: object = NGram(n=2)
    report: object = HandMade()


def test_notes_of_the_model_and_of_its_specification_are_shown(fit):
    class Noted(Delegating):
        def notes(self):
            return ["What the model says."]

    class Specification:
        def notes(self):
            return ["What the specification says."]

    assert isinstance(Noted(fit.likelihood), Notes)
    text = str(summary(Wrapped(Noted(fit.likelihood), Specification())))
    assert "- What the model says." in text
    assert "- What the specification says." in text


def test_the_report_of_the_optimiser_is_shown(fit):
    header = dict(summary(Wrapped(fit.likelihood, report=HandMade(converged=False))).header)
    assert header["Method"] == "by hand"
    assert header["Iterations"] == "7"
    assert header["Converged"] == "NO"


def test_where_theory_has_no_standard_error_the_estimates_are_shown_without(fit):
    class Singular(Delegating):
        def information(self):
            raise NoEstimate("The information is singular.")

    shown = summary(Wrapped(Singular(fit.likelihood)))
    assert shown.coefficients.std_error.isna().all()
    assert np.allclose(shown.coefficients.estimate, fit.params)
    assert "No standard errors: The information is singular." in shown.notes
    assert "nan" not in str(shown).lower()


def test_a_covariance_that_cannot_be_had_is_refused():
    with pytest.raises(TooFewClusters):
        summary(NGram(n=2).fit(Corpus.from_text("abracadabra")), cov="cluster")


def test_a_distribution_without_parameters_has_a_header_and_a_note(fit):
    class Distribution:
        corpus, memory = fit.corpus, fit.memory
        loglike_obs, logprobs, on = fit.loglike_obs, fit.logprobs, fit.on

    shown = summary(Wrapped(Distribution()))
    assert "no free parameters with derivatives" in shown.notes[0]
    header = dict(shown.header)
    assert "AIC" not in header
    assert "Perplexity" in header
    assert "no free parameters" in str(summary(NGram(n=0).fit(fit.corpus)))


def test_unknown_tokens_and_impossible_ones_are_counted():
    train = Corpus.from_text("abracadabra")
    corpus = Corpus.from_text("abracadabraz", vocabulary=train.vocabulary)
    fitted = NGram(n=1).fit(train)
    fit = replace(fitted, likelihood=fitted.likelihood.on(corpus))
    notes = " ".join(summary(fit).notes)
    assert "1 of 12 observations have probability 0: the log-likelihood is -inf." in notes
    perplexity = f"{np.exp(-fitted.loglike_obs().mean()):.4g}"
    assert f"1 of 12 observations are <unk>; without them the perplexity is {perplexity}." in notes
    assert "inf" in dict(summary(fit).header)["Perplexity"]


def test_what_is_not_text_has_no_bits_per_byte():
    header = dict(summary(NGram(n=1).fit(Corpus.from_tokens([["x", "y", "x"]]))).header)
    assert "Bits per byte" not in header
    assert "Bits per token" in header


def test_invisible_tokens_are_visible_in_text_and_raw_in_the_table():
    shown = summary(NGram(n=1).fit(Corpus.from_text("a b\tc\nd  ")))
    text = str(shown)
    for sign in "⏎⇥":
        assert sign in text
    assert "\t" in shown.coefficients.response.tolist()
    assert "\t" not in text


def test_words_of_a_context_are_kept_apart_by_a_space():
    shown = summary(NGram(n=3).fit(Corpus.from_text("to be or to be not to be so", "word")))
    assert "to be" in str(shown)


def test_html_parses_and_holds_every_cell():
    shown = summary(NGram(n=1).fit(Corpus.from_text(NASTY)))
    parsed = Parser(shown.as_html())
    assert shown._repr_html_() == shown.as_html()
    for cell in [cell for row in shown.cells for cell in row] + [value for _, value in shown.header]:
        assert cell in parsed.cells
    for note in shown.notes:
        assert note in parsed.everything
    assert "<br>" not in shown.as_html()


def test_latex_is_balanced_and_escapes_what_latex_reads_as_commands():
    corpus = Corpus.from_texts([NASTY, "<b>"])
    latex = summary(NGram(n=1).fit(corpus)).as_latex()
    bare = re.sub(r"\\(?:[{}#$%&_])", "", latex)  # without the escaped ones
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    for character in "#$%_":
        assert character not in bare
    assert latex.count(r"\begin{") == latex.count(r"\end{")
    assert latex.count(r"\begin{tabular}") == 2  # one for the facts, one for all the coefficients and their heading
    assert not re.search(r"\\\\\s*[\[*]", latex)  # would be read as an argument of the end of the row
    assert all(ord(c) < 0x2000 for c in latex)  # no sign that LaTeX's fonts lack
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    separators = {line.replace(r"\&", "").count("&") for line in rows}
    assert separators == {3, 5}
    for written in (r"\_", r"\&", r"\%", r"\#", r"\$", r"\{", r"\textless{}eos\textgreater{}", r"\textbackslash{}"):
        assert written in latex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("texts", [[NASTY, "<b>"], ["olhos de ressaca", "é “ção” — 50 %\n"]])
def test_latex_compiles(texts, tmp_path):
    body = summary(NGram(n=2).fit(Corpus.from_texts(texts))).as_latex()
    head = "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{booktabs}\n"
    (tmp_path / "table.tex").write_text(f"{head}\\begin{{document}}\n{body}\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").exists()


def test_a_specification_is_named_in_the_title(fit):
    assert str(summary(fit)).splitlines()[0].strip() == "NGram results"
    assert repr(summary(fit)) == str(summary(fit))


def test_small_numbers_are_not_printed_as_0():
    shown = module._cell("estimate", 1e-9, str, module.MOST_DECIMALS)
    assert float(shown) == pytest.approx(1e-9)
    assert module._cell("estimate", -1e-17, str, 3) == "0.000"
    assert module._cell("std_error", np.nan, str, 3) == ""
