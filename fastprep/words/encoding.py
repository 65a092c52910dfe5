"""WordEncoding: a word tokenizer as the encoding of a token store.

It is the notebook's ``SimpleTokenizerV2`` with ids in an array instead of a list of objects. A store
made with it contains the vocabulary, so that it can be read without the script that made it.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from numbers import Integral
from operator import itemgetter
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from fastprep.errors import BadVocabulary
from fastprep.system.arguments import local_path, whole_number
from fastprep.vocabulary.published import ENDOFTEXT
from fastprep.words.tokenizers import SimpleTokenizerV1, SimpleTokenizerV2, build_vocab
from fastprep_ext.words import WordEncoder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

UNKNOWN = "<|unk|>"
#: The file name of the vocabulary in a store.
VOCABULARY = "vocabulary.json"
#: The pattern that splits text, as in the notebook; whitespace is dropped.
RULE = r"""([,.:;?_!"()\']|--|\s)"""
MAX_FILE_BYTES = 1 << 30


class WordEncoding:
    """Words to ids and back, for stores: :func:`fastprep.prepare` uses it for ``SimpleTokenizerV2``.

    Text is ordinary text: the word ``<|endoftext|>`` in a document becomes ``<|unk|>``, so that the id
    between documents never occurs inside one. All other ids are the tokenizer's.

    Parameters
    ----------
    vocab
        words -> ids, each id once, including ``<|unk|>``; as :func:`fastprep.build_vocab` returns.

    Attributes
    ----------
    name, kind
        both ``"words"``.
    pat_str
        the pattern that splits text.
    special_tokens
        the ids of ``<|endoftext|>``, if the vocabulary has it, and ``<|unk|>``.
    n_vocab
        one more than the largest id.
    vocab
        the vocabulary; not to be changed.
    rank_table_sha256
        the sha256 of the vocabulary's file, as :meth:`to_json` returns it.

    Raises
    ------
    BadVocabulary
        for a vocabulary that a store cannot hold, naming the word.

    Examples
    --------
    >>> encoding = WordEncoding(build_vocab("do you like tea?"))
    >>> encoding.encode_ordinary("Do you like <|endoftext|>?")
    [6, 4, 2, 6, 0]
    >>> encoding.decode([4, 2, 3, 0])
    'you like tea?'
    """

    kind: Literal["bpe", "words"] = "words"
    name = "words"
    #: Cuts of :mod:`fastprep.encoding.cutting` are at whitespace, where words end.
    may_be_cut = True
    pat_str = RULE

    def __init__(self, vocab: Mapping[str, int]) -> None:
        self.vocab: dict[str, int] = _checked(vocab)
        self.n_vocab: int = max(self.vocab.values()) + 1
        self.special_tokens: dict[str, int] = {
            word: self.vocab[word] for word in (ENDOFTEXT, UNKNOWN) if word in self.vocab
        }
        ordinary = dict(self.vocab)
        ordinary.pop(ENDOFTEXT, None)
        self._encoder = WordEncoder(ordinary, self.vocab[UNKNOWN])
        self.rank_table_sha256: str = hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def of(cls, tokenizer: SimpleTokenizerV1 | SimpleTokenizerV2) -> WordEncoding:
        """Return the encoding of a word tokenizer.

        Raises BadVocabulary like the class, and for ``SimpleTokenizerV1``, which has no id for unknown
        words.
        """
        if not isinstance(tokenizer, SimpleTokenizerV2):
            raise BadVocabulary(
                "SimpleTokenizerV1 has no id for a word that is not in its vocabulary; make a store "
                f"with SimpleTokenizerV2, whose vocabulary has {UNKNOWN}"
            )
        return cls(tokenizer.str_to_int)

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> WordEncoding:
        """Make an encoding of all words of texts, numbered as :func:`fastprep.build_vocab` does.

        The texts are read once; one copy of each distinct word is kept in memory.

        >>> WordEncoding.from_texts(["to be", "or not to be"]).n_vocab
        6
        """
        return cls(build_vocab(texts))

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> WordEncoding:
        """Read the encoding from a file with one JSON object, words to ids.

        Raises BadVocabulary naming the file, for one with anything else.
        """
        where = local_path(path, "a vocabulary")
        status = where.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe waits for a writer
            raise BadVocabulary(f"{where}: not a regular file; give a vocabulary file")
        with where.open("rb") as file:
            # read() allocates what it is asked for, so not the largest size that is allowed.
            content = file.read(status.st_size + 1) if status.st_size <= MAX_FILE_BYTES else b""
        try:
            vocab = msgspec.json.decode(content, type=dict[str, int])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadVocabulary(
                f"{where}: not a vocabulary of words, one JSON object from words to ids: {error}"
            ) from None
        try:
            return cls(vocab)
        except BadVocabulary as error:
            raise BadVocabulary(f"{where}: {error}") from None

    def to_json(self) -> bytes:
        """Return the content of the vocabulary's file: one object, in the order of the ids.

        >>> WordEncoding({"<|unk|>": 1, "a": 0}).to_json()
        b'{"a":0,"<|unk|>":1}\\n'
        """
        vocab, ids = self.vocab, list(self.vocab.values())
        if ids != sorted(ids):
            vocab = dict(sorted(vocab.items(), key=itemgetter(1)))
        return msgspec.json.encode(vocab) + b"\n"

    @cached_property
    def _words(self) -> dict[int, str]:
        return {number: word for word, number in self.vocab.items()}

    @cached_property
    def _tokenizer(self) -> SimpleTokenizerV2:
        return SimpleTokenizerV2(self.vocab)

    @property
    def eot_token(self) -> int:
        """The id of ``<|endoftext|>``. Raises KeyError if the vocabulary does not have it."""
        return self.special_tokens[ENDOFTEXT]

    @property
    def max_token_value(self) -> int:
        """The largest id."""
        return self.n_vocab - 1

    @property
    def special_tokens_set(self) -> set[str]:
        """``<|endoftext|>``, if the vocabulary has it, and ``<|unk|>``."""
        return set(self.special_tokens)

    def most_ids(self, size: int, texts: int) -> int:
        """Return an upper bound for the number of ids of `texts` texts of `size` bytes in total."""
        return size

    def encode_documents(
        self,
        texts: Sequence[str | bytes | memoryview],
        out: npt.NDArray[Any] | memoryview[int],
        ends: npt.NDArray[np.uint64] | memoryview[int],
        *,
        end_token: int | None = None,
        close_last: bool = True,
    ) -> int:
        """Encode documents back to back into the caller's arrays, like ``Encoding.encode_documents``.

        Raises InvalidUtf8 naming text and byte, OverflowError if ids may not fit the dtype of `out`,
        ValueError if `out` is too small.

        >>> import numpy as np
        >>> encoding = WordEncoding({"a": 0, "<|unk|>": 1, "<|endoftext|>": 2})
        >>> out, ends = np.empty(9, np.uint16), np.empty(2, np.uint64)
        >>> n = encoding.encode_documents(["a b", b"a"], out, ends, end_token=2)
        >>> out[:n].tolist(), ends.tolist()
        ([0, 1, 2, 0, 2], [3, 5])
        """
        if end_token is not None:
            end_token = whole_number(end_token, "end_token", 0)
        return self._encoder.encode_documents(
            texts, out, ends, end_token=end_token, close_last=close_last
        )

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode a text, with ``<|endoftext|>`` as an ordinary word."""
        import numpy as np

        out = np.empty(len(text), np.uint32)
        count = self.encode_documents([text], out, np.empty(1, np.uint64))
        ids: list[int] = out[:count].tolist()
        return ids

    def encode(self, text: str, *, allowed_special: Literal["all"] | set[str] = "all") -> list[int]:
        """Encode a text as ``SimpleTokenizerV2`` does, with ``<|endoftext|>`` as itself."""
        if allowed_special == "all" or ENDOFTEXT in allowed_special:
            return self._tokenizer.encode(text)
        return self.encode_ordinary(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Decode ids to text as ``SimpleTokenizerV2`` does. Raises KeyError for an id without a word."""
        # The items of a tensor are not keys of the dict, as ints are.
        return self._tokenizer.decode(map(int, ids))

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """Decode ids to the UTF-8 of their text."""
        return self.decode(ids).encode()

    def decode_single_token_bytes(self, token: int) -> bytes:
        """Return the UTF-8 of one word. Raises KeyError for an id without a word."""
        return self._words[token].encode()

    def __reduce__(self) -> tuple[type[WordEncoding], tuple[dict[str, int]]]:
        return type(self), (self.vocab,)

    def __repr__(self) -> str:
        return f"<WordEncoding: {len(self.vocab)} words>"


def _checked(vocab: Mapping[str, int]) -> dict[str, int]:
    """Check that a store can hold a vocabulary; return a copy with plain ints."""
    found = dict(vocab)
    # A large vocabulary is checked word by word only if something is wrong.
    plain = {*map(type, found)} <= {str} and {*map(type, found.values())} <= {int}
    fits = (
        plain and min(found.values(), default=0) >= 0 and max(found.values(), default=0) < 1 << 32
    )
    for word, number in () if fits else vocab.items():
        if not isinstance(word, str) or not _is_int(number) or not 0 <= number < 1 << 32:
            raise BadVocabulary(
                f"{word!r}: {number!r}: a word is a str, and its id an int of 0 to 2**32 - 1"
            )
        found[word] = int(number)
    for word in _not_utf8(found):
        raise BadVocabulary(
            f"{word!r}: the word has no UTF-8, so no file can hold it; leave it out"
        )
    if UNKNOWN not in found:
        raise BadVocabulary(
            f"the vocabulary has no {UNKNOWN} for unknown words; add it, as build_vocab does"
        )
    if len(set(found.values())) < len(found):
        seen: dict[int, str] = {}
        for word, number in found.items():
            if number in seen:
                raise BadVocabulary(
                    f"{seen[number]!r} and {word!r} have one id, {number}; each needs its own"
                )
            seen[number] = word
    return found


def _is_int(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _not_utf8(words: Iterable[str]) -> Iterator[str]:
    words = list(words)
    with contextlib.suppress(UnicodeEncodeError):
        "".join(words).encode()
        return
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            yield word
