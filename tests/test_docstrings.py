"""What is public says what it does: summary, arguments, results; and the main names show an example that runs.

That the examples are right is checked by pytest itself, which runs every docstring.
"""

import importlib
import inspect
import pkgutil
import re

import pytest

import statlm as slm

PUBLIC = {name: getattr(slm, name) for name in slm._HOME}
PUBLIC |= {
    f"{module}.{name}": getattr(getattr(slm, module), name)
    for module in slm._MODULES
    for name in getattr(getattr(slm, module), "__all__", [])
    if callable(getattr(getattr(slm, module), name))
}
FUNCTIONS = {name: value for name, value in PUBLIC.items() if inspect.isfunction(value)}
CLASSES = {name: value for name, value in PUBLIC.items() if inspect.isclass(value)}
SHOWN = [
    *(name for name in FUNCTIONS if "." not in name),
    *("Corpus", "Vocabulary", "Characters", "NGram", "SoftmaxRegression"),
    *("measures.perplexity", "datasets.load", "datasets.markov", "datasets.addition"),
    *("testing.check_predictive", "testing.check_likelihood", "plots.plot_perplexity"),
]
SUBJECT = {"model", "fit", "table"}  # what a verb is about; a function of it alone need not explain it


def sections(doc):
    """Headings of a numpydoc docstring, with their text."""
    parts = re.split(r"^([A-Z][\w ]+)\n-{3,}$", inspect.cleandoc(doc), flags=re.MULTILINE)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def summary(doc):
    return inspect.cleandoc(doc).split("\n\n")[0]


def documented_arguments(text):
    """Names before the colons of a Parameters section, or alone on their line."""
    names = set()
    for line in inspect.cleandoc(text).splitlines():
        if line and not line[0].isspace():
            names |= {name.strip().lstrip("*") for name in line.partition(" : ")[0].split(",")}
    return names


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_a_summary_that_is_a_sentence(name):
    doc = PUBLIC[name].__doc__
    assert doc, f"statlm.{name} has no docstring"
    assert summary(doc).endswith((".", ":", "``")), f"the summary of statlm.{name} is not a sentence: {summary(doc)!r}"


@pytest.mark.parametrize("name", CLASSES)
def test_public_methods_and_properties_have_docstrings(name):
    for attribute, value in vars(CLASSES[name]).items():
        if attribute.startswith("_") or not (inspect.isroutine(value) or isinstance(value, property)):
            continue
        value = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        assert value.__doc__, f"statlm.{name}.{attribute} has no docstring"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_documented(name):
    arguments = {argument for argument in inspect.signature(FUNCTIONS[name]).parameters if not argument.startswith("_")}
    if not arguments - SUBJECT:
        return
    found = sections(FUNCTIONS[name].__doc__)
    assert "Parameters" in found, f"statlm.{name} does not say what {', '.join(sorted(arguments))} are"
    missing = arguments - documented_arguments(found["Parameters"])
    assert not missing, f"statlm.{name} does not document {', '.join(sorted(missing))}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_argument_is_documented_that_does_not_exist(name):
    found = sections(FUNCTIONS[name].__doc__)
    if "Parameters" in found:
        assert documented_arguments(found["Parameters"]) <= set(inspect.signature(FUNCTIONS[name]).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_or_refusals_are_documented(name):
    arguments = set(inspect.signature(FUNCTIONS[name]).parameters)
    if not arguments - SUBJECT:
        return
    doc = FUNCTIONS[name].__doc__
    shape_first = re.match(r"\(\w+(, \w+)*,?\) ", summary(doc))  # "(p, p) covariance matrix ...": the summary says it
    assert shape_first or {"Returns", "Yields", "Raises"} & set(sections(doc)), (
        f"statlm.{name} does not say what comes of it"
    )


@pytest.mark.parametrize("name", SHOWN)
def test_the_main_names_show_an_example(name):
    assert ">>> " in sections(PUBLIC[name].__doc__).get("Examples", ""), f"statlm.{name} shows no example"


def test_every_module_says_what_it_is_about():
    missing = []
    for module in pkgutil.walk_packages(slm.__path__, "statlm."):
        if not (importlib.import_module(module.name).__doc__ or "").strip():
            missing.append(module.name)
    assert not missing, f"no docstring: {', '.join(missing)}"
