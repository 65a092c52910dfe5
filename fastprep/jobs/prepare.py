"""The public functions `prepare` and `merge_tasks`: corpus files to a token store.

The inputs are divided into *tasks*, one per shard. The plan is a function of the files' sizes and the
settings alone, tasks share nothing, and each is finished atomically and recorded in a journal. So the
store's bytes do not depend on the number of workers, on which of them runs which task, or on how often
the work was cut off and resumed.
"""

from __future__ import annotations

import warnings
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, get_args, overload

from fastprep.corpus.documents import BLOCK_BYTES, OnError
from fastprep.corpus.inputs import Inputs
from fastprep.corpus.passed_over import Tally, in_words
from fastprep.corpus.remote import from_file_url, url_of
from fastprep.errors import InvalidArgument, UnfinishedJob, WrongType
from fastprep.jobs.events import Log
from fastprep.jobs.job import Settings, SpecialLike, make_job, with_chats
from fastprep.jobs.journal import JOB, Journal
from fastprep.jobs.output import check_parent, find_manifests
from fastprep.jobs.parts import check_first_documents
from fastprep.jobs.run import Engine, Run, seal_if_complete
from fastprep.jobs.shares import shards_of_share
from fastprep.jobs.task import Work
from fastprep.store.encodings import EncodingLike, as_encoding
from fastprep.store.manifest import Eot
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import MAX_WORKERS, local_path, path_name, whole_number
from fastprep.system.sizes import number_of_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypedDict

    from typing_extensions import Unpack

    from fastprep.chat.templates import TemplateFunction

    class PrepareOptions(TypedDict, total=False):
        """The options of :func:`prepare` that do not change the type of its result."""

        encoding: EncodingLike
        separator: str | None
        field: str
        format: str | None
        zstd_window: int | None
        on_error: OnError
        eot: Eot
        eot_token: str | None
        bos: SpecialLike
        eos: SpecialLike
        validation: float | str
        validation_documents: int | None
        shuffle: int | None
        messages: str | None
        template: str | PathLike[str] | TemplateFunction | None
        template_variables: Mapping[str, Any] | None
        special_text: bool
        fim_rate: float | str
        fim_spm_rate: float | str
        fim_seed: int
        fim_tokens: Sequence[str] | None
        workers: int | None
        engine: Engine
        shard_bytes: int | str | None
        overwrite: bool
        append: bool
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
    encoding: EncodingLike = "gpt2",
    separator: str | None = "<|endoftext|>",
    field: str = "text",
    format: str | None = None,
    zstd_window: int | None = None,
    on_error: OnError = "raise",
    eot: Eot = "append",
    eot_token: str | None = None,
    bos: SpecialLike = None,
    eos: SpecialLike = None,
    validation: float | str = 0.0,
    validation_documents: int | None = None,
    shuffle: int | None = None,
    messages: str | None = None,
    template: str | PathLike[str] | TemplateFunction | None = None,
    template_variables: Mapping[str, Any] | None = None,
    special_text: bool = False,
    fim_rate: float | str = 0.0,
    fim_spm_rate: float | str = 0.5,
    fim_seed: int = 0,
    fim_tokens: Sequence[str] | None = None,
    workers: int | None = None,
    engine: Engine = "threads",
    task: tuple[int, int] | None = None,
    shard_bytes: int | str | None = None,
    overwrite: bool = False,
    append: bool = False,
    progress: bool | None = None,
    log: Log | None = None,
    block_bytes: int | str = BLOCK_BYTES,
) -> TokenStore | None:
    """Encode text files into a token store, in order, with an end token between documents.

    Memory is constant: under 256 MiB per worker, for a corpus of any size (see
    :func:`fastprep.corpus.reader.batches` for the exceptions). The same inputs and settings give the
    same bytes for all values of `workers`, `engine` and `task`.

    After any interruption (a kill, a power cut, a full disk, an error in an input), the same call
    resumes from the finished shards. There is no manifest, so no store, until all are finished. If
    inputs were changed, added or left out by then, only shards that read them, or are next to them,
    are made again. On the finished store of the same inputs and settings the call returns it at once;
    while another process makes it, the call waits. See ``docs/jobs.md``.

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
        the directory to create. It may exist if it is empty, has unfinished work, which is resumed,
        or a store, which is returned if it is what this call would make; a directory with other
        files is refused, and so is one in which a link leads to other directories. Or a URL that fsspec
        can write to, as ``s3://bucket/store``: the store is made in a directory of the cache
        (``$FASTPREP_CACHE``) and uploaded, its manifest last (:mod:`fastprep.jobs.upload`). `task`,
        `append` and the engine ``"ray"`` need an output on this machine.
    encoding
        the name of an encoding or of a model, as ``"gpt2"`` or ``"gpt-4o"``; the path of a
        vocabulary file; an :class:`~fastprep.Encoding`; an encoding of tiktoken, a
        ``tokenizers.Tokenizer`` or a fast tokenizer of transformers; or a word tokenizer,
        ``SimpleTokenizerV2``. If fastprep does not bundle it, the store holds what is needed to
        read it.
    separator
        the text between two documents of a ``.txt`` file; None makes each file one document.
    field
        the key of the text in each object of a ``.jsonl`` file, and the column of a table. A dot
        separates the keys of nested objects; ``\\.`` is a dot in a name. Where it holds lists of
        integers, as ``field="input_ids"`` of a tokenized data set, these are ids of `encoding`:
        each is checked against the vocabulary, and a document gets its end token unless it has it
        already.
    format
        the format of files whose names do not say it, as a suffix: ``"jsonl"``, ``"txt"``, ``"csv.gz"``.
        A name may still end in a compression or ``.tar`` or ``.zip``. Of a folder or archive the files
        of this format are read, and those without any suffix. Needed for the input ``"-"``, standard
        input.
    zstd_window
        the base-2 logarithm of the largest window of .zst files, 27 by default and 31 at most: for files
        made with ``zstd --long=31``, whose decompression takes 2 GiB per worker.
    on_error
        how to handle a document that cannot be read: ``"raise"`` an error, ``"skip"`` it, or
        ``"replace"`` the invalid bytes by U+FFFD. The last two read documents whole, and the
        manifest counts these documents and lists the first 1,000 per shard. They also pass over links
        without a target, and files and folders without permission, in folders and patterns.
    eot
        where to put the end token: ``"append"`` it to each document, including the last,
        ``"prepend"`` it, or ``"none"``.
    eot_token
        the special token of the encoding to use as the end token; by default ``<|endoftext|>``, or
        the encoding's own if it does not have that one.
    bos
        a token before each document, beside the end token after it: the name or the id of a special
        token, or True for the encoding's own (:attr:`Encoding.bos_token_id`). With ``eos=False`` it is
        the only one, which is what `eot` ``"prepend"`` makes of it.
    eos
        the end token after each document, in place of `eot` and `eot_token`: a name or an id, True
        for the encoding's own (:attr:`Encoding.eos_token_id`), or False for none.
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
    messages
        the field that holds the messages of a conversation, as ``"messages"``, in place of `field`:
        each document is then a conversation, written by `template`, and the store has a mask of the
        tokens that the assistant wrote, which loaders train on alone. A message has a ``role`` and a
        ``content``, or ShareGPT's ``from`` and ``value``. See ``docs/conversations.md``.
    template
        the chat template: the text of one of Jinja, the path of its file, of ``tokenizer_config.json``
        or of a directory with one of these, or a function that takes the messages and returns pairs of
        a str and a bool, whether that part is trained on. By default the one beside the vocabulary.
    template_variables
        values of JSON that a template of Jinja may ask for, as ``{"enable_thinking": False}``.
    special_text
        whether text in a message that spells a special token becomes that token, as transformers does
        it. By default it stays text, and only the template writes special tokens.
    fim_rate
        the fraction of the documents that are rearranged for fill-in-the-middle, from 0 to 1: cut at
        two characters into prefix, middle and suffix, with the middle last
        (:mod:`fastprep.store.infill`). Documents are then read whole.
    fim_spm_rate
        of these, the fraction in which the suffix comes first.
    fim_seed
        the seed that draws documents and places, with the bytes of the document alone.
    fim_tokens
        the special tokens before prefix, suffix and middle; by default those of StarCoder, Qwen or
        DeepSeek, if the encoding has them.
    workers
        number of threads, up to 4096; by default the number of cores that this process may use. Each
        runs a task of its own; with fewer tasks, as for one large compressed file, several share one.
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
        ``"256MiB"``. By default a 64th of the input, rounded down to a power of two, but at least
        8 MiB and at most 256 MiB; for unfinished work what it was started with.
    overwrite
        whether to replace a store, or the unfinished work of another job. An old store is there
        until the new one is whole, so both take disk space for a while.
    append
        whether to add the inputs that the store at `output` does not have yet, as new shards after
        its own. Encoding and settings must be those of the store; `shard_bytes` may be another. The
        store is whole at any time. Without a store there, one is made. Inputs in memory are refused,
        because they cannot be recognized when the call is repeated.
    progress
        whether to show a progress bar; by default in a terminal (on stderr) and in a notebook.
    log
        a function that is called with a dict for each event: ``started``, ``passed over`` (what
        folders and patterns among the inputs passed over, and why; without `log` it is a warning),
        ``changed`` (an input that is not as it was in the unfinished work), ``resumed``, ``redone`` (a
        finished shard that has to be made again, and the reason), ``bad document``, ``task done``,
        ``ordering`` (the documents are put in order), ``finished``; ``reused`` if the store is
        finished already, and ``waiting`` for another process. For an output at a URL also
        ``uploading``, with the files and bytes to upload.
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
        :class:`~fastprep.errors.InvalidUtf8`, :class:`~fastprep.errors.BadConversation` and, for a
        wrong argument, :class:`~fastprep.errors.InvalidArgument`.
    StoreExists
        if the output is a store already, of other inputs or settings, which it names, or has files
        that are not a store's.
    JobIsRunning
        if another process works on another job in the same output.
    OtherJob
        if the output has unfinished work of a job with other settings, which it names, or with none
        of these inputs; or if an append has other settings than the store.
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
        workers = whole_number(workers, "workers", most=MAX_WORKERS)
    block_bytes = number_of_bytes(block_bytes, "block_bytes")
    if engine not in get_args(Engine):
        raise InvalidArgument(f"engine is {engine!r}; it must be one of threads, ray")
    if task is not None and overwrite:
        raise InvalidArgument(
            "a task cannot overwrite an output that other tasks may be working on; remove the old "
            "output first"
        )
    shards_of_share(0, task)  # raises for a task out of range
    name = path_name(output, "the output")
    if progress not in (True, False, None):
        raise WrongType(f"progress is {progress!r:.80}; pass True, False or None")
    if log is not None and not callable(log):
        raise WrongType(f"log is {log!r:.80}; pass a function that takes a dict, or None")
    url = url_of(output)
    if url is not None:
        from fastprep.jobs.upload import Upload, check_url, work_directory

        check_url(url, engine, task, append)
        path = work_directory(url)
    else:
        path = local_path(from_file_url(name) if isinstance(name, str) else name, "the output")
        check_parent(path)
    chosen = as_encoding(encoding)
    settings = Settings(
        separator,
        field,
        on_error,
        eot,
        eot_token,
        validation,
        shard_bytes,
        format,
        zstd_window,
        validation_documents,
        shuffle,
        bos,
        eos,
        messages,
        local_path(template, "the template") if isinstance(template, PathLike) else template,
        template_variables,
        special_text,
        fim_rate,
        fim_spm_rate,
        fim_seed,
        fim_tokens,
    )
    settings, chats = with_chats(settings, encoding, chosen)
    if overwrite and append:
        raise InvalidArgument("overwrite and append exclude each other; pass one of them")
    planner = partial(make_job, inputs, chosen, settings)
    job, tasks = planner()
    if not append:  # whose parts have documents already
        check_first_documents(job, tasks)
    if log is None and job.passed_over:
        warnings.warn(in_words(job.passed_over), stacklevel=2)
    work = Work(path, job, chosen, block_bytes, chats=chats)
    run = Run(work, tasks, engine, workers, task, planner, shard_bytes is None)
    if url is not None:
        store: TokenStore | None = Upload(url, run).execute(
            overwrite=overwrite, progress=progress, log=log
        )
    else:
        store = run.run(overwrite=overwrite, append=append, progress=progress, log=log)
    if log is None and store is not None:
        members = Tally()
        for shard in store.records():
            members.add_records(shard.passed_over or ())
        if members:
            warnings.warn(in_words(members.records()), stacklevel=2)
    return store


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
    path = local_path(output, "the output")
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
                for index in (() if job is None else job.numbers)
                if journal.read_done(index) is None
            ]
            raise UnfinishedJob(
                f"{path}: {len(missing)} of {job.shards if job else 0} shards are not finished: "
                f"{', '.join(map(str, missing[:10]))}{', ...' if len(missing) > 10 else ''}; run their "
                "tasks (shard k belongs to task k mod N of N), then merge"
            )
        return store
