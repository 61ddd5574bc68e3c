"""The pictures of one model: what `statlm.plots` can draw of it, with the tables made on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from statlm.covariance import Covariance, Dependence, SeriesDependence, resolve_cov
from statlm.errors import SpecificationError
from statlm.numerics.types import Array

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from statlm.fit.evaluation import Evaluation
    from statlm.fit.fit import Fit
    from statlm.inference.functionals import Functional
    from statlm.plots.surprisal import ColouredText
    from statlm.text.corpus import Corpus


@dataclass(frozen=True, slots=True, repr=False)
class EvaluationPictures:
    """What can be drawn of a model standing on a corpus: ``fit.on(test).plot.calibration()``.

    Each method makes the table that a verb gives and hands it to the function of `statlm.plots` of that name; use these two
    for what the method does not offer. A picture that the model does not have is refused with the reason.

    Parameters
    ----------
    of : Evaluation

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_texts(["abracadabra", "barbara"]))
    >>> dir(fit.on(fit.corpus).plot)[:4]
    ['attention', 'autocorrelation', 'calibration', 'coverage']
    >>> fit.on(fit.corpus).plot.residuals().get_ylabel()
    'Density'
    """

    of: Evaluation

    def perplexity(
        self,
        others: Mapping[str, Any] | Sequence[Any] = (),
        *,
        level: float = 0.95,
        dependence: str | Dependence | SeriesDependence | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Perplexity with its interval, beside that of other models on the same text; see `statlm.plots.plot_perplexity`.

        Parameters
        ----------
        others : mapping of names to models, or sequence of models
            On the same corpus.
        level, dependence
            As of `statlm.compare`.
        ax : Axes, optional

        Examples
        --------
        >>> import statlm as slm
        >>> train, test = slm.Corpus.from_texts(["abracadabra", "barbara"] * 10).split(test=0.5)
        >>> held = slm.NGram(n=2, pseudo_count=1).fit(train).on(test)
        >>> [label.get_text() for label in held.plot.perplexity([slm.NGram(n=1).fit(train).on(test)]).get_yticklabels()]
        ['bigram + 1', 'unigram']
        """
        from statlm.comparison.compare import compare
        from statlm.plots.perplexity import plot_perplexity

        beside = others if isinstance(others, Mapping) else {str(other.specification): other for other in others}
        own = str(self.of.specification)
        if own in beside or len(beside) < len(others):
            raise SpecificationError(
                f"Two of the models are called {own if own in beside else 'the same'}, so their rows could not be told apart. "
                "Name the others: plot.perplexity({'longer': other})."
            )
        return plot_perplexity(compare({own: self.of, **beside}, self.of.corpus, dependence=dependence, level=level), ax)

    def calibration(self, event: str | Sequence[str] = "top", *, ax: Axes | None = None, **settings: Any) -> Axes:
        """Reliability diagram; settings are those of `statlm.calibration`, see `statlm.plots.plot_calibration`."""
        from statlm.diagnostics.calibration import calibration
        from statlm.plots.calibration import plot_calibration

        return plot_calibration(calibration(self.of, event, **settings), ax)

    def residuals(self, *, bins: int = 20, level: float = 0.95, seed: int = 0, ax: Axes | None = None) -> Axes:
        """Histogram of the quantile residuals; see `statlm.quantile_residuals` and `statlm.plots.plot_residuals`."""
        from statlm.diagnostics.quantile_residuals import quantile_residuals
        from statlm.plots.residuals import plot_residuals

        return plot_residuals(quantile_residuals(self.of, seed=seed), ax, bins=bins, level=level)

    def autocorrelation(self, *, lags: int = 20, level: float = 0.95, seed: int = 0, ax: Axes | None = None) -> Axes:
        """Autocorrelations of the quantile residuals; see `statlm.plots.plot_autocorrelation`."""
        from statlm.diagnostics.quantile_residuals import quantile_residuals
        from statlm.plots.residuals import plot_autocorrelation

        return plot_autocorrelation(quantile_residuals(self.of, seed=seed), ax, lags=lags, level=level)

    def groups(
        self,
        by: str | Sequence[Any] | Array | pd.Series = "document",
        *,
        level: float = 0.95,
        dependence: str | Dependence | SeriesDependence | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Mean log-loss of each group of documents; see `statlm.group_loss` and `statlm.plots.plot_groups`."""
        from statlm.diagnostics.groups import group_loss
        from statlm.plots.groups import plot_groups

        return plot_groups(group_loss(self.of, by, level=level, dependence=dependence), ax)

    def temperature(self, *, temperatures: Sequence[float] | None = None, ax: Axes | None = None) -> Axes:
        """What another temperature would gain on this text; see `statlm.plots.plot_temperature`."""
        from statlm.plots.temperature import plot_temperature

        return plot_temperature({str(self.of.specification): self.of}, ax, temperatures=temperatures)

    def coverage(self, held: Corpus, *, ax: Axes | None = None, **settings: Any) -> Axes:
        """Coverage of prediction sets on other text; see `statlm.conformal_sets` and `statlm.plots.plot_coverage`.

        Parameters
        ----------
        held : Corpus
            Where coverage is measured. The sets are calibrated on the corpus that the model stands on, which must not be the one
            that it was fitted to: ``fit.on(calibration).plot.coverage(test)``.
        ax, **settings
            As of `statlm.plots.plot_coverage`.
        """
        from statlm.plots.prediction_sets import plot_coverage

        return plot_coverage(self.of, self.of.on(held), ax, **settings)

    def surprisal(self, document: int = 0, *, scale: float = 12.0, max_tokens: int = 5_000) -> ColouredText:
        """A document, each token on a ground that darkens with its surprisal; see `statlm.plots.surprisal_html`.

        Parameters
        ----------
        document : int
            Its number in the corpus.
        scale, max_tokens
            As of `statlm.plots.surprisal_html`.

        Returns
        -------
        ColouredText
            A notebook shows it; ``str`` of it is the HTML.
        """
        from statlm.plots.surprisal import ColouredText, surprisal_html
        from statlm.report.augment import augment

        corpus = self.of.corpus
        text = corpus.text(document)  # refuses a number that there is not
        one = self.of.on(corpus.subset([document]))
        table = augment(one)
        spans = None if "stop" not in table or table["stop"].max() > len(text) else text
        return ColouredText(surprisal_html(table, text=spans, scale=scale, max_tokens=max_tokens))

    def next_token(
        self,
        contexts: str | Sequence[Any],
        *,
        top: int = 15,
        at: Mapping[str, Any] | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """The most probable next tokens after one context or several; see `statlm.predict` and `statlm.plots.plot_next_token`.

        Parameters
        ----------
        contexts : str, or sequence of contexts
            A string is one context.
        top, at, ax
            As of `statlm.plots.plot_next_token` and `statlm.predict`.
        """
        from statlm.inference.predict import predict
        from statlm.plots.probabilities import plot_next_token

        return plot_next_token(predict(self.of.likelihood, _several(contexts), at=at), ax, top=top)

    def sampler(
        self,
        prompt: str | Sequence[Any] = "",
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        top: int = 12,
    ) -> Figure:
        """What each setting of a sampler makes of the next token's probabilities; see `statlm.plots.plot_sampler`."""
        from statlm.generation.generate import next_token_table
        from statlm.plots.sampler import plot_sampler

        table = next_token_table(self.of.likelihood, prompt, temperature=temperature, top_k=top_k, top_p=top_p)
        return plot_sampler(table, top=top)

    def transitions(
        self,
        contexts: Sequence[Any] | None = None,
        *,
        tokens: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Heat map of transition probabilities; see `statlm.plots.plot_transitions`.

        Parameters
        ----------
        contexts : sequence of contexts, optional
            Rows. By default every type, which takes a model that looks one token back and not too many types.
        tokens : sequence of str, optional
            Columns; by default all.
        ax : Axes, optional

        Examples
        --------
        >>> import statlm as slm
        >>> fit = slm.NGram(n=3).fit(slm.Corpus.from_text("abracadabra"))
        >>> ax = fit.plot.transitions(["ab", "br"], tokens=["a", "r"])
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['ab', 'br']
        """
        from statlm.inference.predict import predict
        from statlm.plots.transitions import plot_transitions

        if contexts is None and tokens is None:
            return plot_transitions(self.of.likelihood, ax)
        if contexts is None:
            contexts = [[token] for token in self.of.corpus.vocabulary.types]
        table = predict(self.of.likelihood, contexts)
        return plot_transitions(table if tokens is None else table[table["token"].isin(list(tokens))], ax)

    def attention(
        self, context: str | Sequence[Any], *, layer: int = 0, head: int | None = None, ax: Axes | None = None
    ) -> Axes:
        """Weights of attention over a context; see `statlm.attention` and `statlm.plots.plot_attention`."""
        from statlm.inference.attention import attention
        from statlm.plots.attention import plot_attention

        return plot_attention(attention(self.of.likelihood, context), layer, head, ax)

    def __dir__(self) -> list[str]:
        own = {name for kind in type(self).__mro__ for name, value in vars(kind).items() if callable(value)}
        return sorted(name for name in own if not name.startswith("_"))

    def __repr__(self) -> str:
        return ", ".join(dir(self))


@dataclass(frozen=True, slots=True, repr=False)
class FitPictures(EvaluationPictures):
    """What can be drawn of a fit: ``fit.plot.coefficients()``; what it says of other text, ``fit.on(test).plot``.

    Parameters
    ----------
    of : Fit

    Examples
    --------
    >>> import statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_texts(["abracadabra", "barbara"]))
    >>> ax = fit.plot.next_token("a", interval=0.95, method="wilson", top=3)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['b', 'r', '<eos>']
    """

    of: Fit

    def coefficients(
        self,
        *,
        response: str | Sequence[str] | None = None,
        term: str | Sequence[str] | None = None,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
        top: int = 30,
        null: float | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Estimates with their intervals, in the order of `statlm.tidy`; see `statlm.plots.plot_coefficients`.

        Parameters
        ----------
        response, term : str or sequence of str, optional
            Draw the parameters of these responses, or these terms. By default all.
        cov, level
            As of `statlm.tidy`.
        top : int
            At most how many, the first; the title says how many there are.
        null, ax
            As of `statlm.plots.plot_coefficients`.

        Raises
        ------
        SpecificationError
            If no parameter has that response and term.
        NoEstimate
            If the model has no parameters with standard errors.

        Examples
        --------
        >>> import statlm as slm
        >>> fit = slm.SoftmaxRegression(lags=1).fit(slm.Corpus.from_text("abracadabra" * 20))
        >>> fit.plot.coefficients(response="b").get_yticklabels()[0].get_text()
        'b, (Intercept)'
        """
        import numpy as np

        from statlm.plots.coefficients import plot_coefficients
        from statlm.report.tidy import coefficients

        model = self.of.parametric
        names = model.param_names
        wanted = np.ones(len(names), bool)
        for part, asked in (("response", response), ("term", term)):
            if asked is not None:
                wanted &= names.get_level_values(part).isin([asked] if isinstance(asked, str) else list(asked))
        rows = np.flatnonzero(wanted)
        if len(rows) == 0:
            responses, terms = (names.get_level_values(part).unique()[:4].tolist() for part in ("response", "term"))
            raise SpecificationError(
                f"None of the {len(names):,} parameters has response {response!r} and term {term!r}, so there is nothing to "
                f"draw. Responses begin {responses}, terms {terms}; None takes all."
            )
        table = coefficients(model, resolve_cov(cov, self.of), level, rows[:top])
        ax = plot_coefficients(table, ax, top=top, null=null)
        if len(rows) > top:
            ax.set_title(f"The first {top:,} of {len(rows):,} parameters", loc="left")
        return ax

    def next_token(
        self,
        contexts: str | Sequence[Any],
        *,
        interval: float | None = None,
        method: str = "wald",
        cov: str | Covariance | Dependence = "nonrobust",
        simultaneous: bool | str = False,
        top: int = 15,
        at: Mapping[str, Any] | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """The most probable next tokens, with intervals on request; see `statlm.predict` and `statlm.plots.plot_next_token`.

        Parameters
        ----------
        contexts : str, or sequence of contexts
            A string is one context.
        interval : float, optional
            Level of the intervals.
        method, cov, simultaneous, at
            As of `statlm.predict`.
        top, ax
            As of `statlm.plots.plot_next_token`.
        """
        from statlm.plots.probabilities import plot_next_token

        table = self.of.predict(
            _several(contexts), interval=interval, method=method, cov=cov, simultaneous=simultaneous, at=at
        )
        return plot_next_token(table, ax, top=top)

    def path(self, *, ax: Axes | None = None) -> Axes:
        """How a descent approached the estimate; see `Fit.path` and `statlm.plots.plot_path`."""
        from statlm.plots.path import plot_path

        return plot_path(self.of.path, ax)

    def embeddings(
        self,
        tokens: Sequence[str],
        *,
        dimensions: tuple[int, int] = (1, 2),
        side: str = "context",
        lag: int = 1,
        cov: str | Covariance | Dependence = "nonrobust",
        level: float = 0.95,
        ax: Axes | None = None,
    ) -> Axes:
        """Tokens of a model of low rank in the plane; see `statlm.embedding_plane` and `statlm.plots.plot_embeddings`."""
        from statlm.inference.embeddings import embedding_plane
        from statlm.plots.embeddings import plot_embeddings

        table = embedding_plane(
            self.of.parametric, tokens, dimensions=dimensions, side=side, lag=lag, cov=resolve_cov(cov, self.of)
        )
        return plot_embeddings(table, level, ax=ax)

    def influence(
        self,
        change: Sequence[tuple[str, str]] | Functional | Sequence[Functional] | None = None,
        *,
        by: str | Sequence[Any] | Array = "document",
        label: int = 5,
        ax: Axes | None = None,
    ) -> Axes:
        """What leaving out each document would do; see `statlm.influence` and `statlm.plots.plot_influence`.

        Parameters
        ----------
        change : pairs (response, term), or functionals, optional
            What would change; the first is drawn. By default the fit as a whole.
        by, label, ax
            As of `statlm.influence` and `statlm.plots.plot_influence`.
        """
        from statlm.plots.influence import plot_influence

        table = self.of.influence(change, by=by)
        return plot_influence(table, "displacement" if change is None else None, ax, label=label)


def _several(contexts: str | Sequence[Any]) -> Sequence[Any]:
    """Contexts as `predict` takes them."""
    return [contexts] if isinstance(contexts, str) else contexts
