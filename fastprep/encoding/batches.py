"""Encoder of many texts on several threads: into lists of ids, one flat array, or counts."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from fastprep.encoding.decoding import check_threads
from fastprep.encoding.python_encoder import text_of
from fastprep.errors import InvalidArgument, InvalidUtf8, WrongType
from fastprep.system.arguments import whole_number
from fastprep.system.threads import helpers
from fastprep_ext.base import Rows
from fastprep_ext.bpe import NO_LIMIT, Encoder, TextBatch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fastprep.encoding.encoders import AnyEncoder
    from fastprep.encoding.special import Rule

    Ids = npt.NDArray[np.uint32]
    Numbers = npt.NDArray[np.int64]


def encode_batch(
    encoder: AnyEncoder,
    texts: Iterable[str],
    threads: int,
    encode: Callable[[str], list[int]],
    rule: Rule | None = None,
) -> list[list[int]]:
    """Return the ids of each text, in order.

    `rule` says what a text is searched for. For a text that has a disallowed token, is not valid
    Unicode or no str, `encode` returns the ids or raises the error; the error of the first such text
    is raised.

    >>> from fastprep import get_encoding
    >>> enc = get_encoding("gpt2")
    >>> encode_batch(enc._encoder, ["hello world", ""], 2, enc.encode_ordinary)
    [[31373, 995], []]
    """
    check_threads(threads)
    texts = list(texts)
    if not isinstance(encoder, Encoder):
        # Python code splits the text, so threads would not run in parallel.
        return [encode(text) for text in texts]
    batch = TextBatch(encoder, texts, *_search(rule))
    with _threads(batch, threads):
        return batch.lists(lambda text, number: encode(text))


def encode_flat(
    encoder: AnyEncoder,
    texts: Any,
    offsets: Any,
    threads: int,
    encode: Callable[[str], list[int]],
    rule: Rule,
    limit: int = NO_LIMIT,
) -> tuple[Ids, Numbers]:
    """Return the ids of all texts back to back, at most `limit` of each, and where each begins.

    >>> from fastprep import get_encoding
    >>> enc = get_encoding("gpt2")
    >>> rule = enc._specials.rule("", frozenset(), ())
    >>> encode_flat(enc._encoder, ["hello world", b"tea"], None, 2, enc.encode_ordinary, rule)
    (array([31373,   995,   660,    64], dtype=uint32), array([0, 2, 4]))
    """
    import numpy as np

    check_threads(threads)
    first = 0

    def one(text: Any, number: int) -> Ids:
        return np.array(encode(_text(text, first + number)), np.uint32)

    found = []
    for source in _sources(texts, offsets):
        found.append(_encode_source(encoder, source, threads, one, rule, limit))
        first += len(source)
    if len(found) == 1:
        return found[0]
    bounds = [np.zeros(1, np.int64)]
    for _, places in found:
        bounds.append(places[1:] + bounds[-1][-1])
    ids = [np.empty(0, np.uint32), *(ids for ids, _ in found)]
    return np.concatenate(ids), np.concatenate(bounds)


def _encode_source(
    encoder: AnyEncoder,
    source: Any,
    threads: int,
    one: Callable[[Any, int], Ids],
    rule: Rule | None = None,
    limit: int = NO_LIMIT,
) -> tuple[Ids, Numbers]:
    import numpy as np

    if not isinstance(encoder, Encoder):
        found = [one(source[number], number) for number in range(len(source))]
        places = np.cumsum([0, *map(len, found)], dtype=np.int64)
        return np.concatenate([np.empty(0, np.uint32), *found]), places
    places = np.empty(len(source) + 1, np.int64)
    batch = TextBatch(encoder, source, *_search(rule), limit, buffers=True)
    with _threads(batch, threads):
        return batch.arrays(one, places), places


def encode_rows(encoder: AnyEncoder, rows: Rows, threads: int) -> tuple[Ids, Numbers]:
    """Return the ids of rows of a column of Arrow back to back, as ordinary text, and where each begins.

    >>> from fastprep import get_encoding
    >>> encode_rows(get_encoding("gpt2")._encoder, Rows(), 1)
    (array([], dtype=uint32), array([0]))

    Raises InvalidUtf8 that names the row.
    """

    def one(text: Any, number: int) -> Ids:
        try:
            found: Ids = encoder.encode_to_array(_text(text, number))
        except InvalidUtf8 as error:
            message = f"row {number} of a chunk: {error}"
            raise InvalidUtf8(message, number, error.offset) from None
        return found

    return _encode_source(encoder, rows, threads, one)


def count_batch(
    encoder: AnyEncoder, texts: Any, threads: int, count: Callable[[str], int], rule: Rule
) -> Numbers:
    """Return how many ids each text has.

    >>> from fastprep import get_encoding
    >>> enc = get_encoding("gpt2")
    >>> rule = enc._specials.rule("", frozenset(), ())
    >>> count_batch(enc._encoder, ["hello world", b"tea"], 2, enc.count, rule)
    array([2, 2])
    """
    import numpy as np

    check_threads(threads)
    first = 0

    def one(text: Any, number: int) -> int:
        return count(_text(text, first + number))

    counts = [np.empty(0, np.int64)]
    for source in _sources(texts, None):
        numbers = np.empty(len(source), np.int64)
        if isinstance(encoder, Encoder):
            batch = TextBatch(encoder, source, *_search(rule), buffers=True, counts=True)
            with _threads(batch, threads):
                batch.counts(one, numbers)
        else:
            numbers[:] = [one(source[number], number) for number in range(len(source))]
        counts.append(numbers)
        first += len(source)
    return np.concatenate(counts)


def pad_rows(
    ids: Ids, offsets: Numbers, length: int, pad: int, side: str
) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Return the ids of each text, at most `length`, as a row of that length, and where ids are.

    >>> import numpy as np
    >>> pad_rows(np.array([5, 6, 7], np.uint32), np.array([0, 1, 3]), 3, 0, "left")[0]
    array([[0, 0, 5],
           [0, 6, 7]])
    """
    import numpy as np

    counts = np.diff(offsets)[:, None]
    columns = np.arange(length)
    mask = columns < counts if side == "right" else columns >= length - counts
    rows = np.full(mask.shape, pad, np.int64)
    rows[mask] = ids
    return rows, mask


def check_padding(length: int, pad: int, side: str) -> tuple[int, int]:
    """Return the length of rows and the number that fills them, checked.

    >>> check_padding(8, -100, "right")
    (8, -100)
    """
    if side not in ("left", "right"):
        raise InvalidArgument(f"side is {side!r:.80}; pass 'right' or 'left'")
    most = (1 << 63) - 1
    return whole_number(length, "length", 0, most), whole_number(pad, "pad", -most - 1, most)


def _search(rule: Rule | None) -> tuple[Any, Any]:
    return (None, None) if rule is None else (rule.cutter, rule.guard)


@contextlib.contextmanager
def _threads(batch: TextBatch, threads: int) -> Iterator[None]:
    """Let up to `threads` threads encode a batch, the caller's included."""
    workers = min(threads, os.cpu_count() or 1, len(batch))
    with helpers(batch.work, workers - 1, stop=batch.stop):
        yield


def _sources(texts: Any, offsets: Any) -> list[Any]:
    """Return the texts as sequences that a batch takes: one, or one per chunk of an Arrow column."""
    if offsets is not None:
        return [_rows(texts, offsets)]
    if hasattr(texts, "__arrow_c_stream__") or hasattr(texts, "__arrow_c_array__"):
        from fastprep.system.arrow import text_columns

        return [Rows(column.text, column.starts, column.stops) for column in text_columns(texts)]
    return [texts if isinstance(texts, Rows) else list(texts)]


def _rows(data: Any, offsets: Any) -> Rows:
    """Return the texts between offsets in a buffer of UTF-8."""
    import numpy as np

    places = np.asarray(offsets)
    if places.ndim != 1 or not len(places) or places.dtype.kind not in "iu":
        raise WrongType(
            f"offsets are an array of {places.dtype} {list(places.shape)}; pass a row of whole numbers, "
            "one more than there are texts"
        )
    if isinstance(data, str):
        raise WrongType(
            "offsets count bytes, but the text is a str; pass its UTF-8, or texts alone"
        )
    places = np.ascontiguousarray(places, np.int64)
    size = memoryview(data).nbytes
    wrong = np.flatnonzero((np.diff(places, prepend=0) < 0) | (places > size))
    if len(wrong):
        raise InvalidArgument(
            f"offset {wrong[0]} is {places[wrong[0]]}, in {size} bytes of text; offsets must not "
            "decrease, nor be beyond the end"
        )
    return Rows(data, places[:-1], places[1:])


def _text(text: Any, number: int) -> str:
    """Return a text as str. WrongType, InvalidUtf8 with the text's number."""
    if not isinstance(text, str):
        try:
            memoryview(text)
        except TypeError:
            raise WrongType(
                f"text {number} is a {type(text).__name__}; pass str, or bytes of UTF-8"
            ) from None
    return text_of(text, number)
