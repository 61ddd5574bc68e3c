"""What goes wrong, by kind: each message says what happened with the numbers, why it matters, and what to do."""

from __future__ import annotations


class StatlmError(Exception):
    """Base of every error that statlm raises on purpose."""


class CorpusError(StatlmError, ValueError):
    """The text or the tokens cannot be made into a corpus, or the corpus cannot serve the request."""


class SpecificationError(StatlmError, ValueError):
    """A setting lies outside the values that the model or the method allows."""


class NotComparable(StatlmError, ValueError):
    """The models were scored on different observations, so their log-likelihoods cannot be subtracted."""


class NotNested(StatlmError, ValueError):
    """The smaller model is not a special case of the larger one."""


class NoEstimate(StatlmError, ValueError):
    """Theory gives no answer here: the data hold no information about the quantity asked for."""


class SingularInformation(NoEstimate):
    """The information matrix has no inverse: some direction of the parameters is not identified."""


class TooFewClusters(StatlmError, ValueError):
    """Too few documents for an error that treats documents as the unit of independence."""


class DamagedFile(StatlmError, ValueError):
    """A file does not hold what its name promises, or holds only part of it."""


class NotWritten(StatlmError, OSError):
    """A file could not be written; what stood in its place before is untouched."""


class MemoryLimitReached(StatlmError, MemoryError):
    """Work on data larger than memory did not fit into the limit it was given."""


class DataUnavailable(StatlmError, OSError):
    """A data set is neither cached nor reachable."""


class StatlmWarning(UserWarning):
    """Base of every warning: the answer stands, and needs care."""


class UnseenContextWarning(StatlmWarning):
    """A context never occurred in training; the model has nothing but its convention to say there."""


class SmallCountsWarning(StatlmWarning):
    """Counts are so small that a large-sample approximation may be off."""


class FewClustersWarning(StatlmWarning):
    """Few documents: cluster-robust errors are themselves uncertain."""


class ApproximateCurvatureWarning(StatlmWarning):
    """The curvature of a large network is approximated, and standard errors with it."""


class DependenceWarning(StatlmWarning):
    """Terms that depend on each other will be taken as independent, and standard errors be too small."""


class SamplerWarning(StatlmWarning):
    """Markov chains disagree, or left the place they were to explore: what they average to needs care."""
