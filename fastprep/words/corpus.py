"""The word tokenizer of a corpus: a vocabulary of all its words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, groupby

from fastprep.corpus import reader as corpus
from fastprep.corpus.documents import Batch, Format
from fastprep.corpus.inputs import Inputs, find
from fastprep.corpus.plan import Task, plan
from fastprep.corpus.reader import import_readers
from fastprep.errors import InvalidUtf8
from fastprep.system.threads import map_in_order
from fastprep.vocabulary.published import ENDOFTEXT
from fastprep.words.encoding import UNKNOWN, WordEncoding
from fastprep.words.tokenizers import numbered
from fastprep_ext.words import unique_words

# A thread costs more than it saves with fewer bytes.
_MIN_BYTES_PER_THREAD = 1 << 20


def words_of_inputs(inputs: Inputs, form: Format, threads: int = 1) -> WordEncoding:
    """Read all documents once, and number their words as :func:`fastprep.build_vocab` does.

    Memory per thread is a block of the inputs and one copy of each distinct word.

    >>> path = tmp / "two.txt"
    >>> _ = path.write_text("to be<|endoftext|>or not to be")
    >>> words_of_inputs(path, Format()).vocab
    {'be': 0, 'not': 1, 'or': 2, 'to': 3, '<|endoftext|>': 4, '<|unk|>': 5}

    Raises InvalidInput for an input that is missing or damaged, like :func:`fastprep.prepare`.
    """
    spans = find(inputs, form)
    size = sum(span.size for span in spans)
    parts = plan(spans, form, shard_bytes=max(-(-size // threads), _MIN_BYTES_PER_THREAD))
    import_readers(spans, form)
    found = map_in_order(lambda part: unique_words(_texts(part, form)), parts, threads)
    # Each list is mostly sorted, so sorting all of them costs little more than merging.
    words = (word for word, _ in groupby(sorted(chain.from_iterable(found))))
    return WordEncoding(numbered(words, (ENDOFTEXT, UNKNOWN)))


def _texts(part: Task, form: Format) -> Iterator[str]:
    # Long documents come in parts, which are cut at whitespace, as words are.
    for batch in corpus.read(part, form):
        for index in range(len(batch.texts)):
            text = _text(batch, index, form)
            if text is not None:
                yield text


def _text(batch: Batch, index: int, form: Format) -> str | None:
    text = batch.texts[index]
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        if form.on_error == "replace":
            return text.decode("utf-8", "replace")
        if form.on_error == "skip":
            return None
        place, position = batch.place(index, error.start)
        raise InvalidUtf8.at(place, position) from None
