"""Every error fastprep raises on purpose.

Each message says what was found, where, and what to do about it. All of them are
:class:`FastprepError`; each is also the built-in exception that a caller would expect, so code
written for tiktoken or for the notebook keeps catching what it caught.
"""

from __future__ import annotations


class FastprepError(Exception):
    """The parent of all errors that fastprep raises on purpose."""


class UnknownEncoding(FastprepError, ValueError):
    """A name that is no bundled encoding."""


class BadVocabulary(FastprepError, ValueError):
    """A rank table that cannot be used: damaged, incomplete or contradictory."""


class WrongSize(BadVocabulary, AssertionError):
    """A vocabulary of another size than its caller says.

    It is an :class:`AssertionError` too, because that is what tiktoken raises here.
    """


class MissingByte(BadVocabulary, KeyError):
    """A text holds a byte that is no token of the vocabulary, and that no merge takes in."""

    def __str__(self) -> str:
        return str(self.args[0])


class TextIsChanged(FastprepError, NotImplementedError):
    """A question about the pieces of a text, to an encoding that changes text before it splits it."""


class NotAnId(FastprepError, TypeError, AssertionError):
    """Something that is no int where a token id was asked for.

    It is an :class:`AssertionError` too, because that is what tiktoken raises here.
    """


class InvalidInput(FastprepError, ValueError):
    """A document or corpus file that cannot be read; the message names the file and the place."""


class DamagedInput(InvalidInput):
    """A compressed or columnar file that ends too early, or whose bytes are not what was written."""


class MissingExtra(FastprepError, ModuleNotFoundError):
    """A package that this call needs is not installed; the message names the extra that brings it."""


class InvalidUtf8(InvalidInput):
    """Bytes that are not UTF-8.

    Attributes
    ----------
    index
        which text of the call it was, from 0.
    offset
        the first byte of that text at which no UTF-8 character begins, from 0.
    """

    def __init__(self, message: str, index: int = 0, offset: int = 0) -> None:
        super().__init__(message)
        self.index = index
        self.offset = offset

    @classmethod
    def at(cls, place: str, offset: int) -> InvalidUtf8:
        """The error about a place in an input, of which a job can do without.

        Examples
        --------
        >>> InvalidUtf8.at("a.txt, byte 5", 5).offset
        5
        """
        return cls(
            f"{place}: the bytes there are not UTF-8; convert the file to UTF-8, or pass "
            "on_error='skip' or 'replace' (--on-error)",
            offset=offset,
        )

    def __reduce__(self) -> tuple[type[InvalidUtf8], tuple[str, int, int]]:
        return type(self), (str(self), self.index, self.offset)


class StoreExists(FastprepError, FileExistsError):
    """The output of a job is already there and nobody asked to replace it."""


class JobIsRunning(FastprepError, BlockingIOError):
    """Another process works in the same output directory."""


class OtherJob(FastprepError, ValueError):
    """The output holds unfinished work of a job with other inputs or settings."""


class UnfinishedJob(FastprepError, ValueError):
    """Shards are missing that other tasks of the job make."""


class InvalidStore(FastprepError, ValueError):
    """A directory that is not a whole token store: unfinished, damaged, or something else."""


class InvalidWindow(FastprepError, ValueError):
    """A window that cannot be cut: a max_length or stride below 1, or tokens of a wrong kind."""


class TextTooShort(InvalidWindow, AssertionError):
    """Fewer than ``max_length + 1`` tokens, so there is no window.

    It is an :class:`AssertionError` too, because that is what the notebook raises here.
    """


class IdOutOfRange(FastprepError, IndexError):
    """A token id outside the vocabulary, or a sequence longer than the positions there are."""


class WrongState(FastprepError, ValueError):
    """The saved state of a loader with other tokens or another order, or no state at all."""
