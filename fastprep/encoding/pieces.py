"""What an encoding does with single tokens and pieces, and with text that is not yet whole."""

from __future__ import annotations

from fastprep.encoding.decoding import Decoding
from fastprep.encoding.special import NOTHING
from fastprep_ext.bpe import Encoder

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from fastprep.encoding.encoders import AnyEncoder
    from fastprep.encoding.special import Allowed, Disallowed


class Pieces(Decoding):
    """The part of :class:`~fastprep.Encoding` that is rarely called, and that need not be fast."""

    _encoder: AnyEncoder

    @property
    def may_be_cut(self) -> bool:
        """Whether parts of a text, cut as :mod:`fastprep.encoding.cutting` proves, have its ids.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").may_be_cut
        True

        Where they may not, because a pattern has no splitter of its own or the text is changed
        before it is split, :func:`fastprep.prepare` holds each document in memory as a whole.
        """
        return isinstance(self._encoder, Encoder)

    def most_ids(self, size: int, texts: int) -> int:
        """The most ids that texts of `size` bytes of UTF-8 can have.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").most_ids(100, 1)
        100
        """
        return size

    def encode_single_token(self, text_or_bytes: str | bytes) -> int:
        """The id of one token, special ones included. Raises KeyError where it is none.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_single_token("hello")
        31373
        """
        token = _as_bytes(text_or_bytes)
        found = self._encoder.find(token)
        if found >= 0:
            return found
        if not token and b"" in self._mergeable_ranks:
            return self._mergeable_ranks[b""]
        try:
            return self._special_tokens[token.decode("utf-8")]
        except (KeyError, UnicodeDecodeError):
            raise KeyError(token) from None

    def encode_with_unstable(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> tuple[list[int], list[list[int]]]:
        """The ids of `text` that no further text changes, and what may stand behind them then.

        Returns
        -------
        (list of int, list of lists of int)
            the ids of a first part of `text`; sequences of ids, in no particular order, each of
            which spells the rest of it and perhaps more.

        >>> from fastprep import get_encoding
        >>> certain, possible = get_encoding("gpt2").encode_with_unstable("hello fanta")
        >>> from fastprep import get_encoding
        >>> certain, [8842] in possible, [277, 4910] in possible
        ([31373], True, True)

        Arguments are those of :meth:`encode`; UnicodeEncodeError on a lone surrogate. Raises
        :class:`~fastprep.errors.TextIsChanged` for an encoding from a file that normalizes text or
        has added tokens that are not special.
        """
        from fastprep.encoding.unstable import completions, unsettled

        specials = self._specials.screen(text, allowed_special, disallowed_special)
        ids = self._encoder.encode(text, specials)
        data = text.encode("utf-8")
        cuts = specials.cut(data) if specials is not None else []
        in_last_piece = self._ids_in_last_piece(data[cuts[-1][1] if cuts else 0 :])
        if not in_last_piece:
            return ids, []
        count = unsettled(ids, in_last_piece, self._ordinary_token)
        rest = b"".join(map(self._decoder.decode_token, ids[-count:]))
        found = completions(
            rest,
            self.token_byte_values(),
            self._mergeable_ranks,
            self._encoder.encode,
            lambda piece: self._encoder.merge_piece(piece, "heap"),
        )
        return ids[:-count], [list(sequence) for sequence in found]

    # -- pieces: names that tiktoken does not document, and that people use -----------------------

    def _encode_single_piece(self, text_or_bytes: str | bytes) -> list[int]:
        return self._encoder.encode_piece(_as_bytes(text_or_bytes))

    def _encode_only_native_bpe(self, text: str) -> list[int]:
        return self._encoder.encode(text)

    def _encode_bytes(self, text: bytes) -> list[int]:
        from fastprep.encoding.unstable import cut_bytes

        return cut_bytes(
            _bytes(text),
            self._encoder.encode,
            self._ids_in_last_piece,
            self._decoder.decode_token,
            self._encoder.encode_piece,
        )

    def _ordinary_token(self, token_id: int) -> bytes:
        # A special token is no whitespace, even if it is spelt so.
        if token_id in self._special_token_values:
            return b"special"
        return self._decoder.decode_token(token_id)

    def _ids_in_last_piece(self, part: bytes) -> int:
        last = part[self._encoder.last_piece(part) :]
        return len(self._encoder.encode_piece(last)) if last else 0


def _as_bytes(token: str | bytes) -> bytes:
    return token.encode("utf-8") if isinstance(token, str) else _bytes(token)


def _bytes(data: bytes) -> bytes:
    if not isinstance(data, bytes):
        raise TypeError(f"expected str or bytes, got {type(data).__name__}")
    return data
