"""Which model is better, and how surely: paired held-out tests, ladders of nested models, one table."""
