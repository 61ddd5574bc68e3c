"""Drawing from a model: continuations of a prompt, and whole corpora."""
