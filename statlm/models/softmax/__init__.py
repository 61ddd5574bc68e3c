"""Softmax regression: the second member of the family."""

from statlm.models.softmax.specification import SoftmaxRegression

__all__ = ["SoftmaxRegression"]
