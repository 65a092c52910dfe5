"""The report of what folders and patterns passed over: a count and the first names per reason."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

HIDDEN = "the name begins with . or _"
NO_FILE = "not a regular file"
_NOT_READ = "not of a kind that is read"
_METADATA = "a .json file in a folder is usually metadata"

# Names that are kept per reason: a folder may pass over a million.
MAX_NAMES = 10
_SHOWN = 3


class PassedOver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files or folders that were not read for one reason: their number, and the first names by order.

    Names of folders end with ``/``.

    >>> PassedOver("not of a kind that is read", 1, ["in/b.md"]).count
    1
    """

    reason: str
    count: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
    names: list[str]


class Tally:
    """Counts of what was passed over, in memory that does not grow with it.

    >>> tally = Tally()
    >>> for name in ("in/c.md", "in/b.md"):
    ...     tally.add(name, "not of a kind that is read")
    >>> tally.records()
    [PassedOver(reason='not of a kind that is read', count=2, names=['in/b.md', 'in/c.md'])]
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def add(self, name: str, reason: str) -> None:
        """Count a file, or a folder whose name ends with ``/``."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        # The first by name, not by the order of a directory, which differs between file systems.
        if len(names) < MAX_NAMES or name < names[-1]:
            insort(names, name)
            del names[MAX_NAMES:]

    def add_records(self, records: Iterable[PassedOver]) -> None:
        """Add what another tally counted."""
        for record in records:
            self._counts[record.reason] = self._counts.get(record.reason, 0) + record.count
            names = sorted(self._names.get(record.reason, []) + record.names)
            self._names[record.reason] = names[:MAX_NAMES]

    def __bool__(self) -> bool:
        return bool(self._counts)

    def records(self) -> list[PassedOver]:
        """Return a record per reason, in the order of the reasons' text."""
        return [
            # A manifest is UTF-8, which has no bytes of other names.
            PassedOver(reason, count, [_as_unicode(name) for name in self._names[reason]])
            for reason, count in sorted(self._counts.items())
        ]


def reason_of(name: str) -> str:
    """Return why a visible file is passed over by its name.

    >>> reason_of("a.md")
    'not of a kind that is read'
    """
    return _METADATA if name.lower().endswith(".json") else _NOT_READ


def facts_of(records: Sequence[PassedOver]) -> dict[str, object]:
    """Return what a log event says about what was passed over; see :func:`from_facts`."""
    return {
        "count": sum(record.count for record in records),
        "reasons": msgspec.to_builtins(list(records)),
    }


def from_facts(reasons: object) -> list[PassedOver]:
    """Return the records of a log event."""
    return msgspec.convert(reasons, list[PassedOver])


def in_words(records: Sequence[PassedOver]) -> str:
    """Return one line about what was passed over, with the first names per reason.

    >>> in_words([PassedOver("not of a kind that is read", 4, ["a.md", "b.md", "c.md", "d.md"])])
    'passed over: 4 files: a.md, b.md, c.md, ... (not of a kind that is read)'
    """
    count = sum(record.count for record in records)
    folders = any(name.endswith("/") for record in records for name in record.names)
    files = any(not name.endswith("/") for record in records for name in record.names)
    kinds = [kind for kind, there in (("file", files), ("folder", folders)) if there]
    noun = " and ".join(kind if count == 1 else f"{kind}s" for kind in kinds)
    return f"passed over: {count:,} {noun}: " + "; ".join(map(_of_one_reason, records))


def _of_one_reason(record: PassedOver) -> str:
    names: Iterable[str] = record.names[:_SHOWN]
    more = ", ..." if record.count > _SHOWN else ""
    return f"{', '.join(names)}{more} ({record.reason})"


def _as_unicode(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
