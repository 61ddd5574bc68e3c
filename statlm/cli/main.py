"""The program ``statlm``."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any

import typer

from statlm import __version__
from statlm.cli import compare, coverage, models
from statlm.errors import StatlmError

app = typer.Typer(
    name="statlm",
    help="Language models as multinomial regressions: likelihood, perplexity, standard errors, comparison.\n\n"
    "Start with `statlm compare`, which needs no file: it fits n-grams to the State of the Union speeches.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(compare.compare)
app.command()(coverage.coverage)
for command in (models.fit, models.summary, models.perplexity, models.generate):
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"statlm {__version__}")
        raise typer.Exit


@app.callback()
def statlm(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Language models as multinomial regressions: likelihood, perplexity, standard errors, comparison."""


def main() -> None:
    """Run the program: bad input ends with one line and status 1, never with a traceback."""
    warnings.showwarning = _say
    try:
        app()
    except StatlmError as error:
        typer.echo(f"statlm: error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    except OSError as error:
        typer.echo(f"statlm: error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("statlm: interrupted; nothing was written", err=True)
        sys.exit(130)


def _say(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    typer.echo(f"statlm: warning: {' '.join(str(message).split())}", err=True)
