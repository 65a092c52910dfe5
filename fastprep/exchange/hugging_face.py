"""Fast tokenizers of transformers whose ids fastprep computes: `as_hf`.

The tokenizer is one of transformers, with its `tokenizers.Tokenizer` inside, which stays what defines
it: the encoding is made of that, and made again when it was changed. Calls that ask for more than
ids, masks, offsets, truncation and padding are the library's, and so is decoding.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastprep.errors import BadVocabulary, InvalidArgument, MissingExtra
from fastprep.vocabulary.configuration import ROLES
from fastprep_ext.bpe import missing_bytes

if TYPE_CHECKING:
    from fastprep.encoding.encoding import Encoding

_OFF = ("0", "false", "off", "no", "n", "f")
_NEVER = bytes([0xC0, 0xC1, *range(0xF5, 0x100)])  # bytes that no UTF-8 holds


def as_hf(encoding: Encoding | str | os.PathLike[str] | Any, **config: Any) -> Any:
    """Return a fast tokenizer of transformers whose ids are computed by fastprep.

    Parameters
    ----------
    encoding
        the directory of a tokenizer of transformers; a vocabulary file; an
        :class:`~fastprep.Encoding`, or the name of one; or a fast tokenizer of transformers, which
        is copied.
    config
        settings of the tokenizer, as ``padding_side="left"`` or ``pad_token="<pad>"``.

    Returns
    -------
    transformers.PreTrainedTokenizerFast
        an instance of a subclass of the class that ``AutoTokenizer`` finds for the directory.

    Its outputs are those of that class. Ids are fastprep's where texts are single strings or lists
    of them, and so are offsets of byte-level vocabularies with all 256 bytes that change text by
    normal form C at most; pairs, words and overflowing tokens are left to the library, as is a
    tokenizer that was changed to what fastprep does not support, which gives a RuntimeWarning.
    Lists of rows are lists of a class that pyarrow, and so ``datasets.map``, converts quickly.
    Encodings of the library (``batch.encodings``, ``batch.word_ids()``) are computed when they are
    asked for. ``TOKENIZERS_PARALLELISM=false`` means one thread.

    >>> tokenizer = as_hf("gpt2", pad_token="<|endoftext|>")  # doctest: +SKIP
    >>> tokenizer(["hello world", "hello"], padding=True)["input_ids"]  # doctest: +SKIP
    [[31373, 995], [31373, 50256]]

    Raises :class:`~fastprep.errors.MissingExtra` without transformers,
    :class:`~fastprep.errors.BadVocabulary` for a tokenizer that fastprep does not support, and
    InvalidArgument for another object.
    """
    try:
        from transformers import AutoTokenizer, PreTrainedTokenizerFast
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "transformers":
            raise
        raise MissingExtra(
            "as_hf needs transformers: pip install 'fastprep[transformers]'", name="transformers"
        ) from None
    if isinstance(encoding, PreTrainedTokenizerFast):
        import copy

        made = copy.deepcopy(encoding)
        for name, value in config.items():
            setattr(made, name, value)
        return _checked(made)
    path = Path(encoding) if isinstance(encoding, (str, os.PathLike)) else None
    if path is not None and path.is_dir() and (path / "tokenizer.json").is_file():
        has_class = any(
            (path / name).is_file() for name in ("tokenizer_config.json", "config.json")
        )
        maker = AutoTokenizer if has_class else PreTrainedTokenizerFast
        return _checked(maker.from_pretrained(str(path), **config))
    return _checked(_of_encoding(encoding, config))


def _of_encoding(encoding: Any, config: dict[str, Any]) -> Any:
    """Return a tokenizer of the general class for an encoding, or for what names one."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    from fastprep.encoding.encoding import Encoding
    from fastprep.store.encodings import as_encoding
    from fastprep.vocabulary.files import by_reference
    from fastprep.vocabulary.tokenizer_json_writer import to_tokenizer_json

    found = as_encoding(encoding)
    if not isinstance(found, Encoding):
        raise InvalidArgument(
            f"{found!r:.80} is not byte pair encoding; pass an Encoding, or a path"
        )
    recipe = found.recipe
    # A tokenizer.json that is as it was read; of a tekken.json, whose recipe has ranks, one is written.
    if recipe.merge_list is not None and recipe.content and by_reference(recipe) is not None:
        backend = Tokenizer.from_file(recipe.source)
    else:
        backend = Tokenizer.from_str(to_tokenizer_json(recipe).decode())
    names = {f"{role}_token": getattr(found, f"{role}_token") for role in ROLES}
    known = {name: token for name, token in names.items() if token is not None}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **(known | config))


def _checked(tokenizer: Any) -> Any:
    """Return a tokenizer with fastprep's ids. Raises BadVocabulary if fastprep has none for it."""
    from transformers import PreTrainedTokenizerFast

    kind = type(tokenizer)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InvalidArgument(
            f"{kind.__name__} is not a fast tokenizer; pass one, or its tokenizer.json"
        )
    if issubclass(kind, FastTokenizer):
        return tokenizer
    made = _new(kind)
    made.__dict__.update(vars(tokenizer))
    made._read()
    return made


@functools.cache
def _class_of(base: type) -> type:
    """Return the subclass of a class of fast tokenizers. It has its name, which is saved."""
    fields = {"__module__": __name__, "__doc__": base.__doc__, "_base": base}
    return type(base.__name__, (FastTokenizer, base), fields)


def _new(base: type) -> Any:
    made: Any = _class_of(base)
    return made.__new__(made)


class FastTokenizer:
    """The methods that differ from those of the class of transformers, which is the next base."""

    _base: type
    _tokenizer: Any
    # The encoding of the tokenizer as it was in this state; None where fastprep does not support it.
    _encoding: Encoding | None = None
    _state: tuple[object, ...] = ()
    _has_types = False  # type ids other than 0 in a single text
    _offsets: _Offsets | None = None  # None: those of the library
    _is_shared = False  # the caller has the tokenizer inside, and may change it

    @classmethod
    def from_pretrained(cls, *arguments: Any, **config: Any) -> Any:
        """Return the tokenizer of a directory; see transformers."""
        return _checked(cls._base.from_pretrained(*arguments, **config))  # type: ignore[attr-defined]

    def __reduce_ex__(self, protocol: Any) -> Any:
        reduced: tuple[Any, ...] = super().__reduce_ex__(protocol)  # type: ignore[assignment]
        return _new, (self._base,), *reduced[2:]

    def __getstate__(self) -> dict[str, Any]:
        own = ("_encoding", "_state", "_has_types", "_offsets")
        return {name: value for name, value in vars(self).items() if name not in own}

    @property
    def backend_tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer`; changes of it are respected."""
        self._is_shared = True
        return self._tokenizer

    def _add_tokens(self, new_tokens: Any, special_tokens: bool = False) -> Any:
        self._state = ()
        return super()._add_tokens(new_tokens, special_tokens=special_tokens)  # type: ignore[misc]

    # -- the encoding ------------------------------------------------------------------------------

    def _found_state(self) -> tuple[object, ...]:
        """Return what ids depend on and what can be changed; it takes 10 to 100 µs."""
        inside = self._tokenizer
        steps = (inside.normalizer, inside.pre_tokenizer, inside.post_processor)
        model = inside.model
        return (
            inside.get_vocab_size(True),
            inside.get_vocab_size(False),
            # An empty Sequence is false.
            *(None if step is None else step.__getstate__() for step in steps),
            *(getattr(model, name, None) for name in ("dropout", "unk_token", "ignore_merges")),
            repr(inside.get_added_tokens_decoder()) if self._is_shared else "",
        )

    def _read(self) -> None:
        """Make the encoding of the tokenizer inside. Raises BadVocabulary if it is not supported."""
        from fastprep.encoding.encoding import Encoding

        # The state is set last: until then, and after any other error, a call reads again.
        state = self._found_state()
        try:
            found = Encoding.from_tokenizers(self._tokenizer)
        except BadVocabulary:
            self._encoding, self._state = None, state
            raise
        step = self._tokenizer.post_processor
        settings = {} if step is None else json.loads(step.__getstate__())
        self._has_types = _has_types(settings)
        self._offsets = _offsets_of(found, settings)
        self._encoding, self._state = found, state

    def _current(self) -> Encoding | None:
        """Return the encoding of the tokenizer as it is now, or None if there is none."""
        if self._state != self._found_state():
            try:
                self._read()
            except BadVocabulary as error:
                import warnings

                warnings.warn(
                    f"the tokenizer was changed, and its ids are transformers' from now on: {error}",
                    RuntimeWarning,
                    stacklevel=5,
                )
        return self._encoding

    # -- calls -------------------------------------------------------------------------------------

    def _encode_plus(self, text: Any, text_pair: Any = None, **options: Any) -> Any:
        if text_pair is None and isinstance(text, str):
            found = self._batch([text], options)
            if found is not None:
                if options.get("return_tensors") is None:
                    found.data = {
                        key: value[0] if isinstance(value[0], list) else value
                        for key, value in found.data.items()
                    }
                return found
        elif text_pair is None and isinstance(text, (list, tuple)):
            found = self._batch(text, options)
            if found is not None:
                return found
        return super()._encode_plus(text=text, text_pair=text_pair, **options)  # type: ignore[misc]

    def _batch_encode_plus(self, batch_text_or_text_pairs: Any, **options: Any) -> Any:
        """Do as `_encode_plus` for a list, where transformers 4 has two methods."""
        found = self._batch(batch_text_or_text_pairs, options)
        return self._of_library(batch_text_or_text_pairs, options) if found is None else found

    def _of_library(self, texts: Any, options: dict[str, Any]) -> Any:
        parent: Any = super()
        encode = getattr(parent, "_batch_encode_plus", None) or parent._encode_plus
        return encode(texts, **options)

    def _batch(self, texts: Any, options: dict[str, Any]) -> Any:
        """Return the outputs for a list of texts, or None if the library has to compute them."""
        asked = _Asked(**options) if _Asked.takes(options) else None
        if asked is None or not len(texts) or not all(isinstance(text, str) for text in texts):
            return None
        encoding = self._current()
        if encoding is None:
            return None
        before, after = encoding.recipe.template if asked.add_special_tokens else ((), ())
        room = asked.room(len(before) + len(after))
        multiple, pads = asked.pad_to_multiple_of, asked.pads
        pad: int | None = self.pad_token_id if pads else None  # type: ignore[attr-defined]
        if room is None or (pads and (pad is None or (multiple is not None and multiple < 1))):
            return None
        inputs: list[str] = self.model_input_names  # type: ignore[attr-defined]
        has_types = asked.return_token_type_ids
        has_types = "token_type_ids" in inputs if has_types is None else has_types
        if has_types and self._has_types and (before or after):
            return None
        ids, spans = self._ids(encoding, texts, asked), None
        if asked.return_offsets_mapping:
            found = self._with_offsets(encoding, texts, asked)
            ids, spans = (None, None) if found is None else found
        if ids is None:
            return None
        if room >= 0:
            from_left: bool = self.truncation_side == "left"  # type: ignore[attr-defined]
            ids = _truncated(ids, room, from_left)
            spans = None if spans is None else _truncated(spans, room, from_left)
        if spans is not None and (before or after):
            added = [(0, 0)] * len(before), [(0, 0)] * len(after)
            spans = [[*added[0], *row, *added[1]] for row in spans]
        masks = None
        if asked.return_special_tokens_mask:
            masks = [[1] * len(before) + [0] * len(row) + [1] * len(after) for row in ids]
        if before or after:
            ids = [[*before, *row, *after] for row in ids]
        sizes = [len(row) for row in ids]
        length = asked.padded_length(max(sizes))
        left = (asked.padding_side or self.padding_side) == "left"  # type: ignore[attr-defined]

        def padded(rows: list[list[Any]], value: Any) -> list[list[Any]]:
            if length is None:
                return _Rows(rows)
            if left:
                return _Rows([value] * (length - len(row)) + row for row in rows)
            return _Rows(row + [value] * (length - len(row)) for row in rows)

        data: dict[str, Any] = {"input_ids": padded(ids, pad or 0)}
        if has_types:
            type_id: int = self.pad_token_type_id  # type: ignore[attr-defined]
            data["token_type_ids"] = padded([[0] * size for size in sizes], type_id)
        mask = asked.return_attention_mask
        if "attention_mask" in inputs if mask is None else mask:
            data["attention_mask"] = padded([[1] * size for size in sizes], 0)
        if masks is not None:
            data["special_tokens_mask"] = padded(masks, 1)
        if spans is not None:
            data["offset_mapping"] = [*padded(spans, (0, 0))]
        if asked.return_length:
            data["length"] = [len(row) for row in data["input_ids"]]
        for row in data["input_ids"]:
            self._eventual_warn_about_too_long_sequence(  # type: ignore[attr-defined]
                row, asked.max_length, asked.verbose
            )

        def encodings() -> Any:
            plain = {**options, "return_tensors": None}
            return self._of_library(list(texts), plain).encodings

        return _lazy_class()(data, encodings, asked.return_tensors)

    def _ids(self, encoding: Encoding, texts: Any, asked: _Asked) -> list[list[int]] | None:
        """Return the ids of texts; None if one has half a character, which the library refuses."""
        allowed = self._allowed(asked)
        if asked.return_offsets_mapping:
            return None
        if len(texts) == 1:
            ids = [encoding.encode(texts[0], allowed_special=allowed, disallowed_special=())]
        else:
            ids = encoding.encode_batch(
                texts, num_threads=_threads(), allowed_special=allowed, disallowed_special=()
            )
        try:
            for text in texts:
                if not text.isascii():
                    text.encode()  # of a text that was encoded it is a copy
        except UnicodeEncodeError:
            return None
        return ids

    def _with_offsets(
        self, encoding: Encoding, texts: Any, asked: _Asked
    ) -> tuple[list[list[int]], list[list[tuple[int, int]]]] | None:
        """Return the ids of texts and their spans; None if the library has to find them."""
        if self._offsets is None:
            return None
        from fastprep_ext.bpe import list_with_spans

        allowed = self._allowed(asked)
        try:
            ids, bounds, spans = encoding.encode_batch_with_offsets_to_numpy(
                texts, num_threads=_threads(), allowed_special=allowed, disallowed_special=()
            )
        except UnicodeEncodeError:
            return None
        self._offsets.trim(encoding, ids, bounds, spans)
        rows = [
            list_with_spans(ids[begin:end], spans[begin:end].reshape(-1))
            for begin, end in itertools.pairwise(bounds.tolist())
        ]
        return [row for row, _ in rows], [row for _, row in rows]

    def _allowed(self, asked: _Asked) -> Any:
        split = asked.split_special_tokens
        if split is None:
            split = getattr(self, "split_special_tokens", False)
        return frozenset() if split else "all"


def _threads() -> int:
    return 1 if os.environ.get("TOKENIZERS_PARALLELISM", "").lower() in _OFF else 8


def _truncated(rows: list[list[Any]], room: int, from_left: bool) -> list[list[Any]]:
    if from_left:
        return [row[max(len(row) - room, 0) :] if len(row) > room else row for row in rows]
    return [row[:room] if len(row) > room else row for row in rows]


class _Rows(list[Any]):
    """A list of rows of ints, which pyarrow converts without looking up the type of each int."""

    def __arrow_array__(self, type: Any = None) -> Any:
        import numpy as np
        import pyarrow as pa  # type: ignore[import-untyped]

        from fastprep_ext.bpe import fill_from_lists

        ends = np.zeros(len(self) + 1, np.int64)
        try:
            np.cumsum([*map(len, self)], out=ends[1:])
        except TypeError:
            return pa.array([*self], type)
        numbers = np.empty(ends[-1], np.int64)
        if type is not None or ends[-1] >= 1 << 31 or not fill_from_lists(self, numbers):
            return pa.array([*self], type)
        return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pa.array(numbers))

    def __reduce__(self) -> Any:
        return list, ([*self],)


class _Offsets:
    """The offsets that a post-processor makes of spans: with the whitespace at their ends or without.

    `trims` means without, and `keeps_first` that a space before the first token is not left out.
    """

    def __init__(self, trims: bool, keeps_first: bool) -> None:
        self._trims = trims
        self._keeps_first = keeps_first
        self._whites: Any = None  # of each id, the whitespace that it starts and ends with

    def trim(self, encoding: Encoding, ids: Any, bounds: Any, spans: Any) -> None:
        """Change the spans of the ids of texts, which are between `bounds`."""
        if not self._trims or not len(ids):
            return
        import numpy as np

        if self._whites is None:
            self._whites = _whites(encoding)
        leading, trailing = self._whites[:, ids].astype(np.int64)
        if self._keeps_first:
            first = spans[:, 0] == 0
            first[bounds[:-1][bounds[:-1] < len(ids)]] = True
            leading[first & (leading == 1)] = 0
        begins, ends = spans[:, 0], spans[:, 1]
        np.minimum(begins + leading, ends, out=begins)
        ends[:] = np.where(ends >= trailing, np.maximum(ends - trailing, begins), ends)


def _whites(encoding: Encoding) -> Any:
    """Return how many characters of whitespace each token starts and ends with: ``[2, n]``."""
    import numpy as np

    found = np.zeros((2, encoding.n_vocab), np.uint16)
    added = {token.id: token.content for token in encoding.recipe.added}
    for id in range(encoding.n_vocab):
        if id in added:
            # A token of the vocabulary is written with a letter for each space, and this one as it is.
            token, white = added[id].replace("\u0120", " "), None
        else:
            try:
                token, white = encoding.decode_single_token_bytes(id).decode("latin-1"), " "
            except KeyError:
                continue
        found[0, id] = len(token) - len(token.lstrip(white))
        found[1, id] = len(token) - len(token.rstrip(white))
    return found


def _offsets_of(encoding: Encoding, settings: dict[str, Any]) -> _Offsets | None:
    """Return how offsets are made of spans; None if that is for the library to do."""
    recipe = encoding.recipe
    changes = recipe.steps or recipe.marks or recipe.space_before or recipe.fallback is not None
    if changes or missing_bytes(recipe.table.blob, recipe.table.ends_buffer).strip(_NEVER):
        return None
    steps = settings["processors"] if settings.get("type") == "Sequence" else [settings]
    trims = keeps = False
    for step in steps:
        if step.get("type") == "ByteLevel" and step.get("trim_offsets", True):
            if trims:
                return None
            trims, keeps = True, step.get("add_prefix_space", True)
        elif step.get("type") not in (None, "ByteLevel", "TemplateProcessing"):
            return None
    return _Offsets(trims, keeps)


class _Asked(NamedTuple):
    """The options of a call, with the defaults of transformers."""

    add_special_tokens: bool = True
    padding_strategy: Any = None
    truncation_strategy: Any = None
    max_length: int | None = None
    stride: int = 0
    is_split_into_words: bool = False
    pad_to_multiple_of: int | None = None
    padding_side: str | None = None
    return_tensors: Any = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False
    verbose: bool = True
    split_special_tokens: bool | None = None

    @classmethod
    def takes(cls, options: dict[str, Any]) -> bool:
        """Return whether fastprep has an answer to a call with these options."""
        others = ("is_split_into_words", "return_overflowing_tokens")
        return options.keys() <= {*cls._fields} and not any(options.get(name) for name in others)

    @property
    def pads(self) -> bool:
        """Whether rows are padded."""
        return _value(self.padding_strategy) in ("longest", "max_length")

    def room(self, added: int) -> int | None:
        """Return how many ids of a text are kept, -1 for all; None if the library has to say."""
        strategy = _value(self.truncation_strategy)
        if strategy in (None, "do_not_truncate"):
            return -1
        if strategy == "only_second" or self.stride or self.max_length is None:
            return None
        return self.max_length - added if self.max_length > added else None

    def padded_length(self, longest: int) -> int | None:
        """Return the length to which rows are padded; None if they are not."""
        if not self.pads:
            return None
        length = longest
        if _value(self.padding_strategy) == "max_length" and self.max_length is not None:
            length = self.max_length
        if self.pad_to_multiple_of:
            length += -length % self.pad_to_multiple_of
        return length


def _value(strategy: Any) -> Any:
    return getattr(strategy, "value", strategy)


def _has_types(step: dict[str, Any]) -> bool:
    """Return whether a post-processor gives a single text type ids other than 0."""
    if step.get("type") == "Sequence":
        return any(map(_has_types, step["processors"]))
    pieces = [value for piece in step.get("single", ()) for value in piece.values()]
    return any(piece["type_id"] for piece in pieces)


@functools.cache
def _lazy_class() -> type:
    from transformers import BatchEncoding

    class LazyBatchEncoding(BatchEncoding):  # type: ignore[misc]
        """Outputs whose encodings of the tokenizers library are made when they are asked for."""

        def __init__(self, data: Any, make: Callable[[], Any], tensors: Any) -> None:
            self._make: Callable[[], Any] | None = None
            super().__init__(data, None, tensor_type=tensors, n_sequences=1)
            self._make = make

        @property
        def _encodings(self) -> Any:
            if self._make is not None:
                self._made, self._make = self._make(), None
            return self._made

        @_encodings.setter
        def _encodings(self, value: Any) -> None:
            self._made, self._make = value, None

        @property
        def is_fast(self) -> bool:
            return True

        def __reduce__(self) -> Any:
            return _plain, (dict(self.data), self._encodings)

    return LazyBatchEncoding


def _plain(data: dict[str, Any], encodings: Any) -> Any:
    from transformers import BatchEncoding

    return BatchEncoding(data, encodings)
