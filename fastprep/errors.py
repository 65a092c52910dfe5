"""Every error that fastprep raises on purpose.

Each message says what was found, where, and how to fix it. All of them are :class:`FastprepError`;
each is also the built-in exception that a caller would expect, so code written for tiktoken or for
the notebook catches them without change.
"""

from __future__ import annotations


class FastprepError(Exception):
    """Base class of all errors that fastprep raises on purpose.

    A message may quote file names and documents of anybody, so str() escapes what a terminal obeys.
    """

    def __str__(self) -> str:
        from fastprep.terminal import escaped

        return escaped(super().__str__())


class _LookupFailed(FastprepError, KeyError):
    """Base class of errors that are a KeyError: str() is the message, not its repr in quotes."""

    def __str__(self) -> str:
        from fastprep.terminal import escaped

        return escaped(str(self.args[0]))


class UnknownModel(_LookupFailed):
    """A name of a model of which no encoding is known."""


class UnknownEncoding(FastprepError, ValueError):
    """A name that is not that of a bundled encoding."""


class BadVocabulary(FastprepError, ValueError):
    """A vocabulary that cannot be used: damaged, incomplete or contradictory."""


class WrongSize(BadVocabulary, AssertionError):
    """A vocabulary whose size is not the one its caller gives.

    It is an :class:`AssertionError` too, because that is what tiktoken raises here.
    """


class MissingByte(BadVocabulary, _LookupFailed):
    """A text with a byte that is not a token of the vocabulary, nor part of a merge."""


class TextIsChanged(FastprepError, NotImplementedError):
    """A request for the pieces of a text from an encoding that changes text before it splits it."""


class NotAnId(FastprepError, TypeError, AssertionError):
    """A value that is not an int where a token id is expected.

    It is an :class:`AssertionError` too, because that is what tiktoken raises here.
    """


class InvalidInput(FastprepError, ValueError):
    """A document or corpus file that cannot be read; the message names the file and the place."""


class InvalidArgument(InvalidInput):
    """An argument or option whose value is wrong whatever the inputs hold; the message names it."""


class WrongType(InvalidArgument, TypeError):
    """An argument of a type that the function does not take; the message names it."""


class DamagedInput(InvalidInput):
    """A compressed or columnar file that is truncated, or whose bytes are not those written."""


class MissingExtra(FastprepError, ModuleNotFoundError):
    """A package that a call needs is not installed; the message names the extra that installs it."""


class InvalidUtf8(InvalidInput):
    """Bytes that are not UTF-8.

    Attributes
    ----------
    index
        the index of the text in the call.
    offset
        the offset in that text of the first byte that does not start a UTF-8 character.
    """

    def __init__(self, message: str, index: int = 0, offset: int = 0) -> None:
        super().__init__(message)
        self.index = index
        self.offset = offset

    @classmethod
    def at(cls, place: str, offset: int) -> InvalidUtf8:
        """Return the error for a place in an input of a job, which may skip or replace the bytes.

        >>> InvalidUtf8.at("a.txt, byte 5", 5).offset
        5
        """
        return cls(
            f"{place}: the bytes there are not UTF-8; convert the file to UTF-8, or pass "
            "on_error='skip' or 'replace' (--on-error)",
            offset=offset,
        )

    def __reduce__(self) -> tuple[type[InvalidUtf8], tuple[str, int, int]]:
        return type(self), (self.args[0], self.index, self.offset)


class StoreExists(FastprepError, FileExistsError):
    """The output holds a store of another job, or other files, and may not be replaced."""


class JobIsRunning(FastprepError, BlockingIOError):
    """Another process works in the same output directory, on another job."""


class OtherJob(FastprepError, ValueError):
    """The output holds work of a job with other inputs or settings, which cannot be resumed."""


class UnfinishedJob(FastprepError, ValueError):
    """Shards of other tasks of the job are missing."""


class InvalidStore(FastprepError, ValueError):
    """A directory that is not a complete token store: unfinished, damaged, or something else."""


class InvalidWindow(FastprepError, ValueError):
    """A window that cannot be cut: a max_length or stride below 1, or tokens of a wrong type."""


class TextTooShort(InvalidWindow, AssertionError):
    """Fewer than ``max_length + 1`` tokens, so there is no window.

    It is an :class:`AssertionError` too, because that is what the notebook raises here.
    """


class IdOutOfRange(FastprepError, IndexError):
    """A token id outside the vocabulary, or a sequence longer than the number of positions."""


class UnknownOption(FastprepError, TypeError):
    """An option that a function does not have; the message names the nearest one."""


class InvalidIndex(FastprepError, IndexError, TypeError):
    """A key that selects no tokens of a store: neither positions nor a mask of all of them."""


class WrongState(FastprepError, ValueError):
    """The saved state of a loader with other tokens or another order, or not a state at all."""
