"""The family: one model, one file."""
