"""prepare: corpus files to a token store.

The inputs are planned into *tasks*, one shard each. The plan is a function of the files' sizes and
the settings alone, tasks share nothing, and finishing one is atomic and noted in a journal. So the
store's bytes do not depend on how many workers there are, on which of them does what, or on how often
the work was cut off and taken up again.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, get_args, overload

from fastprep.corpus.documents import BLOCK_BYTES, OnError
from fastprep.corpus.inputs import Inputs
from fastprep.errors import InvalidInput, UnfinishedJob
from fastprep.jobs.journal import JOB, Journal
from fastprep.jobs.output import stores_in
from fastprep.jobs.planning import make_job, slice_of
from fastprep.jobs.progress import Log
from fastprep.jobs.run import Engine, Run, seal_if_whole
from fastprep.jobs.task import Work
from fastprep.store.encodings import StoreEncoding, as_encoding
from fastprep.store.manifest import Eot
from fastprep.store.reader import TokenStore

if TYPE_CHECKING:
    from fastprep.words.tokenizers import SimpleTokenizerV2


@overload
def prepare(
    inputs: Inputs,
    output: str | PathLike[str],
    *,
    encoding: str | StoreEncoding | SimpleTokenizerV2 = ...,
    separator: str | None = ...,
    field: str = ...,
    on_error: OnError = ...,
    eot: Eot = ...,
    eot_token: str | None = ...,
    validation: float = ...,
    workers: int | None = ...,
    engine: Engine = ...,
    task: None = ...,
    shard_bytes: int | None = ...,
    overwrite: bool = ...,
    progress: bool | None = ...,
    log: Log | None = ...,
    block_bytes: int = ...,
) -> TokenStore: ...
@overload
def prepare(
    inputs: Inputs,
    output: str | PathLike[str],
    *,
    encoding: str | StoreEncoding | SimpleTokenizerV2 = ...,
    separator: str | None = ...,
    field: str = ...,
    on_error: OnError = ...,
    eot: Eot = ...,
    eot_token: str | None = ...,
    validation: float = ...,
    workers: int | None = ...,
    engine: Engine = ...,
    task: tuple[int, int],
    shard_bytes: int | None = ...,
    overwrite: bool = ...,
    progress: bool | None = ...,
    log: Log | None = ...,
    block_bytes: int = ...,
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
    validation: float = 0.0,
    workers: int | None = None,
    engine: Engine = "threads",
    task: tuple[int, int] | None = None,
    shard_bytes: int | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    log: Log | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> TokenStore | None:
    """Encode text files into a token store, in order, with an end token between documents.

    Memory is constant: under 256 MiB per worker, however large the corpus (see
    :func:`fastprep.corpus.reader.batches` for the exceptions). The same inputs and settings give the
    same bytes, whatever ``workers``, ``engine`` and ``task`` are.

    Whatever ends the work (a kill, a power cut, a full disk, an error in an input), the same call
    goes on from the shards that are finished. There is no manifest, so no store, before all are.

    Parameters
    ----------
    inputs
        files, folders, patterns and URLs, one or some of them, as
        :func:`fastprep.corpus.inputs.find` takes them; :mod:`fastprep.corpus.reader` says which
        files can be read and what a document is. Or tables of Arrow, polars, pandas or Hugging Face
        ``datasets``, which are read where they lie, by threads of this process, and streams of any
        of these, which are read once and make one shard each (:mod:`fastprep.corpus.tables`). A job
        with tables is gone on with if the same call is made again; that they hold the same as
        before is not checked, but for their size. A stream whose shard is not finished has to be
        begun again by the caller. Text is ordinary text: no special token comes from inside a
        document.
    output
        the directory to make. It may exist if it is empty or holds unfinished work, which is gone
        on with; a directory with anyone else's files in it is left alone.
    encoding
        a name, an :class:`~fastprep.Encoding`, or a word tokenizer: ``SimpleTokenizerV2``,
        whose vocabulary the store then holds (see :mod:`fastprep.words.encoding`).
    separator
        stands between the documents of a ``.txt`` file; None makes each file one document.
    field
        the key of the text in each object of a ``.jsonl`` file, and the column of a table. A dot
        leads into what is nested, ``\\.`` is a dot in a name.
    on_error
        what becomes of a document that cannot be read: ``"raise"`` an error, ``"skip"`` it, or
        ``"replace"`` what is wrong with it by U+FFFD. The last two read documents whole, and the
        manifest counts what they did and lists it, of each shard the first 1,000.
    eot
        whether to ``"append"`` the end token to each document, the last one too, or to ``"prepend"``
        it, or ``"none"``.
    eot_token
        which of the encoding's special tokens that is; by default its ``<|endoftext|>``.
    validation
        what fraction of the documents to keep apart, drawn by a hash of their bytes. Then there
        are two stores, ``output/train`` and ``output/validation``, and documents are read whole.
    workers
        how many threads to use; by default as many as this process has cores. Each works on a task of
        its own; where there are fewer tasks, as for one large compressed file, several share one.
    engine
        ``"threads"`` of this process, or ``"ray"``: the tasks run in the Ray cluster that this process
        is connected to, or that ``RAY_ADDRESS`` names, ``workers`` at a time (by default as many as it
        has CPUs). All its machines must see inputs and output under these paths. ``"processes"`` is an
        old name of threads.
    task
        ``(i, n)``: do only the ``i``-th of ``n`` equal parts of the work, counted from 0; others do
        the rest, at the same time or not, on this machine or another one that sees the same files.
        Whichever comes last makes the store.
    shard_bytes
        about how many bytes of input go into one shard, which is one task. By default a 64th of
        the input, but at least 8 MiB and at most 256 MiB.
    overwrite
        whether to replace a store, or the unfinished work of another job. The old one is gone from
        the moment the work begins.
    progress
        whether to show a progress bar on stderr; by default when it is a terminal.
    log
        is called with a dict for each event: ``started``, ``resumed``, ``redone`` (a shard that was
        finished once, and why), ``bad document``, ``task done``, ``finished``.
    block_bytes
        how much is read and encoded at a time.

    Returns
    -------
    TokenStore
        the new store, open; that of ``output/train`` where there are two. None after a ``task`` while
        others are unfinished.

    Raises
    ------
    InvalidInput
        for a missing, damaged or unsupported input, naming file and place, and when there is no
        document in any of them. :class:`~fastprep.errors.InvalidUtf8` is one of its kind.
    StoreExists
        when the output is a store already, or has files in it that are not a store's.
    JobIsRunning
        when another process works in the same output.
    OtherJob
        when the output holds unfinished work of a job with other inputs or settings, naming them.
    OSError
        as the system says: no space, no permission.

    Examples
    --------
    >>> _ = (tmp / "lines.jsonl").write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> store = prepare(tmp / "lines.jsonl", tmp / "store", progress=False)
    >>> len(store), store.num_documents
    (6, 2)
    """
    for name, value in (("workers", workers), ("block_bytes", block_bytes)):
        if value is not None and value < 1:
            raise InvalidInput(f"{name} is {value}; it must be at least 1")
    if engine not in get_args(Engine):
        raise InvalidInput(f"engine is {engine!r}; it is one of threads, ray")
    if task is not None and overwrite:
        raise InvalidInput(
            "a task cannot overwrite what others of its kind may be working on; remove the old "
            "output first"
        )
    slice_of(0, task)  # refuses a task that cannot be
    chosen = as_encoding(encoding)
    job, tasks = make_job(
        inputs,
        chosen,
        separator=separator,
        field=field,
        on_error=on_error,
        eot=eot,
        eot_token=eot_token,
        validation=validation,
        shard_bytes=shard_bytes,
    )
    work = Work(Path(output), job, chosen, block_bytes)
    return Run(work, tasks, engine, workers, task).run(overwrite, progress, log)


def merge_tasks(output: str | PathLike[str]) -> TokenStore:
    """Make a store of the finished shards of a job whose tasks ran one by one.

    The last task does so by itself; this is for schedulers whose last step should be one that fails
    when a task is missing. On a finished store it does nothing.

    Raises
    ------
    UnfinishedJob
        naming the shards that are not finished.
    InvalidInput
        when an input was changed between two tasks.
    JobIsRunning
        while a run that is no task works there.
    InvalidStore
        when there is nothing to merge.

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
        directories = [manifest.parent for manifest in stores_in(path)]
        # The error of opening what is no store says what it is instead.
        return TokenStore(directories[0] if directories else path)
    journal = Journal(path)
    with journal.running(shared=True):
        store = seal_if_whole(journal)
        if store is None:
            job = journal.job()
            missing = [
                index
                for index in range(0 if job is None else job.shards)
                if journal.done(index) is None
            ]
            raise UnfinishedJob(
                f"{path}: {len(missing)} of {job.shards if job else 0} shards are not finished: "
                f"{', '.join(map(str, missing[:10]))}{', ...' if len(missing) > 10 else ''}; run their "
                "tasks (shard k belongs to task k mod N of N), then merge"
            )
        return store
