"""Embeddings in canonical axes, the singular values behind them, and where tokens stand in a plane, with errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from statlm.covariance import Covariance, Dependence, resolve_cov
from statlm.covariance.verbs import root_of_variances
from statlm.errors import NoEstimate, SpecificationError
from statlm.inference.conf_int import half_width
from statlm.inference.parameters import likelihood_of
from statlm.likelihood import Likelihood, Predictive
from statlm.likelihood.embedded import Embedded, Side
from statlm.numerics.types import Array

SIDES = ("context", "response")


class EmbeddedLikelihood(Embedded, Likelihood, Protocol):
    """A likelihood in which tokens have vectors."""


def embeddings(fit: Predictive, side: str = "context", lag: int = 1) -> pd.DataFrame:
    r"""Embeddings of tokens: the coefficients in the axes of their singular value decomposition.

    .. math:: \Theta = U \Sigma V', \qquad \text{contexts } U \Sigma, \quad \text{responses } V \Sigma

    :math:`\Theta` holds the log-odds coefficients, a row for each token at each lag and a column for each response, centred
    over the tokens of each lag and over responses: no choice of reference matters. A context's embedding holds the coordinates of
    its row in the best axes, so that distances and angles between embeddings are those between whole rows of coefficients.

    Parameters
    ----------
    fit : Fit or Likelihood
        Of low rank, such as ``SoftmaxRegression(lags=1, rank=10, penalty="ridge", strength=5.0)``.
    side : "context" or "response"
        What a token says about the next, or what the tokens before say about it.
    lag : int
        Position of the context token, 1 for the last; responses have one embedding.

    Returns
    -------
    DataFrame
        A row a token, a column a dimension from 1, in nats (log-odds), the longest dimension first. The sign of a dimension is
        such that its largest entry among responses is positive.

    Raises
    ------
    SpecificationError
        If the model has no embeddings, or there is no such side or lag.

    See Also
    --------
    most_similar, cosine_similarity, embedding_distance : what can be said of embeddings with an error.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abcacbbacbcaabcc" * 20, eos=False, given=1)
    >>> fit = slm.SoftmaxRegression(lags=1, rank=1).fit(corpus)
    >>> embeddings(fit).shape, embeddings(fit, side="response").shape
    ((3, 1), (3, 1))
    """
    model = embedded(fit)
    check_side(model, side, lag)
    axes = Axes.of(model)
    found = model.side(side, lag)
    coordinates = found.vectors @ (axes.of_contexts if side == "context" else axes.of_responses)
    return pd.DataFrame(
        coordinates,
        index=pd.Index(found.tokens, name="token"),
        columns=pd.RangeIndex(1, coordinates.shape[1] + 1, name="dimension"),
    )


def singular_values(fit: Predictive, cov: str | Covariance | Dependence = "nonrobust", level: float = 0.95) -> pd.DataFrame:
    r"""Singular values of the centred coefficients, with intervals by the delta method.

    The derivative of the k-th is :math:`u_k'\, d\Theta\, v_k`; it holds where singular values are apart and none is near zero.
    Intervals are on the logarithmic scale.

    Parameters
    ----------
    fit : Fit or Likelihood
        Of low rank.
    cov : str or object
        Covariance; see `std_errors`.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        A row a dimension: ``dimension``, ``singular_value``, ``std_error``, ``conf_low``, ``conf_high``, and its ``share`` of
        the sum
        of squared coefficients.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abcacbbacbcaabcc" * 20, eos=False, given=1)
    >>> singular_values(slm.SoftmaxRegression(lags=1, rank=1).fit(corpus)).share.tolist()
    [1.0]
    """
    model = embedded(fit)
    axes, found = Axes.of(model), model.side("response", 1)
    gradients = model.pulled_back(
        "response",
        1,
        axes.right.T[:, :, None] * (found.others.T @ axes.left).T[:, None, :],
        axes.left.T[:, :, None] * (found.vectors.T @ axes.right).T[:, None, :],
    )
    chosen = resolve_cov(cov, fit)
    errors = root_of_variances(chosen.variances(model, gradients))
    factor = np.exp(half_width(level, chosen.reference_dof(model)) * errors / axes.values)
    return pd.DataFrame(
        {
            "dimension": np.arange(1, len(axes.values) + 1),
            "singular_value": axes.values,
            "std_error": errors,
            "conf_low": axes.values / factor,
            "conf_high": axes.values * factor,
            "share": axes.values**2 / (axes.values**2).sum(),
        }
    )


def embedding_plane(
    fit: Predictive,
    tokens: Sequence[str],
    *,
    dimensions: tuple[int, int] = (1, 2),
    side: str = "context",
    lag: int = 1,
    cov: str | Covariance | Dependence = "nonrobust",
) -> pd.DataFrame:
    """Where tokens stand in the plane of two dimensions, with the covariance of each position.

    The plane is held where the estimate has it: errors are those of the projections of a token's coefficients onto two given
    axes. That the axes themselves are estimated is left out, as it moves all tokens together.

    Parameters
    ----------
    fit : Fit or Likelihood
        Of rank 2 or more.
    tokens : sequence of str
    dimensions : pair of int
        From 1, the longest.
    side : "context" or "response"
    lag : int
        Of contexts.
    cov : str or object
        Covariance; see `std_errors`.

    Returns
    -------
    DataFrame
        A row a token: ``token``, ``x``, ``y``, ``x_error``, ``y_error``, ``correlation``. `plots.plot_embeddings` draws it.

    Examples
    --------
    >>> import statlm as slm
    >>> corpus = slm.Corpus.from_text("abcdacbdbadcdbcaaddbccba" * 20, eos=False, given=1)
    >>> fit = slm.SoftmaxRegression(lags=1, rank=2, penalty="ridge", strength=1.0).fit(corpus)
    >>> embedding_plane(fit, ["a", "b"]).columns.tolist()
    ['token', 'x', 'y', 'x_error', 'y_error', 'correlation']
    """
    model = embedded(fit)
    check_side(model, side, lag)
    axes, found = Axes.of(model), model.side(side, lag)
    if len(dimensions) != 2 or not all(1 <= d <= len(axes.values) for d in dimensions) or dimensions[0] == dimensions[1]:
        raise SpecificationError(
            f"dimensions={dimensions!r}: a plane has two different dimensions between 1 and the rank, which is "
            f"{len(axes.values)}."
        )
    which = places(found, tokens)
    # The axis in the space of the other side; for responses the levels of all lags, stacked.
    basis = (axes.right if side == "context" else axes.left)[:, [d - 1 for d in dimensions]]  # (k, 2)
    turned = found.others.T @ basis  # (r, 2)
    q = 2 * len(which)
    vectors = np.zeros((q, *found.vectors.shape))
    vectors[np.arange(q), np.repeat(which, 2)] = np.tile(turned.T, (len(which), 1))
    others = np.tile(basis.T, (len(which), 1))[:, :, None] * found.vectors[np.repeat(which, 2)][:, None, :]
    covariance = resolve_cov(cov, fit).of(model, model.pulled_back(side, lag, vectors, others))
    position = found.vectors[which] @ turned
    errors = root_of_variances(np.diag(covariance)).reshape(-1, 2)
    along = covariance[np.arange(0, q, 2), np.arange(1, q, 2)]
    return pd.DataFrame(
        {
            "token": [found.tokens[i] for i in which],
            "x": position[:, 0],
            "y": position[:, 1],
            "x_error": errors[:, 0],
            "y_error": errors[:, 1],
            "correlation": along / (errors[:, 0] * errors[:, 1]),
        }
    )


@dataclass(frozen=True, eq=False)
class Axes:
    """The singular value decomposition of the centred coefficients of all lags.

    Attributes
    ----------
    left, right : (L, r) and (J, r) arrays
        Singular vectors.
    values : (r,) array
    of_contexts, of_responses : (r, r) arrays
        From the model's own vectors to coordinates in these axes.
    """

    left: Array
    right: Array
    values: Array
    of_contexts: Array
    of_responses: Array

    @classmethod
    def of(cls, model: Embedded) -> Axes:
        """Those of a model."""
        found = model.side("response", 1)
        q_left, r_left = np.linalg.qr(found.others)
        q_right, r_right = np.linalg.qr(found.vectors)
        u, values, vt = np.linalg.svd(r_left @ r_right.T)
        left, right = q_left @ u, q_right @ vt.T
        sign = np.sign(right[np.abs(right).argmax(axis=0), np.arange(right.shape[1])])
        left, right = left * sign, right * sign
        return cls(left, right, values, found.vectors.T @ right, found.others.T @ left)


def embedded(fit: Predictive) -> EmbeddedLikelihood:
    """The model, where it has embeddings.

    Raises
    ------
    SpecificationError
        If it has none.
    NoEstimate
        If its rank is 0.
    """
    model = likelihood_of(fit)
    if not isinstance(model, Embedded):
        raise SpecificationError(
            f"{type(model).__name__} has no embeddings: its parameters are not factors of a matrix of low rank. Fit "
            "SoftmaxRegression(lags=1, rank=10, penalty='ridge', strength=5.0), for example."
        )
    if model.side("response", 1).vectors.shape[1] == 0:
        raise NoEstimate(
            "The model has rank 0: tokens do not differ in what they say, and have no embeddings. Choose rank=1 or more."
        )
    return model


def check_side(model: Embedded, side: str, lag: int) -> None:
    """Refuse a side or lag that the model does not have."""
    if side not in SIDES:
        raise SpecificationError(f"side={side!r} is unknown. Use 'context' or 'response'.")
    if not 1 <= lag <= model.nlags:
        raise SpecificationError(f"lag={lag!r}: the model has lags 1 to {model.nlags}.")


def places(found: Side, tokens: Sequence[str]) -> Array:
    """(m,) rows of tokens.

    Raises
    ------
    SpecificationError
        If a token has no embedding.
    """
    known = {token: i for i, token in enumerate(found.tokens)}
    missing = [token for token in tokens if token not in known]
    if missing:
        raise SpecificationError(
            f"{missing[0]!r} has no embedding{f', nor have {len(missing) - 1} others' if missing[1:] else ''}: training did "
            "not see it on "
            f"this side. There are {len(known):,}, such as {', '.join(map(repr, found.tokens[:3]))}."
        )
    return np.array([known[token] for token in tokens], np.int64)
