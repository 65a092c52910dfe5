"""File formats by name: text, lines of JSON or a table, and the compression."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Content = Literal["text", "lines", "parquet"]
Packing = Literal["", ".gz", ".zst"]

CONTENTS: dict[str, Content] = {
    ".txt": "text",
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "lines",
    ".parquet": "parquet",
}
PACKINGS: tuple[Packing, ...] = (".gz", ".zst")
SUPPORTED = (
    ".txt and .jsonl (also named .ndjson or .json), as they are or .gz or .zst, and .parquet"
)

# In an address of HTTP any ? begins a query; in others, where it may be part of a pattern, one that
# names a value.
_QUERY = re.compile(r"(?<=\?)[\w.~-]+=")


class Kind(NamedTuple):
    """The content of a file, and its compression."""

    content: Content
    packing: Packing


def kind_of(name: str) -> Kind | None:
    """Return the kind of a file by its name, or None if it cannot be read.

    >>> kind_of("c4-train.00000-of-01024.json.gz")
    Kind(content='lines', packing='.gz')
    >>> kind_of("data/books.TXT"), kind_of("books.csv")
    (Kind(content='text', packing=''), None)
    """
    if "://" in name:
        name = without_query(name)
    # Not by pathlib, which would take most of the time for thousands of small files.
    stem, dot, suffix = name[name.rfind("/") + 1 :].lower().rpartition(".")
    packing: Packing = ""
    for known in PACKINGS:
        if dot + suffix == known:
            packing = known
            stem, dot, suffix = stem.rpartition(".")
    content = CONTENTS.get(dot + suffix) if stem else None
    # Parquet compresses its own pages, and is read from its end.
    if content is None or (packing and content == "parquet"):
        return None
    return Kind(content, packing)


def without_query(url: str) -> str:
    """Return a URL up to its query.

    >>> without_query("https://host/a.jsonl?token=b.txt"), without_query("s3://bucket/part-?.jsonl")
    ('https://host/a.jsonl', 's3://bucket/part-?.jsonl')
    """
    if url.startswith(("http://", "https://")):
        return url.partition("?")[0]
    found = _QUERY.search(url)
    return url[: found.start() - 1] if found else url


def in_folders(name: str) -> bool:
    """Return whether a file of that name is read if its folder is an input.

    A plain ``.json`` file in a folder of data is usually metadata (``dataset_info.json``), so it must
    be named itself, or matched by a pattern.

    >>> in_folders("part-0.jsonl"), in_folders("dataset_info.json"), in_folders("part-0.json.gz")
    (True, False, True)
    """
    return kind_of(name) is not None and not name.lower().endswith(".json")
