"""prepare: corpus files to a token store.

The inputs are planned into *tasks*, one shard each. The plan is a function of the files' sizes and
the settings alone, tasks share nothing, and finishing one is atomic. So the store's bytes do not
depend on how many workers there are or on which of them does what.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from fastprep import corpus
from fastprep import manifest as manifests
from fastprep.atomic import replacing, sync_directory
from fastprep.encoding import Encoding
from fastprep.errors import FastprepError, InvalidInput, StoreExists
from fastprep.manifest import EncodingRecord, Manifest, ShardRecord
from fastprep.published import ENDOFTEXT
from fastprep.registry import get_encoding
from fastprep.shards import ShardWriter
from fastprep.spans import BLOCK_BYTES, Batch, Format, Span
from fastprep.store import TokenStore

PathOrPaths = str | PathLike[str] | Sequence[str | PathLike[str]]
Task = tuple[Span, ...]

# By default 64 tasks, for 64 cores to share, but none so small that starting one costs, and none
# so large that losing one hurts.
_TASKS = 64
_LEAST_BYTES = 16 << 20
_MOST_BYTES = 256 << 20


class Job(NamedTuple):
    """What every task of one call to :func:`prepare` has in common."""

    output: Path
    encoding: Encoding
    form: Format
    end_token: int | None
    block_bytes: int


def prepare(
    inputs: PathOrPaths,
    output: str | PathLike[str],
    *,
    encoding: str | Encoding = "gpt2",
    separator: str | None = "<|endoftext|>",
    field: str = "text",
    append_eot: bool | str = True,
    workers: int | None = None,
    shard_bytes: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> TokenStore:
    """Encode text files into a token store, in order, each document closed by an end token.

    Memory is constant: under 256 MiB a worker, however large the corpus (see
    :func:`fastprep.corpus.batches` for the exceptions). The same inputs and settings give the
    same bytes, whatever ``workers`` is.

    Parameters
    ----------
    inputs
        a path or some paths of ``.txt`` and ``.jsonl`` files; :mod:`fastprep.corpus` says what a
        document is. Text is ordinary text: no special token comes from inside a document.
    output
        the directory to make. It may exist if it is empty or holds unfinished work, which is
        started again; a directory with anyone else's files in it is left alone.
    encoding
        a name or an :class:`~fastprep.encoding.Encoding`.
    separator
        stands between the documents of a ``.txt`` file; None makes each file one document.
    field
        the key of the text in each object of a ``.jsonl`` file.
    append_eot
        whether to put the encoding's ``eot_token`` after each document, the last one too; or which
        of its special tokens to put there.
    workers
        how many processes; by default as many as there are cores for this process, and never
        more than tasks. With 1, or with a single task, all is done in this process.
    shard_bytes
        about how many bytes of input go into one shard, which is one task. By default a 64th of
        the input, but at least 16 MiB and at most 256 MiB.
    overwrite
        whether to replace a store. The old one is gone from the moment the work begins.
    progress
        whether to show a progress bar on stderr; by default when it is a terminal.
    block_bytes
        how much is read and encoded at a time.

    Returns
    -------
    TokenStore
        the new store, open.

    Raises
    ------
    InvalidInput
        for a missing, damaged or unsupported input, naming file and place, and when there is no
        document in any of them. :class:`~fastprep.errors.InvalidUtf8` is one of its kind.
    StoreExists
        when the output is a store already, or has files in it that are not a store's.
    OSError
        as the system says: no space, no permission.

    Examples
    --------
    >>> import tempfile
    >>> directory = Path(tempfile.mkdtemp())
    >>> _ = (directory / "lines.jsonl").write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> store = prepare(directory / "lines.jsonl", directory / "store", progress=False)
    >>> len(store), store.num_documents
    (6, 2)
    """
    _refuse_inside_import()
    for name, value in (("workers", workers), ("shard_bytes", shard_bytes)):
        if value is not None and value < 1:
            raise InvalidInput(f"{name} is {value}; it must be at least 1")
    if block_bytes < 1:
        raise InvalidInput(f"block_bytes is {block_bytes}; it must be at least 1")
    chosen = get_encoding(encoding) if isinstance(encoding, str) else encoding
    job = Job(
        output=Path(output),
        encoding=chosen,
        form=Format(separator=separator, field=field),
        end_token=_end_token(chosen, append_eot),
        block_bytes=block_bytes,
    )
    spans = [corpus.whole(path) for path in _as_paths(inputs)]
    tasks = plan(spans, job.form, shard_bytes=shard_bytes)
    _make_room(job.output, overwrite)
    with tqdm(
        total=sum(span.size for span in spans),
        desc="prepare",
        unit="B",
        unit_scale=True,
        disable=not (sys.stderr.isatty() if progress is None else progress),
    ) as bar:
        records = _run(job, tasks, min(workers or _cores(), len(tasks)), bar.update)
    if not any(record.documents for record in records):
        _remove_ours(job.output)
        raise InvalidInput(
            f"no documents found in {', '.join(span.path for span in spans[:3])}"
            f"{' ...' if len(spans) > 3 else ''}; every input is empty"
        )
    manifest = _manifest(job, records)
    with replacing(job.output / manifests.MANIFEST) as file:
        file.write(manifests.encode(manifest))
    return TokenStore(job.output)


def plan(spans: Sequence[Span], form: Format, *, shard_bytes: int | None = None) -> list[Task]:
    """Share out whole files among tasks of about ``shard_bytes``, in order.

    Files in a row share a task while they fit in it. A longer file is cut into even spans, each a
    task of its own, if its format lets it be cut.

    Examples
    --------
    >>> files = [Span(name, 0, size, size) for name, size in [("a.txt", 3), ("b.txt", 25)]]
    >>> for task in plan(files, Format(), shard_bytes=10):
    ...     print([(span.path, span.start, span.end) for span in task])
    [('a.txt', 0, 3)]
    [('b.txt', 0, 8)]
    [('b.txt', 8, 16)]
    [('b.txt', 16, 25)]
    """
    if shard_bytes is None:
        total = sum(span.size for span in spans)
        shard_bytes = min(max(total // _TASKS, _LEAST_BYTES), _MOST_BYTES)
    tasks: list[Task] = []
    shared: list[Span] = []
    for span in spans:
        if shared and sum(other.size for other in shared) + span.size > shard_bytes:
            tasks.append(tuple(shared))
            shared = []
        if span.size > shard_bytes and corpus.can_split(span.path, form):
            count = -(-span.size // shard_bytes)
            edges = [span.size * index // count for index in range(count + 1)]
            tasks.extend(
                (Span(span.path, start, end, span.size),) for start, end in pairwise(edges)
            )
        else:
            shared.append(span)
    if shared:
        tasks.append(tuple(shared))
    return tasks


def run_task(job: Job, index: int, task: Task) -> ShardRecord:
    """Do one task: read its spans and write its shard. All it needs travels in its arguments."""
    batches: Iterator[Batch] = (
        batch
        for span in task
        for batch in corpus.batches(
            span, job.form, block_bytes=job.block_bytes, cut=job.encoding.may_be_cut
        )
    )
    writer = ShardWriter(job.encoding, job.end_token)
    return writer.write(job.output, index, batches, list(task))


def _run(
    job: Job, tasks: list[Task], workers: int, report: Callable[[int], object]
) -> list[ShardRecord]:
    """The records of all tasks, in their order; ``report`` hears of the bytes of each."""
    records: dict[int, ShardRecord] = {}
    if workers == 1:
        for index, task in enumerate(tasks):
            records[index] = run_task(job, index, task)
            report(_task_bytes(task))
        return list(records.values())
    # Spawned, not forked: a fork copies locks that other threads may hold at the time.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin_worker, (job,)) as pool:
        futures = {
            pool.submit(_run_in_worker, index, task): index for index, task in enumerate(tasks)
        }
        try:
            for future in as_completed(futures):
                index = futures[future]
                records[index] = future.result()
                report(_task_bytes(tasks[index]))
        except BrokenProcessPool:
            raise FastprepError(
                "a worker process ended without a word: killed (is there memory enough?), or the "
                'script calls prepare() outside `if __name__ == "__main__":`, which the workers '
                "import; mend that, or pass workers=1"
            ) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [records[index] for index in range(len(tasks))]


# Set once in a worker process, before its first task: a job travels to each worker only once.
_worker_job: Job | None = None


def _begin_worker(job: Job) -> None:
    global _worker_job
    # Ctrl-C reaches every process of the terminal: the parent speaks, the workers just end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _worker_job = job


def _run_in_worker(index: int, task: Task) -> ShardRecord:
    if _worker_job is None:
        raise RuntimeError("a task came before its job")
    return run_task(_worker_job, index, task)


def _refuse_inside_import() -> None:
    """Stop a script that calls prepare() unguarded from doing so again in each worker it starts."""
    # The same mark by which multiprocessing refuses to start a process from such an import.
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise FastprepError(
            "prepare() was called while a worker process imported your script; put the call "
            'under `if __name__ == "__main__":`, or pass workers=1'
        )


def _task_bytes(task: Task) -> int:
    return sum(span.end - span.start for span in task)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_paths(inputs: PathOrPaths) -> list[str | PathLike[str]]:
    paths = [inputs] if isinstance(inputs, (str, PathLike)) else list(inputs)
    if not paths:
        raise InvalidInput("no inputs; pass at least one .txt or .jsonl file")
    return paths


def _end_token(encoding: Encoding, append_eot: bool | str) -> int | None:
    if append_eot is False:
        return None
    token = ENDOFTEXT if append_eot is True else append_eot
    found = encoding._special_tokens.get(token)
    if found is None:
        there = ", ".join(sorted(encoding.special_tokens_set)[:10]) or "none"
        raise InvalidInput(
            f"the encoding {encoding.name!r} has no {token} to close documents with; "
            f"pass append_eot=False (--no-eot), or another of its special tokens (--eot): {there}"
        )
    return found


def _make_room(output: Path, overwrite: bool) -> None:
    """Make the output an empty directory, or refuse before anything is touched."""
    if output.exists() and not output.is_dir():
        raise StoreExists(f"{output}: a file of that name is in the way; choose another output")
    output.mkdir(parents=True, exist_ok=True)
    foreign = sorted(
        entry.name
        for entry in output.iterdir()
        if not manifests.is_ours(entry.name) or entry.is_dir()
    )
    if foreign:
        raise StoreExists(
            f"{output}: holds files that are no token store's ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}); choose an empty or a new directory"
        )
    if (output / manifests.MANIFEST).exists() and not overwrite:
        raise StoreExists(
            f"{output}: a token store already; pass overwrite=True (--overwrite) to replace it"
        )
    _remove_ours(output)


def _remove_ours(output: Path) -> None:
    # The manifest goes first: whatever happens then, no one takes the rest for a whole store.
    (output / manifests.MANIFEST).unlink(missing_ok=True)
    sync_directory(output)
    for entry in output.iterdir():
        if manifests.is_ours(entry.name):
            entry.unlink()


def _manifest(job: Job, records: list[ShardRecord]) -> Manifest:
    encoding = job.encoding
    return Manifest(
        format="fastprep token store",
        version=1,
        dtype=manifests.dtype_for(encoding.n_vocab),
        n_vocab=encoding.n_vocab,
        encoding=EncodingRecord(
            name=encoding.name,
            rank_table_sha256=encoding.rank_table_sha256,
            pattern=encoding._pat_str,
            special_tokens=dict(encoding._special_tokens),
        ),
        end_token=job.end_token,
        separator=job.form.separator,
        field=job.form.field,
        unicode_version=manifests.UNICODE_VERSION,
        tokens=sum(record.tokens for record in records),
        documents=sum(record.documents for record in records),
        shards=records,
    )
