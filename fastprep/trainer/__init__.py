"""Trainer of vocabularies: the pieces of texts are counted, and the counts become a list of merges."""
