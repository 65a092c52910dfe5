"""The published encodings by name, each made once per process."""

from __future__ import annotations

from _thread import allocate_lock

from fastprep.encoding.encoding import Encoding
from fastprep.errors import UnknownEncoding
from fastprep.vocabulary.published import PUBLISHED

#: The published encodings that have been requested.
ENCODINGS: dict[str, Encoding] = {}
_lock = allocate_lock()


def get_encoding(encoding_name: str) -> Encoding:
    """Return the published encoding of that name; offline, made once per process.

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
    published = PUBLISHED.get(encoding_name)
    if published is None:
        raise UnknownEncoding(
            f"Unknown encoding {encoding_name}.\nThere are {', '.join(list_encoding_names())}."
        )
    _lock.acquire()
    try:
        if encoding_name not in ENCODINGS:
            encoding = Encoding._from_recipe(published.recipe(encoding_name))
            encoding._getter = get_encoding  # pickles of it hold its name only
            ENCODINGS[encoding_name] = encoding
        return ENCODINGS[encoding_name]
    finally:
        _lock.release()  # by a with statement, this would need memory


def list_encoding_names() -> list[str]:
    """Return the names that :func:`get_encoding` accepts.

    >>> list_encoding_names()
    ['gpt2', 'r50k_base', 'p50k_base', 'p50k_edit', 'cl100k_base', 'o200k_base', 'o200k_harmony']
    """
    return list(PUBLISHED)
