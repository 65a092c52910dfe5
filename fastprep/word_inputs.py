"""The word tokenizer of a corpus: a vocabulary of all words in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastprep import corpus
from fastprep.errors import InvalidUtf8
from fastprep.spans import Format
from fastprep.word_encoding import WordEncoding

if TYPE_CHECKING:
    from fastprep.planning import PathOrPaths


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
    from fastprep.planning import _as_paths

    for path in _as_paths(inputs):
        # In parts, where documents are long: they are cut at whitespace, as words are.
        for batch in corpus.batches(corpus.whole(path), form):
            for index, text in enumerate(batch.texts):
                if isinstance(text, str):
                    yield text
                    continue
                try:
                    yield text.decode()
                except UnicodeDecodeError as error:
                    if form.on_error == "replace":
                        yield text.decode("utf-8", "replace")
                    elif form.on_error == "raise":
                        place, position = batch.place(index, error.start)
                        raise InvalidUtf8(
                            f"{place}: the bytes there are not UTF-8; convert the file to UTF-8, or "
                            "pass on_error='skip' or 'replace' (--on-error)",
                            offset=position,
                        ) from None
