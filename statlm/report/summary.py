"""The summary of a fit: what was estimated, how well, and how surely."""

from __future__ import annotations

import html
import os
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.delta import functional
from statlm.inference.functionals import Functional
from statlm.likelihood import Likelihood, Unidentified, is_likelihood
from statlm.numerics.types import Array
from statlm.numerics.unique_rows import bits_for, unique_rows
from statlm.report.latex import escape
from statlm.report.tables import write_whole
from statlm.report.tidy import Evaluated, Scored, coefficient_table, coefficients, describe
from statlm.text.corpus import Corpus
from statlm.text.display import format_number, format_p, naming

MAX_ROWS = 40
LONG = 16  # contexts of more tokens than this hardly ever repeat, and are not worth counting


class Report(Protocol):
    """How the estimate was found."""

    @property
    def method(self) -> str:
        """The algorithm, in words."""
        ...

    @property
    def converged(self) -> bool:
        """Whether it ended at a maximum."""
        ...

    @property
    def iterations(self) -> int | None:
        """None for a closed form."""
        ...


class Summarised(Evaluated, Protocol):
    """A model at its estimate, with a report of how it got there."""

    @property
    def report(self) -> Report:
        """The report."""
        ...


@runtime_checkable
class Notes(Protocol):
    """A specification or a likelihood with something to say below its table."""

    def notes(self) -> list[str]:
        """Sentences: what the parameters are, what is held fixed, what the data could not tell."""
        ...


@runtime_checkable
class Prominence(Protocol):
    """A likelihood that says which of its parameters to show where there are too many."""

    def prominence(self) -> Array:
        """(p,) numbers, the largest shown first: for an n-gram, the counts of the cells."""
        ...


@runtime_checkable
class SaysDamping(Protocol):
    """A likelihood that says what makes its information invertible."""

    def damping_notes(self) -> list[str]:
        """Sentences; they may take some passes over the text."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """A summary of a fit, as text, HTML and LaTeX.

    Parameters
    ----------
    title : str
    header : tuple of (name, value)
        Facts about the fit.
    coefficients : DataFrame
        The parameters that are shown, as `tidy` gives them.
    cells : tuple of tuple of str
        The same as printed, without the heading.
    notes : tuple of str
        Sentences below the table.
    """

    title: str
    header: tuple[tuple[str, str], ...]
    coefficients: pd.DataFrame
    cells: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def as_text(self) -> str:
        """Plain text."""
        tables = self._tables(str)
        width = max(_width(table) for table in tables)
        body = [table.as_text(colwidths=_stretched(table, width)) for table in tables]
        notes = [textwrap.fill(f"- {note}", width, subsequent_indent="  ") for note in self.notes]
        return "\n".join([self.title.center(width).rstrip(), *body, *notes])

    def as_html(self) -> str:
        """An HTML fragment."""
        tables = self._tables(_html)
        tables[0].title = _html(self.title)
        notes = "".join(f"<li>{_html(note)}</li>\n" for note in self.notes)
        return "\n".join([*(table.as_html() for table in tables), f"<ul>\n{notes}</ul>" if notes else ""])

    def as_latex(self) -> str:
        """A LaTeX table; needs the package booktabs, and LuaLaTeX or XeLaTeX where tokens are not in the Latin alphabet."""
        body = "\n\n\\medskip\n".join(table.as_latex_tabular(center=False) for table in self._tables(escape))
        notes = "\n\n".join(escape(note) for note in self.notes)
        return (
            f"\\begin{{table}}\n\\centering\\footnotesize\\setlength{{\\tabcolsep}}{{4pt}}\n"  # so that 40 rows fit on a page
            f"\\caption{{{escape(self.title)}}}\n{body}\n\n\\medskip\n"
            f"\\begin{{minipage}}{{\\linewidth}}\\footnotesize\n{notes}\n\\end{{minipage}}\n\\end{{table}}\n"
        )

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()

    def _repr_latex_(self) -> str:
        return self.as_latex()

    def _tables(self, escaped: Callable[[str], str]) -> list[Any]:
        """The header and the coefficients as statsmodels' tables, every cell escaped for its format."""
        right = [label for label, _ in self.header].index("Log-likelihood")
        halves = zip_longest(self.header[:right], self.header[right:], fillvalue=("", ""))
        facts = [[*one, *other] for one, other in halves]
        tables = [_simple_table(facts, "lrlr", "htht", escaped)]
        if self.cells:
            names = [_HEADINGS.get(str(name), str(name)) for name in self.coefficients.columns]
            numbers = len(names) - 2
            table = _simple_table([names, *self.cells], "ll" + "r" * numbers, "t" * len(names), escaped)
            table.output_formats["txt"]["table_dec_above"] = None  # the rule of the table above
            table[0].add_format("txt", row_dec_below="-")
            table[0].add_format("html", data_fmts=_html_cells("ll" + "r" * numbers, "h" * len(names)))
            table[0].add_format("latex", row_dec_below=r"\midrule")
            tables.append(table)
        return tables


def summary(
    fit: Summarised,
    cov: str | Covariance | Dependence = "nonrobust",
    level: float = 0.95,
    *,
    functionals: Sequence[Functional] = (),
) -> Summary:
    """Summary of a fit.

    Parameters
    ----------
    fit : Fit
        Or anything with a specification, a likelihood and a report.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level of the Wald intervals.
    functionals : sequence of `Probability`, `LogOdds`, ...
        Quantities to show in place of the parameters: of a network, whose weights are not identified one by one,
        there is no other table. What was added to its information, and its effective number of parameters, is then said too.

    Returns
    -------
    Summary
        Prints as text, shows as HTML in notebooks, and has ``as_latex()``. Up to 40 parameters are listed; `tidy` has all.

    Examples
    --------
    >>> import statlm as slm
    >>> print(summary(slm.NGram(n=1).fit(slm.Corpus.from_text("ab ba" * 25))))  # doctest: +ELLIPSIS
                                   NGram results
    ====================================================================...
    Model                             NGram(n=1)  Log-likelihood     -131.87...
    """
    model = fit.likelihood
    chosen = resolve_cov(cov, fit)
    if functionals and is_likelihood(model):
        table, left_out, notes = _named(model, functionals, chosen, level)
    elif isinstance(model, Unidentified) and not model.identified:
        table, left_out, notes = pd.DataFrame(), 0, [_NOT_IDENTIFIED]
    else:
        table, left_out, notes = (
            _shown(model, chosen, level) if is_likelihood(model) else (pd.DataFrame(), 0, [_NO_PARAMETERS])
        )
    name = naming(model.corpus.vocabulary)
    decimals = _decimals(table) if len(table) else 0
    cells = [
        tuple(_cell(column, value, name, decimals) for column, value in row.items()) for row in table.to_dict("records")
    ]
    if left_out:
        by = "most prominent" if isinstance(model, Prominence) else "first"
        notes.insert(
            0, f"The {by} {len(cells)} of {len(cells) + left_out:,} parameters; {left_out:,} are left out. All: tidy()."
        )
    for source in (model, fit.specification):
        if isinstance(source, Notes):
            notes += source.notes()
    scored = Scored(model)
    return Summary(
        f"{type(fit.specification).__name__} results",
        tuple(_header(fit, scored).items()),
        table,
        tuple(cells),
        tuple(notes + _data_notes(scored)),
    )


def save_summary(made: Summary, path: str | os.PathLike[str]) -> None:
    """Write a summary to a file, whole or not at all: ".txt", ".html" or ".tex".

    Raises
    ------
    SpecificationError
        If the suffix is another one, or the folder does not exist.
    """
    path = Path(path)
    renders = {".txt": made.as_text, ".html": made.as_html, ".tex": made.as_latex}
    if path.suffix not in renders:
        raise SpecificationError(f"A summary cannot be written to {path.name!r}. Use one of {', '.join(renders)}.")
    write_whole(path, renders[path.suffix]() + "\n")


def _shown(model: Likelihood, chosen: Covariance, level: float) -> tuple[pd.DataFrame, int, list[str]]:
    """The parameters to show, how many are left out, and what to say of their errors."""
    p = len(model.params)
    rows = None
    if p > MAX_ROWS:
        rows = np.arange(MAX_ROWS)
        if isinstance(model, Prominence):
            rows = np.sort(np.argsort(-model.prominence(), kind="stable")[:MAX_ROWS])
    left_out = 0 if rows is None else p - len(rows)
    if p == 0:
        return coefficients(model, chosen, level), 0, ["The model has no free parameters."]
    try:
        table = coefficients(model, chosen, level, rows)
    except NoEstimate as error:
        names, estimates = (
            (model.param_names, model.params) if rows is None else (model.param_names[rows], model.params[rows])
        )
        table = coefficient_table(model, names, estimates, np.full(len(estimates), np.nan), np.inf, level)
        return table, left_out, [f"No standard errors: {error}"]
    dof = chosen.reference_dof(model)
    reference = "normal" if np.isinf(dof) else f"t({dof:,.6g})"
    return table, left_out, [f"Covariance: {chosen.describe(model)}. Wald intervals, level {level:g}, {reference}."]


def _named(
    model: Likelihood, functionals: Sequence[Functional], chosen: Covariance, level: float
) -> tuple[pd.DataFrame, int, list[str]]:
    """Functionals in the form of parameters, and what their errors rest on."""
    found = functional(model, functionals, cov=chosen, level=level)
    table = found.reset_index()
    dof = chosen.reference_dof(model)
    reference = "normal" if np.isinf(dof) else f"t({dof:,.6g})"
    notes = [f"Covariance: {chosen.describe(model)}. Delta method, level {level:g}, {reference}."]
    return table, 0, notes + (model.damping_notes() if isinstance(model, SaysDamping) else [])


def _header(fit: Summarised, scored: Scored) -> dict[str, str]:
    corpus, report = scored.corpus, fit.report
    facts: dict[str, str] = {
        "Model": describe(fit.specification),
        "Method": report.method,
        "Converged": "yes" if report.converged else "NO",
        "Iterations": "" if report.iterations is None else f"{report.iterations:,}",
        "Documents": f"{corpus.ndocuments:,}",
        "Observations": f"{corpus.nobs:,}",
        "Types": f"{corpus.vocabulary.size:,}",
        "Distinct contexts": _contexts(corpus, scored.model.memory),
        "Parameters (dof)": f"{scored.dof:,}" if scored.has_parameters else "",
    }
    for label, name in _MEASURED.items():
        value = scored.measure(name)
        facts[label] = _fixed(value) if name in _IN_NATS else format_number(value)
    return {label: value for label, value in facts.items() if value}


def _fixed(value: float) -> str:
    return f"{value:,.2f}" if np.isfinite(value) else format_number(value)


def _contexts(corpus: Corpus, memory: int | None) -> str:
    if memory is None or not 0 < memory <= LONG:
        return ""
    return f"{len(unique_rows(corpus.context_columns(memory), bits_for(corpus.vocabulary.nids)).counts):,}"


def _data_notes(scored: Scored) -> list[str]:
    """What the reader must know of the observations, whatever the model."""
    corpus, loglike = scored.corpus, scored.loglike_obs()
    notes = []
    impossible = int(np.count_nonzero(np.isneginf(loglike)))
    if impossible:
        notes.append(f"{impossible:,} of {corpus.nobs:,} observations have probability 0: the log-likelihood is -inf.")
    unknown = corpus.targets == corpus.vocabulary.unk
    known = loglike[~unknown]
    if unknown.any() and len(known):
        without = format_number(float(np.exp(-known.mean())))
        notes.append(
            f"{corpus.nunknown:,} of {corpus.nobs:,} observations are <unk>; without them the perplexity is {without}."
        )
    return notes


_NOT_IDENTIFIED = (
    "Weights of a network are not identified one by one, so there is no table of them. What it says has errors: "
    "predict(contexts, interval=0.95), summary(fit, functionals=[Probability('th', 'e')]), held_out_error(fit, test)."
)
_NO_PARAMETERS = "The model has no free parameters with derivatives: there are no standard errors, and no AIC or BIC."
_IN_NATS = ("loglike", "null_loglike", "aic", "bic", "bic_documents")
_MEASURED = {
    "Log-likelihood": "loglike",
    "Null log-likelihood": "null_loglike",
    "Pseudo R²": "pseudo_r2",
    "AIC": "aic",
    "BIC": "bic",
    "BIC, n = documents": "bic_documents",
    "Perplexity": "perplexity",
    "Bits per token": "bits_per_token",
    "Bits per character": "bits_per_char",
    "Bits per byte": "bits_per_byte",
}
_HEADINGS = {"std_error": "std. error", "conf_low": "conf. low", "conf_high": "conf. high", "p_value": "p-value"}


MOST_DECIMALS = 6


def _decimals(table: pd.DataFrame) -> int:
    """Decimals that give the smallest standard error (or estimate, where there are none) two digits, within reason."""
    sizes = table["std_error"].abs() if table["std_error"].notna().any() else table["estimate"].abs()
    smallest = sizes[sizes > 0].min()
    return 4 if not np.isfinite(smallest) else int(np.clip(1 - np.floor(np.log10(smallest)), 3, MOST_DECIMALS))


def _cell(column: Any, value: Any, name: Callable[[str], str], decimals: int) -> str:
    if column in ("response", "term"):
        return name(value)
    if isinstance(value, str):
        return value
    if column == "p_value":
        return format_p(value)
    if column == "statistic":
        return f"{value:,.2f}" if np.isfinite(value) else format_number(value)
    if not np.isfinite(value) or (decimals == MOST_DECIMALS and 0 < abs(value) < 0.5 * 10.0**-decimals):
        return format_number(value, 2)  # 0.000000 would be another claim
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"  # -0.000 is 0.000


# --- statsmodels' tables ----------------------------------------------------------------------------------------------


def _simple_table(rows: Sequence[Sequence[str]], aligns: str, kinds: str, escaped: Callable[[str], str]) -> Any:
    """A table; `aligns` has l or r for each column, `kinds` h for headings and t for text.

    Headings are ordinary cells: statsmodels aligns its own otherwise than the data, and then its LaTeX falls apart into
    two tabulars.
    """
    from statsmodels.iolib.table import SimpleTable

    return SimpleTable(
        [[escaped(cell) for cell in row] for row in rows],
        txt_fmt={
            "data_aligns": aligns,
            "data_fmts": ("%s",),
            "table_dec_above": "=",
            "table_dec_below": "=",
            "colsep": "  ",
        },
        html_fmt={"data_aligns": aligns, "data_fmts": _html_cells(aligns, kinds)},
        ltx_fmt={"data_aligns": aligns, "data_fmts": ("%s",), "replacements": {}},  # the cells are escaped already
        datatypes=list(range(len(aligns))),
    )


def _html_cells(aligns: str, kinds: str) -> tuple[str, ...]:
    side = {"l": "left", "r": "right"}
    tag = {"h": "th", "t": "td"}
    return tuple(
        f'<{tag[kind]} style="text-align: {side[align]}">%s</{tag[kind]}>' for align, kind in zip(aligns, kinds, strict=True)
    )


def _html(text: str) -> str:
    return html.escape(text, quote=False)


def _width(table: Any) -> int:
    return max(len(line) for line in table.as_text().splitlines())


def _stretched(table: Any, width: int) -> tuple[int, ...]:
    """Widths of the columns that make a table `width` wide."""
    widths = list(table.get_colwidths("txt"))
    for i in range(width - _width(table)):
        widths[-1 - i % (len(widths) - 1)] += 1
    return tuple(widths)
