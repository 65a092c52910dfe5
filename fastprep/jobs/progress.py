"""Progress of a job: a progress bar for people, log events for machines."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastprep.corpus.documents import Format
from fastprep.corpus.formats import Kind
from fastprep.corpus.plan import Task, task_bytes
from fastprep.corpus.reader import text_per_byte
from fastprep.errors import FastprepError
from fastprep.jobs.events import Log, send
from fastprep.jobs.journal import Done
from fastprep.jobs.task import TaskCounter
from fastprep.system.bars import is_watched, tqdm_class
from fastprep.system.guarantees import lost_in
from fastprep.terminal import columns_of, escaped

if TYPE_CHECKING:
    from tqdm import tqdm

_UPDATE_SECONDS = 0.2
_MIN_BAR = 5  # columns of the bar itself


def say_reused(output: str, progress: bool | None, log: Log | None) -> None:
    """Say on stderr that a finished store is returned, where a bar would be and nothing logs it."""
    if log is None and (is_watched() if progress is None else progress):
        print(
            escaped(
                f"{output}: made before from the same inputs and settings, and returned as it is"
            ),
            file=sys.stderr,
        )


class Earlier(NamedTuple):
    """What earlier runs of a job have finished."""

    shards: int = 0
    bytes: int = 0
    documents: int = 0
    tokens: int = 0

    @classmethod
    def of(cls, finished: Mapping[int, Done], tasks: Mapping[int, Task]) -> Earlier:
        """Return the totals of finished shards, by their numbers."""
        records = [record for done in finished.values() for record in done.records]
        return cls(
            len(finished),
            sum(task_bytes(tasks[index]) for index in finished),
            sum(record.documents for record in records),
            sum(record.tokens for record in records),
        )


class Reporter:
    """A progress bar and log of one run.

    `tasks` are the tasks of the run and `counters` their counts so far, both by shard; `earlier` is
    what earlier runs have finished, which the bar counts too, but not in its rates. `show` says
    whether to show a progress bar, None to show one in a terminal or a notebook. `log` is called with
    each event. `form` says how documents are stored in the inputs.

    >>> events = []
    >>> with Reporter({}, Earlier(), {}, False, events.append, Format()) as reporter:
    ...     reporter.log("started", tasks=0)
    >>> events[0]["event"], events[0]["tasks"]
    ('started', 0)
    """

    def __init__(
        self,
        tasks: dict[int, Task],
        earlier: Earlier,
        counters: dict[int, TaskCounter],
        show: bool | None,
        log: Log | None,
        form: Format,
    ) -> None:
        self._tasks = tasks
        self._form = form
        self._sizes = {index: task_bytes(task) for index, task in tasks.items()}
        self._counters = counters
        self._call_log = log
        self._show = is_watched() if show is None else show
        # Estimated when a bar is first shown, because nothing else needs them.
        self._text_sizes: dict[int, float] = {i: size or 1 for i, size in self._sizes.items()}
        self._earlier = earlier
        self._columns = 0
        self._done: set[int] = set()
        self._bar: tqdm[Any] | None = None
        self._start = self._updated = time.monotonic()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._refresh(self._bar)
            self._bar.close()

    def tick(self) -> None:
        """Update the progress bar if the last update is old enough; to be called often."""
        now = time.monotonic()
        if not self._show or now < self._updated + _UPDATE_SECONDS:
            return
        self._updated = now
        if self._bar is None:
            self._bar = tqdm_class()(
                total=self._earlier.bytes + sum(self._sizes.values()),
                initial=self._earlier.bytes,
            )
            self._text_sizes = _text_sizes(self._tasks, self._form)
        self._refresh(self._bar)

    def log(self, event: str, **facts: object) -> None:
        """Send an event to the log."""
        send(self._call_log, event, **facts)

    def task_done(self, index: int, done: Done) -> None:
        """Count a task as done, and log it and its bad documents."""
        documents = sum(record.documents for record in done.records)
        tokens = sum(record.tokens for record in done.records)
        # Exact counts, and the only ones for a task that ran on another machine.
        self._counters[index] = TaskCounter(self._sizes[index], documents, tokens)
        self._done.add(index)
        bad = done.records[0]
        for place, reason in bad.bad:
            self.log("bad document", shard=index, place=place, reason=reason)
        self.log(
            "task done",
            shard=index,
            bytes=self._sizes[index],
            documents=documents,
            tokens=tokens,
            bad_documents=bad.bad_documents,
        )

    def finished(self, complete: bool, output: Path) -> None:
        """Log what the file system of the output lacks, the totals, and whether the job is complete."""
        for message in lost_in(output):
            self.log("guarantee lost", message=message)
        seconds = self._seconds()
        size, documents, tokens = self._totals()
        self.log(
            "finished",
            whole=complete,
            bytes=size,
            documents=documents,
            tokens=tokens,
            seconds=round(seconds, 3),
            bytes_per_second=round(size / seconds),
            tokens_per_second=round(tokens / seconds),
        )

    def _seconds(self) -> float:
        return max(time.monotonic() - self._start, 1e-9)

    def _totals(self) -> tuple[int, int, int]:
        """Return the bytes of input, documents and tokens of this run so far."""
        size = documents = tokens = 0
        for index, counter in self._counters.items():
            # An estimate, because text is shorter or longer than the file that holds it.
            done = index in self._done
            part = 1.0 if done else min(counter.size / self._text_sizes[index], 1.0)
            size += round(self._sizes[index] * part)
            documents += counter.documents
            tokens += counter.tokens
        return size, documents, tokens

    def _refresh(self, bar: tqdm[Any]) -> None:
        """Draw the bar with as many fields as the terminal has room for; its size may have changed."""
        columns = max(columns_of(sys.stderr) - 1, 1)  # a terminal may wrap a line that is full
        if columns != self._columns:
            if self._columns:
                bar.fp.write("\r" + " " * columns)
                bar.fp.write("\r")
                # The old one pads with spaces up to the longest line, which may be too long now.
                bar.sp = bar.status_printer(bar.fp)
            self._columns = bar.ncols = columns
        size = self._totals()[0]
        shown = ""
        for field in self._fields():
            longer = f"{shown}, {field}" if shown else f" {field}"
            if len(longer) + len("100%") + _MIN_BAR > columns:
                break
            shown = longer
        bar.bar_format = "{percentage:3.0f}%{bar}" + shown
        bar.n = self._earlier.bytes + size
        bar.refresh()

    def _fields(self) -> Iterator[str]:
        """Yield the fields after the bar: counts of the whole job, rates of this run."""
        earlier, seconds = self._earlier, self._seconds()
        size, documents, tokens = self._totals()
        total = earlier.bytes + sum(self._sizes.values())
        yield f"{_short(earlier.bytes + size)}/{_short(total)}B"
        yield f"{_short(round(size / seconds))}B/s"
        left = total - earlier.bytes - size
        yield f"{_clock(left * seconds / size) if size else '?'} left"
        shards = earlier.shards + len(self._tasks)
        yield f"{earlier.shards + len(self._done):,}/{shards:,} shards"
        yield f"{_short(round(tokens / seconds))} tokens/s"
        yield f"{_short(earlier.tokens + tokens)} tokens"
        yield f"{_short(earlier.documents + documents)} documents"


def _clock(seconds: float) -> str:
    from tqdm import tqdm

    shown: str = tqdm.format_interval(seconds)
    return shown


def _short(count: int) -> str:
    """Format a count: in full below 10,000, otherwise three digits of it, as in ``173M``."""
    if count < 10_000:
        return f"{count:,}"
    from tqdm import tqdm

    shown: str = tqdm.format_sizeof(count)
    return shown


def _text_sizes(tasks: dict[int, Task], form: Format) -> dict[int, float]:
    """Estimate the bytes of text of each task: compressed files hold several times their size.

    One file of each kind is sampled for all of its kind.
    """
    known: dict[Kind | None, float] = {}
    sizes: dict[int, float] = {}
    for index, task in tasks.items():
        sizes[index] = 1.0
        for span in task:
            kind = form.kind(span.path)
            if kind not in known:
                known[kind] = 1.0
                with contextlib.suppress(FastprepError, OSError):  # the task will raise it
                    known[kind] = text_per_byte(span, form) or 1.0
            sizes[index] += (span.end - span.start) * known[kind]
    return sizes
