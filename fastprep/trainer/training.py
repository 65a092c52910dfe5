"""The public function `train_bpe`: texts or counts to a vocabulary with its merges."""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from fastprep.corpus.documents import Format, OnError
from fastprep.encoding.encoding import Encoding
from fastprep.errors import InvalidArgument, InvalidInput
from fastprep.jobs.progress import Log, send
from fastprep.system.arguments import whole_number
from fastprep.system.interrupts import deferred
from fastprep.system.sizes import number_of_bytes
from fastprep.trainer.counting import MIN_MEMORY, count_inputs, settings_of
from fastprep.trainer.counts import PieceCounts, Unit
from fastprep.trainer.progress import Bar
from fastprep.trainer.splitting import Splitting
from fastprep.vocabulary.byte_alphabet import ALPHABET
from fastprep.vocabulary.merge_list import listed_table
from fastprep.vocabulary.published import ENDOFTEXT
from fastprep.vocabulary.ranks import table_of
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep.vocabulary.token_list import MAX_ID, MAX_TOKEN_BYTES
from fastprep_ext.trainer import MAX_COUNT, MergeTrainer

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastprep.corpus.inputs import Inputs

#: Of pairs with equal counts, the one that is merged: by the ids of Hugging Face, or by bytes.
Ties: TypeAlias = Literal["huggingface", "bytes"]
#: Where the ids of special tokens are.
Specials: TypeAlias = Literal["first", "last"]

BYTES = 256
# Merges between two looks at interrupts and the progress bar.
_STEP = 256
# Measured: a lower share lists more pairs, a higher one leads to a second scan of the words.
FLOOR_SHARE = 0.08
# Tokens of 2 or 4 bytes, places in lists, and weights, per byte of the words; and arrays per token.
_BYTES_PER_PLACE = 9
_BYTES_PER_TOKEN = 128


class TrainingReport(NamedTuple):
    """What training found; `str` of it is one line.

    Attributes
    ----------
    vocab_size
        the number of tokens: 256 bytes, merges and special tokens.
    asked
        the number of tokens that were asked for; more than `vocab_size` if no pair was left.
    merges
        the number of merges.
    last_count
        how often the pair of the last merge occurred; 0 without a merge.
    pieces
        the number of distinct pieces.
    rescans
        how often the words were scanned again to find rare pairs.
    """

    vocab_size: int
    asked: int
    merges: int
    last_count: int
    pieces: int
    rescans: int

    @property
    def ended_early(self) -> bool:
        """Whether there are fewer tokens than were asked for."""
        return self.vocab_size < self.asked

    def __str__(self) -> str:
        early = f" of {self.asked:,} asked for: no pair is left" if self.ended_early else ""
        return (
            f"{self.vocab_size:,} tokens{early}, {self.merges:,} merges, the last of a pair that "
            f"occurs {self.last_count:,} times; {self.pieces:,} distinct pieces"
        )


class TrainedEncoding(Encoding):
    """An encoding that :func:`fastprep.train_bpe` made.

    Attributes
    ----------
    merges
        the two tokens of each merge, in the order of merging.
    report
        what training found.
    """

    merges: list[tuple[bytes, bytes]]
    report: TrainingReport

    def __getstate__(self) -> dict[str, Any]:
        return {"recipe": self.recipe, "merges": self.merges, "report": self.report}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._assemble(state["recipe"])
        self.merges, self.report = state["merges"], state["report"]


class Wanted(NamedTuple):
    """The settings of the merges and ids of a vocabulary, checked."""

    vocab_size: int
    special_tokens: tuple[str, ...]
    specials: Specials
    ties: Ties
    min_frequency: int
    max_token_length: int | None
    memory: int | None


def wanted(
    vocab_size: int,
    special_tokens: Sequence[str],
    specials: Specials,
    ties: Ties,
    min_frequency: int,
    max_token_length: int | None,
    memory: int | str | None,
) -> Wanted:
    """Return checked settings. Raises InvalidArgument naming the one that is wrong.

    >>> wanted(300, ["<|endoftext|>"], "last", "bytes", 0, None, None).vocab_size
    300
    """
    if isinstance(special_tokens, str):
        raise InvalidArgument(
            f"special_tokens is {special_tokens!r}; pass a list of strings, as [{special_tokens!r}]"
        )
    tokens = tuple(special_tokens)
    for token in tokens:
        if not isinstance(token, str) or not token:
            raise InvalidArgument(f"the special token {token!r} must be a str that is not empty")
        if tokens.count(token) > 1:
            raise InvalidArgument(f"the special token {token!r} is given twice")
    if specials not in get_args(Specials):
        raise InvalidArgument(f"specials is {specials!r}; it must be one of first, last")
    if ties not in get_args(Ties):
        raise InvalidArgument(f"ties is {ties!r}; it must be one of huggingface, bytes")
    least = BYTES + len(tokens)
    size = whole_number(vocab_size, "vocab_size", 0, MAX_ID)
    if size < least:
        raise InvalidArgument(
            f"vocab_size is {size}; it must be at least {least}: {BYTES} bytes and "
            f"{len(tokens)} special token{'' if len(tokens) == 1 else 's'}"
        )
    if max_token_length is not None:
        max_token_length = whole_number(max_token_length, "max_token_length", 1, MAX_TOKEN_BYTES)
    return Wanted(
        size,
        tokens,
        specials,
        ties,
        whole_number(min_frequency, "min_frequency", 0, MAX_COUNT),
        max_token_length,
        None if memory is None else number_of_bytes(memory, "memory", MIN_MEMORY),
    )


def byte_order(ties: Ties) -> list[int]:
    """Return the bytes in the order of their ids.

    >>> byte_order("huggingface")[:3], byte_order("bytes")[:3]
    ([33, 34, 35], [0, 1, 2])
    """
    return (
        sorted(range(BYTES), key=ALPHABET.__getitem__) if ties == "huggingface" else [*range(BYTES)]
    )


def train_bpe(
    inputs: PieceCounts | Mapping[bytes, int] | Inputs | Iterable[str],
    vocab_size: int,
    *,
    pattern: str = "gpt2",
    special_tokens: Sequence[str] = (ENDOFTEXT,),
    specials: Specials = "last",
    ties: Ties = "huggingface",
    min_frequency: int = 0,
    max_token_length: int | None = None,
    name: str = "trained",
    documents: Unit = "whole",
    separator: str | None = ENDOFTEXT,
    field: str = "text",
    format: str | None = None,
    zstd_window: int | None = None,
    on_error: OnError = "raise",
    workers: int | None = None,
    memory: int | str | None = None,
    progress: bool | None = None,
    log: Log | None = None,
) -> TrainedEncoding:
    """Train a byte-level BPE vocabulary: the merges are those of Hugging Face's trainer, exactly.

    The most frequent pair of neighbouring tokens within a piece becomes a token, again and again. The
    result depends on inputs and settings alone: not on threads, the order of documents, or memory.
    All 256 bytes are tokens, so the vocabulary has ids for any text.

    Parameters
    ----------
    inputs
        what :func:`fastprep.count_pieces` takes; or counts, as that function makes them, or as a
        mapping from pieces, as bytes, to how often each occurs.
    vocab_size
        the number of tokens: bytes, merges and special tokens. There are fewer if no pair is left,
        which the report says.
    pattern
        how texts are split into pieces, as in :func:`fastprep.count_pieces`; counts have their own.
    special_tokens
        tokens that mark something in a text, as its end. They are not searched for in the inputs.
    specials
        whether their ids come ``"last"``, as tiktoken has them, or ``"first"``, as Hugging Face's
        trainer.
    ties
        which of several pairs with equal counts is merged: ``"huggingface"``, the one with the smallest
        ids, where bytes have the order of GPT-2's vocabulary; ``"bytes"``, the same, but bytes have
        the order of their values, as in rustbpe and bpeasy.
    min_frequency
        pairs that occur less often are not merged.
    max_token_length
        merged tokens have fewer bytes; only pairs of two bytes are merged whatever this is.
    name
        the name of the encoding.
    documents, separator, field, format, zstd_window, on_error, workers, progress, log
        as in :func:`fastprep.count_pieces`. Further events are ``merging`` and ``trained``.
    memory
        as there. If it is given, the merges must fit into it, too.

    Returns
    -------
    TrainedEncoding
        an :class:`~fastprep.Encoding` with ``merges``, a list of two bytes objects each, and ``report``.

    Raises
    ------
    InvalidInput
        for inputs without text, and as :func:`fastprep.count_pieces`;
        :class:`~fastprep.errors.InvalidArgument` for a wrong argument, as a `vocab_size` below 256
        and the special tokens, or a `memory` that is too small, with what is needed.
    BadVocabulary
        as :func:`fastprep.count_pieces`.

    Examples
    --------
    >>> enc = train_bpe(iter(["to be or not to be"] * 2), 260, special_tokens=[])
    >>> enc.merges
    [(b'b', b'e'), (b't', b'o'), (b' ', b'be'), (b'n', b'o')]
    >>> enc.decode_tokens_bytes(enc.encode("to be"))
    [b'to', b' be']
    """
    settings = wanted(
        vocab_size, special_tokens, specials, ties, min_frequency, max_token_length, memory
    )
    if isinstance(inputs, Mapping):
        inputs = PieceCounts.from_dict(inputs, pattern=pattern, documents=documents)
    if isinstance(inputs, PieceCounts):
        return train_counts(inputs, settings, name, progress, log)
    form = Format(separator, field, on_error, format, zstd_window)
    counting = settings_of(pattern, documents, form, workers, memory)
    tables, _ = count_inputs(inputs, counting, progress, log)
    counter = tables.take()
    if counter is None:
        records, sums = tables.records()
        counts = PieceCounts(records, counting.splitting, counting.documents, sums)
        return train_counts(counts, settings, name, progress, log)
    pieces = len(counter)
    trainer = _trainer(settings)
    trainer.load(counter)
    del counter  # its memory is free for the pairs
    return _trained(trainer, pieces, settings, counting.splitting, name, progress, log)


def train_counts(
    counts: PieceCounts, settings: Wanted, name: str, progress: bool | None, log: Log | None
) -> TrainedEncoding:
    """Train a vocabulary on counts; see :func:`train_bpe`."""
    trainer = _trainer(settings)
    trainer.load_records(counts._records)
    return _trained(trainer, len(counts), settings, counts._splitting, name, progress, log)


def _trainer(settings: Wanted) -> MergeTrainer:
    order = array("H", bytes(2 * BYTES))
    for number, byte in enumerate(byte_order(settings.ties), 1):
        order[byte] = number
    return MergeTrainer(
        order,
        settings.vocab_size - BYTES - len(settings.special_tokens),
        settings.min_frequency,
        settings.max_token_length or 0,
        FLOOR_SHARE,
        int.from_bytes(os.urandom(8), "little"),
    )


def _trained(
    trainer: MergeTrainer,
    pieces: int,
    settings: Wanted,
    splitting: Splitting,
    name: str,
    progress: bool | None,
    log: Log | None,
) -> TrainedEncoding:
    """Make the merges of a trainer that has its words, and the encoding of them."""
    if not pieces:
        raise InvalidInput("the inputs have no text to train on; pass documents that are not empty")
    _check_memory(trainer, settings)
    asked = settings.vocab_size - BYTES - len(settings.special_tokens)
    send(log, "merging", pieces=pieces, merges=asked)
    with deferred() as signals, Bar("merging", asked, " merges", show=progress) as bar:
        # The first merges change most of the words.
        while not trainer.run(_STEP if len(trainer) else 1):
            signals.deliver()
            bar.update(len(trainer))
        bar.update(len(trainer))
    found = np.array(trainer.merges(), np.int64).reshape(-1, 3)
    report = TrainingReport(
        vocab_size=BYTES + len(found) + len(settings.special_tokens),
        asked=settings.vocab_size,
        merges=len(found),
        last_count=int(found[-1, 2]) if len(found) else 0,
        pieces=pieces,
        rescans=trainer.rescans,
    )
    encoding = _encoding(found[:, :2] - 1, settings, splitting, name)
    encoding.report = report
    send(log, "trained", **report._asdict())
    if log is None and report.ended_early:
        warnings.warn(str(report), stacklevel=3)
    return encoding


def _check_memory(trainer: MergeTrainer, settings: Wanted) -> None:
    """Raise InvalidArgument if the merges need more memory than they may take."""
    needed = _BYTES_PER_PLACE * trainer.places + _BYTES_PER_TOKEN * settings.vocab_size
    if settings.memory is not None and needed > settings.memory:
        raise InvalidArgument(
            f"memory is {settings.memory:,} bytes, and the merges need about {needed:,}: the distinct "
            f"pieces have {trainer.places:,} bytes; pass a larger memory, or fewer texts"
        )


def _encoding(
    merges: npt.NDArray[np.int64], settings: Wanted, splitting: Splitting, name: str
) -> TrainedEncoding:
    """Return the encoding of merges, whose tokens are numbered from the first byte on."""
    tokens = [bytes([byte]) for byte in byte_order(settings.ties)]
    for left, right in merges.tolist():
        tokens.append(tokens[left] + tokens[right])
    count = len(settings.special_tokens)
    first = count if settings.specials == "first" else 0
    special_start = 0 if settings.specials == "first" else len(tokens)
    specials = {token: special_start + at for at, token in enumerate(settings.special_tokens)}
    if splitting.by_ranks:
        ranks = table_of({token: first + at for at, token in enumerate(tokens)})
        recipe = Recipe(name, splitting.patterns, specials, ranks=ranks)
    else:
        made = np.arange(BYTES, len(tokens), dtype=np.int64)[:, None]
        listed = listed_table(
            b"".join(tokens),
            np.fromiter(accumulate(map(len, tokens)), np.uint64, len(tokens)),
            np.arange(first, first + len(tokens), dtype=np.uint32),
            np.ascontiguousarray(np.hstack([merges, made]), np.uint32),
            whole_pieces=False,
        )
        added = [AddedToken(token, id) for token, id in specials.items()]
        recipe = Recipe(name, splitting.patterns, merge_list=listed, added=added)
    encoding = TrainedEncoding._from_recipe(recipe)
    encoding.merges = [(tokens[left], tokens[right]) for left, right in merges.tolist()]
    return encoding
