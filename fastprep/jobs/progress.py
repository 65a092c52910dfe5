"""What a job tells about itself: a progress bar for people, events for machines."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from fastprep.corpus.documents import Format
from fastprep.corpus.formats import Kind, kind_of
from fastprep.corpus.plan import Task, task_bytes
from fastprep.corpus.reader import text_per_byte
from fastprep.errors import FastprepError
from fastprep.jobs.journal import Done
from fastprep.jobs.task import TaskCounter

if TYPE_CHECKING:
    from tqdm import tqdm

#: One thing that happened, as a dict that JSON can hold; ``event`` says what, ``time`` when (Unix).
Event: TypeAlias = dict[str, object]
Log: TypeAlias = Callable[[Event], object]

_SECONDS_BETWEEN_LOOKS = 0.2
# All that is promised, in the 80 columns of a terminal as it is opened.
_BAR = "{percentage:3.0f}%{bar} {total_fmt}B, {rate_fmt}, {remaining} left{postfix}"


class Reporter:
    """Follows a run from its first task to its last.

    Parameters
    ----------
    tasks
        what this run has to do, by shard.
    finished_bytes
        how many bytes of input were done before.
    counters
        what each task has done so far, by shard.
    show
        whether to show a progress bar on stderr; None: when it is a terminal.
    log
        is called with each event.
    form
        how documents lie in the inputs.

    Examples
    --------
    >>> events = []
    >>> with Reporter({}, 0, {}, False, events.append, Format()) as reporter:
    ...     reporter.say("started", tasks=0)
    >>> events[0]["event"], events[0]["tasks"]
    ('started', 0)
    """

    def __init__(
        self,
        tasks: dict[int, Task],
        finished_bytes: int,
        counters: dict[int, TaskCounter],
        show: bool | None,
        log: Log | None,
        form: Format,
    ) -> None:
        self._tasks = tasks
        self._form = form
        self._sizes = {index: task_bytes(task) for index, task in tasks.items()}
        self._counters = counters
        self._log = log
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._show = is_terminal if show is None else show
        # Until a bar is shown nobody asks for more.
        self._text_sizes: dict[int, float] = {i: size or 1 for i, size in self._sizes.items()}
        self._finished_bytes = finished_bytes
        self._done: set[int] = set()
        self._bar: tqdm[Any] | None = None
        self._start = self._looked = time.monotonic()

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._refresh(self._bar)
            self._bar.close()

    def tick(self) -> None:
        """Bring the progress bar up to date, if it is time; to be called every now and then."""
        now = time.monotonic()
        if not self._show or now < self._looked + _SECONDS_BETWEEN_LOOKS:
            return
        self._looked = now
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=self._finished_bytes + sum(self._sizes.values()),
                initial=self._finished_bytes,
                unit="B",
                unit_scale=True,
                bar_format=_BAR,
            )
            self._text_sizes = _text_sizes(self._tasks, self._form)
            self._bar.start_t -= self._seconds()
        self._refresh(self._bar)

    def say(self, event: str, **facts: object) -> None:
        """Tell an event to the log."""
        if self._log is not None:
            self._log({"event": event, "time": round(time.time(), 3), **facts})

    def task_done(self, index: int, done: Done) -> None:
        """Count a task as done, and tell its bad documents."""
        documents = sum(record.documents for record in done.records)
        tokens = sum(record.tokens for record in done.records)
        # What another machine did was not counted here.
        self._counters[index] = TaskCounter(self._sizes[index], documents, tokens)
        self._done.add(index)
        bad = done.records[0]
        for place, reason in bad.bad:
            self.say("bad document", shard=index, place=place, reason=reason)
        self.say(
            "task done",
            shard=index,
            bytes=self._sizes[index],
            documents=documents,
            tokens=tokens,
            bad_documents=bad.bad_documents,
        )

    def finished(self, whole: bool) -> None:
        """Tell what the run did, and whether the job is whole."""
        seconds = self._seconds()
        size, documents, tokens = self._totals()
        self.say(
            "finished",
            whole=whole,
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
        """Bytes of input, documents and tokens of this run so far."""
        size = documents = tokens = 0
        for index, counter in self._counters.items():
            # The text is shorter or longer than the file around it: what was read is an estimate.
            done = index in self._done
            part = 1.0 if done else min(counter.size / self._text_sizes[index], 1.0)
            size += round(self._sizes[index] * part)
            documents += counter.documents
            tokens += counter.tokens
        return size, documents, tokens

    def _refresh(self, bar: tqdm[Any]) -> None:
        size, documents, tokens = self._totals()
        bar.n = self._finished_bytes + size
        bar.set_postfix_str(
            f"{_short(documents)} documents, {_short(tokens)} tokens, "
            f"{_short(round(tokens / self._seconds()))} tokens/s",
            refresh=False,
        )
        bar.refresh()


def _short(count: int) -> str:
    """A count in full while it is short, else three digits of it: ``173M``."""
    if count < 10_000:
        return f"{count:,}"
    from tqdm import tqdm

    shown: str = tqdm.format_sizeof(count)
    return shown


def _text_sizes(tasks: dict[int, Task], form: Format) -> dict[int, float]:
    """How many bytes of text each task has, about: packed files unpack to several times their size.

    One file of each kind is looked at for all of them.
    """
    known: dict[Kind | None, float] = {}
    sizes: dict[int, float] = {}
    for index, task in tasks.items():
        sizes[index] = 1.0
        for span in task:
            kind = kind_of(span.path)
            if kind not in known:
                known[kind] = 1.0
                with contextlib.suppress(FastprepError, OSError):  # whoever reads it will say so
                    known[kind] = text_per_byte(span, form) or 1.0
            sizes[index] += (span.end - span.start) * known[kind]
    return sizes
