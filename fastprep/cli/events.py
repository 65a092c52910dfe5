"""Lines on stderr about the events of a job, which `prepare` and `train` share."""

from __future__ import annotations

import sys

from fastprep.cli.options import as_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from fastprep.jobs.events import Event

_MAX_LINES = 10  # of one kind


class EventLines:
    """Lines for people, or with ``--log`` JSON for machines."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._json = options.log == "json"
        self._counts: dict[str, int] = {}

    def print_json(self, event: Event) -> None:
        """Print an event as a line of JSON, if these were asked for."""
        if self._json:
            print(as_json(event), file=sys.stderr, flush=True)

    def print(self, line: str) -> None:
        """Print a line for people, unless ``--quiet`` or ``--log`` was given."""
        if not (self._options.quiet or self._json):
            print(f"fastprep: {line}", file=sys.stderr)

    def print_some(self, kind: str, line: str, rest: str) -> None:
        """Print a line for people if it is among the first of its kind, and once that there are more."""
        self._counts[kind] = count = self._counts.get(kind, 0) + 1
        if count <= _MAX_LINES:
            self.print(line)
        elif count == _MAX_LINES + 1:
            self.print(f"... and more {rest}")

    def print_shared(self, event: Event) -> None:
        """Print the events that all jobs have."""
        if event["event"] == "bad document":
            self.print_some("bad", f"{event['place']}: {event['reason']}", "bad documents")
        elif event["event"] == "passed over":
            from fastprep.corpus.passed_over import from_facts, in_words

            self.print(in_words(from_facts(event["reasons"])))
