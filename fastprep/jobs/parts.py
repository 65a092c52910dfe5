"""The check that neither part of a job with a validation split is empty.

It is made twice: on the first documents, before anything is written, and on all of them, before the
store is made. Most mistakes are found by the first one, because empty parts come from few
documents.
"""

from __future__ import annotations

from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.plan import Task
from fastprep.corpus.reader import batches
from fastprep.corpus.remote import is_url
from fastprep.errors import InvalidInput
from fastprep.jobs.job import Job

# Limit of the text that is read before anything is written: a few milliseconds.
_PEEK_BYTES = 4 << 20
_PEEK_BLOCK = 1 << 18
_KEPT = (
    "the finished shards are kept; pass overwrite=True (--overwrite) with other settings or inputs"
)


def check_first_documents(job: Job, tasks: list[Task]) -> None:
    """Raise InvalidInput if a part will be empty, as far as the first 4 MiB of text show that.

    They do if they are all of the text. Streams and URLs are not read twice, so they are not checked.
    """
    if not job.has_parts:
        return
    spans = [span for task in tasks for span in task]
    if any(is_url(span.path) or (isinstance(span, TableSpan) and not span.size) for span in spans):
        return
    documents = drawn = size = 0
    wanted = job.validation_documents or 0
    try:
        for span in spans:
            for batch in batches(span, job.form, block_bytes=_PEEK_BLOCK, cut=True):
                size += batch.size
                # The start of a longer document says nothing about its hash, and a document that is
                # not UTF-8 may be left out or repaired.
                if size > _PEEK_BYTES or not batch.closed or batch.bad or batch.texts.invalid():
                    return
                documents += len(batch.texts)
                drawn += len(batch.texts.draw(job.draw.below)[1]) if job.draw is not None else 0
                if documents > wanted if wanted else 0 < drawn < documents:
                    return
    except InvalidInput:
        return  # the task that reads it raises it, or handles it as on_error says
    if documents:
        check_drawn(job, documents, wanted or drawn, "")


def check_drawn(job: Job, documents: int, drawn: int, kept: str = _KEPT) -> None:
    """Raise InvalidInput if none of the documents, or all of them, are for validation.

    `kept` ends the message.
    """
    if 0 < drawn < documents:
        return
    few = f"the inputs have {documents:,} document{'' if documents == 1 else 's'}"
    if job.validation_documents is not None:
        message = (
            f"validation_documents is {job.validation_documents:,}, but {few}, of which at least one "
            "must be left to train on; pass a smaller number (--validation-documents N)"
        )
    else:
        empty = "train" if drawn else "validation"
        message = (
            f"the {empty} part is empty: {few}, and validation={job.validation} draws "
            f"{'all' if drawn else 'none'} of them by their hashes; pass an exact number with "
            "validation_documents (--validation-documents N), or another fraction"
        )
        if documents == 1:
            message = (
                f"the {empty} part is empty: {few}, which cannot be in both parts; omit validation "
                "(--validation), or split the document with separator (--separator)"
            )
    raise InvalidInput(f"{message}; {kept}" if kept else message)
