"""Special tokens: which of them a call allows, which it forbids, and the error for those."""

from __future__ import annotations

from _collections_abc import Set as AbstractSet  # without the package collections
from itertools import pairwise

from fastprep_ext.bpe import Specials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Literal, NoReturn, TypeAlias

    Allowed: TypeAlias = Literal["all"] | AbstractSet[str]
    Disallowed: TypeAlias = Literal["all"] | Collection[str]

#: The default of ``allowed_special``.
NOTHING: frozenset[str] = frozenset()

MAX_RULES = 64


class Rule:
    """The meaning of one choice of allowed and disallowed tokens.

    Attributes
    ----------
    disallowed
        the tokens that must not occur.
    guard
        finds those in text; None if there are none.
    cutter
        finds the tokens to encode as themselves; None if there are none.
    refuses_all
        whether the empty string is disallowed, which every text has.
    """

    __slots__ = ("cutter", "disallowed", "guard", "refuses_all")

    def __init__(
        self, disallowed: frozenset[str], guard: Specials | None, cutter: Specials | None
    ) -> None:
        self.disallowed: frozenset[str] = disallowed
        self.guard: Specials | None = guard
        self.cutter: Specials | None = cutter
        self.refuses_all: bool = "" in disallowed


class SpecialTokens:
    """The special tokens of an encoding.

    >>> specials = SpecialTokens({"<|endoftext|>": 50256})
    >>> specials.screen("plain", NOTHING, "all") is None
    True
    >>> specials.screen("<|endoftext|>", "all", "all").cut(b"a<|endoftext|>")
    [(1, 14, 50256)]
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = dict(ids)
        self._names = frozenset(ids)
        self._order: list[str] | None = None
        self._rules: dict[tuple[object, object], Rule] = {}
        # In sorted order, a token that is a prefix of others comes directly before one of them.
        ordered = sorted(map(_encoded, self._names))
        self._has_prefixes = any(
            longer.startswith(shorter) for shorter, longer in pairwise(ordered)
        )
        self._default = self._rule(NOTHING, "all")
        self._ordinary = self._rule(NOTHING, NOTHING)
        # Whether calls with the default arguments need nothing but a search for the tokens of `guard`.
        self.is_usual: bool = not self._default.refuses_all
        self.guard: Specials | None = self._default.guard

    def order(self) -> list[str]:
        """Return the tokens by priority: the first one that matches wins."""
        if self._order is None:
            from fastprep.encoding.special_order import tiktoken_order

            self._order = tiktoken_order(self._ids)
        return self._order

    def rule(self, text: str, allowed: Allowed, disallowed: Disallowed) -> Rule:
        """Return what a call searches `text` for: the guard and the cutter of its arguments.

        The arguments are those of :meth:`fastprep.Encoding.encode`. The guard's tokens are searched for
        first, and win: for a text that has one, the caller calls :meth:`screen`, which raises.
        """
        # The two that most calls have, first.
        if allowed is NOTHING and disallowed == "all":
            rule = self._default
        elif allowed is NOTHING and disallowed == ():
            rule = self._ordinary
        else:
            rule = self._rule_of(allowed, disallowed)
        if rule.refuses_all:
            self.screen(text, allowed, disallowed)
        return rule

    def screen(self, text: str, allowed: Allowed, disallowed: Disallowed) -> Specials | None:
        """Return what finds the allowed tokens, or None; raise ValueError for a disallowed one."""
        rule = self._rule_of(allowed, disallowed)
        if rule.guard is not None:
            try:
                found = rule.guard.search(text)
            except UnicodeEncodeError:
                _search_surrogates(text, rule.disallowed)
            else:
                if found is not None:
                    _raise_disallowed(found.decode("utf-8"))
        if rule.refuses_all:
            _raise_disallowed("")
        return rule.cutter

    def refuse(self, text: str, allowed: Allowed, disallowed: Disallowed) -> NoReturn:
        """Raise ValueError that names the disallowed token that is in `text`."""
        self.screen(text, allowed, disallowed)
        raise AssertionError("a disallowed token was found that is not in the text")

    def _rule_of(self, allowed: Allowed, disallowed: Disallowed) -> Rule:
        if allowed != "all" and not isinstance(allowed, AbstractSet):
            raise TypeError(
                f"allowed_special must be a set of special tokens, or 'all'; not {allowed!r}"
            )
        key = (
            allowed if allowed == "all" else frozenset(allowed),
            disallowed if disallowed == "all" else frozenset(disallowed or ()),
        )
        rule = self._rules.get(key)
        if rule is None:
            if len(self._rules) >= MAX_RULES:
                self._rules.clear()
            rule = self._rules[key] = self._rule(*key)
        return rule

    def _rule(
        self, allowed: Literal["all"] | frozenset[str], disallowed: Literal["all"] | frozenset[str]
    ) -> Rule:
        if allowed == "all":
            allowed = self._names
        if disallowed == "all":
            disallowed = self._names - allowed
        encoded = {_encoded(token): token for token in allowed}
        cuts = {token: data for data, token in encoded.items() if data and token in self._ids}
        guarded = [data for data in map(_encodable, disallowed) if data]
        return Rule(
            disallowed,
            Specials([(data, 0) for data in _longest_first(guarded)]) if disallowed else None,
            self._cutter(cuts) if cuts else None,
        )

    def _cutter(self, cuts: Mapping[str, bytes]) -> Specials:
        if not self._has_prefixes:
            return Specials([(data, self._ids[token]) for token, data in cuts.items()])
        # A token that is not allowed hides those that match at the same position.
        return Specials(
            [
                (token.encode("utf-8"), self._ids[token] if token in cuts else None)
                for token in self.order()
                if token
            ]
        )


def _longest_first(tokens: Iterable[bytes]) -> list[bytes]:
    return sorted(tokens, key=len, reverse=True)


def _encoded(token: object) -> bytes:
    if not isinstance(token, str):
        raise TypeError(f"a special token is a str, not {token!r}")
    return token.encode("utf-8")


def _encodable(token: object) -> bytes:
    try:
        return _encoded(token)
    except UnicodeEncodeError:
        return b""  # no UTF-8 text contains it; see _search_surrogates


def _search_surrogates(text: str, disallowed: Collection[str]) -> None:
    """Raise ValueError for a disallowed token in a text that contains a lone surrogate."""
    import re

    match = re.search("|".join(map(re.escape, disallowed)), text)
    if match is not None:
        _raise_disallowed(match.group())


def _raise_disallowed(token: str) -> NoReturn:
    raise ValueError(
        f"Encountered text corresponding to disallowed special token {token!r}.\n"
        "If you want this text to be encoded as a special token, "
        f"pass it to `allowed_special`, e.g. `allowed_special={{{token!r}, ...}}`.\n"
        f"If you want this text to be encoded as normal text, disable the check for this token "
        f"by passing `disallowed_special=(enc.special_tokens_set - {{{token!r}}})`.\n"
        "To disable this check for all special tokens, pass `disallowed_special=()`.\n"
    )
