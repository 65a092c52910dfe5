"""Word tokenizers: the notebook's, compiled, and as encodings of a store."""
