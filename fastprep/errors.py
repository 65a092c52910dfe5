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
    """A name of a model of which no encoding is known.

    What to do: pass the name of an encoding to :func:`fastprep.get_encoding` instead.
    """


class UnknownEncoding(FastprepError, ValueError):
    """A name that is neither that of a bundled encoding nor that of an installed plugin of tiktoken.

    What to do: :func:`fastprep.list_encoding_names` lists the known names;
    :meth:`fastprep.Encoding.from_file` reads others.
    """


class BadVocabulary(FastprepError, ValueError):
    """A vocabulary that cannot be used: damaged, incomplete or contradictory.

    What to do: get the file again, or one in a format that the message names. A vocabulary of
    another kind than BPE needs the library that made it.
    """


class WrongSize(BadVocabulary, AssertionError):
    """A vocabulary whose size is not the one its caller gives.

    It is an :class:`AssertionError` too, because that is what tiktoken raises here.

    What to do: leave `explicit_n_vocab` out, or correct the tokens or their ids.
    """


class MissingByte(BadVocabulary, _LookupFailed):
    """A text with a byte that is not a token of the vocabulary, nor part of a merge.

    What to do: use a vocabulary that has all 256 bytes, or leave out the document (`on_error`).
    """


class TextIsChanged(FastprepError, NotImplementedError):
    """A request for the pieces of a text from an encoding that changes text before it splits it.

    What to do: call :meth:`~fastprep.Encoding.encode` instead.
    """


class NotAnId(FastprepError, TypeError, AssertionError):
    """A value that is not an int where a token id is expected.

    It is an :class:`AssertionError` too, because that is what tiktoken raises here.

    What to do: pass ints, or an array of integers.
    """


class InvalidInput(FastprepError, ValueError):
    """A document or corpus file that cannot be read; the message names the file and the place.

    What to do: correct the place that the message names, or pass ``on_error="skip"`` or
    ``"replace"``.
    """


class InvalidArgument(InvalidInput):
    """An argument or option whose value is wrong whatever the inputs hold; the message names it.

    What to do: correct the argument. On the command line this is exit status 2.
    """


class WrongType(InvalidArgument, TypeError):
    """An argument of a type that the function does not take.

    What to do: pass a value of a type that the message names.
    """


class BadConversation(InvalidInput):
    """A document that is no conversation, or one of which the chat template makes no training data.

    What to do: correct the conversation, which the message names by file and line, or pass another
    template; ``on_error="skip"`` leaves out such conversations and lists them in the manifest.
    """


class DamagedInput(InvalidInput):
    """A compressed or columnar file that is truncated, or whose bytes are not those written.

    What to do: copy or download the file again, or pass ``on_error="skip"`` to use what is before
    the damage.
    """


class MissingExtra(FastprepError, ModuleNotFoundError):
    """A package that a call needs is not installed; the message names the extra that installs it.

    What to do: run the ``pip install`` of the message.
    """


class InvalidUtf8(InvalidInput):
    """Bytes that are not UTF-8.

    What to do: convert the file to UTF-8, or pass ``on_error="skip"`` or ``"replace"``.

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
    """The output holds a store of another job, or other files, and may not be replaced.

    What to do: choose another output, or pass ``overwrite=True`` or ``append=True``; the message
    says in what the two jobs differ.
    """


class JobIsRunning(FastprepError, BlockingIOError):
    """Another process works in the same output directory, on another job.

    What to do: wait until it has ended, or choose another output.
    """


class OtherJob(FastprepError, ValueError):
    """The output holds work of a job with other inputs or settings, which cannot be resumed.

    What to do: pass the inputs and settings that the message names, choose another output, or pass
    ``overwrite=True``.
    """


class UnfinishedJob(FastprepError, ValueError):
    """Shards of other tasks of the job are missing.

    What to do: run the tasks that the message names, then merge again.
    """


class InvalidStore(FastprepError, ValueError):
    """A directory that is not a complete token store: unfinished, damaged, or something else.

    What to do: restore the store from a copy, or make it again with ``overwrite=True``. For an
    unfinished store run the same `prepare` again.
    """


class InvalidWindow(FastprepError, ValueError):
    """A window that cannot be cut: a max_length or stride below 1, or tokens of a wrong type.

    What to do: correct the option that the message names.
    """


class TextTooShort(InvalidWindow, AssertionError):
    """Fewer than ``max_length + 1`` tokens, so there is no window.

    It is an :class:`AssertionError` too, because that is what the notebook raises here.

    What to do: pass a smaller `max_length`, more text, or ``pad_last=True``.
    """


class IdOutOfRange(FastprepError, IndexError):
    """A token id outside the vocabulary, or a sequence longer than the number of positions.

    What to do: use the encoding that made the ids, or a model with as many ids and positions.
    """


class UnknownOption(FastprepError, TypeError):
    """An option that a function does not have; the message names the nearest one.

    What to do: correct the spelling; the function's documentation lists its options.
    """


class InvalidIndex(FastprepError, IndexError, TypeError):
    """A key that selects no tokens of a store: neither positions nor a mask of all of them.

    What to do: pass ints, a slice, an array of positions, or a mask as long as the store.
    """


class WrongState(FastprepError, ValueError):
    """The saved state of a loader with other tokens or another order, or not a state at all.

    What to do: make the loader as it was when the state was saved (store, seed, window length), or
    start an epoch without a state.
    """
