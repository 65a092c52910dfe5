"""File formats by name: the content of a file, its compression, and archives of such files."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

Content = Literal["", "text", "lines", "csv", "tsv", "parquet", "arrow"]
Packing = Literal["", ".gz", ".zst", ".xz", ".bz2"]
Archive = Literal["", ".tar", ".zip"]

CONTENTS: dict[str, Content] = {
    ".txt": "text",
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "lines",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
PACKINGS: tuple[Packing, ...] = (".gz", ".zst", ".xz", ".bz2")
# Short names of compressed archives.
_SHORT = {
    ".tgz": ".tar.gz",
    ".tzst": ".tar.zst",
    ".txz": ".tar.xz",
    ".tbz2": ".tar.bz2",
}
SUPPORTED = (
    ".txt, .jsonl (also named .ndjson or .json), .csv and .tsv, as they are or .gz, .zst, .xz or "
    ".bz2; .parquet, .arrow and .feather; .tar (also compressed) and .zip of these"
)

# In an address of HTTP any ? begins a query; in others, where it may be part of a pattern, one that
# names a value.
_QUERY = re.compile(r"(?<=\?)[\w.~-]+=")


class Kind(NamedTuple):
    """The content of a file, its compression, and whether it is an archive of such files.

    The content of an archive is that of its members; ``""`` if their names say it.
    """

    content: Content
    packing: Packing = ""
    archive: Archive = ""

    @property
    def is_plain(self) -> bool:
        """Whether the file is text or lines of JSON as they are."""
        return not self.packing and not self.archive and self.content in ("text", "lines")


_PLAIN = {suffix: Kind(content) for suffix, content in CONTENTS.items()}


def kind_of(name: str, form: str | None = None) -> Kind | None:
    """Return the kind of a file by its name, or None if it cannot be read.

    With ``form``, a format as :class:`~fastprep.corpus.documents.Format` names it, the content is that
    one; the name may still have the suffixes of a compression and of an archive.

    >>> kind_of("c4-train.00000-of-01024.json.gz")
    Kind(content='lines', packing='.gz', archive='')
    >>> kind_of("data/books.TXT"), kind_of("books.pdf")
    (Kind(content='text', packing='', archive=''), None)
    >>> kind_of("wiki_00.bz2", "jsonl"), kind_of("shard-0.tar", "txt").content
    (Kind(content='lines', packing='.bz2', archive=''), 'text')
    """
    dot = name.rfind(".")
    # Most names of thousands of small files. Any other way takes several times as long.
    plain = _PLAIN.get(name[dot:]) if form is None and dot > 0 else None
    if plain is not None and name[dot - 1] != "/" and "://" not in name:
        return plain
    if "://" in name:
        name = without_query(name)
    base = name[name.rfind("/") + 1 :]
    if form is None:
        return _kind(base.lower())
    asked = kind_of_format(form)
    if asked is None or asked.packing or asked.archive or asked.content in ("parquet", "arrow"):
        return asked
    _, packing, archive = _containers(base.lower())
    return Kind(asked.content, packing, archive)


@lru_cache(64)
def kind_of_format(form: str) -> Kind | None:
    """Return the kind of the files of a format, or None if there is no such format.

    >>> kind_of_format("jsonl.gz"), kind_of_format("pdf")
    (Kind(content='lines', packing='.gz', archive=''), None)
    """
    return _kind(f"x.{form.lower()}")


def format_of_members(form: str | None) -> str | None:
    """Return the part of a format that names the content, or None.

    >>> format_of_members("jsonl"), format_of_members("tar.gz")
    ('jsonl', None)
    """
    words = [] if form is None else form.lower().split(".")
    return next((word for word in words if f".{word}" in CONTENTS), None)


def _kind(base: str) -> Kind | None:
    stem, dot, suffix = base.rpartition(".")
    content = CONTENTS.get(dot + suffix) if stem else None
    if content is not None:
        return Kind(content)
    stem, packing, archive = _containers(base)
    if archive:
        return Kind("", packing, archive) if stem else None
    stem, dot, suffix = stem.rpartition(".")
    content = CONTENTS.get(dot + suffix) if stem else None
    # Parquet and Arrow compress their own pages, and are read from any place.
    if not packing or content in (None, "parquet", "arrow"):
        return None
    return Kind(content, packing)


def _containers(base: str) -> tuple[str, Packing, Archive]:
    """Split the suffixes of a compression and of an archive from a name."""
    stem, dot, suffix = base.rpartition(".")
    if dot + suffix in _SHORT:
        base = stem + _SHORT[dot + suffix]
        stem, dot, suffix = base.rpartition(".")
    packing: Packing = ""
    for known in PACKINGS:
        if dot + suffix == known:
            packing, base = known, stem
            stem, dot, suffix = stem.rpartition(".")
            break
    if dot + suffix == ".tar":
        return stem, packing, ".tar"
    if dot + suffix == ".zip" and not packing:
        return stem, packing, ".zip"
    return base, packing, ""


def without_query(url: str) -> str:
    """Return a URL up to its query.

    >>> without_query("https://host/a.jsonl?token=b.txt"), without_query("s3://bucket/part-?.jsonl")
    ('https://host/a.jsonl', 's3://bucket/part-?.jsonl')
    """
    if url.startswith(("http://", "https://")):
        return url.partition("?")[0]
    found = _QUERY.search(url)
    return url[: found.start() - 1] if found else url


def in_folders(name: str, form: str | None = None, *, json: bool = False) -> bool:
    """Return whether a file of that name is read if its folder is an input.

    A plain ``.json`` file in a folder of data is usually metadata (``dataset_info.json``), so it is
    read only if ``json``, which is for folders without any other file that can be read, or if the
    format ``form`` is that. With ``form`` the files of that content are read, archives that may have
    such members, and files whose names have no suffix, compression aside.

    >>> in_folders("part-0.jsonl"), in_folders("dataset_info.json"), in_folders("part-0.json.gz")
    (True, False, True)
    >>> in_folders("wiki_00", "jsonl"), in_folders("a.csv", "jsonl"), in_folders("a.jpg", "jsonl")
    (True, False, False)
    """
    kind = kind_of(name)
    words = [] if form is None else form.lower().split(".")
    if name.lower().endswith(".json") and not json and "json" not in words:
        return False
    if form is None:
        return kind is not None
    asked = kind_of_format(form)
    if asked is None:
        return False
    if kind is not None and kind.archive:
        return asked.archive == kind.archive or (
            not asked.archive and asked.content not in ("parquet", "arrow")
        )
    if kind is not None:
        return not asked.archive and asked.content == kind.content
    stem, _, _ = _containers(name[name.rfind("/") + 1 :].lower())
    return "." not in stem
