"""What a job would make, before any of it is made."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastprep import corpus
from fastprep.inputs import Inputs
from fastprep.job import Job
from fastprep.manifest import dtype_for
from fastprep.planning import Task, make_job, task_bytes
from fastprep.spans import BLOCK_BYTES
from fastprep.store_encoding import StoreEncoding, as_encoding
from fastprep.words import SimpleTokenizerV2

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

    ``tasks`` is also the number of shards. ``documents``, ``tokens`` and ``store_bytes`` follow from
    the first of 16 evenly spaced tasks' text, at most 256 KiB of each, so they are about right for a
    corpus that is much the same everywhere.

    Raises
    ------
    InvalidInput
        as :func:`fastprep.prepare` would before it begins, and for a sample that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "lines.jsonl"
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
    step = max(1, len(tasks) // _SAMPLES)
    looked_at = documents = tokens = 0
    for task in tasks[::step][:_SAMPLES]:
        part = _sample(chosen, job, task)
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
        store_bytes=tokens * np.dtype(dtype).itemsize + documents * 8,
    )


def _sample(encoding: StoreEncoding, job: Job, task: Task) -> tuple[int, int, int]:
    """Bytes of input that were looked at, and the documents and tokens in them."""
    looked_at = documents = tokens = 0
    for span in task:
        if looked_at >= _SAMPLE_BYTES:
            break
        stop = span.end
        if corpus.can_split(span.path, job.form):
            stop = min(stop, span.start + _SAMPLE_BYTES)
        part = span.part(span.start, stop)
        read = 0
        for batch in corpus.batches(
            part, job.form, block_bytes=_SAMPLE_BYTES, cut=encoding.may_be_cut
        ):
            ids = np.empty(
                encoding.most_ids(batch.size, len(batch.texts)) + len(batch.texts),
                dtype_for(job.n_vocab),
            )
            tokens += encoding.encode_documents(
                batch.texts,
                ids,
                np.empty(len(batch.texts), np.uint64),
                end_token=job.end_token,
                close_last=batch.closed,
            )
            documents += len(batch.texts) - (not batch.closed)
            read += batch.size
            if read >= BLOCK_BYTES:  # one long document: its beginning tells enough
                break
        density = corpus.text_per_byte(span, job.form)
        if density is not None:
            looked_at += round(read / density)
        else:
            looked_at += read if read >= BLOCK_BYTES else stop - span.start
    return looked_at, documents, tokens
