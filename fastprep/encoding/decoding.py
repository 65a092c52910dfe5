"""The half of an encoding that needs no merges: ids -> text, and facts about tokens."""

from __future__ import annotations

from fastprep.encoding.special import SpecialTokens
from fastprep.errors import NotAnId
from fastprep.system.cached import cached_property
from fastprep.vocabulary.published import ENDOFTEXT
from fastprep.vocabulary.ranks import RankTable, sha256_of
from fastprep_ext.bpe import Decoder

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    import numpy.typing as npt


class Decoding:
    """What an :class:`~fastprep.Encoding` does with ids.

    Wherever ids are taken they may be a sequence of int or an integer array. An id that is no token
    is a KeyError, a number that cannot be one an OverflowError.
    """

    _decoder: Decoder
    _table: RankTable
    _special_tokens: dict[str, int]
    max_token_value: int

    def decode_bytes(self, tokens: Sequence[int] | npt.NDArray[Any]) -> bytes:
        """The bytes that `tokens` spell.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_bytes([31373, 995])
        b'hello world'

        Raises KeyError for an id that is no token.
        """
        return self._decoder.decode_bytes(tokens)

    def decode(self, tokens: Sequence[int] | npt.NDArray[Any], errors: str = "replace") -> str:
        """The text that `tokens` spell; `errors` as in ``bytes.decode``.

        A character may span several tokens, so any slice of ids may begin or end within one: by
        default U+FFFD stands there.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode([31373, 995])
        'hello world'
        """
        return self._decoder.decode_bytes(tokens).decode("utf-8", errors)

    def decode_single_token_bytes(self, token: int) -> bytes:
        """The bytes of one token, special ones included. Raises KeyError where it is none.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_single_token_bytes(31373)
        b'hello'
        """
        return self._decoder.decode_token(token)

    def decode_tokens_bytes(self, tokens: Iterable[int]) -> list[bytes]:
        """The bytes of each token.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_tokens_bytes([31373, 995])
        [b'hello', b' world']
        """
        return self._decoder.decode_each(tokens)

    def decode_with_offsets(self, tokens: Iterable[int]) -> tuple[str, list[int]]:
        """The text that `tokens` spell, and for each token the index of its first character in it.

        A token that begins within a character begins in that one.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_with_offsets([31373, 995])
        ('hello world', [0, 5])

        Raises UnicodeDecodeError if the ids do not spell whole characters.
        """
        spelled = self._decoder.decode_each(tokens)
        return b"".join(spelled).decode("utf-8"), self._decoder.offsets(spelled)

    def decode_batch(
        self,
        batch: Iterable[Sequence[int] | npt.NDArray[Any]],
        *,
        errors: str = "replace",
        num_threads: int = 8,
    ) -> list[str]:
        """:meth:`decode` of each sequence of ids.

        `num_threads` changes nothing but is checked. Reading ids out of Python objects and making
        str are work that threads cannot share, and to hand the interpreter over for the rest of a
        text takes as long as that rest: on lists two threads were 0.74 to 0.96 times as fast as one.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_batch([[31373], [995]])
        ['hello', ' world']
        """
        check_threads(num_threads)
        return [self.decode(tokens, errors) for tokens in batch]

    def decode_bytes_batch(
        self, batch: Iterable[Sequence[int] | npt.NDArray[Any]], *, num_threads: int = 8
    ) -> list[bytes]:
        """:meth:`decode_bytes` of each sequence of ids; `num_threads` as in :meth:`decode_batch`.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_bytes_batch([[31373], [995]])
        [b'hello', b' world']
        """
        check_threads(num_threads)
        return [self.decode_bytes(tokens) for tokens in batch]

    # -- facts ------------------------------------------------------------------------------------

    def token_byte_values(self) -> list[bytes]:
        """The bytes of all tokens but special ones, sorted.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").token_byte_values()[-1]
        b'\\xff'
        """
        return list(self._sorted_tokens)

    @property
    def n_vocab(self) -> int:
        """The largest id plus one: the size of an embedding table for this encoding.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").n_vocab
        50257
        """
        return self.max_token_value + 1

    @property
    def eot_token(self) -> int:
        """The id of ``<|endoftext|>``. Raises KeyError where the encoding has none.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").eot_token
        50256
        """
        return self._special_tokens[ENDOFTEXT]

    @cached_property
    def special_tokens_set(self) -> set[str]:
        """The special tokens.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").special_tokens_set
        {'<|endoftext|>'}
        """
        return set(self._special_tokens)

    def is_special_token(self, token: int) -> bool:
        """Whether an id is that of a special token. Raises NotAnId if `token` is no int.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").is_special_token(50256)
        True
        """
        if not isinstance(token, int):
            raise NotAnId(f"a token id is an int, not {token!r}")
        return token in self._special_token_values

    @cached_property
    def _specials(self) -> SpecialTokens:
        return SpecialTokens(self._special_tokens)

    @cached_property
    def _special_token_values(self) -> set[int]:
        return set(self._special_tokens.values())

    @cached_property
    def _mergeable_ranks(self) -> dict[bytes, int]:
        return self._table.mergeable_ranks()

    @cached_property
    def _sorted_tokens(self) -> list[bytes]:
        return sorted(self._mergeable_ranks)

    @cached_property
    def rank_table_sha256(self) -> str:
        """sha256 of the rank table as a ``.tiktoken`` file: what a token store pins.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").rank_table_sha256[:8]
        '306cd27f'
        """
        return self._table.sha256 or sha256_of(self._table)


def check_threads(num_threads: int) -> None:
    """Raise ValueError unless there is a thread to work."""
    if num_threads <= 0:
        raise ValueError("max_workers must be greater than 0")


def make_decoder(
    table: RankTable, ids: Mapping[str, int], specials: SpecialTokens, empty: int | None
) -> Decoder:
    """A decoder of a table's tokens and, where those have no such id, of special ones.

    `empty` is the id of the token without bytes, if the vocabulary has one.
    """
    names = list(ids)
    if len(set(ids.values())) < len(names):
        names = specials.order()[::-1]  # of two with one id the last is meant
    extra = [(token.encode("utf-8"), ids[token]) for token in names]
    if empty is not None:
        extra.insert(0, (b"", empty))
    return Decoder(table.blob, table.ends_buffer, table.ids_buffer, extra)
