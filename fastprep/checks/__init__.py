"""Checks: a store against its own checksums, its sources, and other tokenizers."""
