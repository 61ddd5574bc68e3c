"""A compiled network is the network; where compilation fails, a fit that did not ask for it goes on, and says so."""

import pytest

torch = pytest.importorskip("torch")

import statlm as slm  # noqa: E402
from statlm.errors import SpecificationError, StatlmWarning  # noqa: E402
from statlm.networks import compilation  # noqa: E402
from statlm.networks.dropout import Dropout  # noqa: E402

# What torch's compiler says of its own insides, where other shapes of a batch are compiled.
ABOUT_ITSELF = (
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning"),
)
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
@ABOUT_ITSELF[0]
@ABOUT_ITSELF[1]
@pytest.mark.parametrize("changes", [{}, {"precision": "bfloat16"}])
def test_a_compiled_fit_is_the_fit(corpus, changes):
    if compilation._compiler() is None:
        pytest.skip("no C++ compiler here")
    plain, compiled = (slm.TransformerDecoder(**SMALL, **changes, compiled=c).fit(corpus) for c in (False, True))
    assert compiled.loglike == pytest.approx(plain.loglike, rel=1e-2 if changes.get("precision") else 1e-4)


@pytest.mark.slow
@ABOUT_ITSELF[0]
@ABOUT_ITSELF[1]
def test_compiled_dropout_has_draws_of_its_own_and_repeats_them(corpus):
    if compilation._compiler() is None:
        pytest.skip("no C++ compiler here")
    once, again, other = (
        slm.TransformerDecoder(**SMALL, dropout=0.2, compiled=True, seed=seed).fit(corpus).loglike for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other

    drop = torch.compile(Dropout(0.25))
    torch.manual_seed(0)
    dropped = drop(torch.ones(400_000)) == 0
    assert float(dropped.double().mean()) == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 400_000) ** 0.5)
