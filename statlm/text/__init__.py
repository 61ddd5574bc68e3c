"""From text to numbered tokens: vocabularies, tokenizers, corpora, data sets."""
