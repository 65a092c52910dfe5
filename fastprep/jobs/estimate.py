"""What a job would make, before any of it is made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import BLOCK_BYTES, Batch, Format, Span
from fastprep.corpus.formats import kind_of
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.inputs import Inputs
from fastprep.corpus.plan import Task, plan, task_bytes
from fastprep.corpus.sources import open_bytes
from fastprep.jobs.job import Job
from fastprep.jobs.planning import make_job
from fastprep.store.encodings import StoreEncoding, as_encoding
from fastprep.store.manifest import dtype_for, itemsize_of
from fastprep.store.writer import ShardWriter
from fastprep.words.tokenizers import SimpleTokenizerV2

# So many places of the corpus are looked at, and so many bytes at each.
_SAMPLES = 16
_SAMPLE_BYTES = 1 << 18


class Estimate(NamedTuple):
    """A plan in numbers: what is certain of it, and what was estimated from a sample of the text."""

    inputs: int
    input_bytes: int
    tasks: int
    largest_task_bytes: int
    dtype: str
    documents: int
    tokens: int
    store_bytes: int


def estimate(
    inputs: Inputs,
    *,
    encoding: str | StoreEncoding | SimpleTokenizerV2 = "gpt2",
    **settings: Any,
) -> Estimate:
    """What :func:`fastprep.prepare` would make of the same arguments.

    ``tasks`` is also the number of shards. ``documents``, ``tokens`` and ``store_bytes`` follow from 16
    evenly spaced places, 256 KiB at each at most, so they are about right for a corpus that is much
    the same everywhere. A packed file is looked at where it begins.

    Raises
    ------
    InvalidInput
        as :func:`fastprep.prepare` would before it begins, and for a sample that cannot be read.

    Examples
    --------
    >>> path = tmp / "lines.jsonl"
    >>> _ = path.write_text('{"text": "One."}\\n{"text": "Two."}\\n')
    >>> found = estimate(path)
    >>> found.tasks, found.documents, found.tokens, found.store_bytes
    (1, 2, 6, 28)
    """
    chosen = as_encoding(encoding)
    given = {
        "separator": "<|endoftext|>",
        "field": "text",
        "on_error": "raise",
        "eot": "append",
        "eot_token": None,
        "validation": 0.0,
        "shard_bytes": None,
        **settings,
    }
    job, tasks = make_job(inputs, chosen, **given)
    size = sum(entry.size for entry in job.inputs)
    looked_at = documents = tokens = 0
    for place in _places(job, tasks):
        part = _sample(chosen, job, place)
        looked_at, documents, tokens = (
            looked_at + part[0],
            documents + part[1],
            tokens + part[2],
        )
    scale = size / looked_at if looked_at else 0.0
    dtype = dtype_for(job.n_vocab)
    documents, tokens = round(documents * scale), round(tokens * scale)
    return Estimate(
        inputs=len(job.inputs),
        input_bytes=size,
        tasks=len(tasks),
        largest_task_bytes=max(map(task_bytes, tasks)),
        dtype=dtype,
        documents=documents,
        tokens=tokens,
        store_bytes=tokens * itemsize_of(dtype) + documents * 8,
    )


def _places(job: Job, tasks: list[Task]) -> list[Task]:
    """Some parts of the inputs, evenly spaced: of small ones all that there is."""
    spans = {span.path: span.part(0, span.size) for task in tasks for span in task}
    size = sum(span.size for span in spans.values())
    places = plan([*spans.values()], job.form, shard_bytes=max(size // _SAMPLES, _SAMPLE_BYTES))
    if size <= _SAMPLES * _SAMPLE_BYTES:
        return places
    count = min(_SAMPLES, len(places))
    return [places[number * len(places) // count] for number in range(count)]


def _sample(encoding: StoreEncoding, job: Job, task: Task) -> tuple[int, int, int]:
    """Bytes of input that were looked at, and the documents and tokens in them."""
    writer = ShardWriter(
        encoding, job.end_token, prepend=job.end_token_first, on_error=job.on_error
    )
    looked_at = documents = tokens = 0
    for span in task:
        if looked_at >= _SAMPLE_BYTES:
            break
        stop = span.end
        if corpus.can_split(span.path, job.form):
            stop = min(stop, span.start + _SAMPLE_BYTES)
        part = span.part(span.start, stop)
        read: list[int] = []
        here, more = writer.count(_batches(part, job.form, encoding.may_be_cut, read))
        looked_at += _bytes_of(part, job.form, sum(read), here)
        documents, tokens = documents + here, tokens + more
    return looked_at, documents, tokens


def _batches(part: Span, form: Format, cut: bool, read: list[int]) -> Iterator[Batch]:
    """The batches of a part of an input; how long the texts of each are is added to ``read``."""
    for batch in corpus.batches(part, form, block_bytes=_SAMPLE_BYTES, cut=cut):
        read.append(batch.size)
        yield batch
        if sum(read) >= BLOCK_BYTES:  # one long document: its beginning tells enough
            break


def _bytes_of(part: Span, form: Format, read: int, documents: int) -> int:
    """How many bytes of an input those documents take that begin in a part of it.

    The last of them ends behind the part, sometimes far. ``read`` is how long their texts are.
    """
    density = corpus.text_per_byte(part, form)
    if density is not None:
        return round(read / density)
    if read >= BLOCK_BYTES:
        return read
    if part.end - part.start == part.size:
        return part.size
    kind = kind_of(part.path)
    if kind is not None and kind.content == "lines":
        with contextlib.closing(open_bytes(part.path)) as file:
            return _line_from(file, part.end) - _line_from(file, part.start)
    between = 1 if isinstance(part, TableSpan) else len((form.separator or "").encode())
    return read + documents * between


def _line_from(file: BinaryIO, position: int) -> int:
    """Where the first line begins at a byte of a file or behind it."""
    at = max(position - 1, 0)
    file.seek(at)
    while position and (chunk := file.read(_SAMPLE_BYTES)):
        found = chunk.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(chunk)
    return at
