"""The published encodings by name; each is made once a process."""

from __future__ import annotations

from _thread import allocate_lock

from fastprep.encoding.encoding import Encoding
from fastprep.errors import UnknownEncoding
from fastprep.vocabulary.published import PUBLISHED

#: The published encodings that were asked for.
ENCODINGS: dict[str, Encoding] = {}
_loading = allocate_lock()  # as threading.Lock, whose module takes longer to import than this one


def get_encoding(encoding_name: str) -> Encoding:
    """The published encoding of that name; offline, made once a process.

    >>> get_encoding("gpt2")
    <Encoding 'gpt2'>

    Raises :class:`~fastprep.errors.UnknownEncoding` for a name that is not in
    :func:`list_encoding_names`.
    """
    if not isinstance(encoding_name, str):
        raise UnknownEncoding(f"Expected a string in get_encoding, got {type(encoding_name)}")
    found = ENCODINGS.get(encoding_name)
    if found is not None:
        return found
    facts = PUBLISHED.get(encoding_name)
    if facts is None:
        raise UnknownEncoding(
            f"Unknown encoding {encoding_name}.\nThere are {', '.join(list_encoding_names())}."
        )
    with _loading:
        if encoding_name not in ENCODINGS:
            ENCODINGS[encoding_name] = Encoding._of_published(encoding_name, facts)
        return ENCODINGS[encoding_name]


def list_encoding_names() -> list[str]:
    """The names that :func:`get_encoding` knows.

    >>> list_encoding_names()
    ['gpt2', 'r50k_base', 'p50k_base', 'p50k_edit', 'cl100k_base', 'o200k_base', 'o200k_harmony']
    """
    return list(PUBLISHED)
