"""Counting the pieces of inputs, on threads and in bounded memory.

Each thread has a table. A table that is full is written to a temporary file, as sorted records, and the
files are merged at the end. Counts are sums, so they do not depend on threads, on the order of documents
or on how often a table was full.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from os import PathLike
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from fastprep.corpus import reader as corpus
from fastprep.corpus.batches import readable
from fastprep.corpus.documents import Batch, Format, OnError, Span, keys_of
from fastprep.corpus.in_memory import TableSpan, is_table
from fastprep.corpus.inputs import find
from fastprep.corpus.passed_over import Tally, facts_of, in_words
from fastprep.corpus.plan import Task, default_shard_bytes, plan, task_bytes
from fastprep.corpus.sources import empty, modified
from fastprep.errors import InvalidInput, InvalidUtf8
from fastprep.jobs.calls import call_on_threads
from fastprep.jobs.events import Log, send
from fastprep.system.arguments import MAX_WORKERS, whole_number
from fastprep.system.sizes import number_of_bytes
from fastprep.system.threads import StopFlag, available_cores, map_in_order
from fastprep.trainer.counts import PieceCounts, Unit, check_unit, merged, write_all
from fastprep.trainer.progress import Bar
from fastprep.trainer.splitting import Splitting, splitting_of
from fastprep_ext.base import Rows, map_file
from fastprep_ext.trainer import PieceCounter

if TYPE_CHECKING:
    from fastprep.corpus.inputs import Inputs

#: The memory for counting unless the caller sets another limit.
DEFAULT_MEMORY = 1 << 30
MIN_MEMORY = 1 << 20
# Of text read at once. Each thread has a few blocks: of 4 MiB they were the largest part of the peak.
_BLOCK_BYTES = 1 << 20


class Settings(NamedTuple):
    """The settings that counts depend on, and those of the work."""

    splitting: Splitting
    documents: Unit
    form: Format
    workers: int
    memory: int


def settings_of(
    splitting: Splitting,
    documents: Unit,
    form: Format,
    workers: int | None,
    memory: int | str | None,
) -> Settings:
    """Return checked settings. Raises InvalidArgument."""
    check_unit(documents)
    if workers is not None:
        workers = whole_number(workers, "workers", most=MAX_WORKERS)
    budget = DEFAULT_MEMORY if memory is None else number_of_bytes(memory, "memory", MIN_MEMORY)
    return Settings(splitting, documents, form, workers or available_cores(), budget)


class Tables:
    """The tables of all threads, and what was written of them.

    >>> tables = Tables(splitting_of("gpt2"), "whole", workers=1, memory=1 << 20)
    >>> rows = Rows()
    >>> rows.append(b"one two", 0)
    >>> tables.count(rows)
    >>> [len(table) for table in tables.take()]
    [2]
    """

    def __init__(self, splitting: Splitting, documents: Unit, workers: int, memory: int) -> None:
        self._seeds = array("Q", os.urandom(16))
        self._splitter = splitting.splitter
        self.may_be_cut: bool = splitting.may_be_cut
        self._lines = documents == "lines"
        # Half of the memory is for tables: while one is written, as much is needed to sort it.
        self._table_bytes = max(memory // 2 // workers, MIN_MEMORY // 4)
        self._lock = Lock()
        self._idle: list[PieceCounter] = []
        self._file: BinaryIO | None = None
        self._ends = [0]

    def count(self, texts: Rows) -> None:
        """Count the pieces of texts, by a table that no other thread uses."""
        if self._splitter is None:
            for index in texts.invalid():  # a splitter would find them
                _raise_invalid(index, texts[index])
        try:
            counter = self._idle.pop()
        except IndexError:
            counter = self._new(self._table_bytes)
        counter.count(texts, self._spill)
        self._idle.append(counter)

    def _new(self, most: int = 0) -> PieceCounter:
        return PieceCounter(self._splitter, self._lines, self._seeds, most)

    def _spill(self, records: memoryview) -> None:
        with self._lock:
            if self._file is None:
                import tempfile

                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
            write_all(self._file, records)
            self._ends.append(self._ends[-1] + len(records))

    def take(self) -> list[PieceCounter] | None:
        """Return the sum of all tables, as tables that share no piece, and forget them.

        They are added up by as many threads as there are tables, each of which takes a part of the
        hashes. None if something was written.
        """
        if self._file is not None:
            return None
        tables, self._idle = self._idle, []
        if len(tables) < 2:
            return tables or [self._new()]

        def add(part: int) -> PieceCounter:
            sums = self._new()
            sums.add_part(tables, part, len(tables))
            return sums

        return [*map_in_order(add, range(len(tables)), len(tables))]

    def records(self) -> tuple[memoryview, Sequence[int] | None]:
        """Return all counts as sorted records, and their sums if they are known; forget them."""
        found = self.take()
        if found is not None:
            if len(found) == 1:
                return found[0].records(), None
            return merged([each.records() for each in found])
        tables = [each.records() for each in self._idle]
        self._idle = []
        written: list[Any] = []
        if self._file is not None:
            with self._file as file:
                mapped = map_file(file.fileno(), self._ends[-1])
            written = [mapped[a:b] for a, b in zip(self._ends, self._ends[1:])]  # noqa: B905
        return merged([*written, *tables])


def _raise_invalid(index: int, text: bytes) -> None:
    """Raise InvalidUtf8 for a text of which it is known that it is not UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        at = error.start
        raise InvalidUtf8(
            f"text {index} is not UTF-8: no character begins at byte {at}", index, at
        ) from None


class Plan(NamedTuple):
    """The inputs of a count, divided into tasks of about `task_bytes`."""

    spans: list[Span]
    tasks: list[Task]
    task_bytes: int
    passed: Tally


def plan_of(
    inputs: Inputs | Iterable[str], form: Format, shard_bytes: int | None = None, least: int = 1
) -> Plan:
    """Find the files of inputs, which may also be an iterable of texts, and divide them into tasks.

    `shard_bytes` is the size of a task; by default that of :func:`fastprep.prepare`, but at least
    `least`. Raises InvalidInput, and MissingExtra, as that function does.
    """
    passed = Tally()
    spans = find(texts_as_dicts(inputs, form), form, passed)
    corpus.import_readers(spans, form)
    if form.on_error == "raise":
        for span in spans:
            if not span.size and not isinstance(span, TableSpan):
                raise empty(span)
    size = shard_bytes or max(default_shard_bytes(spans), least)
    return Plan(list(spans), plan(spans, form, shard_bytes=size), size, passed)


def texts_as_dicts(inputs: Any, form: Format) -> Any:
    """Return inputs for :func:`fastprep.corpus.inputs.find`: texts of an iterable become dicts.

    A list or tuple of str has names of files. In any other iterable, as a generator, a str is a text.

    >>> [*texts_as_dicts(iter(["One."]), Format())]
    [{'text': 'One.'}]
    >>> texts_as_dicts(["one.txt"], Format())
    ['one.txt']
    """
    known = (str, PathLike, bytes, bytearray, memoryview, Mapping, list, tuple)
    if isinstance(inputs, known) or is_table(inputs) or not isinstance(inputs, Iterable):
        return inputs
    left = iter(inputs)
    for first in left:
        if isinstance(first, (str, bytes)):
            return _dicts(chain([first], left), keys_of(form.field))
        return chain([first], left)
    return []


def _dicts(texts: Iterator[Any], keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    for text in texts:
        found = text
        for key in reversed(keys):
            found = {key: found}
        yield found


def report_passed_over(passed: Tally, log: Log | None) -> None:
    """Say what was passed over: as an event of the log, or as a warning."""
    if not passed:
        return
    if log is None:
        warnings.warn(in_words(passed.records()), stacklevel=4)
    else:
        send(log, "passed over", **facts_of(passed.records()))


class Run:
    """One pass over tasks: what it has read, and what it reports.

    `progress` and `log` are as in :func:`fastprep.prepare`.
    """

    def __init__(
        self,
        form: Format,
        total: int,
        progress: bool | None,
        log: Log | None,
        title: str = "counting",
    ) -> None:
        self._form = form
        self.documents: int = 0
        self.bad: int = 0
        self._passed = Tally()  # members of archives
        self._done: dict[Task, int] = {}
        self.log: Log | None = log
        self._bar = Bar(title, total, "B", show=progress)
        self._lock = Lock()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.tick()
        self._bar.__exit__(kind)
        if kind is None:
            report_passed_over(self._passed, self.log)

    def tick(self) -> None:
        """Update the progress bar."""
        with self._lock:
            done = sum(self._done.values())
        self._bar.update(done)

    def count(self, task: Task, tables: Tables, threads: int, stop: StopFlag) -> int:
        """Count the pieces of one task; see :meth:`read`."""
        return self.read(task, tables.count, threads, stop, may_be_cut=tables.may_be_cut)

    def read(
        self,
        task: Task,
        use: Callable[[Rows], None],
        threads: int,
        stop: StopFlag,
        *,
        may_be_cut: bool = False,
    ) -> int:
        """Pass the texts of one task to `use`; return the number of its documents that end in it.

        Raises InvalidInput, with file and place, for an input that cannot be read or was changed
        while it was read.
        """
        form = self._form
        before = modified(task)
        size = task_bytes(task)
        documents = 0

        def one(batch: Batch) -> int:
            stop.check()
            texts, bad = readable(batch, form.on_error)
            try:
                use(texts)
            except InvalidUtf8 as error:
                place, position = batch.place(error.index, error.offset)
                raise InvalidUtf8.at(place, position) from None
            with self._lock:
                self.bad += len(bad) + len(batch.bad)
                if batch.passed is not None:
                    self._passed.add_records(batch.passed.records())
                # Compressed text is longer than the file that holds it.
                self._done[task] = min(self._done.get(task, 0) + texts.size, size)
            for place, reason in (*batch.bad, *bad):
                send(self.log, "bad document", place=place, reason=reason)
            return len(texts) - (not batch.closed)

        cut = may_be_cut and form.on_error == "raise"
        with contextlib.closing(
            corpus.read(task, form, block_bytes=_BLOCK_BYTES, cut=cut, stop=stop)
        ) as batches:
            found = map(one, batches) if threads == 1 else map_in_order(one, batches, threads)
            for ended in found:
                documents += ended
        for span, old, new in zip(task, before, modified(task), strict=True):
            if old != new:
                raise InvalidInput(
                    f"{span.path}: it was changed while it was read; do not change the inputs while "
                    "they are in use, and run the same command again"
                )
        with self._lock:
            self.documents += documents
            self._done[task] = size
        return documents


def count_tasks(found: Plan, settings: Settings, tables: Tables, run: Run) -> None:
    """Count all tasks of a plan into the same tables, on the threads that the settings allow."""
    workers = settings.workers
    inner = max(workers // max(len(found.tasks), 1), 1)

    def one(index: int, stop: StopFlag) -> int:
        return run.count(found.tasks[index], tables, inner, stop)

    numbers = range(len(found.tasks))
    with contextlib.closing(call_on_threads(one, numbers, workers, run.tick)) as ended:
        for index, documents in ended:
            send(run.log, "task done", task=index, documents=documents)


def count_inputs(
    inputs: Inputs | Iterable[str],
    settings: Settings,
    progress: bool | None,
    log: Log | None,
) -> tuple[Tables, Run]:
    """Count the pieces of inputs; return the tables, and what the run saw."""
    found = plan_of(inputs, settings.form)
    report_passed_over(found.passed, log)
    total = sum(map(task_bytes, found.tasks))
    send(log, "counting", tasks=len(found.tasks), bytes=total, inputs=len(found.spans))
    tables = Tables(settings.splitting, settings.documents, settings.workers, settings.memory)
    with Run(settings.form, total, progress, log) as run:
        count_tasks(found, settings, tables, run)
    return tables, run


def count_pieces(
    inputs: Inputs | Iterable[str],
    *,
    pattern: str | None = "gpt2",
    documents: Unit = "whole",
    separator: str | None = "<|endoftext|>",
    field: str = "text",
    format: str | None = None,
    zstd_window: int | None = None,
    on_error: OnError = "raise",
    workers: int | None = None,
    memory: int | str | None = None,
    progress: bool | None = None,
    log: Log | None = None,
) -> PieceCounts:
    """Count how often each piece occurs in texts: all that training needs to know of them.

    Parameters
    ----------
    inputs
        all that :func:`fastprep.prepare` takes, or an iterable of texts that is not a list or tuple, as
        a generator of str.
    pattern
        how texts are split into pieces: the name of an encoding, as ``"gpt2"`` or ``"o200k_base"``, of a
        family in :mod:`fastprep.patterns`, or a regular expression; None: each text is one piece.
    documents
        ``"whole"``: each document is a text. ``"lines"``: each line with its newline is one, as for the
        files that the trainer of Hugging Face reads.
    separator, field, format, zstd_window, on_error
        as in :func:`fastprep.prepare`. Special tokens in a text are ordinary text.
    workers
        number of threads; by default the number of cores that this process may use.
    memory
        bytes for the tables of pieces, also with a unit, at least 1 MiB; by default 1 GiB. Tables that
        would take more are written to a temporary file (in ``$TMPDIR``), and merged at the end.
    progress, log
        as in :func:`fastprep.prepare`; the events are ``counting``, ``bad document`` and ``task done``.

    Returns
    -------
    PieceCounts
        the exact counts. They depend on inputs and settings alone.

    Raises
    ------
    InvalidInput
        for an input that is missing or damaged, and :class:`~fastprep.errors.InvalidArgument` for a
        wrong argument.
    BadVocabulary
        for a pattern that cannot be read, or that does not match a text.

    Examples
    --------
    >>> counts = count_pieces(iter(["to be or not to be"]))
    >>> len(counts), counts.total
    (5, 6)
    """
    form = Format(separator, field, on_error, format, zstd_window)
    settings = settings_of(splitting_of(pattern), documents, form, workers, memory)
    tables, _ = count_inputs(inputs, settings, progress, log)
    records, sums = tables.records()
    return PieceCounts(records, settings.splitting, settings.documents, sums)
