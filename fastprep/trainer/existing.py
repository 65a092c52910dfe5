"""Files that a training would replace: in what one differs from what it would write, known before it."""

from __future__ import annotations

from base64 import b64encode
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from fastprep.errors import DamagedInput
from fastprep.trainer.counts import facts_of_file
from fastprep.trainer.training import byte_order
from fastprep.vocabulary.byte_alphabet import ALPHABET

if TYPE_CHECKING:
    from pathlib import Path

    from fastprep.trainer.counting import Settings
    from fastprep.trainer.training import Wanted

_BLOCK_BYTES = 1 << 20


def counts_differ(path: Path, settings: Settings) -> str | None:
    """Return in what a file of counts has other settings, None if it has the same. Raises OSError."""
    try:
        facts = facts_of_file(path)[0]
    except DamagedInput:
        return "is not a file of counts"
    splitting = settings.splitting
    if facts.job is not None:
        return "is a part of a count"
    if (tuple(facts.patterns), facts.by_ranks) != (splitting.patterns, splitting.by_ranks):
        return "has counts by another pattern"
    if facts.documents != settings.documents:
        return f"has counts of {facts.documents} documents"
    return None


def vocabulary_differs(path: Path, settings: Wanted) -> str | None:
    """Return in what a file is not a vocabulary of these settings, None if it may be one.

    Its merges depend on the inputs; there may be fewer than are asked for. Raises OSError.
    """
    if settings.base is not None:
        return None
    first = bytes(byte_order(settings.ties)[:1])
    start = len(settings.special_tokens) if settings.specials == "first" else 0
    if path.name.endswith(".tiktoken"):
        with path.open("rb") as file:
            if file.readline() != b64encode(first) + b" %d\n" % start:
                return "does not start with the first byte of such a vocabulary"
            merges = sum(1 for _ in file) - 255
    elif path.name.endswith(".json"):
        try:
            found = msgspec.json.decode(path.read_bytes())
            merges, other = _read_json(found, settings, ALPHABET[first[0]], start)
        except (
            msgspec.DecodeError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ):
            return "is not a tokenizer.json of byte-level BPE"
        if other is not None:
            return other
    else:
        with path.open("rb") as file:
            if not file.readline().startswith(b"#version"):
                return "is not a list of merges"
            merges = sum(1 for line in islice(file, settings.new_tokens + 1) if line.strip())
    if merges > settings.new_tokens:
        return f"has more than the {settings.new_tokens:,} merges that are asked for"
    return None


def _read_json(found: Any, settings: Wanted, first: str, start: int) -> tuple[int, str | None]:
    """Return the number of merges of a ``tokenizer.json``, and what else differs."""
    added = sorted((token["id"], token["content"]) for token in found["added_tokens"])
    names = [content for _, content in added]
    ids = found["model"]["vocab"]
    if names != list(settings.special_tokens):
        return 0, f"has the special tokens {names!r:.200}"
    if ids[first] != start or (added and (added[0][0] == 0) != bool(start)):
        return 0, "has its bytes or its special tokens in another order"
    return len(found["model"]["merges"]), None


def is_same_content(one: Path, other: Path) -> bool:
    """Return whether two files have the same bytes; the first may be missing, or no file."""
    try:
        if one.stat().st_size != other.stat().st_size:
            return False
        with one.open("rb") as first, other.open("rb") as second:
            while block := first.read(_BLOCK_BYTES):
                if block != second.read(_BLOCK_BYTES):
                    return False
    except OSError:
        return False
    return True
