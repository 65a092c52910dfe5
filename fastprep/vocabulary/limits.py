"""Limits of vocabularies, from files and by training."""

MAX_ID = 1 << 20
MAX_TOKEN_BYTES = 1 << 16
