"""Encoder of conversations: their ids, and for each token whether the assistant wrote it."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastprep.chat.conversations import messages_of, strings_of, with_strings
from fastprep.chat.templates import Messages, Template, TemplateFunction, find_template
from fastprep.corpus.documents import is_unicode
from fastprep.encoding.encoding import Encoding
from fastprep.errors import BadConversation, InvalidArgument

# Noncharacters, which no text has, to mark text of messages that spells a special token.
_MARKS = [chr(point) for point in range(0xFDD0, 0xFDF0)]


class ChatEncoder:
    """Encoder of conversations by a template and an encoding.

    >>> from fastprep import get_encoding
    >>> def spell(messages):
    ...     for message in messages:
    ...         yield message["content"], message["role"] == "assistant"
    ...         yield "<|endoftext|>", message["role"] == "assistant"
    >>> chats = ChatEncoder(get_encoding("gpt2"), spell)
    >>> chats.encode(b'[{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": "No."}]')
    ([49770, 30, 50256, 2949, 13, 50256], bytearray(b'\\x00\\x00\\x00\\x01\\x01\\x01'))

    Parameters are those of :func:`fastprep.prepare`: `special_text` is whether text of a message that
    spells a special token becomes that token. Raises InvalidArgument and MissingExtra as
    :func:`fastprep.chat.templates.find_template`.
    """

    def __init__(
        self,
        encoding: Encoding,
        template: str | Path | TemplateFunction | None,
        variables: Mapping[str, Any] | None = None,
        special_text: bool = False,
    ) -> None:
        if not isinstance(encoding, Encoding):
            raise InvalidArgument(
                "messages need an encoding of pieces of text; pass another one than a word tokenizer"
            )
        self._encoding = encoding
        self.template: Template = find_template(template, variables, encoding)
        self.special_text: bool = special_text
        names = sorted(filter(None, encoding.special_tokens), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        self._sizes = _Sizes(encoding)
        recipe = encoding.recipe
        # Whether tokens may spell another text than the one that is encoded.
        self._changes = bool(
            recipe.normalize
            or recipe.steps
            or recipe.space_before
            or recipe.marks
            or recipe.fallback
        )
        self._special_ids = frozenset(encoding.special_tokens.values())

    def encode(self, content: bytes) -> tuple[list[int], bytearray]:
        """Return the ids of a conversation in JSON, and a byte per id: 1 if the assistant wrote it.

        Raises BadConversation for content that is no conversation, that the template refuses, or of
        which it cannot be known what the assistant wrote.
        """
        try:
            return self._encode(messages_of(content))
        except RecursionError:
            raise BadConversation("nested too deeply") from None

    def _encode(self, messages: Messages) -> tuple[list[int], bytearray]:
        text, trained = self.template.render(messages)
        if not is_unicode(text):
            raise BadConversation("the template writes a lone surrogate, which is no character")
        if trained is None:
            trained = self._turns(messages, text)
        marked = None if self.special_text else self._marked(messages, text)
        if marked is None:
            ids, mask = self._masked(text, trained)
        else:
            ids, offsets = self._protected(*marked)
            mask = _mask_of(offsets, trained)
        if not ids:
            raise BadConversation("the chat template makes no text of it; pass another template")
        return ids, mask

    def _masked(self, text: str, trained: list[tuple[int, int]]) -> tuple[list[int], bytearray]:
        """Return the ids and the mask of a text in which all special tokens are the template's."""
        ids = self._encoding.encode(text, allowed_special="all", disallowed_special=())
        ends = [*itertools.accumulate(map(self._sizes.__getitem__, ids))]
        data = text.encode()
        if (ends[-1] if ends else 0) != len(data) or (
            self._changes and b"".join(self._encoding._decoder.decode_each(ids)) != data
        ):
            found, offsets = self._encoding.encode_with_offsets(
                text, allowed_special="all", disallowed_special=()
            )
            return found, _mask_of(offsets, trained)
        mask = bytearray(len(ids))
        for begin, end in trained if text.isascii() else _in_bytes(text, trained):
            if not end:
                continue
            # The last token is the first that ends at the end of the span, or after it.
            first, last = bisect_right(ends, begin), bisect_left(ends, end) + 1
            mask[first:last] = b"\1" * (min(last, len(ids)) - first)
        return ids, mask

    # -- what the assistant wrote, where the template does not say it ------------------------------

    def _turns(self, messages: Messages, text: str) -> list[tuple[int, int]]:
        """Return the turns of the assistant: what its message adds to the text before it.

        Raises BadConversation if the text does not grow by what a message adds.
        """
        found = []
        for number, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            before = self._prefix(messages[:number], number, prompt=True)
            after = text
            if number + 1 < len(messages):
                after = self._prefix(messages[: number + 1], number, prompt=False)
            if not (after.startswith(before) and text.startswith(after)):
                raise BadConversation(
                    f"what the assistant wrote in message {number} cannot be known: the chat template "
                    "has no {% generation %} block, and writes the messages up to there otherwise "
                    "when others follow; pass a template with such blocks (--template), or a function"
                )
            end = len(after)
            special = [*self._special.finditer(after, len(before))]
            if special and not after[special[-1].end() :].strip():
                end = special[-1].end()  # the model stops at the special token that ends its turn
            found.append((len(before), end))
        return found

    def _prefix(self, messages: Messages, number: int, *, prompt: bool) -> str:
        try:
            return self.template.render(messages, prompt=prompt).text
        except BadConversation as error:
            raise BadConversation(
                f"what the assistant wrote in message {number} cannot be known: the chat template has "
                f"no {{% generation %}} block, and of the first {len(messages)} messages {error}"
            ) from error

    # -- text of messages that spells a special token ----------------------------------------------

    def _marked(self, messages: Messages, text: str) -> tuple[str, str] | None:
        """Return the text with a mark in each special token that a message spells, and the mark.

        Returns None if no message spells one. Raises BadConversation if the template treats marked
        messages in another way.
        """
        spelled = None
        strings = [*strings_of(messages)]
        for string in strings:
            if (found := self._special.search(string)) is not None:
                spelled = found.group()
                break
        if spelled is None:
            return None
        whole = "".join([text, *strings])
        mark = next((each for each in _MARKS if each not in whole), None)

        def with_mark(string: str) -> str:
            return self._special.sub(lambda match: f"{match[0][0]}{mark}{match[0][1:]}", string)

        marked = None
        # A token of one character, or one that begins within another, is found beside the mark too.
        hidden = mark is not None and not any(
            self._special.search(with_mark(string)) for string in strings
        )
        if hidden:
            try:
                marked = self.template.render(with_strings(messages, with_mark)).text
            except BadConversation:
                marked = None
        if mark is None or marked is None or marked.replace(mark, "") != text:
            raise BadConversation(
                f"a message spells the special token {spelled!r}, and the chat template treats it in "
                "another way than other text, so it cannot be kept as text; leave the conversation out, "
                "or pass special_text=True (--special-text) to make it the token"
            )
        return marked, mark

    def _protected(self, marked: str, mark: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return ids and spans of a text in which marks keep special tokens from being found.

        The special tokens that are found without them are the template's. Between two of them text is
        encoded by itself, without the marks.
        """
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        removed = 0  # marks before `reached`
        reached = 0

        def add(end: int) -> None:
            nonlocal removed, reached
            section = marked[reached:end]
            plain = section.replace(mark, "")
            if section != plain and self._encoding.recipe.space_before == 2 and reached:
                raise BadConversation(
                    "a message spells a special token, which the vocabulary cannot keep as text after "
                    "the first token, because it puts a space before the first part of a text; pass "
                    "special_text=True (--special-text) to make it the token"
                )
            more, offsets = self._encoding.encode_with_offsets(plain, disallowed_special=())
            ids.extend(more)
            first = reached - removed
            spans.extend((first + begin, first + stop) for begin, stop in offsets)
            removed += len(section) - len(plain)
            reached = end

        found, places = self._encoding.encode_with_offsets(
            marked, allowed_special="all", disallowed_special=()
        )
        ordinary: list[tuple[int, tuple[int, int]]] = []

        def flush(end: int) -> None:
            nonlocal reached
            if mark in marked[reached:end]:
                add(end)
            else:
                ids.extend(token for token, _ in ordinary)
                spans.extend((begin - removed, stop - removed) for _, (begin, stop) in ordinary)
                reached = end
            ordinary.clear()

        for token, (begin, end) in zip(found, places, strict=True):
            if token not in self._special_ids:
                ordinary.append((token, (begin, end)))
                continue
            flush(begin)
            ids.append(token)
            spans.append((begin - removed, end - removed))
            reached = end
        flush(len(marked))
        return ids, spans


class _Sizes(dict[int, int]):
    """The number of bytes of each token, found when it is first asked for."""

    def __init__(self, encoding: Encoding) -> None:
        super().__init__()
        self._encoding = encoding

    def __missing__(self, token: int) -> int:
        size = self[token] = len(self._encoding._decoder.decode_each([token])[0])
        return size

    def __reduce__(self) -> tuple[type[_Sizes], tuple[Encoding]]:
        return _Sizes, (self._encoding,)


def _in_bytes(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans of characters of a text as spans of its UTF-8.

    >>> _in_bytes("a\u00e9b", [(1, 2), (2, 3)])
    [(1, 3), (3, 4)]
    """
    places = {0: 0}
    at = size = 0
    for place in sorted({place for span in spans for place in span}):
        size += len(text[at:place].encode())
        places[place] = size
        at = place
    return [(places[begin], places[end]) for begin, end in spans]


def _mask_of(offsets: list[tuple[int, int]], trained: list[tuple[int, int]]) -> bytearray:
    """Return a byte per token: 1 for those that have a part of a span, as transformers marks them."""
    mask = bytearray(len(offsets))
    number = 0
    for index, (start, end) in enumerate(offsets):
        while number < len(trained) and start >= trained[number][1]:
            number += 1
        if number == len(trained):
            break
        if end > trained[number][0]:
            mask[index] = 1
    return mask
