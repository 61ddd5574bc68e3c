"""Reading a saved fit, whatever its model."""

from __future__ import annotations

import os
from importlib import import_module

from statlm.errors import DamagedFile
from statlm.fit.fit import Fit, FitReport
from statlm.fit.storage import read

# The models that can be read: a file says the name of one of these, and nothing in it is ever executed.
MODELS = {
    "NGram": "statlm.models.ngram",
    "VariableLengthNGram": "statlm.models.ngram",
    "SoftmaxRegression": "statlm.models.softmax",
    "TransformerDecoder": "statlm.models.transformer",
    "EncoderDecoder": "statlm.models.transformer",
    "MaskedTransformer": "statlm.models.masked",
    "SkipGram": "statlm.models.skip_gram",
}


def load(folder: str | os.PathLike[str]) -> Fit:
    """Read a fit that `Fit.save` wrote.

    Parameters
    ----------
    folder : path
        What `Fit.save` was given.

    Raises
    ------
    DamagedFile
        If the folder is not a saved fit, or a part of it is missing, cut short or changed.

    Examples
    --------
    >>> import tempfile, statlm as slm
    >>> fit = slm.NGram(n=2).fit(slm.Corpus.from_text("abracadabra"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fit.save(folder + "/bigram")
    ...     again = slm.load(folder + "/bigram")
    >>> again.loglike == fit.loglike
    True
    """
    description, arrays, corpus = read(folder)
    name = description["model"]
    if name not in MODELS:
        raise DamagedFile(
            f"{folder} holds a model of kind {name!r}, which this version does not know ({', '.join(MODELS)}). Update "
            "statlm."
        )
    try:
        specification = getattr(import_module(MODELS[name]), name)(**description["specification"])
        report = FitReport(**description["report"])
    except TypeError as error:
        raise DamagedFile(f"{folder} holds settings that a {name} does not have ({error}). Save the fit again.") from error
    return Fit(specification, specification.restore(corpus, arrays, description["settings"]), report)
