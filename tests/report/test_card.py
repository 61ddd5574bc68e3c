"""A fit shows as a table in notebooks."""

import re

import statlm as slm

CORPUS = slm.Corpus.from_texts(["abracadabra", "barbara"])


def cells(text):
    return dict(re.findall(r"<tr><th[^>]*>([^<]*)</th><td[^>]*>([^<]*)</td></tr>", text))


def test_a_fit_shows_what_it_is_and_how_well_it_fits():
    fit = slm.NGram(n=2).fit(CORPUS)
    shown = cells(fit._repr_html_())
    assert shown["Observations"] == "20 in 2 documents"
    assert shown["Degrees of freedom"] == str(fit.dof)
    assert float(shown["Log-likelihood (nats)"].replace(",", "")) == round(fit.loglike, 5)
    assert float(shown["Perplexity"]) == round(fit.perplexity, 4)


def test_a_distribution_without_parameters_shows_no_degrees_of_freedom():
    held = slm.NGram(n=2, smoothing="kneser-ney").fit(CORPUS).on(CORPUS.subset([0]))
    shown = cells(held._repr_html_())
    assert "Degrees of freedom" not in shown
    assert shown["Observations"] == "12 in 1 document"


def test_names_are_escaped():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Named:
        def __str__(self):
            return "<b> & co"

    held = slm.Evaluation(Named(), slm.NGram(n=1).fit(CORPUS).likelihood)
    assert "&lt;b&gt; &amp; co" in held._repr_html_()
