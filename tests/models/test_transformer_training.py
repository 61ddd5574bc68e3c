"""Fitting a decoder: budgets, path, held-out text, checkpoints, interruptions, fine-tuning."""

import os
import signal
import threading
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

import statlm as slm
from statlm.errors import DamagedFile, NoEstimate, SpecificationError, StatlmWarning

pytest.importorskip("torch")

SMALL = {"layers": 1, "heads": 2, "width": 16, "context": 16, "steps": 24, "batch": 64, "precision": "float64", "seed": 1}


@pytest.fixture(scope="module")
def corpus():
    return slm.Corpus.from_texts(["abracadabra" * 2, "barbara bar", "abba", "cadabra"] * 6)


@pytest.fixture(scope="module")
def held():
    return slm.Corpus.from_texts(["abra bar", "cadabra", "barba"] * 4, vocabulary=None)


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adam", "sgd"])
def test_every_optimizer_improves_on_the_unigram(corpus, optimizer):
    fit = slm.TransformerDecoder(**SMALL | {"optimizer": optimizer, "steps": 150}).fit(corpus)
    assert fit.loglike > slm.NGram(n=1).fit(corpus).loglike + 20


def test_gradients_accumulated_over_batches_are_those_of_one_large_batch():
    """Documents of one length, so that equal batches have equally many tokens."""
    corpus = slm.Corpus.from_texts(["abcabcab", "bacbacba", "cabcabca", "abccbaab"] * 8, eos=False)
    settings = SMALL | {"optimizer": "sgd", "momentum": 0.0, "steps": 3, "context": 8}
    whole = slm.TransformerDecoder(**settings | {"batch": 32 * 8}).fit(corpus)
    parts = slm.TransformerDecoder(**settings | {"batch": 8 * 8, "accumulate": 4}).fit(corpus)
    np.testing.assert_allclose(parts.likelihood.params, whole.likelihood.params, atol=1e-12)


def test_a_budget_of_tokens_is_kept(corpus):
    by_tokens = slm.TransformerDecoder(**SMALL | {"steps": None, "tokens": 640}).fit(corpus)
    assert by_tokens.report.iterations == 10


def test_a_budget_of_time_is_kept_and_the_rate_falls_with_it(corpus, monkeypatch):
    """By a clock on which every look takes 10 ms, so that a busy machine changes nothing."""
    looks = count()
    monkeypatch.setattr("statlm.networks.descent.time", SimpleNamespace(perf_counter=lambda: 0.01 * next(looks)))
    by_time = slm.TransformerDecoder(**SMALL | {"steps": None, "time": 0.5}).fit(corpus)
    assert by_time.path.seconds.iloc[-1] >= 0.5
    assert by_time.path.seconds.iloc[-2] < 0.5
    assert by_time.path.learning_rate.iloc[-1] < 0.2 * by_time.path.learning_rate.max()


def test_the_path_says_how_the_estimate_was_approached(corpus):
    held = corpus.subset(range(12))
    fit = slm.TransformerDecoder(**SMALL).fit(corpus, held_out=held)
    path = fit.path
    assert path.step.iloc[-1] == 24
    assert path.loss.iloc[-1] < path.loss.iloc[0]
    assert (path.held_out_std_error > 0).all()
    np.testing.assert_allclose(fit.on(held).entropy, path.held_out_loss.min(), rtol=1e-12)


def test_models_in_closed_form_have_no_path(corpus):
    with pytest.raises(NoEstimate, match="leaves no path"):
        _ = slm.NGram(n=2).fit(corpus).path


def test_patience_ends_a_fit_that_no_longer_improves_and_returns_the_best(corpus):
    noise = slm.Corpus.from_texts(["dcrb ab", "rrdd", "bdbr"] * 4, vocabulary=corpus.vocabulary)
    fit = slm.TransformerDecoder(**SMALL | {"steps": 400, "patience": 3, "evaluations": 40}).fit(corpus, held_out=noise)
    assert "stopped early: the held-out loss was lowest at step" in fit.report.method
    assert fit.report.iterations < 400
    np.testing.assert_allclose(fit.on(noise).entropy, fit.path.held_out_loss.min(), rtol=1e-12)


def test_patience_without_held_out_text_is_refused(corpus):
    with pytest.raises(SpecificationError, match="there is none"):
        slm.TransformerDecoder(**SMALL | {"patience": 3}).fit(corpus)


# --- checkpoints ------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "adamw", "dropout": 0.2, "average": 0.1}, {"optimizer": "sgd", "accumulate": 2}],
    ids=["muon", "adamw", "sgd"],
)
def test_a_killed_fit_goes_on_to_the_same_result(corpus, tmp_path, monkeypatch, settings):
    from statlm.networks import descent

    specification = slm.TransformerDecoder(**SMALL | settings)
    whole = specification.fit(corpus, held_out=corpus.subset(range(8)))
    monkeypatch.setattr(descent, "CHECKPOINT_EVERY", 0.0)
    real, count = descent._tensors, iter(range(1000))

    def killed(*args):
        if next(count) == 13:
            raise Killed
        return real(*args)

    file = tmp_path / "state.safetensors"
    monkeypatch.setattr(descent, "_tensors", killed)
    with pytest.raises(Killed):
        specification.fit(corpus, held_out=corpus.subset(range(8)), checkpoint=file)
    monkeypatch.setattr(descent, "_tensors", real)
    assert file.exists()
    resumed = specification.fit(corpus, held_out=corpus.subset(range(8)), checkpoint=file, resume=True)
    np.testing.assert_array_equal(resumed.likelihood.params, whole.likelihood.params)
    drop = ["seconds"]
    assert resumed.path.drop(columns=drop).equals(whole.path.drop(columns=drop))


def test_a_checkpoint_is_not_overwritten_or_resumed_by_another_fit(corpus, tmp_path):
    file = tmp_path / "state.safetensors"
    slm.TransformerDecoder(**SMALL).fit(corpus, checkpoint=file)
    with pytest.raises(SpecificationError, match="which would be overwritten"):
        slm.TransformerDecoder(**SMALL).fit(corpus, checkpoint=file)
    with pytest.raises(SpecificationError, match="differs in width"):
        slm.TransformerDecoder(**SMALL | {"width": 32}).fit(corpus, checkpoint=file, resume=True)
    with pytest.raises(SpecificationError, match="differs in corpus"):
        slm.TransformerDecoder(**SMALL).fit(corpus.subset(range(9)), checkpoint=file, resume=True)


def test_resuming_needs_a_file_that_is_whole(corpus, tmp_path):
    with pytest.raises(SpecificationError, match="goes on from a checkpoint"):
        slm.TransformerDecoder(**SMALL).fit(corpus, resume=True)
    file = tmp_path / "state.safetensors"
    slm.TransformerDecoder(**SMALL).fit(corpus, checkpoint=file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DamagedFile, match="no checkpoint, or a damaged one"):
        slm.TransformerDecoder(**SMALL).fit(corpus, checkpoint=file, resume=True)
    file.write_bytes(b"cos\nsystem\n(S'echo hostile'\ntR.")
    with pytest.raises(DamagedFile, match="no checkpoint, or a damaged one"):
        slm.TransformerDecoder(**SMALL).fit(corpus, checkpoint=file, resume=True)


# --- stops ------------------------------------------------------------------------------------------------------------


def test_ctrl_c_returns_what_there_is_and_says_so(corpus, tmp_path):
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.warns(StatlmWarning, match="interrupted at step"):
        fit = slm.TransformerDecoder(**SMALL | {"steps": 1_000_000}).fit(corpus, checkpoint=tmp_path / "state")
    timer.join()
    assert "stopped interrupted at step" in fit.report.method
    assert 0 < fit.report.iterations < 1_000_000
    assert np.isfinite(fit.perplexity)
    assert (tmp_path / "state").exists()


def test_a_loss_that_is_no_number_ends_the_fit_and_names_the_step(corpus, tmp_path):
    with pytest.raises(NoEstimate, match=r"The loss of step \d+ is (nan|inf)"):
        slm.TransformerDecoder(**SMALL | {"optimizer": "sgd", "learning_rate": 1e200}).fit(
            corpus, checkpoint=tmp_path / "state"
        )


def test_lbfgs_that_runs_out_of_steps_says_so(corpus):
    settings = SMALL | {"optimizer": "lbfgs", "steps": 3}
    with pytest.warns(StatlmWarning, match="this is not the maximum"):
        fit = slm.TransformerDecoder(**settings).fit(corpus)
    assert not fit.report.converged


# --- fine-tuning ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def before(corpus):
    return slm.TransformerDecoder(**SMALL | {"steps": 60}).fit(corpus)


def other(corpus):
    return slm.Corpus.from_texts(["drab crab", "bad dab", "arc card"] * 8, vocabulary=corpus.vocabulary)


def test_an_update_fits_the_new_text_better(corpus, before):
    text = slm.Corpus.from_texts(["barb arb", "bad dab", "arc carb"] * 8, vocabulary=corpus.vocabulary)
    after = before.update(text, steps=60)
    assert after.on(text).loglike > before.on(text).loglike + 10
    assert "all weights from a fit to" in after.report.method
    test = slm.paired_test(after.on(text), before.on(text))
    assert test.difference > 0


def test_a_low_rank_update_counts_its_degrees_of_freedom_and_leaves_the_rest(corpus, before):
    after = before.update(corpus, rank=2, steps=10)
    d, hidden = 16, 64
    expected = sum(2 * (m + n - 2) for m, n in [(3 * d, d), (d, d), (hidden, d), (d, hidden)])
    assert after.likelihood.dof == expected
    for name, weight in before.likelihood.weights.items():
        change = after.likelihood.weights[name] - weight
        if name.startswith("blocks."):
            assert 0 < np.linalg.matrix_rank(change, tol=1e-10) <= 2
        else:
            assert not change.any()


def test_what_cannot_be_updated_says_so(corpus, before):
    with pytest.raises(SpecificationError, match="estimated in one go"):
        slm.NGram(n=2).fit(corpus).update(corpus)
    with pytest.raises(SpecificationError, match="no low rank"):
        before.update(corpus, rank=16)
    with pytest.raises(SpecificationError, match="no blocks"):
        slm.TransformerDecoder(**SMALL | {"layers": 0}).fit(corpus).update(corpus, rank=1)


def test_products_in_bfloat16_leave_weights_and_likelihood_in_float32(corpus):
    fit = slm.TransformerDecoder(**SMALL | {"precision": "bfloat16", "steps": 60}).fit(corpus)
    assert fit.likelihood.dtype == np.float32
    assert fit.loglike > slm.NGram(n=1).fit(corpus).loglike
