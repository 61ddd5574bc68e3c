"""Settings of the documentation site. It builds without a network: MathJax is kept in _static."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import listing  # noqa: E402

import statlm  # noqa: E402

# --- pages that are made, so that they cannot lag behind ---------------------------------------------------------------

listing.write()


def copy_vignettes() -> None:
    """Vignettes live at the top of the repository; Sphinx reads a copy, touched only where it changed.

    Each copy begins with links to the chapter as a notebook and as a script, which are written to _notebooks.
    """
    import jupytext

    target, home = HERE / "_vignettes", HERE.parent / "vignettes"
    sources = {path.relative_to(home): path for path in home.rglob("*.md")}
    for old in target.rglob("*.md"):
        if old.relative_to(target) not in sources:
            old.unlink()
    for name, source in sources.items():
        copy = target / name
        text = with_downloads(source.read_text(encoding="utf-8"), name)
        if copy.exists() and copy.read_text(encoding="utf-8") == text:
            continue
        notebook = HERE / "_notebooks" / name
        for folder in (copy.parent, notebook.parent):
            folder.mkdir(parents=True, exist_ok=True)
        cells = jupytext.read(source)
        jupytext.write(cells, notebook.with_suffix(".ipynb"))
        jupytext.write(cells, notebook.with_suffix(".py"), fmt="py:percent")
        copy.write_text(text, encoding="utf-8")


def with_downloads(text: str, name: Path) -> str:
    """The chapter with two links below its title."""
    up = "../" * len(name.parts)
    words = ("notebook", "script") if len(name.parts) == 1 else ("caderno", "programa")
    links = [
        f"{{download}}`{w} <{up}_notebooks/{name.with_suffix(s)}>`" for w, s in zip(words, (".ipynb", ".py"), strict=True)
    ]
    said = "This chapter as a" if len(name.parts) == 1 else "Este capítulo como"
    joined = f" {'or' if len(name.parts) == 1 else 'ou'} ".join(links)
    title = re.search(r"^# .*$", text, re.MULTILINE)
    assert title is not None, f"{name} has no title"
    return f"{text[: title.end()]}\n\n{said} {joined}.{text[title.end() :]}"


copy_vignettes()

# --- Sphinx ------------------------------------------------------------------------------------------------------------

project = "statlm"
author = "the authors of statlm"
copyright = "the authors of statlm; MIT licence"
version = release = statlm.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
]
exclude_patterns = ["_build", "_notebooks", "jupyter_execute", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]
default_role = "py:obj"
add_module_names = False
python_maximum_signature_line_length = 90
toc_object_entries = False

autosummary_generate = True
autodoc_typehints = "none"  # the Parameters sections say it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_validation_checks = {"GL08"}  # what is public has a docstring; tests/test_docstrings.py asks for more

myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

mathjax_path = "mathjax/tex-svg.js"  # MathJax 3.2.2: one file, SVG output, no fonts to fetch

html_theme = "pydata_sphinx_theme"
html_title = "statlm"
html_static_path = ["_static"]
html_css_files = ["statlm.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": [], "install": [], "changelog": [], "_vignettes/*": [], "_vignettes/pt/*": []}
