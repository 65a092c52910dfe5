"""What a file holds, by its name: text, lines of JSON or a table, and how it is compressed."""

from __future__ import annotations

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


class Kind(NamedTuple):
    """What lies in a file, and what it is packed in."""

    content: Content
    packing: Packing


def kind_of(name: str) -> Kind | None:
    """The kind of a file of that name, None for one that cannot be read.

    Examples
    --------
    >>> kind_of("c4-train.00000-of-01024.json.gz")
    Kind(content='lines', packing='.gz')
    >>> kind_of("data/books.TXT"), kind_of("books.csv")
    (Kind(content='text', packing=''), None)
    """
    # No pathlib here: of thousands of small files it would take the most time.
    stem, dot, suffix = name[name.rfind("/") + 1 :].lower().rpartition(".")
    packing: Packing = ""
    for known in PACKINGS:
        if dot + suffix == known:
            packing = known
            stem, dot, suffix = stem.rpartition(".")
    content = CONTENTS.get(dot + suffix) if stem else None
    # Parquet compresses its pages itself, and is read from its end.
    if content is None or (packing and content == "parquet"):
        return None
    return Kind(content, packing)


def in_folders(name: str) -> bool:
    """Whether a folder that is given as an input means a file of that name, too.

    A plain ``.json`` beside the data is more often about it than part of it
    (``dataset_info.json``), so that one has to be named, or matched by a pattern.

    Examples
    --------
    >>> in_folders("part-0.jsonl"), in_folders("dataset_info.json"), in_folders("part-0.json.gz")
    (True, False, True)
    """
    return kind_of(name) is not None and not name.lower().endswith(".json")
