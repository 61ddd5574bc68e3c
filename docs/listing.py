"""The listing of the public names, made from `statlm` itself."""

from __future__ import annotations

from inspect import isclass, isfunction, ismodule
from pathlib import Path
from typing import Any

import statlm

TITLES = {
    "text": "Text",
    "models": "Models",
    "fit": "Fits and evaluations",
    "likelihood": "The contract",
    "covariance": "Dependence and covariances",
    "inference": "Intervals and tests",
    "comparison": "Comparison",
    "diagnostics": "Diagnostics",
    "generation": "Generation",
    "report": "Tables",
}
MODULES = {
    "datasets": "Data sets",
    "measures": "Measures",
    "plots": "Pictures",
    "simulation": "Simulation studies",
    "testing": "Laws for models of your own",
    "interop": "Files of other programs",
    "errors": "Errors and warnings",
}


def groups() -> dict[str, list[str]]:
    """Titles, and the public names below each as one writes them after ``statlm.``.

    Examples
    --------
    >>> "NGram" in groups()["Models"]
    True
    """
    found: dict[str, list[str]] = {}
    for name, home in statlm._HOME.items():
        package = home.split(".")[1]
        found.setdefault(TITLES.get(package, package.capitalize()), []).append(name)
    for module in statlm._MODULES:
        found[MODULES.get(module, module.capitalize())] = [f"{module}.{name}" for name in members(getattr(statlm, module))]
    return found


def members(module: Any) -> list[str]:
    """Public functions and classes of a module, those of its public submodules with their name before."""
    names = getattr(module, "__all__", None)
    if names is None:
        own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
        names = [
            name
            for name, value in own.items()
            if not name.startswith("_")
            and (isfunction(value) or (isclass(value) and not getattr(value, "_is_protocol", False)))
        ]
    found = []
    for name in names:
        value = getattr(module, name)
        if ismodule(value):
            found += [f"{name}.{inner}" for inner in members(value)]
        elif callable(value):
            found.append(name)
    return found


def page() -> str:
    """The page as MyST Markdown."""
    parts = [
        "# API",
        "Every public name, made from the package itself: `python docs/listing.py` writes this page, and a test fails "
        "where it lags behind.\nWhat each verb answers, in a sentence, is on the page [verbs](verbs.md).",
        "```{code-block} python\nimport statlm as slm\n```",
    ]
    for title, names in groups().items():
        module = names[0].partition(".")[0] if "." in names[0] else ""
        home = statlm._MODULES[module] if module else "statlm"  # where autodoc finds them
        listed = "\n".join(f"   {name.removeprefix(module + '.')}" for name in names)
        said = f"In `statlm.{module}`.\n\n" if module else ""
        parts.append(
            f"## {title}\n\n{said}```{{eval-rst}}\n.. currentmodule:: {home}\n\n"
            f".. autosummary::\n   :toctree: api/generated\n   :nosignatures:\n\n{listed}\n```"
        )
    return "\n\n".join(parts) + "\n"


def write(path: Path = Path(__file__).parent / "api.md") -> None:
    """Write the page, where it changed."""
    text = page()
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
