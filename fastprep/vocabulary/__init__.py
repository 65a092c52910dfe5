"""Vocabularies: rank tables, merge lists, patterns, and the files that hold them."""
