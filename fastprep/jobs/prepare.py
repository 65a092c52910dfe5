"""The public functions `prepare` and `merge_tasks`: corpus files to a token store.

The inputs are divided into *tasks*, one per shard. The plan is a function of the files' sizes and the
settings alone, tasks share nothing, and each is finished atomically and recorded in a journal. So the
store's bytes do not depend on the number of workers, on which of them runs which task, or on how often
the work was cut off and resumed.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, get_args, overload

from fastprep.corpus.documents import BLOCK_BYTES, OnError
from fastprep.corpus.inputs import Inputs
from fastprep.errors import InvalidArgument, UnfinishedJob
from fastprep.jobs.job import Settings, make_job, shards_of_share
from fastprep.jobs.journal import JOB, Journal
from fastprep.jobs.output import find_manifests
from fastprep.jobs.parts import check_first_documents
from fastprep.jobs.progress import Log
from fastprep.jobs.run import Engine, Run, seal_if_complete
from fastprep.jobs.task import Work
from fastprep.store.encodings import StoreEncoding, as_encoding
from fastprep.store.manifest import Eot
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import whole_number
from fastprep.system.sizes import number_of_bytes

if TYPE_CHECKING:
    from typing import TypedDict

    from typing_extensions import Unpack

    from fastprep.words.tokenizers import SimpleTokenizerV2

    class PrepareOptions(TypedDict, total=False):
        """The options of :func:`prepare` that do not change the type of its result."""

        encoding: str | StoreEncoding | SimpleTokenizerV2
        separator: str | None
        field: str
        on_error: OnError
        eot: Eot
        eot_token: str | None
        validation: float | str
        validation_documents: int | None
        shuffle: int | None
        workers: int | None
        engine: Engine
        shard_bytes: int | str | None
        overwrite: bool
        progress: bool | None
        log: Log | None
        block_bytes: int | str


@overload
def prepare(
    inputs: Inputs,
    output: str | PathLike[str],
    *,
    task: None = ...,
    **options: Unpack[PrepareOptions],
) -> TokenStore: ...
@overload
def prepare(
    inputs: Inputs,
    output: str | PathLike[str],
    *,
    task: tuple[int, int],
    **options: Unpack[PrepareOptions],
) -> TokenStore | None: ...
def prepare(
    inputs: Inputs,
    output: str | PathLike[str],
    *,
    encoding: str | StoreEncoding | SimpleTokenizerV2 = "gpt2",
    separator: str | None = "<|endoftext|>",
    field: str = "text",
    on_error: OnError = "raise",
    eot: Eot = "append",
    eot_token: str | None = None,
    validation: float | str = 0.0,
    validation_documents: int | None = None,
    shuffle: int | None = None,
    workers: int | None = None,
    engine: Engine = "threads",
    task: tuple[int, int] | None = None,
    shard_bytes: int | str | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    log: Log | None = None,
    block_bytes: int | str = BLOCK_BYTES,
) -> TokenStore | None:
    """Encode text files into a token store, in order, with an end token between documents.

    Memory is constant: under 256 MiB per worker, for a corpus of any size (see
    :func:`fastprep.corpus.reader.batches` for the exceptions). The same inputs and settings give the
    same bytes for all values of `workers`, `engine` and `task`.

    After any interruption (a kill, a power cut, a full disk, an error in an input), the same call
    resumes from the finished shards. There is no manifest, so no store, until all are finished.

    Parameters
    ----------
    inputs
        one or more files, folders, patterns and URLs, as
        :func:`fastprep.corpus.inputs.find` takes them; :mod:`fastprep.corpus.reader` says which
        files can be read and what a document is. Or tables of Arrow, polars, pandas or Hugging Face
        ``datasets``, which are read in place by threads of this process, and streams of these, which
        are read once and make one shard each (:mod:`fastprep.corpus.tables`). The same call resumes a
        job with tables; it checks only that their size is the same as before. A stream whose shard
        is not finished must be restarted by the caller. All text is ordinary text: a special
        token in a document is not encoded as one.
    output
        the directory to create. It may exist if it is empty or has unfinished work, which is
        resumed; a directory with other files is refused.
    encoding
        a name, an :class:`~fastprep.Encoding`, or a word tokenizer: ``SimpleTokenizerV2``,
        whose vocabulary the store then holds (see :mod:`fastprep.words.encoding`).
    separator
        the text between two documents of a ``.txt`` file; None makes each file one document.
    field
        the key of the text in each object of a ``.jsonl`` file, and the column of a table. A dot
        separates the keys of nested objects; ``\\.`` is a dot in a name.
    on_error
        how to handle a document that cannot be read: ``"raise"`` an error, ``"skip"`` it, or
        ``"replace"`` the invalid bytes by U+FFFD. The last two read documents whole, and the
        manifest counts these documents and lists the first 1,000 per shard.
    eot
        where to put the end token: ``"append"`` it to each document, including the last,
        ``"prepend"`` it, or ``"none"``.
    eot_token
        the special token of the encoding to use as the end token; by default ``<|endoftext|>``.
    validation
        the fraction of the documents to set aside for validation, as 0.01 or ``"1%"``, drawn by a hash
        of their bytes. Then there are two stores, ``output/train`` and ``output/validation``, and
        documents are read whole. Neither may be empty.
    validation_documents
        instead of a fraction, the exact number of documents for validation: those with the smallest
        hashes.
    shuffle
        a seed from 0 to 2**64 - 1: the documents are written in an order that it draws, in which each
        order of all documents is as likely as any other. It depends on the seed, inputs and settings
        alone. Until the store is made, this takes its size on the disk twice. Without a seed the order
        is that of the inputs.
    workers
        number of threads; by default the number of cores that this process may use. Each runs a task
        of its own; with fewer tasks, as for one large compressed file, several share one.
    engine
        ``"threads"`` of this process, or ``"ray"``: the tasks run in the Ray cluster that this process
        is connected to, or that ``RAY_ADDRESS`` names, `workers` at a time (by default as many as it
        has CPUs). Inputs and output must have these paths on all its machines. ``"processes"`` is an
        old name of threads.
    task
        ``(i, n)``: do only the `i`-th of `n` equal shares of the work, counted from 0. The others may
        run at the same time or not, on this machine or another one with the same files. The last
        to end makes the store.
    shard_bytes
        about how many bytes of input go into one shard, which is one task; also with a unit, as
        ``"256MiB"``. By default a 64th of the input, but at least 8 MiB and at most 256 MiB.
    overwrite
        whether to replace a store, or the unfinished work of another job. The old one is removed
        when the work starts.
    progress
        whether to show a progress bar on stderr; by default if that is a terminal.
    log
        a function that is called with a dict for each event: ``started``, ``resumed``, ``redone`` (a
        finished shard that has to be made again, and the reason), ``bad document``, ``task done``,
        ``ordering`` (the documents are put in order), ``finished``.
    block_bytes
        number of bytes to read and encode at a time.

    Returns
    -------
    TokenStore
        the new store, open; that of ``output/train`` if there are two. None after a `task` while
        others are unfinished.

    Raises
    ------
    InvalidInput
        for a missing, damaged or unsupported input, with file and place, if no input has a document,
        and if the train or the validation part would have none. Its subclasses are
        :class:`~fastprep.errors.InvalidUtf8` and, for a wrong argument,
        :class:`~fastprep.errors.InvalidArgument`.
    StoreExists
        if the output is a store already, or has files that are not a store's.
    JobIsRunning
        if another process works in the same output.
    OtherJob
        if the output has unfinished work of a job with other inputs or settings, which it names.
    OSError
        of the system: no space, no permission.

    Examples
    --------
    >>> _ = (tmp / "lines.jsonl").write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> store = prepare(tmp / "lines.jsonl", tmp / "store", progress=False)
    >>> len(store), store.num_documents
    (6, 2)
    """
    if workers is not None:
        workers = whole_number(workers, "workers")
    block_bytes = number_of_bytes(block_bytes, "block_bytes")
    if engine not in get_args(Engine):
        raise InvalidArgument(f"engine is {engine!r}; it must be one of threads, ray")
    if task is not None and overwrite:
        raise InvalidArgument(
            "a task cannot overwrite an output that other tasks may be working on; remove the old "
            "output first"
        )
    shards_of_share(0, task)  # raises for a task out of range
    chosen = as_encoding(encoding)
    settings = Settings(
        separator,
        field,
        on_error,
        eot,
        eot_token,
        validation,
        shard_bytes,
        validation_documents,
        shuffle,
    )
    job, tasks = make_job(inputs, chosen, settings)
    check_first_documents(job, tasks)
    work = Work(Path(output), job, chosen, block_bytes)
    return Run(work, tasks, engine, workers, task).run(overwrite, progress, log)


def merge_tasks(output: str | PathLike[str]) -> TokenStore:
    """Seal the finished shards of a job that ran as several tasks into a store.

    The last task does so by itself; this is for schedulers whose last step should fail if a task is
    missing. On a finished store it does nothing.

    Raises
    ------
    UnfinishedJob
        with the shards that are not finished.
    InvalidInput
        if an input was changed between two tasks.
    JobIsRunning
        while a run without `task` works there.
    InvalidStore
        if there is nothing to merge.

    Examples
    --------
    >>> _ = (tmp / "lines.jsonl").write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> settings = {"shard_bytes": 20, "progress": False}
    >>> prepare(tmp / "lines.jsonl", tmp / "store", task=(0, 2), **settings)
    >>> merge_tasks(tmp / "store")
    Traceback (most recent call last):
    fastprep.errors.UnfinishedJob: ... 1 of 2 shards are not finished: 1; run their tasks ...
    """
    path = Path(output)
    if not (path / JOB).exists():
        directories = [manifest.parent for manifest in find_manifests(path)]
        # Opening a directory without a store raises the error that says what it is.
        return TokenStore(directories[0] if directories else path)
    journal = Journal(path)
    with journal.lock_run(shared=True):
        store = seal_if_complete(journal)
        if store is None:
            job = journal.read_job()
            missing = [
                index
                for index in range(0 if job is None else job.shards)
                if journal.read_done(index) is None
            ]
            raise UnfinishedJob(
                f"{path}: {len(missing)} of {job.shards if job else 0} shards are not finished: "
                f"{', '.join(map(str, missing[:10]))}{', ...' if len(missing) > 10 else ''}; run their "
                "tasks (shard k belongs to task k mod N of N), then merge"
            )
        return store
