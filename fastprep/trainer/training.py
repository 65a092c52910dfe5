"""The public function `train_bpe`: texts or counts to a vocabulary with its merges."""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

from fastprep.corpus.documents import Format, OnError
from fastprep.encoding.encoding import Encoding
from fastprep.errors import BadVocabulary, InvalidArgument, InvalidInput
from fastprep.jobs.events import Log, send
from fastprep.system.arguments import whole_number
from fastprep.system.cached import cached_property
from fastprep.system.interrupts import deferred
from fastprep.system.sizes import number_of_bytes
from fastprep.system.threads import available_cores
from fastprep.trainer.counting import MIN_MEMORY, count_inputs, plan_of, settings_of
from fastprep.trainer.counts import PieceCounts, Unit, counts_of_dict
from fastprep.trainer.progress import Bar
from fastprep.trainer.splitting import Splitting, splitting_in, splitting_of_base
from fastprep.vocabulary.byte_alphabet import ALPHABET
from fastprep.vocabulary.limits import MAX_ID, MAX_TOKEN_BYTES
from fastprep.vocabulary.published import ENDOFTEXT
from fastprep.vocabulary.ranks import RankTable
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep_ext.trainer import MAX_COUNT, MergeTrainer

if TYPE_CHECKING:
    from fastprep.corpus.inputs import Inputs
    from fastprep.store.encodings import EncodingLike
    from fastprep.trainer.base import Base
    from fastprep.trainer.held_out import HeldOut

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
        the number of ids: bytes or the ids of the base, merges and special tokens.
    asked
        the number of ids that were asked for; more than `vocab_size` if no pair was left.
    merges
        the number of merges, without those of the base.
    last_count
        how often the pair of the last merge occurred; 0 without a merge.
    pieces
        the number of distinct pieces.
    unused
        the number of merged tokens that do not occur in the inputs, since all their occurrences became
        parts of longer tokens.
    rescans
        how often the words were scanned again to find rare pairs.
    held_out
        the sizes of texts that were held out, in tokens of this and of other vocabularies; None without
        such texts.
    """

    vocab_size: int
    asked: int
    merges: int
    last_count: int
    pieces: int
    unused: int
    rescans: int
    held_out: HeldOut | None = None

    @property
    def ended_early(self) -> bool:
        """Whether there are fewer tokens than were asked for."""
        return self.vocab_size < self.asked

    def __str__(self) -> str:
        early = f" of {self.asked:,} asked for: no pair is left" if self.ended_early else ""
        held_out = "" if self.held_out is None else f"; {self.held_out}"
        return (
            f"{self.vocab_size:,} tokens{early}, {self.merges:,} merges, the last of a pair that "
            f"occurs {self.last_count:,} times; {self.pieces:,} distinct pieces{held_out}"
        )


class TrainedEncoding(Encoding):
    """An encoding that :func:`fastprep.train_bpe` made.

    Attributes
    ----------
    report
        what training found.
    merge_counts
        how often the pair of each merge of the training occurred, in the order of merging.
    """

    report: TrainingReport
    merge_counts: array[int]
    _merged: array[int]  # the rows of the two tokens of each merge

    @cached_property
    def merges(self) -> list[tuple[bytes, bytes]]:
        """The two tokens of each merge, in the order of merging; those of a base come first."""
        table = self.recipe.table
        ends = table.ends_buffer.tolist()
        tokens = [table.blob[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        rows = map(tokens.__getitem__, self._merged)
        return list(zip(rows, rows, strict=True))

    @cached_property
    def _as_saved(self) -> Encoding:
        """The encoding that its ``tokenizer.json`` gives, for the patterns that such a file can have."""
        from fastprep.vocabulary.patterns import TIKTOKEN
        from fastprep.vocabulary.tokenizer_json_writer import with_merges

        if self.recipe.merge_list is not None or self.recipe.pat_str not in TIKTOKEN:
            return self
        return Encoding._from_recipe(with_merges(self.recipe)[0])

    def _for_stores(self) -> Encoding:
        # A store made with the file is then one made with this encoding.
        return self._as_saved

    def __getstate__(self) -> dict[str, Any]:
        return {"recipe": self.recipe, "trained": (self._merged, self.merge_counts, self.report)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._assemble(state["recipe"])
        self._merged, self.merge_counts, self.report = state["trained"]


class Wanted(NamedTuple):
    """The settings of the merges and ids of a vocabulary, checked."""

    vocab_size: int
    special_tokens: tuple[str, ...]
    specials: Specials
    ties: Ties
    min_frequency: int
    max_token_length: int | None
    memory: int | None
    base: Base | None

    @property
    def first_id(self) -> int:
        """The id of the first new token, unless special tokens come first."""
        return BYTES if self.base is None else self.base.encoding.n_vocab

    @property
    def new_special_tokens(self) -> tuple[str, ...]:
        """The special tokens that the base does not have."""
        known = {} if self.base is None else self.base.recipe.special_tokens
        return tuple(token for token in self.special_tokens if token not in known)

    @property
    def new_tokens(self) -> int:
        """The number of merges that are asked for."""
        return self.vocab_size - self.first_id - len(self.new_special_tokens)


def wanted(
    vocab_size: int,
    special_tokens: Sequence[str],
    specials: Specials,
    ties: Ties,
    min_frequency: int,
    max_token_length: int | None,
    memory: int | str | None,
    base: EncodingLike | None = None,
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
    start = None
    if base is not None:
        from fastprep.trainer.base import base_of

        if specials == "first":
            raise InvalidArgument(
                'specials is "first", which would change the ids of the base; leave it out'
            )
        start = base_of(base)
    size = whole_number(vocab_size, "vocab_size", 0, MAX_ID)
    if max_token_length is not None:
        max_token_length = whole_number(max_token_length, "max_token_length", 1, MAX_TOKEN_BYTES)
    settings = Wanted(
        size,
        tokens,
        specials,
        ties,
        whole_number(min_frequency, "min_frequency", 0, MAX_COUNT),
        max_token_length,
        None if memory is None else number_of_bytes(memory, "memory", MIN_MEMORY),
        start,
    )
    if settings.new_tokens < 0:
        new = len(settings.new_special_tokens)
        first = f"{BYTES} bytes" if start is None else f"the {settings.first_id} ids of the base"
        raise InvalidArgument(
            f"vocab_size is {size}; it must be at least {settings.first_id + new}: {first} and "
            f"{new} special token{'' if new == 1 else 's'}"
        )
    return settings


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
    pattern: str | None = "default",
    special_tokens: Sequence[str] = (ENDOFTEXT,),
    specials: Specials = "last",
    ties: Ties = "huggingface",
    min_frequency: int = 0,
    max_token_length: int | None = None,
    base: EncodingLike | None = None,
    held_out: Inputs | Iterable[str] | None = None,
    name: str = "tokenizer",
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
        the number of ids: bytes or the ids of the base, merges and special tokens. There are fewer if
        no pair is left, which the report says.
    pattern
        how texts are split into pieces, as in :func:`fastprep.count_pieces`; counts have their own. By
        default that of the base, or of ``"gpt2"``. With a base it may be None: documents are not split,
        so that tokens span words.
    special_tokens
        tokens that mark something in a text, as its end. They are not searched for in the inputs. Those
        that the base has keep their ids, also if they are not given.
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
    base
        an encoding to continue from, or its name or file: pieces are in its tokens to begin with, as it
        encodes each of them, whatever its own pattern is. Its ids do not change; the new ones follow.
        Of pairs with equal counts the one with its smallest ids is merged.
    held_out
        inputs that are not trained on: the report gives their size in tokens of this vocabulary, and
        of gpt2, cl100k_base and o200k_base.
    name
        the name of the encoding, by default the one that its ``tokenizer.json`` has when it is read.
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
        vocab_size, special_tokens, specials, ties, min_frequency, max_token_length, memory, base
    )
    form = Format(separator, field, on_error, format, zstd_window)
    splitting = splitting_of_base(pattern, None if settings.base is None else settings.base.recipe)
    others = None if held_out is None else plan_of(held_out, form)
    if isinstance(inputs, Mapping):
        inputs = counts_of_dict(inputs, splitting, documents)
    if isinstance(inputs, PieceCounts):
        trained = train_counts(inputs, settings, name, progress, log)
    else:
        counting = settings_of(splitting, documents, form, workers, memory)
        tables, _ = count_inputs(inputs, counting, progress, log)
        counters = tables.take() if settings.base is None else None
        if counters is None:
            records, sums = tables.records()
            counts = PieceCounts(records, splitting, counting.documents, sums)
            trained = train_counts(counts, settings, name, progress, log)
        else:
            pieces = sum(map(len, counters))
            trainer = _trainer(settings)
            trainer.load(counters)
            counters.clear()  # their memory is free for the pairs
            trained = _trained(trainer, pieces, settings, splitting, name, progress, log)
    if others is not None:
        from fastprep.trainer.held_out import measure

        found = measure(trained, others, form, workers or available_cores(), progress, log)
        trained.report = trained.report._replace(held_out=found)
    send(log, "trained", **event_of(trained.report))
    if log is None and trained.report.ended_early:
        warnings.warn(str(trained.report), stacklevel=2)
    return trained


def event_of(report: TrainingReport) -> dict[str, Any]:
    """Return a report as the facts of a log event."""
    facts = report._asdict()
    if report.held_out is None:
        del facts["held_out"]
    else:
        facts["held_out"] = report.held_out._asdict()
    return facts


def train_counts(
    counts: PieceCounts, settings: Wanted, name: str, progress: bool | None, log: Log | None
) -> TrainedEncoding:
    """Train a vocabulary on counts; see :func:`train_bpe`."""
    trainer = _trainer(settings)
    splitting = counts._splitting
    if settings.base is None:
        trainer.load_records(counts._records)
    else:
        from fastprep.trainer.base import load_words

        splitting = splitting_in(splitting, settings.base.recipe)
        load_words(trainer, counts, settings.base)
    return _trained(trainer, len(counts), settings, splitting, name, progress, log)


def _trainer(settings: Wanted) -> MergeTrainer:
    if settings.base is None:
        start = array("H", bytes(2 * BYTES))
        for number, byte in enumerate(byte_order(settings.ties), 1):
            start[byte] = number
    else:
        start = array("I", map(len, settings.base.tokens))
    return MergeTrainer(
        start,
        settings.new_tokens,
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
    asked = settings.new_tokens
    send(log, "merging", pieces=pieces, merges=asked)
    with deferred() as signals, Bar("merging", asked, " merges", show=progress) as bar:
        # The first merges change most of the words.
        while not trainer.run(_STEP if len(trainer) else 1):
            signals.deliver()
            bar.update(len(trainer))
        bar.update(len(trainer))
    unused = trainer.unused()
    trainer.release()  # before the encoding takes memory
    encoding = _encoding(trainer, settings, splitting, name)
    counts = encoding.merge_counts
    encoding.report = TrainingReport(
        vocab_size=encoding.n_vocab,
        asked=settings.vocab_size,
        merges=len(counts),
        last_count=counts[-1] if counts else 0,
        pieces=pieces,
        unused=unused,
        rescans=trainer.rescans,
    )
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
    trainer: MergeTrainer, settings: Wanted, splitting: Splitting, name: str
) -> TrainedEncoding:
    """Return the encoding of the merges of a trainer."""
    base, added = settings.base, settings.new_special_tokens
    if base is None:
        first = len(added) if settings.specials == "first" else 0
        start = bytes(byte_order(settings.ties))
        start_ends: Any = array("Q", range(1, BYTES + 1))
        ids = array("I", range(first, first + BYTES))
        specials: dict[str, int] = {}
    else:
        start, start_ends = base.recipe.table.blob, base.recipe.table.ends_buffer
        ids = array("I", base.ids)
        specials = base.recipe.special_tokens
    blob, ends, lefts = trainer.tokens(start, start_ends)
    merged, counts = trainer.pairs()
    if base is not None:
        _check_tokens(blob, ends, base)
        merged = base.merges + merged
    next_id = ids[-1] + 1 if base is None else settings.first_id
    ids.extend(range(next_id, next_id + len(counts)))
    special_id = 0 if settings.specials == "first" else next_id + len(counts)
    specials = specials | {token: special_id + at for at, token in enumerate(added)}
    if splitting.by_ranks:
        # With the lengths of left tokens the encoder does not have to search for them.
        known = bytes(BYTES) + lefts if base is None and lefts is not None else None
        ranks = RankTable(blob, ends, ids, "", known)
        recipe = Recipe(name, splitting.patterns, specials, ranks=ranks)
    else:
        recipe = _listed(name, splitting, settings, merged, specials, (blob, ends, ids))
    encoding = TrainedEncoding._from_recipe(recipe)
    encoding._merged, encoding.merge_counts = merged, counts
    return encoding


def _listed(
    name: str,
    splitting: Splitting,
    settings: Wanted,
    merged: array[int],
    specials: dict[str, int],
    table: tuple[bytes, array[int], array[int]],
) -> Recipe:
    """Return a recipe that lists merges, for patterns of which a rank table has none."""
    import numpy as np

    from fastprep.vocabulary.merge_list import listed_table

    base, (blob, ends, ids) = settings.base, table
    made = array("I") if base is None else base.made[:]
    made.extend(range(len(ids) - (len(merged) // 2 - len(made)), len(ids)))
    rows = np.stack([merged[::2], merged[1::2], made.tolist()], axis=1).astype(np.uint32)
    old = None if base is None else base.recipe.merge_list
    whole_pieces = old is not None and old.whole_pieces
    listed = listed_table(blob, np.asarray(ends), np.asarray(ids), rows, whole_pieces=whole_pieces)
    added = () if base is None else base.recipe.added
    known = {token.content for token in added}
    new = [AddedToken(token, id) for token, id in specials.items() if token not in known]
    return Recipe(name, splitting.patterns, merge_list=listed, added=[*added, *new])


def _check_tokens(blob: bytes, ends: array[int], base: Base) -> None:
    """Raise BadVocabulary naming the first token that was merged although the base has it."""
    known = set(base.tokens)
    for at in range(len(base.tokens), len(ends)):
        token = blob[ends[at - 1] : ends[at]]
        if token in known:
            raise BadVocabulary(
                f"base is {base.encoding!r}, whose merges do not always make its token "
                f"{token!r:.80}: it was made again of two others, and a vocabulary has a token once; "
                "use another base"
            )
