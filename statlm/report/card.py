"""A fit or an evaluation as a small table for notebooks: what stands where, without what takes long to compute."""

from __future__ import annotations

import html

from statlm import measures
from statlm.likelihood import Predictive, is_likelihood
from statlm.report.tidy import Evaluated
from statlm.text.display import format_number


def card(evaluation: Evaluated, title: str) -> str:
    """An HTML fragment: model, corpus, log-likelihood, perplexity, and degrees of freedom where there are any.

    Parameters
    ----------
    evaluation : Fit or Evaluation
    title : str
        What it is.

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_text("abba"))
    >>> "Perplexity" in card(fit, "Fit") and "<table" in card(fit, "Fit")
    True
    """
    model: Predictive = evaluation.likelihood
    corpus = model.corpus
    rows = [
        ("Model", str(evaluation.specification)),
        ("Observations", f"{corpus.nobs:,} in {corpus.ndocuments:,} document{'' if corpus.ndocuments == 1 else 's'}"),
        ("Types", f"{corpus.vocabulary.size:,}"),
    ]
    if is_likelihood(model):
        rows.append(("Degrees of freedom", f"{model.dof:,}"))
    rows += [
        ("Log-likelihood (nats)", format_number(measures.loglike(model), 7)),
        ("Perplexity", format_number(measures.perplexity(model), 5)),
    ]
    body = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th><td style="text-align:right">{html.escape(value)}</td></tr>\n'
        for name, value in rows
    )
    return f'<table class="dataframe">\n<caption>{html.escape(title)}</caption>\n<tbody>\n{body}</tbody>\n</table>'
