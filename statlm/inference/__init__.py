"""Intervals and tests, each a function of the contract."""
