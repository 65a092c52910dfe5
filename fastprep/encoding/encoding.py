"""Encoding: text -> ids -> text, with tiktoken's interface and meaning over the compiled core."""

from __future__ import annotations

from fastprep.encoding import encoders as building
from fastprep.encoding.decoding import make_decoder
from fastprep.encoding.pieces import Pieces
from fastprep.encoding.special import NOTHING
from fastprep.errors import WrongSize

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from os import PathLike
    from pathlib import Path
    from typing import Any, Literal, TypeVar

    import numpy as np
    import numpy.typing as npt

    from fastprep.encoding.special import Allowed, Disallowed
    from fastprep.vocabulary.published import Published
    from fastprep.vocabulary.ranks import RankTable
    from fastprep_ext.bpe import Specials

    Self = TypeVar("Self", bound="Encoding")


class Encoding(Pieces):
    """A vocabulary, a pattern and special tokens: everything that turns text into ids and back.

    Get a published one with :func:`get_encoding`, or make one.

    Parameters
    ----------
    name
        what to call it.
    pat_str
        the regular expression whose matches are the pieces of a text. Those of the published
        encodings, of Llama 3 and of Qwen 2 have a compiled splitter; any other is matched by the
        package ``regex`` (``pip install 'fastprep[regex]'``), at a small part of the speed.
    mergeable_ranks
        from each token's bytes to its id; the smaller id merges first.
    special_tokens
        from each special token to its id.
    explicit_n_vocab
        how many tokens there are; given, it is checked, and that no id is left out.

    >>> from fastprep import get_encoding
    >>> enc = get_encoding("gpt2")
    >>> enc.encode("hello world")
    [31373, 995]
    >>> enc.decode([31373, 995])
    'hello world'

    An encoding never changes, and any number of threads may share one: each call takes a piece
    cache of its own. The method is byte-level BPE (Radford et al. 2019, "Language Models are
    Unsupervised Multitask Learners"), id for id as tiktoken 0.14 does it.

    Raises :class:`~fastprep.errors.BadVocabulary` for tokens that are no vocabulary,
    :class:`~fastprep.errors.WrongSize` for another number of them. A vocabulary may lack single
    bytes: text that needs one raises :class:`~fastprep.errors.MissingByte`.
    """

    #: Of the kinds of encodings that stores have, it is this one; see fastprep.store.encodings.
    kind: Literal["bpe", "words"] = "bpe"

    def __init__(
        self,
        name: str,
        *,
        pat_str: str,
        mergeable_ranks: dict[bytes, int],
        special_tokens: dict[str, int],
        explicit_n_vocab: int | None = None,
    ) -> None:
        largest = max(max(mergeable_ranks.values()), max(special_tokens.values(), default=0))
        if explicit_n_vocab:
            count = len(mergeable_ranks) + len(special_tokens)
            if not count == explicit_n_vocab == largest + 1:
                raise WrongSize(
                    f"explicit_n_vocab is {explicit_n_vocab}, but there are {count} tokens with "
                    f"ids up to {largest}"
                )
        table = building.table_of(mergeable_ranks)
        self._mergeable_ranks = mergeable_ranks
        self._assemble(name, pat_str, table, special_tokens, mergeable_ranks.get(b""))

    @classmethod
    def _of_published(cls: type[Self], name: str, facts: Published) -> Self:
        # Without the dict of all tokens, which takes longer to make than all else.
        table = building.published_table(facts.table)
        return cls._from_table(name, table, facts.pattern, facts.special_tokens())

    @classmethod
    def _from_table(
        cls: type[Self], name: str, table: RankTable, pat_str: str, special_tokens: dict[str, int]
    ) -> Self:
        encoding = cls.__new__(cls)
        encoding._assemble(name, pat_str, table, special_tokens, None)
        return encoding

    def _assemble(
        self,
        name: str,
        pat_str: str,
        table: RankTable,
        special_tokens: dict[str, int],
        empty: int | None,
    ) -> None:
        self.name = name
        self._pat_str = pat_str
        self._special_tokens = special_tokens
        self._table = table
        self._encoder = building.encoder_of(table, pat_str)
        self._decoder = make_decoder(table, special_tokens, self._specials, empty)
        self.max_token_value: int = max(
            table.largest, *special_tokens.values(), 0 if empty is None else empty
        )

    @classmethod
    def from_tiktoken(cls: type[Self], encoding: Any) -> Self:
        """The same encoding as one of tiktoken's.

        >>> import tiktoken
        >>> tokens = {bytes([i]): i for i in range(256)}
        >>> theirs = tiktoken.Encoding(
        ...     "bytes", pat_str=".", mergeable_ranks=tokens, special_tokens={"<|e|>": 256}
        ... )
        >>> Encoding.from_tiktoken(theirs).encode("ab<|e|>", allowed_special="all")
        [97, 98, 256]
        """
        return cls(
            encoding.name,
            pat_str=encoding._pat_str,
            mergeable_ranks=encoding._mergeable_ranks,
            special_tokens=encoding._special_tokens,
        )

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        pat_str: str | None = None,
        special_tokens: dict[str, int] | None = None,
        allow_pattern: bool = False,
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
        allow_pattern
            whether to run a pattern of a ``tokenizer.json`` that has no splitter of its own, by the
            package ``regex`` and slowly. Only for files that you trust: a pattern can take for ever.

        A ``.tiktoken`` file means what it means to tiktoken. The others mean what they mean to the
        tokenizers library of Hugging Face: :class:`fastprep.encoding.huggingface.HuggingFaceEncoding`.

        >>> from fastprep import get_encoding
        >>> from pathlib import Path
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "tokenizer.json"
        >>> get_encoding("gpt2").save(path)
        >>> Encoding.from_file(path, name="again").encode("hello world")
        [31373, 995]

        Raises :class:`~fastprep.errors.BadVocabulary` for a file that is damaged, too large, or not
        supported: anything but byte-level BPE with a known pattern.
        """
        from fastprep.vocabulary.files import load

        return load(
            path,
            name=name,
            pat_str=pat_str,
            special_tokens=special_tokens,
            allow_pattern=allow_pattern,
        )

    def save(self, path: str | Path) -> None:
        """Write the vocabulary to a ``.tiktoken`` file or a ``tokenizer.json``, as `path` is named.

        A ``.tiktoken`` file holds ranks alone: keep the pattern and the special tokens beside it.
        From a ``tokenizer.json`` the tokenizers library of Hugging Face gives the same ids for all
        texts.

        Raises :class:`~fastprep.errors.BadVocabulary` where such a file cannot say what the
        encoding does, and ValueError for another name.
        """
        from fastprep.vocabulary.files import save

        save(self, path)

    def __repr__(self) -> str:
        return f"<Encoding {self.name!r}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        from fastprep.registry import ENCODINGS, get_encoding

        if self is ENCODINGS.get(self.name):
            return get_encoding, (self.name,)
        return super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "pat_str": self._pat_str,
            "mergeable_ranks": self._mergeable_ranks,
            "special_tokens": self._special_tokens,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        Encoding.__init__(self, **state)

    # -- encoding ---------------------------------------------------------------------------------

    def encode_ordinary(self, text: str, *, max_tokens: int | None = None) -> list[int]:
        """Encode `text`, taking special tokens in it for ordinary text.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_ordinary("<|endoftext|>")
        [27, 91, 437, 1659, 5239, 91, 29]

        With `max_tokens` only the first so many ids are made, and the text behind them is not
        looked at. A lone surrogate, which UTF-8 cannot hold, is encoded as U+FFFD, as tiktoken
        does. Raises TypeError if `text` is not a str.
        """
        try:
            if max_tokens is None:
                return self._encoder.encode(text)
            return self._encoder.encode(text, None, max(0, max_tokens))
        except UnicodeEncodeError:
            return self.encode_ordinary(_repaired(text), max_tokens=max_tokens)

    def encode(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
        max_tokens: int | None = None,
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
        max_tokens
            how many ids to stop at. What is disallowed is still looked for in all of the text.

        >>> from fastprep import get_encoding
        >>> enc = get_encoding("gpt2")
        >>> enc.encode("tea<|endoftext|>", allowed_special={"<|endoftext|>"})
        [660, 64, 50256]
        >>> enc.encode("<|endoftext|>", disallowed_special=())
        [27, 91, 437, 1659, 5239, 91, 29]
        >>> enc.encode("a long text", max_tokens=2)
        [64, 890]
        """
        specials = self._specials.screen(text, allowed_special, disallowed_special)
        try:
            if max_tokens is None:
                return self._encoder.encode(text, specials)
            return self._encoder.encode(text, specials, max(0, max_tokens))
        except UnicodeEncodeError:
            return self.encode(
                _repaired(text),
                allowed_special=allowed_special,
                disallowed_special=(),
                max_tokens=max_tokens,
            )

    def encode_to_numpy(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
        max_tokens: int | None = None,
        out: npt.NDArray[Any] | None = None,
    ) -> npt.NDArray[Any]:
        """As :meth:`encode`, into a uint32 array ``[n]`` without a Python object a token.

        >>> from fastprep import get_encoding
        >>> import numpy as np
        >>> get_encoding("gpt2").encode_to_numpy("hello world")
        array([31373,   995], dtype=uint32)

        `out`, a contiguous uint16 or uint32 array, receives the ids instead, and what is returned
        is its first part, which holds them. It is written without a detour where it is uint32 with
        room for as many ids as the text has bytes, and 8 more. Raises ValueError if the ids are
        more than its room, OverflowError if one does not fit, UnicodeEncodeError on a lone
        surrogate, as tiktoken does here.

        >>> room = np.empty(8, np.uint16)
        >>> get_encoding("gpt2").encode_to_numpy("hello world", out=room)
        array([31373,   995], dtype=uint16)
        """
        specials = self._specials.screen(text, allowed_special, disallowed_special)
        most = () if max_tokens is None else (max(0, max_tokens),)
        if out is None:
            import numpy as np

            return np.frombuffer(self._encoder.encode_to_buffer(text, specials, *most), np.uint32)
        _check_room(out)
        return out[: self._encoder.encode_into(text, out, specials, *most)]

    def encode_bytes(self, data: bytes | bytearray | memoryview) -> npt.NDArray[np.uint32]:
        """Encode a buffer of UTF-8 as ordinary text, without making a str of it: uint32 ``[n]``.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_bytes(b"hello world")
        array([31373,   995], dtype=uint32)

        Raises :class:`~fastprep.errors.InvalidUtf8` naming the byte.
        """
        import numpy as np

        return np.frombuffer(self._encoder.encode_to_buffer(data), np.uint32)

    def count(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> int:
        """How many ids :meth:`encode` gives, without making them.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").count("hello world")
        2
        """
        specials = self._specials.screen(text, allowed_special, disallowed_special)
        try:
            return self._encoder.count(text, specials)
        except UnicodeEncodeError:
            return self._encoder.count(_repaired(text), specials)

    def encode_ordinary_batch(
        self, text: Iterable[str], *, num_threads: int = 8
    ) -> list[list[int]]:
        """:meth:`encode_ordinary` of each text, on up to `num_threads` threads.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_ordinary_batch(["hello world", "goodbye world"])
        [[31373, 995], [11274, 16390, 995]]
        """
        from fastprep.encoding import batches as batching

        return batching.encode_batch(self._encoder, text, num_threads, self.encode_ordinary)

    def encode_batch(
        self,
        text: Iterable[str],
        *,
        num_threads: int = 8,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> list[list[int]]:
        """:meth:`encode` of each text, on up to `num_threads` threads.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_batch(["hello world", "goodbye world"])
        [[31373, 995], [11274, 16390, 995]]
        """
        from fastprep.encoding import batches as batching

        self._specials.screen("", allowed_special, disallowed_special)

        def one(text: str) -> list[int]:
            return self.encode(
                text, allowed_special=allowed_special, disallowed_special=disallowed_special
            )

        def screen(text: str) -> Specials | None:
            return self._specials.screen(text, allowed_special, disallowed_special)

        return batching.encode_batch(self._encoder, text, num_threads, one, screen)

    def encode_file(
        self,
        source: str | PathLike[str],
        target: str | PathLike[str],
        *,
        dtype: npt.DTypeLike | None = None,
        workers: int = 1,
    ) -> int:
        """Encode a text file as one ordinary text into a file of ids; returns how many ids.

        >>> import tempfile, pathlib, numpy as np
        >>> path = pathlib.Path(tempfile.mkdtemp(), "hello.txt")
        >>> _ = path.write_text("hello world")
        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_file(path, path.with_suffix(".bin"))
        2
        >>> np.fromfile(path.with_suffix(".bin"), np.uint16)
        array([31373,   995], dtype=uint16)

        The ids are those of the whole content, byte order mark and all; they lie back to back in
        `dtype`, uint16 (where every id is below 65,536, then the default) or uint32. Memory does not
        grow with the file, unless the text goes on without a place to cut or the encoding's may not
        be cut (:attr:`may_be_cut`). `workers` threads share the work. The target appears when it is
        whole. For many documents, checksums and what survives a power cut there is
        :func:`fastprep.prepare`.

        Raises :class:`~fastprep.errors.InvalidInput` naming the file, and the byte that is no UTF-8;
        ValueError for another dtype or no worker, OverflowError where ids do not fit the dtype,
        OSError as the system says.
        """
        from fastprep.encoding.files import encode_file

        return encode_file(self, source, target, dtype, workers)

    def encode_documents(
        self,
        texts: Sequence[str | bytes | memoryview],
        out: npt.NDArray[Any] | memoryview[int],
        ends: npt.NDArray[np.uint64] | memoryview[int],
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int:
        """Encode documents back to back into the caller's buffers, as ordinary text.

        Parameters
        ----------
        texts
            str, or buffers of UTF-8.
        out
            uint16 or uint32 ``[>= most_ids(bytes of all texts, len(texts)) + len(texts)]``,
            contiguous: receives the ids.
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

        >>> from fastprep import get_encoding
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
        """Encode an Arrow column of strings; see :func:`fastprep.encoding.arrow.encode_arrow`.

        `column` is any object that speaks Arrow's PyCapsule interface: an array of pyarrow, a
        Series of polars or pandas, a column of a dataset. An array of ``list<uint32>`` comes back.

        >>> from fastprep import get_encoding
        >>> import pyarrow as pa
        >>> get_encoding("gpt2").encode_arrow(pa.array(["hello world", None])).to_pylist()
        [[31373, 995], None]
        """
        from fastprep.encoding.arrow import encode_arrow

        return encode_arrow(self, column, num_threads=num_threads)


def _check_room(out: npt.NDArray[Any]) -> None:
    kind = (getattr(out, "ndim", None), getattr(getattr(out, "dtype", None), "str", None))
    if (
        kind not in ((1, "<u2"), (1, "<u4"))
        or not out.flags.c_contiguous
        or not out.flags.writeable
    ):
        found = type(out).__name__ if kind[1] is None else f"{out.dtype} {list(out.shape)}"
        raise ValueError(
            "out must be a contiguous array of one dimension, uint16 or uint32, that may be written to; "
            f"found {found}"
        )


def _repaired(text: str) -> str:
    # Surrogate pairs become the character they stand for, lone ones U+FFFD.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
