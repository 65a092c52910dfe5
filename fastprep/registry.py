"""Encodings by name, each made once per process: the published ones, and those of tiktoken's plugins.

A plugin is a module of the namespace package ``tiktoken_ext``, from any distribution, with a dict
``ENCODING_CONSTRUCTORS``: from a name to a function that returns the arguments of an ``Encoding``.
They are imported when a name is requested that is not published.
"""

from __future__ import annotations

import sys
from _thread import allocate_lock

from fastprep.encoding.encoding import Encoding
from fastprep.errors import BadVocabulary, UnknownEncoding
from fastprep.vocabulary.published import PUBLISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

#: The encodings that have been requested.
ENCODINGS: dict[str, Encoding] = {}
_lock = allocate_lock()

# tiktoken's own plugin, whose encodings are bundled here.
_OWN_PLUGIN = "openai_public"


def get_encoding(encoding_name: str) -> Encoding:
    """Return the encoding of that name, made once per process; a published one is made offline.

    >>> get_encoding("gpt2")
    <Encoding 'gpt2'>

    Other names are looked up in the plugins of tiktoken that are installed. Raises
    :class:`~fastprep.errors.UnknownEncoding` for a name that is not in :func:`list_encoding_names`,
    and :class:`~fastprep.errors.BadVocabulary` for a plugin that does not keep tiktoken's rules.
    """
    if not isinstance(encoding_name, str):
        raise UnknownEncoding(f"Expected a string in get_encoding, got {type(encoding_name)}")
    found = ENCODINGS.get(encoding_name)
    if found is not None:
        return found
    published = PUBLISHED.get(encoding_name)
    if published is None:
        return _of_plugin(encoding_name)
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
    """Return the names that :func:`get_encoding` accepts: published ones first, then those of plugins.

    >>> list_encoding_names()
    ['gpt2', 'r50k_base', 'p50k_base', 'p50k_edit', 'cl100k_base', 'o200k_base', 'o200k_harmony']
    """
    return [*PUBLISHED, *_constructors()]


def _of_plugin(name: str) -> Encoding:
    """Return the encoding that a plugin makes, without a lock: it may call `get_encoding`."""
    constructors = _constructors()
    if name not in constructors:
        raise UnknownEncoding(
            f"Unknown encoding {name}.\nThere are {', '.join([*PUBLISHED, *constructors])}."
        )
    return ENCODINGS.setdefault(name, Encoding(**constructors[name]()))


def _constructors() -> Mapping[str, Callable[[], dict[str, Any]]]:
    """Return the constructors of the installed plugins, by the names of their encodings."""
    try:
        import tiktoken_ext
    except ModuleNotFoundError:
        return {}
    from importlib import import_module
    from pkgutil import iter_modules

    found: dict[str, Callable[[], dict[str, Any]]] = {}
    for module in iter_modules(tiktoken_ext.__path__):
        if module.name == _OWN_PLUGIN:
            continue
        path = f"tiktoken_ext.{module.name}"
        constructors = getattr(import_module(path), "ENCODING_CONSTRUCTORS", None)
        if constructors is None:
            raise BadVocabulary(
                f"tiktoken plugin {path} does not define ENCODING_CONSTRUCTORS, a dict from names to "
                "functions; correct or uninstall it"
            )
        for name, constructor in constructors.items():
            if name in PUBLISHED or name in found:
                raise BadVocabulary(
                    f"Duplicate encoding name {name} in tiktoken plugin {path}; rename or uninstall it"
                )
            found[name] = constructor
    return found


if __name__ != "fastprep.registry":
    # `sys.modules["tiktoken"] = fastprep` leads here a second time: one table of encodings serves both.
    sys.modules[__name__] = sys.modules.get("fastprep.registry") or __import__(
        "fastprep.registry", fromlist=["registry"]
    )
