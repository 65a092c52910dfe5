"""Reader of SentencePiece's ``.model`` files of the kind BPE, in the format of protocol buffers.

Only a few fields matter: the pieces with their scores and types, the kind of the model, and how text is
normalized. The pair of two pieces that makes a third one merges by that one's score, so the merges
follow from the pieces.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.characters import Fallback, character_vocabulary
from fastprep.vocabulary.limits import MAX_ID
from fastprep.vocabulary.recipe import AddedToken, Recipe

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)
_KINDS = {1: "Unigram", 2: "BPE", 3: "word", 4: "char"}
_PART = 1 << 14


class _Damaged(Exception):
    """The message ends within a field, or has a field of no known type."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise _Damaged
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the numbers and values of the fields of a message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            size, at = _varint(data, at)
        if size is None or at + size > len(data):
            raise _Damaged
        yield key >> 3, data[at : at + size]
        at += size


def _settings(data: bytes) -> dict[int, int | bytes]:
    return dict(_fields(data))


def is_model(data: bytes) -> bool:
    """Return whether a file may be such a message: its first field is a piece."""
    return data[:1] == b"\n" and data[2:3] == b"\n" and 0 < data[1] < 0x80


def from_model(data: bytes, name: str, source: str) -> Recipe:
    """Read the bytes of a ``.model`` file.

    Raises BadVocabulary for a file that is damaged, or of another kind than BPE.
    """
    try:
        return _read(data, name, source)
    except (_Damaged, UnicodeDecodeError, struct.error, TypeError, AttributeError):
        raise BadVocabulary(
            f"{source}: it begins as a SentencePiece model and is damaged; get it from its source again"
        ) from None


def _read(data: bytes, name: str, source: str) -> Recipe:
    pieces: list[tuple[str, float, int]] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            piece = _settings(value)
            text, score = piece.get(1, b""), piece.get(2, b"\0\0\0\0")
            if not isinstance(text, bytes) or not isinstance(score, bytes):
                raise _Damaged
            pieces.append((text.decode(), *struct.unpack("<f", score), int(piece.get(3, _NORMAL))))
        elif number == 2 and isinstance(value, bytes):
            trainer = _settings(value)
        elif number == 3 and isinstance(value, bytes):
            normalizer = _settings(value)
        if len(pieces) >= MAX_ID:
            raise BadVocabulary(f"{source}: {MAX_ID} pieces or more; the limit is {MAX_ID - 1}")
    kind = trainer.get(3, 1)
    if kind != 2:
        raise BadVocabulary(
            f"{source}: a SentencePiece model of the kind {_KINDS.get(int(kind), kind)}; only "
            "those of the kind BPE are read, so use the package sentencepiece for this file"
        )
    refused = {
        "a normalization of its own (precompiled_charsmap)": normalizer.get(2),
        "remove_extra_whitespaces": normalizer.get(4, 1),
        "spaces that stay spaces (escape_whitespaces=false)": not normalizer.get(5, 1),
        "treat_whitespace_as_suffix": trainer.get(24),
        "unused pieces": any(type == _UNUSED for _, _, type in pieces),
    }
    for what, is_set in refused.items():
        if is_set:
            raise BadVocabulary(
                f"{source}: {what} is not supported; use the package sentencepiece for this file"
            )
    vocab = {piece: id for id, (piece, _, _) in enumerate(pieces)}
    if len(vocab) < len(pieces):
        raise BadVocabulary(f"{source}: a piece is there twice; the file is damaged")
    scores = {piece: score for piece, score, type in pieces if type == _NORMAL}
    unknown = [id for id, (_, _, type) in enumerate(pieces) if type == _UNKNOWN]
    byte_fallback = any(type == _BYTE for _, _, type in pieces)
    listed, others, of_bytes = character_vocabulary(
        vocab, _merges(scores), byte_fallback=byte_fallback, marks=True, source=source
    )
    added = [
        AddedToken(piece, id, type != _USER_DEFINED, type == _USER_DEFINED)
        for id, (piece, _, type) in enumerate(pieces)
        # No text has a space when symbols are searched for.
        if type in (_UNKNOWN, _CONTROL, _USER_DEFINED) and piece and " " not in piece
    ]
    prefix = bool(normalizer.get(3, 1))
    return Recipe(
        name,
        (),
        merge_list=listed,
        added=added,
        marks=True,
        space_before=4 if prefix else 0,
        others=others,
        source=source,
        fallback=Fallback(of_bytes, unknown[0] if unknown else None, True),
        strips=prefix,
        roles=_roles(trainer, len(pieces)),
    )


def _roles(trainer: dict[int, int | bytes], size: int) -> dict[str, int]:
    """Return the ids of a trainer's fields 40 to 43, of which one that is too large means none."""
    numbers = {"unk": (40, 0), "bos": (41, 1), "eos": (42, 2), "pad": (43, size)}
    found = {role: trainer.get(number, default) for role, (number, default) in numbers.items()}
    return {role: id for role, id in found.items() if isinstance(id, int) and id < size}


def _merges(scores: dict[str, float]) -> Iterator[list[str | tuple[str, str]]]:
    """Yield the pairs of pieces that make a piece, the ones of highest score first, in parts."""
    pairs: list[str | tuple[str, str]] = []
    for piece in sorted(scores, key=scores.__getitem__, reverse=True):
        for at in range(1, len(piece)):
            if piece[:at] in scores and piece[at:] in scores:
                pairs.append((piece[:at], piece[at:]))
    for at in range(0, len(pairs), _PART):
        yield pairs[at : at + _PART]
