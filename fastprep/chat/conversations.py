"""Conversations: the messages in a document of JSON, checked and in the form that templates take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from fastprep.errors import BadConversation

if TYPE_CHECKING:
    from fastprep.chat.templates import Messages

#: The roles of messages. Templates write others into the text, or leave out what they say.
ROLES = (
    *("system", "developer", "user", "assistant", "tool"),
    *("function", "ipython", "observation", "environment"),
)
#: The roles of ShareGPT's messages, which have the keys ``from`` and ``value``.
SHARE_GPT = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "tool": "tool",
    "observation": "tool",
}
# Names of the reasoning of a message, the first of which templates read: as transformers does it.
_REASONING = ("reasoning_content", "thinking", "reasoning")


def messages_of(content: bytes) -> Messages:
    """Return the messages of a conversation in JSON.

    Messages with the keys ``from`` and ``value``, as ShareGPT's, get a role and a content. Keys of
    null are left out, as transformers leaves them out.

    >>> messages_of(b'[{"from": "human", "value": "Hi."}]')
    [{'role': 'user', 'content': 'Hi.'}]
    >>> messages_of(b'[{"content": "Hi."}]')
    Traceback (most recent call last):
    fastprep.errors.BadConversation: message 0 has no role; it has content; each message is ...

    Raises BadConversation for anything but a list of messages with roles that are known.
    """
    found = _decoded(content)
    if not isinstance(found, list):
        raise BadConversation(
            f"it is {_kind(found)}, not a list of messages; name the field of the messages with "
            "messages (--messages)"
        )
    if not found:
        raise BadConversation(
            "the conversation is empty; leave it out, or pass on_error='skip' (--on-error skip)"
        )
    return [_message(number, each) for number, each in enumerate(found)]


def strings_of(value: Any) -> Iterator[str]:
    """Yield all strings in a value of JSON, keys included.

    >>> [*strings_of([{"role": "user", "content": "Hi."}, 5])]
    ['role', 'user', 'content', 'Hi.']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from strings_of(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings_of(each)


def with_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value of JSON with another string for each of its strings, keys included.

    >>> with_strings({"role": ["user"]}, str.upper)
    {'ROLE': ['USER']}
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [with_strings(each, change) for each in value]
    if isinstance(value, dict):
        return {change(key): with_strings(each, change) for key, each in value.items()}
    return value


def _decoded(content: bytes) -> Any:
    """Decode JSON, also with NaN, Infinity and lone surrogates, which become U+FFFD."""
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        import json

    try:
        value = json.loads(content)
    except UnicodeDecodeError as error:
        raise BadConversation(
            f"0x{content[error.start]:02x} is not UTF-8 there; convert the file to UTF-8, or pass "
            "on_error='skip' (--on-error skip)"
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadConversation(
            f"it is not JSON ({error}); a conversation is a list of messages in JSON"
        ) from None
    return with_strings(value, _without_surrogates)


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _message(number: int, found: Any) -> dict[str, Any]:
    """Return one message, checked."""
    advice = (
        "each message is an object with a role and a content, or with ShareGPT's from and value"
    )
    if not isinstance(found, dict):
        raise BadConversation(f"message {number} is {_kind(found)}, not an object; {advice}")
    message = {key: value for key, value in found.items() if value is not None}
    if "role" not in message and "from" in message:
        message = _of_share_gpt(number, message)
    if "role" not in message:
        has = ", ".join(list(message)[:10]) or "nothing"
        raise BadConversation(f"message {number} has no role; it has {has}; {advice}")
    role = message["role"]
    if not isinstance(role, str):
        raise BadConversation(f"message {number}: its role is {_kind(role)}, not a text; {advice}")
    if role not in ROLES:
        raise BadConversation(
            f"message {number} has the role {role!r:.80}, which is none of {', '.join(ROLES)}; "
            "rename it in the data"
        )
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    if content is None and not any(message.get(key) for key in ("tool_calls", *_REASONING)):
        raise BadConversation(f"message {number}, of the {role}, has no content; {advice}")
    if content is not None and not isinstance(content, (str, list)):
        raise BadConversation(
            f"message {number}, of the {role}: its content is {_kind(content)}, not a text or a list of "
            f"parts; {advice}"
        )
    for part in parts:
        if not isinstance(part, (str, dict)):
            raise BadConversation(
                f"message {number}, of the {role}: a part of its content is {_kind(part)}; a part is a "
                'text or an object as {"type": "text", "text": ...}'
            )
    reasoning = next((message[key] for key in _REASONING if key in message), None)
    if reasoning is not None:
        message = {"thinking": reasoning, **message, "reasoning_content": reasoning}
    return message


def _of_share_gpt(number: int, message: dict[str, Any]) -> dict[str, Any]:
    who = message["from"]
    role = SHARE_GPT.get(who) if isinstance(who, str) else None
    if role is None:
        raise BadConversation(
            f"message {number} is from {who!r:.80}, which is none of {', '.join(SHARE_GPT)}; rename it "
            "in the data, or write messages with role and content"
        )
    rest = {key: value for key, value in message.items() if key not in ("from", "value")}
    content = {"content": message["value"]} if "value" in message else {}
    return {"role": role, **content, **rest}


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")
