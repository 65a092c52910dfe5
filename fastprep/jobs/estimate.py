"""The estimate of a job: its plan, and the size of its store from a sample of the text."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from fastprep.chat.encoder import ChatEncoder
from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import BLOCK_BYTES, Batch, Format, Span
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.inputs import Inputs
from fastprep.corpus.passed_over import PassedOver
from fastprep.corpus.plan import Task, plan, task_bytes
from fastprep.corpus.sources import open_bytes
from fastprep.jobs.job import Job, Settings, make_job, with_chats
from fastprep.jobs.parts import check_first_documents
from fastprep.store.encodings import EncodingLike, StoreEncoding, as_encoding
from fastprep.store.manifest import dtype_for, itemsize_of
from fastprep.store.writer import ShardWriter

# Positions of the corpus that are sampled, and bytes at each.
_SAMPLES = 16
_SAMPLE_BYTES = 1 << 18


class Estimate(NamedTuple):
    """A plan in numbers: the exact ones, and those estimated from a sample of the text."""

    inputs: int
    input_bytes: int
    tasks: int
    largest_task_bytes: int
    dtype: str
    documents: int
    tokens: int
    store_bytes: int
    passed_over: list[PassedOver]
    draft_bytes: int  # more than the store, until it is made


def estimate(
    inputs: Inputs,
    *,
    encoding: EncodingLike = "gpt2",
    **settings: Any,
) -> Estimate:
    """Estimate the store that :func:`fastprep.prepare` would make of the same arguments.

    ``tasks`` is also the number of shards. ``documents``, ``tokens`` and ``store_bytes`` are
    extrapolated from up to 256 KiB at each of 16 evenly spaced positions, so they are about right for
    a corpus that is much the same everywhere. A compressed file is sampled at its start. ``passed_over``
    is what folders and patterns passed over.

    Raises
    ------
    InvalidInput
        as :func:`fastprep.prepare` would before its first task, and for a sample that cannot be read.

    Examples
    --------
    >>> path = tmp / "lines.jsonl"
    >>> _ = path.write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> found = estimate(path)
    >>> found.tasks, found.documents, found.tokens, found.store_bytes
    (1, 2, 6, 28)
    """
    chosen = as_encoding(encoding)
    chosen_settings, chats = with_chats(Settings(**settings), encoding, chosen)
    job, tasks = make_job(inputs, chosen, chosen_settings)
    check_first_documents(job, tasks)
    size = sum(entry.size for entry in job.inputs)
    sampled = documents = tokens = 0
    for task in _sample_tasks(job, tasks):
        more_bytes, more_documents, more_tokens = _sample(chosen, chats, job, task)
        sampled += more_bytes
        documents += more_documents
        tokens += more_tokens
    scale = size / sampled if sampled else 0.0
    dtype, masked = dtype_for(job.n_vocab), job.messages is not None
    documents, tokens = round(documents * scale), round(tokens * scale)
    return Estimate(
        inputs=len(job.inputs),
        input_bytes=size,
        tasks=len(tasks),
        largest_task_bytes=max(map(task_bytes, tasks)),
        dtype=dtype,
        documents=documents,
        tokens=tokens,
        store_bytes=tokens * (itemsize_of(dtype) + masked) + documents * 8,
        passed_over=job.passed_over,
        draft_bytes=(tokens * (4 if masked else itemsize_of(dtype)) + documents * 24)
        * job.has_drafts,
    )


def _sample_tasks(job: Job, tasks: list[Task]) -> list[Task]:
    """Return evenly spaced parts of the inputs; all of them if the inputs are small."""
    spans = {span.path: span.part(0, span.size) for task in tasks for span in task}
    size = sum(span.size for span in spans.values())
    parts = plan([*spans.values()], job.form, shard_bytes=max(size // _SAMPLES, _SAMPLE_BYTES))
    if size <= _SAMPLES * _SAMPLE_BYTES:
        return parts
    count = min(_SAMPLES, len(parts))
    return [parts[number * len(parts) // count] for number in range(count)]


def _sample(
    encoding: StoreEncoding, chats: ChatEncoder | None, job: Job, task: Task
) -> tuple[int, int, int]:
    """Return the bytes of input that were read, and the number of documents and tokens in them."""
    writer = ShardWriter(
        encoding,
        job.end_token,
        prepend=job.end_token_first,
        begin_token=job.begin_token,
        on_error=job.on_error,
        chats=chats,
        infill=job.infill,
    )
    cut = encoding.may_be_cut and chats is None and job.infill is None
    sampled = documents = tokens = 0
    for span in task:
        if sampled >= _SAMPLE_BYTES:
            break
        stop = span.end
        if corpus.can_divide(span, job.form):
            stop = min(stop, span.start + _SAMPLE_BYTES)
        part = span.part(span.start, stop)
        text_sizes: list[int] = []
        batches = _batches(part, job.form, cut, text_sizes)
        more_documents, more_tokens = writer.count(batches)
        sampled += _bytes_of(part, job.form, sum(text_sizes), more_documents)
        documents, tokens = documents + more_documents, tokens + more_tokens
    return sampled, documents, tokens


def _batches(part: Span, form: Format, cut: bool, text_sizes: list[int]) -> Iterator[Batch]:
    """Yield the batches of a part of an input; append the size of each one's text to `text_sizes`."""
    for batch in corpus.batches(part, form, block_bytes=_SAMPLE_BYTES, cut=cut):
        text_sizes.append(batch.size)
        yield batch
        if sum(text_sizes) >= BLOCK_BYTES:  # a long document: its start is sample enough
            break


def _bytes_of(part: Span, form: Format, text_size: int, documents: int) -> int:
    """Return how many bytes of an input are taken by the documents that begin in a part of it.

    The last of them ends after the part, sometimes far. `text_size` is the size of their text.
    """
    density = corpus.text_per_byte(part, form)
    if density is not None:
        return round(text_size / density)
    if text_size >= BLOCK_BYTES:
        return text_size
    if part.end - part.start == part.size:
        return part.size
    kind = form.kind(part.path)
    if kind is not None and kind.content == "lines" and not kind.archive:
        with contextlib.closing(open_bytes(part.path)) as file:
            return _line_start(file, part.end) - _line_start(file, part.start)
    between = 1 if isinstance(part, TableSpan) else len((form.separator or "").encode())
    return text_size + documents * between


def _line_start(file: BinaryIO, position: int) -> int:
    """Return the offset of the first line that begins at `position` or after it."""
    offset = max(position - 1, 0)
    file.seek(offset)
    while position and (chunk := file.read(_SAMPLE_BYTES)):
        found = chunk.find(b"\n")
        if found >= 0:
            return offset + found + 1
        offset += len(chunk)
    return offset
