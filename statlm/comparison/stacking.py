"""Weights of a mixture of models, chosen for what the mixture predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from statlm.comparison.compare import named_models
from statlm.errors import NoEstimate, SpecificationError
from statlm.numerics.mixture_weights import mixture_weights
from statlm.numerics.repeated_rows import sum_by
from statlm.text.corpus import Corpus

UNITS = ("token", "document")


def stacking_weights(models: Mapping[str, Any] | Sequence[Any], on: Corpus, *, by: str = "token") -> pd.DataFrame:
    r"""Weights of the mixture of models that predicts held-out text best (Yao, Vehtari, Simpson and Gelman 2018).

    With :math:`p_k(u)` the probability of unit u under model k, they maximise

    .. math:: \sum_u \log \sum_k w_k\, p_k(u), \qquad w_k \ge 0, \; \sum_k w_k = 1.

    By token, the mixture is again a language model: its distribution of the next token is the weighted mean of theirs. By
    document, it says of whole documents which model they come from, and one model usually takes nearly all.

    Parameters
    ----------
    models : mapping of names to fits, or sequence of fits
        In a sequence each is called by its specification.
    on : Corpus
        Held-out text of the same vocabulary.
    by : "token" or "document"
        What u is.

    Returns
    -------
    DataFrame
        A row a model, largest weight first: ``model``, ``weight``, ``loss`` (mean log-loss by itself, nats a token; infinite
        where it gives probability 0), and ``ratio``, the mean over units of its probability to the mixture's, which is 1 for
        models of positive weight and at most 1 for the others: the sign of a maximum. ``attrs["loss"]`` is the mean log-loss of
        the mixture, nats a token; ``attrs["notes"]`` holds sentences to read with it.

    Raises
    ------
    SpecificationError
        If there is no model, two have one name, or `by` is unknown.
    NoEstimate
        If every model gives some unit probability 0, or the iterations do not converge.

    See Also
    --------
    confidence_set : which of the models can be told from the best.

    Notes
    -----
    The objective is concave, and the EM algorithm climbs it without ever going down; see
    `statlm.numerics.mixture_weights.mixture_weights`. It stops where no mixture could gain 1e-10 nats a unit. A model that
    gives something probability 0 may take part: the others make up for it. Standard errors of weights are not given: weights on
    the boundary have no normal distribution, and a resampling of documents belongs here later.

    References
    ----------
    Yao, Vehtari, Simpson and Gelman (2018), Using stacking to average Bayesian predictive distributions. Bayesian Analysis 13.
    Jelinek and Mercer (1980) for mixtures of language models by EM on held-out text.

    Examples
    --------
    >>> import statlm as slm
    >>> train, test = slm.Corpus.from_text("abracadabra, a cadabra. " * 20).split(test=0.5)
    >>> table = stacking_weights([slm.NGram(n=n, pseudo_count=0.5).fit(train) for n in (1, 2, 3)], on=test)
    >>> table.model[0], round(float(table.weight.sum()), 6), table.attrs["loss"] <= float(table.loss.min())
    ('trigram + 0.5', 1.0, True)
    """
    if by not in UNITS:
        raise SpecificationError(f"by={by!r}: the mixture is of distributions of a 'token' or of a 'document'.")
    named = named_models(models)
    names = list(named)
    logs = np.stack([model.on(on).loglike_obs() for model in named.values()], axis=1)  # (nobs, k)
    losses = -logs.mean(axis=0)  # nats a token
    units = logs if by == "token" else sum_by(logs, on.document_index, on.ndocuments)
    impossible = int(np.count_nonzero(np.isneginf(units).all(axis=1)))
    if impossible:
        raise NoEstimate(
            f"{impossible:,} of {len(units):,} {by}s have probability 0 under every one of the {len(names)} models, and so under "
            "every mixture of them: the log score is -inf whatever the weights. Add a model with pseudo_count > 0 or a smoothing."
        )
    found = mixture_weights(units)
    table = pd.DataFrame({"model": names, "weight": found.weights, "loss": losses, "ratio": found.ratios})
    table = table.sort_values(["weight", "loss"], ascending=[False, True], kind="stable").reset_index(drop=True)
    loss = float(-found.loglike / on.nobs)
    out = table.model[table.weight == 0].tolist()
    notes = [
        f"Mixture of {by}s: {loss:.4f} nats a token over {on.nobs:,} held-out tokens, against {losses.min():.4f} for the best "
        "model by itself. The weights were chosen on this text, which flatters the mixture a little; score it on a third text."
    ]
    if out:
        notes.append(f"Weight 0, as the mixture is better without: {', '.join(out)}.")
    if by == "document" and on.ndocuments < 10 * len(names):
        notes.append(f"Only {on.ndocuments:,} documents determine {len(names)} weights: take them as a rough guide.")
    notes.append("Weights have no standard errors here.")
    table.attrs |= {"notes": notes, "loss": loss, "by": by}
    return table
