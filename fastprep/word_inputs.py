"""The word tokenizer of a corpus: a vocabulary of all words in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from os import PathLike
from typing import TypeAlias

from fastprep import corpus
from fastprep.errors import InvalidUtf8
from fastprep.planning import make_job
from fastprep.registry import get_encoding
from fastprep.spans import Batch, Format
from fastprep.word_encoding import WordEncoding

PathOrPaths: TypeAlias = "str | PathLike[str] | list[str | PathLike[str]]"


def words_of_inputs(inputs: PathOrPaths, form: Format) -> WordEncoding:
    """Read all documents once, and number their words as :func:`fastprep.build_vocab` does.

    Memory is a block of the inputs and one copy of each different word.

    Raises
    ------
    InvalidInput
        for an input that is missing or damaged, naming file and place, as :func:`fastprep.prepare`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp(), "two.txt")
    >>> _ = path.write_text("to be<|endoftext|>or not to be")
    >>> words_of_inputs(path, Format()).vocab
    {'be': 0, 'not': 1, 'or': 2, 'to': 3, '<|endoftext|>': 4, '<|unk|>': 5}
    """
    return WordEncoding.from_texts(_texts(inputs, form))


def _texts(inputs: PathOrPaths, form: Format) -> Iterator[str]:
    # Which files the inputs stand for is known to the plan of a job; the encoding matters not.
    _, tasks = make_job(
        inputs,
        get_encoding("gpt2"),
        separator=form.separator,
        field=form.field,
        on_error=form.on_error,
        eot="none",
        eot_token=None,
        validation=0.0,
        shard_bytes=None,
    )
    for span in itertools.chain.from_iterable(tasks):
        # In parts, where documents are long: they are cut at whitespace, as words are.
        for batch in corpus.batches(span, form):
            for index in range(len(batch.texts)):
                text = _text(batch, index, form)
                if text is not None:
                    yield text


def _text(batch: Batch, index: int, form: Format) -> str | None:
    text = batch.texts[index]
    if isinstance(text, str):
        return text
    try:
        return str(text, "utf-8")
    except UnicodeDecodeError as error:
        if form.on_error == "replace":
            return str(text, "utf-8", "replace")
        if form.on_error == "skip":
            return None
        place, position = batch.place(index, error.start)
        raise InvalidUtf8(
            f"{place}: the bytes there are not UTF-8; convert the file to UTF-8, or pass "
            "on_error='skip' or 'replace' (--on-error)",
            offset=position,
        ) from None
