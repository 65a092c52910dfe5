"""The half of an encoding that does not merge: ids to text, and facts about tokens."""

from __future__ import annotations

from fastprep.encoding.encoders import decoder_of
from fastprep.errors import InvalidInput, NotAnId
from fastprep.system.arguments import whole_number
from fastprep.system.cached import cached_property
from fastprep.vocabulary.published import ENDOFTEXT
from fastprep_ext.bpe import Encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    import numpy.typing as npt

    from fastprep.encoding.encoders import AnyEncoder
    from fastprep.encoding.special import SpecialTokens
    from fastprep.encoding.streams import DecodeStream
    from fastprep.vocabulary.recipe import Recipe
    from fastprep_ext.bpe import Decoder


class Decoding:
    """The methods of :class:`~fastprep.Encoding` that take ids or single tokens.

    Ids may be a sequence of int or an integer array. An id that is not a token raises KeyError, a
    number that cannot be an id OverflowError.
    """

    #: Everything the encoding is made of; not to be changed.
    recipe: Recipe
    max_token_value: int
    _encoder: AnyEncoder
    _specials: SpecialTokens

    @cached_property
    def _decoder(self) -> Decoder:
        """The decoder, made when it is first needed: 9 % of what a process needs for its first ids."""
        return decoder_of(self.recipe, self._specials)

    def decode_bytes(self, tokens: Sequence[int] | npt.NDArray[Any]) -> bytes:
        """Decode ids to bytes.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_bytes([31373, 995])
        b'hello world'

        Raises KeyError for an id that is not a token.
        """
        return self._decoder.decode_bytes(tokens)

    def decode(self, tokens: Sequence[int] | npt.NDArray[Any], errors: str = "replace") -> str:
        """Decode ids to text; `errors` as in ``bytes.decode``.

        A character may span several tokens, so a slice of ids may start or end within one; by
        default that part becomes U+FFFD.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode([31373, 995])
        'hello world'
        """
        text = self._decoder.decode_bytes(tokens).decode("utf-8", errors)
        if self.recipe.strips and text[:1] == " ":
            return text[1:]
        if self.recipe.space_before == 5 and text[-1:] == " ":
            return text[:-1]
        return text

    def decode_stream(self, errors: str = "replace") -> DecodeStream:
        """Return a decoder for ids that arrive one by one; `errors` as in :meth:`decode`.

        Its ``push(id)`` returns the text that is complete then, and never a part of a character;
        ``finish()`` returns the rest.

        >>> from fastprep import get_encoding
        >>> stream = get_encoding("gpt2").decode_stream()
        >>> stream.push(31373), stream.push(995), stream.finish()
        ('hello', ' world', '')
        """
        from fastprep.encoding.streams import DecodeStream

        recipe = self.recipe
        return DecodeStream(
            self._decoder.decode_token, errors, recipe.strips, recipe.space_before == 5
        )

    def decode_single_token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token, special or not. Raises KeyError for another id.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_single_token_bytes(31373)
        b'hello'
        """
        return self._decoder.decode_token(token)

    def decode_tokens_bytes(self, tokens: Iterable[int]) -> list[bytes]:
        """Return the bytes of each token.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_tokens_bytes([31373, 995])
        [b'hello', b' world']
        """
        return self._decoder.decode_each(tokens)

    def decode_with_offsets(self, tokens: Iterable[int]) -> tuple[str, list[int]]:
        """Decode ids to text, and return the index in it of the first character of each token.

        The index of a token that starts within a character is that of the character.

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
        """Decode several sequences of ids with :meth:`decode`.

        `num_threads` is checked but changes nothing. Threads cannot share the reading of Python ints
        and the making of str, and releasing the GIL for the rest takes as long as the rest itself:
        on lists two threads had 0.74 to 0.96 times the speed of one.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_batch([[31373], [995]])
        ['hello', ' world']
        """
        check_threads(num_threads)
        return [self.decode(tokens, errors) for tokens in batch]

    def decode_bytes_batch(
        self, batch: Iterable[Sequence[int] | npt.NDArray[Any]], *, num_threads: int = 8
    ) -> list[bytes]:
        """Decode several sequences of ids with :meth:`decode_bytes`; see :meth:`decode_batch`.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").decode_bytes_batch([[31373], [995]])
        [b'hello', b' world']
        """
        check_threads(num_threads)
        return [self.decode_bytes(tokens) for tokens in batch]

    # -- facts ------------------------------------------------------------------------------------

    @property
    def pat_str(self) -> str:
        """The pattern whose matches are the pieces of a text.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").pat_str[:15]
        "'(?:[sdmt]|ll|v"
        """
        return self.recipe.pat_str

    @property
    def special_tokens(self) -> dict[str, int]:
        """The ids of the special tokens; not to be changed.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").special_tokens
        {'<|endoftext|>': 50256}
        """
        return self.recipe.special_tokens

    # The names that tiktoken has for them.
    _pat_str = pat_str
    _special_tokens = special_tokens

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """Return the id of one token, special or not. Raises KeyError if it is not a token.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_single_token("hello")
        31373
        """
        token = as_bytes(text_or_bytes)
        for added in self.recipe.added:
            if added.content.encode() == token:
                return added.id
        found = self._encoder.find(token)
        if found >= 0:
            return found
        if not token and self.recipe.empty is not None:
            return self.recipe.empty
        if token and self.recipe.others:
            for other, id in self.recipe.others.items():
                if other == token:
                    return id
        try:
            return self.recipe.special_tokens[token.decode("utf-8")]
        except (KeyError, UnicodeDecodeError):
            raise KeyError(token) from None

    def token_byte_values(self) -> list[bytes]:
        """Return the bytes of all tokens but special ones, sorted.

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
        """The id of ``<|endoftext|>``. Raises KeyError if the encoding does not have it.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").eot_token
        50256
        """
        return self.recipe.special_tokens[ENDOFTEXT]

    @property
    def bos_token_id(self) -> int | None:
        """The id of the token that begins a text, or None if none is known.

        The configuration files beside a vocabulary say which one it is (:meth:`Encoding.from_file`).

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").bos_token_id is None
        True
        """
        return self.recipe.roles.get("bos")

    @property
    def eos_token_id(self) -> int | None:
        """The id of the token that ends a text; by default that of ``<|endoftext|>``, else None.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").eos_token_id
        50256
        """
        return self.recipe.roles.get("eos", self.recipe.special_tokens.get(ENDOFTEXT))

    @property
    def pad_token_id(self) -> int | None:
        """The id of the token that fills up a row, or None if none is known.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").pad_token_id is None
        True
        """
        return self.recipe.roles.get("pad")

    @property
    def unk_token_id(self) -> int | None:
        """The id of the token for what is unknown, or None if none is known.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").unk_token_id is None
        True
        """
        return self.recipe.roles.get("unk")

    @property
    def bos_token(self) -> str | None:
        """The token that begins a text, or None; see :attr:`bos_token_id`.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").bos_token is None
        True
        """
        return self._name(self.bos_token_id)

    @property
    def eos_token(self) -> str | None:
        """The token that ends a text, or None; see :attr:`eos_token_id`.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").eos_token
        '<|endoftext|>'
        """
        return self._name(self.eos_token_id)

    @property
    def pad_token(self) -> str | None:
        """The token that fills up a row, or None; see :attr:`pad_token_id`.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").pad_token is None
        True
        """
        return self._name(self.pad_token_id)

    @property
    def unk_token(self) -> str | None:
        """The token for what is unknown, or None; see :attr:`unk_token_id`.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").unk_token is None
        True
        """
        return self._name(self.unk_token_id)

    def _name(self, id: int | None) -> str | None:
        return None if id is None else self._decoder.decode_token(id).decode("utf-8", "replace")

    @cached_property
    def special_tokens_set(self) -> set[str]:
        """The special tokens.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").special_tokens_set
        {'<|endoftext|>'}
        """
        return set(self.special_tokens)

    def is_special_token(self, token: int) -> bool:
        """Return whether an id is that of a special token. Raises NotAnId if `token` is not an int.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").is_special_token(50256)
        True
        """
        if not isinstance(token, int):
            raise NotAnId(f"a token id is an int, not {token!r}")
        return token in self._special_token_values

    @property
    def may_be_cut(self) -> bool:
        """Whether the ids of a text's parts, cut by :mod:`fastprep.encoding.cutting`, are its ids.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").may_be_cut
        True

        It is False if the pattern has no splitter of its own, a space is put before the text, or an
        added token may extend over a cut; then :func:`fastprep.prepare` reads each document into
        memory as a whole.
        """
        return (
            isinstance(self._encoder, Encoder)
            and isinstance(self._encoder.splitter, int)
            and self.recipe.may_be_cut
        )

    def most_ids(self, size: int, texts: int) -> int:
        """Return an upper bound for the number of ids of `texts` texts of `size` bytes in total.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").most_ids(100, 1)
        100
        """
        return self.recipe.most_ids(whole_number(size, "size", 0), whole_number(texts, "texts", 0))

    @cached_property
    def _special_token_values(self) -> set[int]:
        return set(self.special_tokens.values())

    @cached_property
    def _mergeable_ranks(self) -> dict[bytes, int]:
        return self.recipe.mergeable_ranks()

    @cached_property
    def _sorted_tokens(self) -> list[bytes]:
        return sorted(self._mergeable_ranks)

    @cached_property
    def rank_table_sha256(self) -> str:
        """The sha256 of the vocabulary, which token stores record: for ranks of its ``.tiktoken`` file.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").rank_table_sha256[:8]
        '306cd27f'
        """
        return self.recipe.sha256()


def as_bytes(token: str | bytes) -> bytes:
    """Return the UTF-8 of a str, and bytes as they are. Raises TypeError for anything else."""
    if isinstance(token, str):
        return token.encode("utf-8")
    if not isinstance(token, bytes):
        raise TypeError(f"expected str or bytes, got {type(token).__name__}")
    return token


def check_threads(num_threads: int) -> None:
    """Raise InvalidInput unless `num_threads` is a whole number above 0."""
    if isinstance(num_threads, int) and num_threads <= 0:
        # The message ends as that of the thread pool that tiktoken uses.
        raise InvalidInput(f"num_threads is {num_threads}; max_workers must be greater than 0")
    whole_number(num_threads, "num_threads")
