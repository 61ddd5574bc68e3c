"""The documents say what is so: every public name is listed, links lead somewhere, and code in README and pages runs."""

import importlib.util
import re
import sys
import warnings
from pathlib import Path

import pytest

import statlm as slm

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "vignettes").glob("*.md")]
    if not {"_build", "_notebooks", "_vignettes", "generated", "jupyter_execute"}.intersection(path.parts)
)
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
IMAGE = re.compile(r"!\[[^\]]*\]\((?P<target>[^)\s]+)\)|<img[^>]*\ssrc=\"(?P<source>[^\"]+)\"")
RUNNABLE = ["README.md", "docs/index.md", "docs/guide/text.md", "docs/guide/smoothing.md"]


def name_of(path):
    return str(path.relative_to(ROOT))


def prose(path):
    """A page without its code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text(encoding="utf-8")))


def code(path, language):
    """The fenced blocks of a language."""
    found = FENCE.finditer(path.read_text(encoding="utf-8"))
    return [match["body"] for match in found if match["info"].strip() == language]


def anchors(path):
    """Anchors that GitHub and MyST give to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def listing():
    spec = importlib.util.spec_from_file_location("listing", DOCS / "listing.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_api_page_is_what_the_package_exports(listing):
    lag = "docs/api.md lags behind the package. Run: python docs/listing.py"
    assert (DOCS / "api.md").read_text(encoding="utf-8") == listing.page(), lag


def test_the_listing_holds_every_public_name(listing):
    listed = [name for names in listing.groups().values() for name in names]
    tops = {name.partition(".")[0] for name in listed}
    assert len(listed) == len(set(listed))
    assert tops == set(slm.__all__) - {"__version__"}


def test_the_page_of_verbs_names_every_public_name(listing):
    text = (DOCS / "verbs.md").read_text(encoding="utf-8")
    spoken = {word for span in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", span)}
    names = [name for title, names in listing.groups().items() if title != listing.MODULES["errors"] for name in names]
    types = {"Dataset", "Generated"}  # what data sets are made of; nobody types them
    missing = sorted({name.rpartition(".")[2] for name in names} - types - spoken)
    assert not missing, f"docs/verbs.md does not name {', '.join(missing)}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_between_files_lead_somewhere(path):
    for match in [*LINK.finditer(prose(path)), *IMAGE.finditer(prose(path))]:
        target = match["target"] or match["source"]
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = path if not file else path.parent / file.replace("_vignettes/", "../vignettes/", 1)
        if file.startswith("../_vignettes/"):
            there = ROOT / "vignettes" / Path(file).name
        assert there.exists(), f"{name_of(path)} links to {target}, which does not exist"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{name_of(path)} links to {target}, and {there.name} has no such heading"


@pytest.mark.parametrize("name", RUNNABLE)
def test_python_blocks_run_from_top_to_bottom(name, tmp_path, monkeypatch):
    path = ROOT / name
    blocks = code(path, "python")
    assert blocks, f"{name} shows no Python"
    if any("parquet" in block for block in blocks):
        pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    namespace = {"__name__": "page"}
    for block in blocks:
        if ">>>" in block:
            run_doctest(block, name, namespace)
        else:
            exec(compile(block, name, "exec"), namespace)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def run_doctest(block, name, namespace):
    import doctest

    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    example = doctest.DocTestParser().get_doctest(block, namespace, name, name, 0)
    runner = doctest.DocTestRunner(optionflags=flags)
    said = []
    runner.run(example, out=said.append, clear_globs=False)
    namespace.update(example.globs)
    assert runner.failures == 0, "".join(said)


@pytest.mark.parametrize("path", sorted((ROOT / "vignettes").glob("*.md")), ids=name_of)
def test_vignettes_are_myst_programs_with_a_title(path):
    text = path.read_text(encoding="utf-8")
    cells = code(path, "{code-cell} python")
    assert text.startswith("---\njupytext:\n")
    assert "{dropdown}" not in text, "fold solutions with <details>: cells inside of a directive are not executed"
    assert re.search(r"^# \S", FENCE.sub("", text), re.MULTILINE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an invalid escape, say
        for cell in cells:
            compile(cell, name_of(path), "exec")
    assert cells


def test_the_changelog_has_an_entry_for_this_version():
    assert f"\n## {slm.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
