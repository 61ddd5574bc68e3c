"""A compiled network is the network; where compilation fails, a fit that did not ask for it goes on, and says so."""

import pytest

torch = pytest.importorskip("torch")

import statlm as slm  # noqa: E402
from statlm.errors import SpecificationError, StatlmWarning  # noqa: E402
from statlm.networks import compilation  # noqa: E402

SMALL = {"layers": 1, "heads": 2, "width": 8, "context": 16, "batch": 64, "steps": 5, "evaluations": 1}


@pytest.fixture
def corpus():
    return slm.Corpus.from_text("abracadabra " * 20)


@pytest.fixture
def broken(monkeypatch):
    def compile(network):
        def fails(*inputs):
            raise RuntimeError("no headers")

        return fails

    monkeypatch.setattr(torch, "compile", compile)


def test_a_failure_is_an_error_where_compilation_was_asked_for(corpus, broken):
    with pytest.raises(SpecificationError, match=r"compiled=True, and torch\.compile fails here"):
        slm.TransformerDecoder(**SMALL, compiled=True).fit(corpus)


def test_a_failure_is_a_warning_where_it_was_not(corpus, broken, monkeypatch):
    monkeypatch.setattr(compilation, "PAYS_FROM", 0.0)
    monkeypatch.setattr(compilation, "_compiler", lambda: "g++")
    with pytest.warns(StatlmWarning, match="fitted without, with slower steps"):
        fit = slm.TransformerDecoder(**SMALL | {"steps": None, "time": 0.05}).fit(corpus)
    assert fit.perplexity < corpus.vocabulary.size


def test_without_a_compiler_or_in_a_short_budget_nothing_is_compiled(corpus, broken, monkeypatch):
    slm.TransformerDecoder(**SMALL).fit(corpus)
    monkeypatch.setattr(compilation, "PAYS_FROM", 0.0)
    monkeypatch.setattr(compilation, "_compiler", lambda: None)
    slm.TransformerDecoder(**SMALL | {"steps": None, "time": 0.05}).fit(corpus)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"dropout": 0.2}, {"precision": "bfloat16"}])
def test_a_compiled_fit_is_the_fit(corpus, changes):
    if compilation._compiler() is None:
        pytest.skip("no C++ compiler here")
    plain, compiled = (slm.TransformerDecoder(**SMALL, **changes, compiled=c).fit(corpus) for c in (False, True))
    assert compiled.loglike == pytest.approx(plain.loglike, rel=1e-2 if changes.get("precision") else 1e-4)
