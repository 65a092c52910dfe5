"""Encoding: text -> ids -> text, with tiktoken's interface and meaning over the compiled core."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from fastprep.errors import BadVocabulary, UnknownEncoding
from fastprep.patterns import family_of
from fastprep.vocabulary import RankTable, bundled
from fastprep_ext.decode import Decoder
from fastprep_ext.encode import PATTERNS, Encoder

ENDOFTEXT = "<|endoftext|>"
R50K_PATTERN = (
    r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
)


class Encoding:
    """A vocabulary, a pattern and special tokens: everything that turns text into ids and back.

    Get one with :func:`get_encoding`. An encoding never changes, and any number of threads may
    share one: each call takes a piece cache of its own.

    >>> enc = get_encoding("gpt2")
    >>> enc.encode("hello world")
    [31373, 995]
    >>> enc.decode([31373, 995])
    'hello world'

    The method is byte-level BPE (Radford et al. 2019, "Language Models are Unsupervised Multitask
    Learners"), id for id as tiktoken 0.14 does it.
    """

    def __init__(
        self, name: str, *, table: RankTable, pat_str: str, special_tokens: dict[str, int]
    ) -> None:
        self.name = name
        self._pat_str = pat_str
        self._special_tokens = special_tokens
        self._table = table
        self._encoder = Encoder(table.blob, table.ends, table.ids, _family(pat_str))
        self._decoder = _decoder(table, special_tokens)
        self.max_token_value: int = max(self._encoder.largest, *special_tokens.values(), 0)

    def __repr__(self) -> str:
        return f"<Encoding {self.name!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return get_encoding, (self.name,)

    # -- encoding ---------------------------------------------------------------------------------

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode `text`, taking special tokens in it for ordinary text.

        >>> get_encoding("gpt2").encode_ordinary("<|endoftext|>")
        [27, 91, 437, 1659, 5239, 91, 29]

        A lone surrogate, which UTF-8 cannot hold, is encoded as U+FFFD, as tiktoken does.
        Raises TypeError if `text` is not a str.
        """
        try:
            return self._encoder.encode_ordinary(text)
        except UnicodeEncodeError:
            return self._encoder.encode_ordinary(_repaired(text))

    def encode(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> list[int]:
        """Encode `text`; special tokens in it are an error unless the caller says otherwise.

        Parameters
        ----------
        text
            any str.
        allowed_special
            special tokens to encode as themselves: a set of them, or ``"all"``.
        disallowed_special
            special tokens that raise ValueError: a collection, or ``"all"`` that are not allowed.
            With ``()`` those not allowed are ordinary text.

        >>> enc = get_encoding("gpt2")
        >>> enc.encode("tea<|endoftext|>", allowed_special={"<|endoftext|>"})
        [660, 64, 50256]
        >>> enc.encode("<|endoftext|>", disallowed_special=())
        [27, 91, 437, 1659, 5239, 91, 29]
        """
        allowed = self._checked_allowed(text, allowed_special, disallowed_special)
        if not allowed or not _occurs(text, allowed):
            return self.encode_ordinary(text)
        ids: list[int] = []
        for part, special in self._parts(text, allowed):
            ids += self.encode_ordinary(part)
            if special is not None:
                ids.append(special)
        return ids

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> npt.NDArray[np.uint32]:
        """As :meth:`encode`, into a uint32 array ``[n]`` without a Python object a token.

        >>> get_encoding("gpt2").encode_to_numpy("hello world")
        array([31373,   995], dtype=uint32)

        Raises UnicodeEncodeError on a lone surrogate, as tiktoken does here.
        """
        allowed = self._checked_allowed(text, allowed_special, disallowed_special)
        if not allowed or not _occurs(text, allowed):
            return np.frombuffer(self._encoder.encode_to_buffer(text), np.uint32)
        arrays = []
        for part, special in self._parts(text, allowed):
            arrays.append(np.frombuffer(self._encoder.encode_to_buffer(part), np.uint32))
            if special is not None:
                arrays.append(np.array([special], np.uint32))
        return np.concatenate(arrays)

    def encode_ordinary_batch(
        self, text: Sequence[str], *, num_threads: int = 8
    ) -> list[list[int]]:
        """:meth:`encode_ordinary` of each text, on `num_threads` threads.

        >>> get_encoding("gpt2").encode_ordinary_batch(["hello world", "goodbye world"])
        [[31373, 995], [11274, 16390, 995]]
        """
        with ThreadPoolExecutor(num_threads) as pool:
            return list(pool.map(self.encode_ordinary, text))

    def encode_batch(
        self,
        text: Sequence[str],
        *,
        num_threads: int = 8,
        allowed_special: Literal["all"] | AbstractSet[str] = frozenset(),
        disallowed_special: Literal["all"] | Collection[str] = "all",
    ) -> list[list[int]]:
        """:meth:`encode` of each text, on `num_threads` threads.

        >>> get_encoding("gpt2").encode_batch(["hello world", "goodbye world"])
        [[31373, 995], [11274, 16390, 995]]
        """
        encode = functools.partial(
            self.encode, allowed_special=allowed_special, disallowed_special=disallowed_special
        )
        with ThreadPoolExecutor(num_threads) as pool:
            return list(pool.map(encode, text))

    def encode_documents(
        self,
        texts: Sequence[str | bytes | memoryview],
        out: npt.NDArray[Any],
        ends: npt.NDArray[np.uint64],
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int:
        """Encode documents back to back into the caller's arrays, as ordinary text.

        Parameters
        ----------
        texts
            str, or buffers of UTF-8.
        out
            uint16 or uint32 ``[>= bytes of all texts + len(texts)]``, contiguous: receives the ids.
        ends
            uint64 ``[>= len(texts)]``: for each text the index in `out` behind its last id.
        end_token
            an id to append to each text.
        close_last
            False: the last text goes on in another call, so nothing is appended to it.

        Returns
        -------
        int
            how many ids were written.

        >>> import numpy as np
        >>> enc = get_encoding("gpt2")
        >>> out, ends = np.empty(40, np.uint16), np.empty(2, np.uint64)
        >>> n = enc.encode_documents(["hello world", b"tea"], out, ends, end_token=enc.eot_token)
        >>> out[:n].tolist(), ends.tolist()
        ([31373, 995, 50256, 660, 64, 50256], [3, 6])

        Raises :class:`~fastprep.errors.InvalidUtf8` naming text and byte, OverflowError where ids
        may not fit `out`, ValueError where room is short.
        """
        return self._encoder.encode_documents(
            texts, out, ends, end_token=end_token, close_last=close_last
        )

    def encode_arrow(self, column: Any, *, num_threads: int = 8) -> Any:
        """Encode an Arrow column of strings; see :func:`fastprep.arrow.encode_arrow`.

        `column` is any object that speaks Arrow's PyCapsule interface: an array of pyarrow, a Series
        of polars or pandas, a column of a dataset. An array of ``list<uint32>`` comes back.

        >>> import pyarrow as pa
        >>> get_encoding("gpt2").encode_arrow(pa.array(["hello world", None])).to_pylist()
        [[31373, 995], None]
        """
        from fastprep.arrow import encode_arrow

        return encode_arrow(self, column, num_threads=num_threads)

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """The id of one token, special ones included. Raises KeyError where it is none.

        >>> get_encoding("gpt2").encode_single_token("hello")
        31373
        """
        token = text_or_bytes.encode() if isinstance(text_or_bytes, str) else text_or_bytes
        found = self._encoder.find(token)
        if found >= 0:
            return found
        try:
            return self._special_tokens[token.decode("utf-8")]
        except (KeyError, UnicodeDecodeError):
            raise KeyError(token) from None

    # -- decoding ---------------------------------------------------------------------------------

    def decode_bytes(self, tokens: Sequence[int] | npt.NDArray[Any]) -> bytes:
        """The bytes that `tokens` spell: any sequence of ids, or an integer array.

        >>> get_encoding("gpt2").decode_bytes([31373, 995])
        b'hello world'

        Raises KeyError for an id that is no token.
        """
        return self._decoder.decode_bytes(tokens)

    def decode(self, tokens: Sequence[int] | npt.NDArray[Any], errors: str = "replace") -> str:
        """The text that `tokens` spell; `errors` as in ``bytes.decode``.

        A character may span several tokens, so any slice of ids may begin or end within one: by
        default U+FFFD stands there.

        >>> get_encoding("gpt2").decode([31373, 995])
        'hello world'
        """
        return self._decoder.decode_bytes(tokens).decode("utf-8", errors=errors)

    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one token, special ones included. Raises KeyError where it is none.

        >>> get_encoding("gpt2").decode_single_token_bytes(31373)
        b'hello'
        """
        return self._decoder.decode_bytes([token])

    def decode_tokens_bytes(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token.

        >>> get_encoding("gpt2").decode_tokens_bytes([31373, 995])
        [b'hello', b' world']
        """
        return [self._decoder.decode_bytes([token]) for token in tokens]

    # -- facts ------------------------------------------------------------------------------------

    @property
    def n_vocab(self) -> int:
        """The largest id plus one: the size of an embedding table for this encoding.

        >>> get_encoding("gpt2").n_vocab
        50257
        """
        return self.max_token_value + 1

    @property
    def eot_token(self) -> int:
        """The id of ``<|endoftext|>``. Raises KeyError where the encoding has none.

        >>> get_encoding("gpt2").eot_token
        50256
        """
        return self._special_tokens[ENDOFTEXT]

    @functools.cached_property
    def special_tokens_set(self) -> set[str]:
        """The special tokens.

        >>> get_encoding("gpt2").special_tokens_set
        {'<|endoftext|>'}
        """
        return set(self._special_tokens)

    @functools.cached_property
    def _mergeable_ranks(self) -> dict[bytes, int]:
        return self._table.mergeable_ranks()

    @property
    def rank_table_sha256(self) -> str:
        """sha256 of the rank table as a ``.tiktoken`` file: what a token store pins.

        >>> get_encoding("gpt2").rank_table_sha256[:8]
        '306cd27f'
        """
        return self._table.sha256

    # -- files ------------------------------------------------------------------------------------

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        pat_str: str | None = None,
        special_tokens: dict[str, int] | None = None,
    ) -> Encoding:
        """Read a vocabulary file: tiktoken's, GPT-2's or Hugging Face's.

        Parameters
        ----------
        path
            a ``.tiktoken`` file; a ``tokenizer.json``; one of ``vocab.bpe`` and ``encoder.json``,
            or of ``merges.txt`` and ``vocab.json``, with the other one beside it; a directory that
            holds one of these.
        name
            what the encoding is called; by default after the file.
        pat_str
            how text is split. Needed for a ``.tiktoken`` file unless it is a published one; by
            default GPT-2's for ``vocab.bpe``. A ``tokenizer.json`` says it itself.
        special_tokens
            from special token to id; by default those of the published file, or ``<|endoftext|>``
            where a ``vocab.bpe`` goes with one.

        A ``.tiktoken`` file means what it means to tiktoken. The others mean what they mean to the
        tokenizers library of Hugging Face: :class:`fastprep.huggingface.HuggingFaceEncoding`.

        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "tokenizer.json"
        >>> get_encoding("gpt2").save(path)
        >>> Encoding.from_file(path, name="again").encode("hello world")
        [31373, 995]

        Raises :class:`~fastprep.errors.BadVocabulary` for a file that is damaged, too large, or not
        supported: anything but byte-level BPE with a known pattern.
        """
        from fastprep.vocabulary_files import load

        return load(path, name=name, pat_str=pat_str, special_tokens=special_tokens)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary to a ``.tiktoken`` file or a ``tokenizer.json``, as `path` is named.

        A ``.tiktoken`` file holds ranks alone: keep the pattern and the special tokens beside it.
        From a ``tokenizer.json`` the tokenizers library of Hugging Face gives the same ids for all
        texts.

        Raises :class:`~fastprep.errors.BadVocabulary` where such a file cannot say what the
        encoding does, and ValueError for another name.
        """
        from fastprep.vocabulary_files import save

        save(self, path)

    # -- special tokens ---------------------------------------------------------------------------

    def _checked_allowed(
        self,
        text: str,
        allowed: Literal["all"] | AbstractSet[str],
        disallowed: Literal["all"] | Collection[str],
    ) -> AbstractSet[str]:
        # The order of tiktoken: what is disallowed is looked for first, and wins.
        if allowed == "all":
            allowed = self.special_tokens_set
        if disallowed == "all":
            disallowed = self.special_tokens_set - allowed
        if disallowed and _occurs(text, disallowed):
            match = _any_of(frozenset(disallowed)).search(text)
            if match is not None:
                _raise_disallowed(match.group())
        return allowed & self._special_tokens.keys()

    def _parts(self, text: str, allowed: AbstractSet[str]) -> list[tuple[str, int | None]]:
        # Each special token cuts the text: what stands before it is split as a text of its own.
        parts: list[tuple[str, int | None]] = []
        begin = 0
        for match in _any_of(frozenset(allowed)).finditer(text):
            parts.append((text[begin : match.start()], self._special_tokens[match.group()]))
            begin = match.end()
        parts.append((text[begin:], None))
        return parts


# str.__contains__ is many times faster than a pattern, and specials are rare.
def _occurs(text: str, tokens: Collection[str]) -> bool:
    return any(token in text for token in tokens)


@functools.lru_cache(maxsize=128)
def _any_of(tokens: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, tokens)))


def _raise_disallowed(token: str) -> NoReturn:
    raise ValueError(
        f"Encountered text corresponding to disallowed special token {token!r}.\n"
        "If you want this text to be encoded as a special token, "
        f"pass it to `allowed_special`, e.g. `allowed_special={{{token!r}, ...}}`.\n"
        f"If you want this text to be encoded as normal text, disable the check for this token "
        f"by passing `disallowed_special=(enc.special_tokens_set - {{{token!r}}})`.\n"
        "To disable this check for all special tokens, pass `disallowed_special=()`.\n"
    )


def _repaired(text: str) -> str:
    # Surrogate pairs become the character they stand for, lone ones U+FFFD.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _family(pat_str: str) -> int:
    family = family_of(pat_str)
    if family is None:
        raise BadVocabulary(f"there is no splitter for the pattern {pat_str!r}")
    return PATTERNS[family]


def _decoder(table: RankTable, special_tokens: dict[str, int]) -> Decoder:
    specials = [token.encode("utf-8") for token in special_tokens]
    lengths = np.array([len(token) for token in specials], np.uint64)
    return Decoder(
        table.blob + b"".join(specials),
        np.concatenate([table.ends, np.cumsum(lengths, dtype=np.uint64) + table.ends[-1]]),
        np.concatenate([table.ids, np.array(list(special_tokens.values()), np.uint32)]),
    )


_KNOWN = {
    "gpt2": ("r50k_base", R50K_PATTERN, {ENDOFTEXT: 50256}),
    "r50k_base": ("r50k_base", R50K_PATTERN, {ENDOFTEXT: 50256}),
}
_loaded: dict[str, Encoding] = {}
_loading = threading.Lock()


def get_encoding(encoding_name: str) -> Encoding:
    """The bundled encoding of that name; offline, made once a process.

    >>> get_encoding("gpt2")
    <Encoding 'gpt2'>

    Raises :class:`~fastprep.errors.UnknownEncoding` for a name that is not in
    :func:`list_encoding_names`.
    """
    if encoding_name not in _KNOWN:
        raise UnknownEncoding(
            f"unknown encoding {encoding_name!r}; there are {', '.join(list_encoding_names())}"
        )
    with _loading:
        if encoding_name not in _loaded:
            table, pattern, special_tokens = _KNOWN[encoding_name]
            _loaded[encoding_name] = Encoding(
                encoding_name,
                table=bundled(table),
                pat_str=pattern,
                special_tokens=dict(special_tokens),
            )
        return _loaded[encoding_name]


def list_encoding_names() -> list[str]:
    """The names that :func:`get_encoding` knows.

    >>> list_encoding_names()
    ['gpt2', 'r50k_base']
    """
    return list(_KNOWN)
