"""What can be wrong with a distribution of the next token, each with an interval or a test; for every Predictive."""
