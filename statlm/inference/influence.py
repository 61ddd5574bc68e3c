"""What leaving out a document would do to the estimate, without refitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.linalg import LinearOperator

from statlm.covariance.bread import bread
from statlm.covariance.functionals import quadratic_forms, row_slices
from statlm.errors import SpecificationError
from statlm.inference.functionals import Functional, as_functionals, measured
from statlm.inference.parameters import likelihood_of, linear_functionals
from statlm.likelihood import Likelihood, check_identified
from statlm.numerics.linalg import factorise, identity
from statlm.numerics.repeated_rows import dense, sum_by
from statlm.numerics.types import Array, Matrix

MAX_ENTRIES = 100_000_000  # of the table: 0.8 GB
# What the name of a functional begins with, where changes are on another scale than its own.
SCALED = {"identity": "", "logit": "log-odds of ", "log": "logarithm of ", "atanh": "inverse hyperbolic tangent of "}


def influence(
    fit: Likelihood,
    gradients: Matrix | Sequence[tuple[str, str]] | Functional | Sequence[Functional] | None = None,
    *,
    by: str | Sequence[Any] | Array = "document",
) -> pd.DataFrame:
    r"""One-step change of the estimate when a document is left out.

    With :math:`s_g` the total score of document g at the estimate and H the information (plus the curvature of a penalty,
    where one was fitted), leaving g out changes the estimate, and a functional of it with gradient :math:`\nabla`, by about

    .. math:: \hat\theta_{(g)} - \hat\theta \approx -H^{-1} s_g, \qquad -\nabla' H^{-1} s_g

    (the infinitesimal jackknife: Jaeckel 1972; Giordano et al. 2019). The sums of squares of these changes are the
    cluster-robust variances, but for the factor G / (G - 1).

    Parameters
    ----------
    fit : Fit or Likelihood
        At its estimate, on the corpus it was fitted to.
    gradients : (q, p) array or sparse array, (response, term) pairs, or functionals, optional
        Gradients of functionals, some parameters by name, or one or several of `Probability`, `LogOdds` and the
        like, whose change
        is given on the scale on which they are measured (log-odds of a probability); by default all parameters.
    by : "document", or (nobs,) sequence
        What is left out at a time: documents, or groups of observations by label.

    Returns
    -------
    DataFrame
        A row a document, in order: ``document`` (its name, or the label), ``nobs``, ``displacement``, and a column for each
        functional: the pair (response, term), or ``change1``, ``change2``, ... where gradients are given. The first of the pair
        says the scale: ``"log-odds of probability"`` of a `Probability`.
        ``displacement`` is :math:`s_g' H^{-1} s_g`, twice the log-likelihood that the whole corpus would lose by moving
        to the estimate without g, about (Cook 1986): its leverage on the fit as a whole. Of a network it would take a solve for
        each document, and is left out.

    Raises
    ------
    SpecificationError
        If the table would be too large, or `by` has another length than the observations.
    SingularInformation
        If the information has no inverse.

    Notes
    -----
    The step neglects that the information itself loses the document's share, so it understates the change where a document
    is most of what is known of a parameter: check the largest by a refit without them. Of a network at its mode,
    ``damped(fit, curvature="hessian")`` has influences that agree with refits; the Gauss-Newton matrix ranks documents
    about as well and makes the changes smaller.

    References
    ----------
    Jaeckel (1972), The infinitesimal jackknife. Bell Laboratories memorandum. Cook (1986), Assessment of local influence.
    JRSS B 48. Giordano, Stephenson, Liu, Jordan and Broderick (2019), A Swiss army infinitesimal jackknife. AISTATS.

    Examples
    --------
    The last document has a larger share of b than the others, so that the share of b falls without it:

    >>> import statlm as slm
    >>> fit = slm.NGram(n=1).fit(slm.Corpus.from_texts(["aab" * 30, "aba" * 30, "bba" * 30], eos=False))
    >>> print(influence(fit).round(3).to_string(index=False))
    document  nobs  displacement  (b, )
           0    90           1.5  0.037
           1    90           1.5  0.037
           2    90           6.0 -0.074
    """
    model = likelihood_of(fit)
    p = len(model.params)
    named = as_functionals(gradients)
    if named is not None:
        rows, labels = measured(named, model)[1], [_on_its_scale(f) for f in named]
    elif gradients is None:
        check_identified(model)
        rows, labels = identity(p), list(model.param_names)
    else:
        rows, names = linear_functionals(model, gradients)
        q = rows.shape[0]
        labels = names or [f"change{i + 1}" if q > 1 else "change" for i in range(q)]
    names_of_groups, index = _groups(model, by)
    ngroups = len(names_of_groups)
    if ngroups * len(labels) > MAX_ENTRIES:
        raise SpecificationError(
            f"A table of {ngroups:,} groups by {len(labels):,} parameters has {ngroups * len(labels):,} entries (at most "
            f"{MAX_ENTRIES:,}). Ask for the functionals you need: influence(fit, [('b', 'lag1[a]')])."
        )
    inverse = factorise(bread(model))
    sums = sum_by(model.score(), index, ngroups)  # (G, p)
    changes = [-dense(sums @ inverse.solve(some.T)) for some in row_slices(rows)]
    table = pd.DataFrame({"document": names_of_groups, "nobs": np.bincount(index, minlength=ngroups)})
    if not isinstance(sums, LinearOperator):
        table["displacement"] = quadratic_forms(sums, inverse.solve)
    if not labels:
        return table
    change = pd.DataFrame(np.concatenate(changes, axis=1))
    result = pd.concat([table, change], axis=1)
    result.columns = pd.Index([*table.columns, *labels], dtype=object, tupleize_cols=False)
    return result


def _on_its_scale(functional: Functional) -> tuple[str, ...]:
    """The name of a functional, with the scale on which its changes are."""
    kind, *rest = functional.label
    return (SCALED[functional.scale] + kind, *rest)


def _groups(model: Likelihood, by: str | Sequence[Any] | Array) -> tuple[Array, Array]:
    """Labels of the groups, and the group of each observation."""
    corpus = model.corpus
    if isinstance(by, str):
        if by != "document":
            raise SpecificationError(f"by={by!r} is unknown. Use 'document', or a label for each observation.")
        return corpus.documents["name"].to_numpy(dtype=object), corpus.document_index
    labels = np.asarray(by)
    if labels.shape != (corpus.nobs,):
        raise SpecificationError(
            f"by has shape {labels.shape}, but there are {corpus.nobs:,} observations: give one label for each, or "
            "'document'."
        )
    found, index = np.unique(labels, return_inverse=True)
    return found, index
