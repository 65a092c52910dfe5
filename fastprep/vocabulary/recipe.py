"""Recipe: everything an encoding is made of, as a value, before any encoder is built.

Vocabulary files are read into recipes and written from them; :mod:`fastprep.encoding` builds the
encoder of a recipe.
"""

from __future__ import annotations

from fastprep.vocabulary.ranks import sha256_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeVar

    from fastprep.vocabulary.characters import Fallback
    from fastprep.vocabulary.merge_list import MergeList
    from fastprep.vocabulary.ranks import RankTable

    V = TypeVar("V", bound="_Value")
    #: The ids before a text, and those after it.
    Template = tuple[tuple[int, ...], tuple[int, ...]]


class _Value:
    """Immutable value with the fields that ``__slots__`` names.

    It does what ``dataclass(frozen=True)`` does; importing dataclasses would add 20 ms to start-up.
    """

    __slots__: tuple[str, ...] = ()

    def __init__(self, *fields: object) -> None:
        for name, value in zip(self.__slots__, fields, strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in self.__slots__)

    def replaced(self: V, **changes: object) -> V:
        """Return the value with other fields."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return type(self)(**(fields | changes))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({fields})"


class AddedToken(_Value):
    """String that is searched for in a text before the text is normalized and split.

    Attributes
    ----------
    content
        the string.
    id
        its id.
    special
        whether it is a special token, which is recognized only where the caller allows it.
    normalized
        whether it is searched for in the normalized text.
    lstrip, rstrip
        whether it includes the whitespace before it, or after it.
    single_word
        whether it is found only where no character of a word is next to it.
    """

    __slots__ = ("content", "id", "special", "normalized", "lstrip", "rstrip", "single_word")  # noqa: RUF023
    content: str
    id: int
    special: bool
    normalized: bool
    lstrip: bool
    rstrip: bool
    single_word: bool

    def __init__(
        self,
        content: str,
        id: int,
        special: bool = True,
        normalized: bool = False,
        lstrip: bool = False,
        rstrip: bool = False,
        single_word: bool = False,
    ) -> None:
        super().__init__(content, id, special, normalized, lstrip, rstrip, single_word)

    @property
    def has_sides(self) -> bool:
        """Whether what is next to it matters."""
        return self.lstrip or self.rstrip or self.single_word

    def __repr__(self) -> str:
        # Hashes of vocabularies are made of this, so a later field is shown only where it is set.
        shown = super().__repr__()
        return shown if self.single_word else shown.replace(", single_word=False)", ")")


# The most bytes that a normalizer makes of one.
_GROWTH = {"NFC": 3, "NFKC": 11, "Lowercase": 2}


class Recipe(_Value):
    """Everything an encoding is made of. It has ranks, as tiktoken, or merges, as Hugging Face.

    Attributes
    ----------
    name
        the name of the encoding.
    patterns
        the patterns that split text, each applied to the pieces of the one before.
    special_tokens
        from special token to id; by default the special ones of `added`.
    ranks
        the rank table; None if there is a merge list.
    merge_list
        tokens and merges; None if there are ranks.
    added
        the added tokens, special or not; only with a merge list.
    normalize
        whether text is put into Unicode's normal form C.
    space_before
        where a space is put before text: 0, nowhere; 1, before each part between added tokens that
        does not start with one; 2, likewise before the start of the text only; 3, before each
        section between the tokens that are found first; 4, likewise, and added tokens are searched
        for without one; 5, after each piece, of which none has whitespace
        (:mod:`fastprep.vocabulary.word_ends`).
    marks
        whether U+2581 in text becomes a space, as it is in the tokens.
    steps
        further normalizers, in place of normal form C; see :mod:`fastprep.vocabulary.changes`.
    fallback
        with a vocabulary of characters: what becomes of those that are not tokens.
    strips
        whether decoding leaves out a space at the start.
    content
        the sha256 of the file that it was read from, if it was one file; empty otherwise.
    empty
        the id of the token without bytes, which a rank table cannot hold; None if there is none.
    others
        the ids of tokens that no text can reach, such as those of characters that stand for no byte:
        ids decode to them.
    missing
        what becomes of bytes of a text that are no tokens: "drop" or "error".
    source
        where the recipe was read from, for error messages; empty if it was not.
    roles
        the ids of the tokens that begin ("bos"), end ("eos") and pad ("pad") a text, and of that for
        what is unknown ("unk"), as far as they are known. No id of a text depends on them.
    template
        the ids before and after a text that is encoded with the special tokens of its file.
    """

    __slots__ = (
        *("name", "patterns", "special_tokens", "ranks", "merge_list", "added", "normalize"),
        *("space_before", "empty", "others", "missing", "source"),
        *("marks", "steps", "fallback", "strips", "roles", "template", "content"),
    )
    name: str
    patterns: tuple[str, ...]
    special_tokens: dict[str, int]
    ranks: RankTable | None
    merge_list: MergeList | None
    added: tuple[AddedToken, ...]
    normalize: bool
    space_before: int
    empty: int | None
    others: Mapping[bytes, int]
    missing: str
    source: str
    marks: bool
    steps: tuple[tuple[str, ...], ...]
    fallback: Fallback | None
    strips: bool
    roles: Mapping[str, int]
    template: Template
    content: str

    def __init__(
        self,
        name: str,
        patterns: tuple[str, ...],
        special_tokens: dict[str, int] | None = None,
        ranks: RankTable | None = None,
        merge_list: MergeList | None = None,
        added: Sequence[AddedToken] = (),
        normalize: bool = False,
        space_before: int = False,
        empty: int | None = None,
        others: Mapping[bytes, int] | None = None,
        missing: str = "drop",
        source: str = "",
        marks: bool = False,
        steps: Sequence[tuple[str, ...]] = (),
        fallback: Fallback | None = None,
        strips: bool = False,
        roles: Mapping[str, int] | None = None,
        template: Template = ((), ()),
        content: str = "",
    ) -> None:
        if special_tokens is None:
            special_tokens = {token.content: token.id for token in added if token.special}
        super().__init__(
            *(name, patterns, special_tokens, ranks, merge_list, tuple(added), normalize),
            *(space_before, empty, others or {}, missing, source, marks, tuple(steps), fallback),
            *(strips, roles or {}, template, content),
        )

    def read_from(self, content: str) -> Recipe:
        """Return the recipe with the sha256 of its file."""
        return self.replaced(content=content)

    @property
    def pat_str(self) -> str:
        """The patterns as one string, for display and for manifests."""
        return " and then ".join(self.patterns)

    @property
    def table(self) -> RankTable:
        """The tokens, with their ranks or in the order of their ids."""
        table = self.ranks if self.merge_list is None else self.merge_list.table
        assert table is not None
        return table

    @property
    def ids_outside(self) -> Mapping[str, int]:
        """The ids of the special and added tokens."""
        if self.added:
            return {token.content: token.id for token in self.added}
        return self.special_tokens

    def is_token(self, id: int) -> bool:
        """Return whether an id is that of a token."""
        return (
            id in self.ids_outside.values()
            or id == self.empty
            or id in self.table.ids
            or id in self.others.values()
        )

    @property
    def is_plain(self) -> bool:
        """Whether text is split unchanged, apart from special tokens that cut it."""
        return (
            not self.normalize
            and not self.steps
            and not self.marks
            and not self.space_before
            and all(t.special and not t.has_sides for t in self.added)
            and len({token.normalized for token in self.added}) < 2
        )

    def most_ids(self, size: int, texts: int) -> int:
        """Return an upper bound for the number of ids of `texts` texts of `size` bytes in total.

        It exceeds the bytes where text may grow: normal form C may triple it (Unicode Standard
        Annex 15), and a space may be put before each part between added tokens.
        """
        per_byte, per_text = self.growth
        return per_byte * size + per_text * texts

    @property
    def growth(self) -> tuple[int, int]:
        """The two factors of :meth:`most_ids`."""
        size = 3 if self.normalize else 1
        for name, *arguments in self.steps:
            added = len(arguments[-1].encode()) + (name == "Prepend") if arguments else 1
            size *= _GROWTH.get(name, max(1, added))
        return (2 * size, 1) if self.space_before else (size, 0)

    @property
    def may_be_cut(self) -> bool:
        """Whether changes and added tokens leave exact cuts exact (:mod:`fastprep.encoding.cutting`).

        Normal form C never composes a space, a newline or what follows them with what is before. Added
        tokens that are whitespace as a whole, or have none, are within a part.
        """
        return (
            not self.space_before
            and not self.steps
            and all(
                t.special
                or not (t.has_sides or any(map(str.isspace, t.content)))
                or (t.content.isspace() and not t.has_sides)
                for t in self.added
            )
        )

    def mergeable_ranks(self) -> dict[bytes, int]:
        """Return the ids of all tokens but special ones, as tiktoken's dict from bytes to rank."""
        ranks = self.table.mergeable_ranks()
        return ranks if self.empty is None else {b"": self.empty, **ranks}

    def sha256(self) -> str:
        """Return the sha256 that token stores record for the vocabulary.

        With ranks it is that of the table as a ``.tiktoken`` file; with merges that of everything
        that the ids depend on: tokens, merges, patterns, added tokens and settings.
        """
        if self.merge_list is None:
            return self.table.sha256 or sha256_of(self.table)
        import hashlib

        facts = [
            ("added", self.added),
            ("merge_list", self.table.sha256),
            ("name", ""),
            ("normalize", self.normalize),
            ("patterns", self.patterns),
            ("space_before", self.space_before),
        ]
        if self.fallback is not None or self.steps:
            facts += [("marks", self.marks), ("steps", self.steps), ("fallback", self.fallback)]
        return hashlib.sha256(repr(facts).encode()).hexdigest()
