"""Studies measure what they say, do not depend on how they are run, and go on where they were stopped."""

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import statlm as slm
from statlm.cli import main as cli
from statlm.errors import DamagedFile, NoEstimate, SpecificationError
from statlm.simulation import Perplexity, Probabilities, Rejection, coverage, tabulate

CELL = Probabilities([["0"]], ["1"], methods=("wald", "wilson"), covs=("nonrobust", "cluster"))


@pytest.fixture(scope="module")
def chain():
    corpus = slm.datasets.markov([[0.8, 0.2], [0.4, 0.6]], documents=12, length=31).corpus
    return slm.NGram(2).fit(corpus)


@pytest.fixture(scope="module")
def table(chain):
    return coverage(chain, [CELL], replicates=100, seed=1)


def test_a_row_an_interval_with_rates_and_their_errors(table):
    assert table.method.tolist() == ["wald, nonrobust", "wald, cluster", "wilson"]
    assert (table.kind == "coverage").all()
    assert table.agrees.all()
    assert (table.replicates == 100).all()
    assert_allclose(table.rate_error, np.sqrt(0.95 * 0.05 / 100))
    assert (table.bias.abs() < 4 * table.bias_error).all()
    assert (abs(table.se_ratio - 1) < 4 * table.se_ratio_error).all()


def test_the_table_is_the_arithmetic_of_the_answers(table):
    answers = table.attrs["replicates"]
    wald = answers[answers.method == "wald, nonrobust"]
    assert_allclose(table.bias[0], (wald.estimate - wald.truth).mean())
    assert_allclose(table.rate[0], ((wald.conf_low <= wald.truth) & (wald.truth <= wald.conf_high)).mean())
    assert_allclose(table.se_ratio[0], wald.std_error.mean() / wald.estimate.std())


def test_the_error_of_the_ratio_of_standard_errors_is_that_of_a_standard_deviation():
    """Where standard errors are constant, all of it is the sampling error of a standard deviation, 1 / sqrt(2 (n - 1))."""
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(100):
        estimate = rng.standard_normal(100)
        answers = pd.DataFrame(
            {"replicate": range(100), "kind": "interval", "what": "m", "method": "", "estimate": estimate, "std_error": 1.0}
        ).assign(conf_low=estimate - 1.96, conf_high=estimate + 1.96, truth=0.0, p_value=np.nan)
        row = tabulate(answers).iloc[0]
        ratios.append((row.se_ratio, row.se_ratio_error))
    ratio, error = np.array(ratios).T
    assert_allclose(error.mean(), ratio.std(), rtol=0.2)


def reject_uniformly(corpus):
    """A p-value that is uniform whatever the corpus."""
    return float(np.random.default_rng(int(corpus.tokens[:25].astype(int) @ 2 ** np.arange(25))).random())


def longer(corpus):
    """Likelihood ratio against one lag more."""
    corpus = corpus.with_given(2)
    return slm.lr_test(slm.NGram(2).fit(corpus), slm.NGram(3).fit(corpus))


def shorter(corpus):
    """Likelihood ratio against no lag."""
    return slm.lr_test(slm.NGram(1).fit(corpus), slm.NGram(2).fit(corpus))


def test_tests_have_sizes_and_powers(chain):
    questions = [
        Rejection("longer", longer),
        Rejection("shorter", shorter, null=False),
        Rejection("uniform", reject_uniformly),
    ]
    table = coverage(chain, questions, replicates=100, seed=2).set_index("what")
    assert table.kind.to_dict() == {"longer": "size", "shorter": "power", "uniform": "size"}
    assert table.agrees["longer"]
    assert table.agrees["uniform"]
    assert table.rate["shorter"] > 0.95
    assert pd.isna(table.agrees["shorter"])
    assert np.isnan(table.nominal["shorter"])
    assert np.isnan(table.bias["longer"])


def test_an_interval_that_is_too_short_does_not_agree(table):
    answers = table.attrs["replicates"]
    half = 0.5 * (answers.conf_high - answers.conf_low) / 2
    middle = (answers.conf_high + answers.conf_low) / 2
    table = tabulate(answers.assign(conf_low=middle - half, conf_high=middle + half))
    assert not table.agrees.any()


@pytest.mark.slow
def test_documents_that_differ_need_clusters():
    rows = stats.dirichlet([4, 4], seed=1).rvs(12)
    models = [
        slm.NGram(2).fit(slm.datasets.markov([row, row[::-1]], documents=20, length=41, seed=i).corpus)
        for i, row in enumerate(rows)
    ]
    table = coverage(models, [CELL], replicates=60, documents=30, length=41, population=4000, seed=3).set_index("method")
    assert table.agrees["wald, cluster"]
    assert not table.agrees["wald, nonrobust"]
    assert table.se_ratio["wald, nonrobust"] < 0.8 < table.se_ratio["wald, cluster"]


def test_perplexity_is_that_of_the_refit_on_the_population(chain):
    table = coverage(chain, [Perplexity(["cluster"])], replicates=80, documents=40, population=2000, seed=4)
    assert table.agrees.all()
    assert abs(table.bias[0]) < 4 * table.bias_error[0]
    with pytest.raises(SpecificationError, match="population=2000"):
        coverage(chain, [Perplexity()], replicates=2)


# --- how it is run ------------------------------------------------------------------------------------------------------


def test_neither_jobs_nor_chunks_nor_folders_change_the_answers(chain, table, tmp_path):
    expected = table.attrs["replicates"].query("replicate < 12").reset_index(drop=True)
    for settings in ({"chunk": 5}, {"jobs": 2, "chunk": 6}, {"folder": tmp_path, "chunk": 7}):
        found = coverage(chain, [CELL], replicates=12, seed=1, **settings).attrs["replicates"]
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_a_study_goes_on_where_it_was_stopped(chain, table, tmp_path):
    settings = {"seed": 1, "chunk": 4, "folder": tmp_path}
    coverage(chain, [CELL], replicates=10, **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"replicates-{i:06d}.csv" for i in (0, 4, 8)),
        "study.json",
    ]
    (tmp_path / "replicates-000004.csv").unlink()
    drawn = []
    found = coverage(chain, [CELL], replicates=12, progress=drawn.append, **settings).attrs["replicates"]
    assert drawn == [4, 4]  # the one that was lost, and the one that had been cut short
    pd.testing.assert_frame_equal(
        found, table.attrs["replicates"].query("replicate < 12").reset_index(drop=True), check_dtype=False
    )
    fewer = coverage(chain, [CELL], replicates=5, **settings)
    assert (fewer.replicates == 5).all()


def test_a_folder_holds_one_study(chain, tmp_path):
    coverage(chain, [CELL], replicates=2, folder=tmp_path)
    with pytest.raises(SpecificationError, match=r"holds another study \(it differs in questions, seed"):
        coverage(chain, [Probabilities([["1"]])], replicates=2, seed=5, folder=tmp_path)
    (tmp_path / "replicates-000000.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DamagedFile, match="holds no answers of a study"):
        coverage(chain, [CELL], replicates=2, folder=tmp_path)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(DamagedFile, match="no description of a study"):
        coverage(chain, [CELL], replicates=2, folder=tmp_path)


def refuse(corpus):
    """A test that has no answer for corpora that begin with 1."""
    if corpus.tokens[1] == 1:
        raise NoEstimate("nothing to say")
    return 0.5


def test_replicates_without_an_estimate_are_counted_and_left_out(chain):
    table = coverage(chain, [Rejection("refuses", refuse)], replicates=40, seed=1)
    assert table.replicates[0] + table.failed[0] == 40
    assert 0 < table.failed[0] < 40
    failed = table.attrs["replicates"].query("kind == 'failed'")
    assert (failed.what == "NoEstimate").all()
    assert (failed.method == "nothing to say").all()


def test_settings_that_make_no_sense_are_refused(chain):
    with pytest.raises(SpecificationError, match="needs a true model and a question"):
        coverage(chain, [])
    with pytest.raises(SpecificationError, match="replicates=0"):
        coverage(chain, [CELL], replicates=0)
    with pytest.raises(SpecificationError, match="level=95"):
        coverage(chain, [CELL], level=95)
    with pytest.raises(SpecificationError, match="carries no specification to refit"):
        coverage(chain.likelihood, [CELL])
    with pytest.raises(SpecificationError, match="have no closed form of their truth"):
        coverage([chain, chain], [CELL])
    with pytest.raises(SpecificationError, match="There is no interval 'exact'"):
        Probabilities([["0"]], methods=["exact"])


# --- the program --------------------------------------------------------------------------------------------------------


def run(capsys, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["statlm", "coverage", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, *capsys.readouterr()


@pytest.mark.parametrize("model", ["ngram", "softmax"])
def test_the_program_prints_the_table(capsys, monkeypatch, tmp_path, model):
    output = tmp_path / "table.csv"
    code, out, _ = run(
        capsys, monkeypatch, "--model", model, "--replicates", 6, "--documents", 8, "--length", 41, "--output", output
    )
    assert code == 0
    assert "as the truth; 6 replicates" in out
    assert "within 3.3 Monte-Carlo errors" in out
    saved = pd.read_csv(output, comment="#")
    assert set(saved.kind) == {"coverage", "size", "power"}


def test_the_program_takes_a_text_as_the_truth(capsys, monkeypatch, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(["abba abab bab", "bab abba ab", "aab bba aba"] * 4))
    code, out, _ = run(capsys, monkeypatch, text, "--split", "paragraph", "--replicates", 4, "--pseudo-count", 0.5)
    assert code == 0
    assert "bigram + 0.5 fitted to text.txt as the truth" in out
    assert "lr_test" not in out  # which a prior rules out


def test_the_program_refuses_what_it_cannot_study(capsys, monkeypatch):
    code, _, err = run(capsys, monkeypatch, "--n", 1)
    assert code == 1
    assert "--n 1: the study asks for probabilities after a context" in err
    code, _, err = run(capsys, monkeypatch, "--model", "lstm")
    assert code == 1
    assert "There is no model 'lstm'" in err
