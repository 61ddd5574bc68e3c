"""BIC with tokens and with documents as what is counted."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import statlm as slm
from statlm.errors import NoEstimate, SpecificationError


@pytest.fixture(scope="module")
def fit():
    return slm.NGram(2).fit(slm.datasets.markov(states=3, documents=20, length=31, seed=1).corpus)


def test_bic_charges_the_logarithm_of_what_is_counted(fit):
    assert_allclose(slm.measures.bic(fit), fit.deviance + fit.dof * np.log(600))
    assert_allclose(slm.measures.bic(fit, n="documents"), fit.deviance + fit.dof * np.log(20))


def test_both_stand_in_the_glance_and_in_the_summary(fit):
    row = fit.glance().iloc[0]
    assert_allclose([row.bic, row.bic_documents], [fit.bic, slm.measures.bic(fit, "documents")])
    assert "BIC, n = documents" in str(fit.summary())


def test_one_document_charges_nothing_and_is_refused():
    fit = slm.NGram(2).fit(slm.Corpus.from_text("abracadabra" * 5))
    with pytest.raises(NoEstimate, match=r"log\(1\) = 0.*n='tokens'"):
        slm.measures.bic(fit, n="documents")
    assert "BIC, n = documents" not in str(fit.summary())


def test_other_units_are_refused(fit):
    with pytest.raises(SpecificationError, match="n='words'"):
        slm.measures.bic(fit, n="words")
