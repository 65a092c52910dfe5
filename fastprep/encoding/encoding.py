"""Encoding: text to ids and back, with tiktoken's interface and meaning, over the compiled core."""

from __future__ import annotations

from fastprep.encoding.decoding import Decoding, as_bytes
from fastprep.encoding.encoders import encoder_of, specials_of
from fastprep.encoding.special import NOTHING
from fastprep.errors import BadVocabulary, FastprepError, InvalidArgument, WrongSize
from fastprep.system.arguments import whole_number
from fastprep.system.cached import cached_property
from fastprep.vocabulary.ranks import table_of
from fastprep.vocabulary.recipe import Recipe
from fastprep_ext.bpe import NO_LIMIT, check_ids, missing_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike
    from pathlib import Path
    from typing import Any, Literal, TypeVar, overload

    import numpy as np
    import numpy.typing as npt

    from fastprep.encoding.segments import Segments
    from fastprep.encoding.shown import ShownTokens
    from fastprep.encoding.special import Allowed, Disallowed, Rule

    Self = TypeVar("Self", bound="Encoding")
    IdType = TypeVar("IdType", np.uint16, np.uint32)
else:

    def overload(function: object) -> object:
        """Replace typing.overload at run time, without the import of typing."""
        return function


# What most calls give as disallowed_special, and what is one object wherever it is written.
_ALL = "all"
_NONE = ()


class Encoding(Decoding):
    """A vocabulary, patterns and special tokens: everything that turns text into ids and back.

    Get a published one with :func:`get_encoding`, read one with :meth:`from_file`, or make one.

    Parameters
    ----------
    name
        the name of the encoding.
    pat_str
        the regular expression whose matches are the pieces of a text, in tiktoken's dialect. The
        patterns that :mod:`fastprep.patterns` lists have splitters of their own; any other is run
        by a machine for regular expressions, more slowly. A pattern that cannot be read exactly as
        tiktoken reads it is refused, and a text that it does not match as a whole is an error.
    mergeable_ranks
        from each token's bytes to its id; the smaller id merges first.
    special_tokens
        from each special token to its id.
    explicit_n_vocab
        the number of tokens; if given, it is checked, and that the ids have no gap.

    >>> from fastprep import get_encoding
    >>> enc = get_encoding("gpt2")
    >>> enc.encode("hello world")
    [31373, 995]
    >>> enc.decode([31373, 995])
    'hello world'

    An encoding never changes, and any number of threads may share one: each call takes a piece
    cache of its own. The method is byte-level BPE (Radford et al. 2019, "Language Models are
    Unsupervised Multitask Learners"), id for id as tiktoken 0.14 does it.

    Raises :class:`~fastprep.errors.BadVocabulary` for tokens that are not a vocabulary,
    :class:`~fastprep.errors.WrongSize` for another number of them. A vocabulary may lack single
    bytes: text that needs one raises :class:`~fastprep.errors.MissingByte`.
    """

    #: The kind of encoding that a store records; see fastprep.store.encodings.
    kind: Literal["bpe", "words"] = "bpe"

    # Returns this very encoding by its name; the registry sets it.
    _getter: Callable[[str], Encoding] | None = None

    name: str
    max_token_value: int

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
        vars(self)["_mergeable_ranks"] = mergeable_ranks  # what the property would compute
        self._assemble(
            Recipe(
                name,
                (pat_str,),
                special_tokens,
                ranks=table_of(mergeable_ranks),
                empty=mergeable_ranks.get(b""),
            )
        )

    @classmethod
    def _from_recipe(cls: type[Self], recipe: Recipe) -> Self:
        encoding = cls.__new__(cls)
        try:
            encoding._assemble(recipe)
        except BadVocabulary as error:
            if not recipe.source:
                raise
            raise BadVocabulary(f"{recipe.source}: {error}") from None
        return encoding

    def _for_stores(self) -> Encoding:
        """Return the encoding of which stores record the tables: this one, unless a subclass differs."""
        return self

    def _assemble(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.name = recipe.name
        self._encoder = encoder_of(recipe)
        self._specials = specials_of(recipe)
        check_ids((*recipe.ids_outside.values(), *recipe.others.values(), recipe.empty or 0))
        self.max_token_value = max(
            recipe.table.largest,
            *recipe.ids_outside.values(),
            *recipe.others.values(),
            recipe.empty or 0,
        )

    @classmethod
    def from_tiktoken(cls: type[Self], encoding: Any) -> Self:
        """Make the encoding that equals one of tiktoken's.

        >>> import tiktoken
        >>> tokens = {bytes([i]): i for i in range(256)}
        >>> theirs = tiktoken.Encoding(
        ...     "bytes", pat_str=".", mergeable_ranks=tokens, special_tokens={"<|e|>": 256}
        ... )
        >>> Encoding.from_tiktoken(theirs).encode("ab<|e|>", allowed_special="all")
        [97, 98, 256]

        Raises what the class does, and InvalidArgument for anything but an encoding of tiktoken.
        """
        if isinstance(encoding, type) or not hasattr(encoding, "_mergeable_ranks"):
            raise InvalidArgument(f"{encoding!r:.200} is not an encoding of tiktoken")
        return cls(
            encoding.name,
            pat_str=encoding._pat_str,
            mergeable_ranks=encoding._mergeable_ranks,
            special_tokens=encoding._special_tokens,
        )

    @classmethod
    def from_tokenizers(cls: type[Self], tokenizer: Any, *, name: str | None = None) -> Self:
        """Make the encoding that equals a tokenizer of Hugging Face.

        Parameters
        ----------
        tokenizer
            a ``tokenizers.Tokenizer``, or a fast tokenizer of transformers.
        name
            the name of the encoding; by default that of the tokenizer, if it has one.

        The ids are those of its ``tokenizer.json``; :meth:`from_file` says what that means.

        >>> import tokenizers
        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").save(tmp / "tokenizer.json")
        >>> theirs = tokenizers.Tokenizer.from_file(str(tmp / "tokenizer.json"))
        >>> Encoding.from_tokenizers(theirs, name="mine").encode("hello world")
        [31373, 995]

        Raises :class:`~fastprep.errors.BadVocabulary` for a tokenizer that is not supported, and
        :class:`~fastprep.errors.InvalidArgument` for anything else.
        """
        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if isinstance(tokenizer, type) or not hasattr(backend, "to_str"):
            kind = type(tokenizer)
            raise InvalidArgument(
                f"tokenizer is a {kind.__module__}.{kind.__qualname__}; pass a tokenizers.Tokenizer, "
                "or a fast tokenizer of transformers"
            )
        from fastprep.vocabulary.configuration import ROLES, ids_of
        from fastprep.vocabulary.tokenizer_json import from_tokenizer_json

        known = str(getattr(tokenizer, "name_or_path", "") or "").rstrip("/").rpartition("/")[2]
        found = name or known or "tokenizers"
        source = f"the tokenizer {found!r}"
        recipe = from_tokenizer_json(backend.to_str().encode(), found, source)
        named = {role: getattr(tokenizer, f"{role}_token", None) for role in ROLES}
        roles = ids_of(recipe, {role: str(token) for role, token in named.items() if token})
        return cls._from_recipe(recipe.replaced(roles=roles) if roles else recipe)

    @classmethod
    def from_file(
        cls: type[Self],
        path: str | Path,
        *,
        name: str | None = None,
        pat_str: str | None = None,
        special_tokens: dict[str, int] | None = None,
        allow_pattern: bool = False,
        missing: Literal["drop", "error"] = "drop",
    ) -> Self:
        """Read a vocabulary file: tiktoken's, GPT-2's, Hugging Face's, SentencePiece's or Mistral's.

        Parameters
        ----------
        path
            a ``.tiktoken`` file; a ``tokenizer.json``; a ``tekken.json``; a ``.fastprep`` file; a
            ``.model`` of tiktoken, or of SentencePiece if it is BPE; one of ``vocab.bpe`` and
            ``encoder.json``, or of ``merges.txt`` and ``vocab.json``, with the other one in the
            same directory; a directory that holds one of these.
        name
            the name of the encoding; by default that of the file.
        pat_str
            the pattern that splits text. Needed for a ``.tiktoken`` file unless it is a published
            one; by default GPT-2's for ``vocab.bpe``. A ``tokenizer.json`` has its own.
        special_tokens
            from special token to id; by default those of the published file, or ``<|endoftext|>``
            if the vocabulary of a ``vocab.bpe`` has it.
        allow_pattern
            not needed any more: any pattern is run, in a bounded number of steps.
        missing
            what becomes of a byte of a text that is not a token of a vocabulary with merges:
            ``"drop"`` leaves it out, as the tokenizers library does, and the first time gives a
            RuntimeWarning; with ``"error"`` such text raises
            :class:`~fastprep.errors.MissingByte`. Most vocabularies lack only bytes that no UTF-8
            has. :meth:`count_missing` counts what is lost.

        A ``.tiktoken`` file means what it means to tiktoken. The others mean what they mean to the
        tokenizers library of Hugging Face (0.23): ``encode(text, allowed_special="all")`` gives the
        ids of ``Tokenizer.encode(text, add_special_tokens=False)``, and :meth:`encode_ordinary` those
        with ``encode_special_tokens`` set. Added tokens that are not special are recognized by both.
        The tokens that its ``post_processor`` puts before and after a text are added with
        ``add_special_tokens=True``. Nothing is padded or truncated: the sections of a
        ``tokenizer.json`` for that must be ones that the library takes, and have no effect.

        ``tokenizer_config.json``, ``special_tokens_map.json`` and ``generation_config.json`` in the
        same directory say which tokens begin, end and pad a text (:attr:`bos_token_id`,
        :attr:`eos_token_id`, :attr:`pad_token_id`, :attr:`unk_token_id`), and with ``add_bos_token``
        and ``add_eos_token`` what ``add_special_tokens=True`` adds if the vocabulary file has no
        template of its own.

        >>> from fastprep import get_encoding
        >>> from pathlib import Path
        >>> path = tmp / "tokenizer.json"
        >>> get_encoding("gpt2").save(path)
        >>> Encoding.from_file(path, name="again").encode("hello world")
        [31373, 995]

        What large files hold is kept in a cache, so that they load faster the second time. Pickles
        name the file, if it is still as it was read: they are loaded where it is there.

        Raises :class:`~fastprep.errors.BadVocabulary` for a file that is damaged, too large, or not
        supported: anything but BPE.
        """
        from fastprep.vocabulary import files

        return cls._from_recipe(
            files.load(
                path,
                name=name,
                pat_str=pat_str,
                special_tokens=special_tokens,
                missing=missing,
            )
        )

    def save(self, path: str | Path, *, as_published: bool = False) -> None:
        """Write the vocabulary to the kind of file that `path` is named as.

        Parameters
        ----------
        path
            the file.
        as_published
            for a ``tokenizer.json`` that libraries with a fast path for published files should
            recognize: each id has a token, ``<|unused_...|>`` where the vocabulary has none, and the
            pattern is the published one. It means the same but for cl100k, where whitespace at
            the end of a text is split after its last newline, which tiktoken does not do.

        These are ``.tiktoken``, ``tokenizer.json``, and the pairs ``vocab.bpe`` with
        ``encoder.json`` and ``merges.txt`` with ``vocab.json``, which do not hold the pattern. A
        ``.tiktoken`` file holds ranks only: keep the pattern and the special tokens elsewhere. From
        a ``tokenizer.json`` the tokenizers library of Hugging Face gives the same ids for all
        texts. A ``.fastprep`` file holds any encoding, for :meth:`from_file` alone.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").save(tmp / "gpt2.tiktoken")
        >>> (tmp / "gpt2.tiktoken").read_bytes().splitlines()[0]
        b'IQ== 0'

        Raises :class:`~fastprep.errors.BadVocabulary` if the format cannot express the encoding,
        :class:`~fastprep.errors.InvalidArgument` for `as_published` with another kind of file, and
        ValueError for another file name.
        """
        from fastprep.vocabulary import files

        files.save(self.recipe, path, as_published=as_published)

    def show(
        self,
        text: str,
        *,
        allowed_special: Allowed = "all",
        disallowed_special: Disallowed = (),
    ) -> ShownTokens:
        """Return the tokens of a text to look at: coloured, in a notebook and in a terminal.

        Special tokens in the text are encoded as themselves, unless `allowed_special` says otherwise.
        Tokens that share a character are shown as one.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").show("hello world<|endoftext|>")
        hello| world|<|endoftext|>

        Raises what :meth:`encode` does.
        """
        from fastprep.encoding.shown import ShownTokens

        ids = self.encode(
            text, allowed_special=allowed_special, disallowed_special=disallowed_special
        )
        special = frozenset(self.special_tokens.values())
        return ShownTokens(ids, self.decode_single_token_bytes, special)

    def __repr__(self) -> str:
        return f"<Encoding {self.name!r}>"

    def _repr_html_(self) -> str:
        from fastprep.encoding.shown import facts_html

        special = self.special_tokens
        listed = ", ".join(f"{token} {number}" for token, number in [*special.items()][:8])
        more = f" and {len(special) - 8:,} more" if len(special) > 8 else ""
        example = "The quick brown fox: 3.14 naïve 日本語"
        facts = [
            ("vocabulary", self.n_vocab),
            ("special tokens", listed + more or "none"),
            ("pattern", self.pat_str),
        ]
        try:
            shown = self.show(example)._repr_html_()
        except FastprepError:  # a vocabulary without all bytes
            shown = ""
        return facts_html(repr(self), facts, shown)

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._getter is not None:
            return self._getter, (self.name,)
        return super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        if self.recipe.content:
            from fastprep.vocabulary.files import by_reference

            reference = by_reference(self.recipe)
            if reference is not None:
                return {"file": reference}
        if (
            self.recipe.merge_list is not None
            or self.recipe.roles
            or self.recipe.template != ((), ())
        ):
            return {"recipe": self.recipe}
        return {
            "name": self.name,
            "pat_str": self.pat_str,
            "mergeable_ranks": self._mergeable_ranks,
            "special_tokens": self.special_tokens,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "file" in state:
            from fastprep.vocabulary.files import of_reference

            self._assemble(of_reference(state["file"]))
        elif "recipe" in state:
            self._assemble(state["recipe"])
        else:
            Encoding.__init__(self, **state)

    # -- encoding ---------------------------------------------------------------------------------

    def encode_ordinary(self, text: str, *, max_tokens: int | None = None) -> list[int]:
        """Encode `text`, with special tokens in it as ordinary text.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_ordinary("<|endoftext|>")
        [27, 91, 437, 1659, 5239, 91, 29]

        With `max_tokens`, encoding stops after that many ids, and the rest of the text is not read.
        A lone surrogate, which UTF-8 cannot represent, is encoded as U+FFFD, as in tiktoken. Raises
        TypeError if `text` is not a str, :class:`~fastprep.errors.InvalidInput` if `max_tokens` is
        not a whole number of at least 0.
        """
        try:
            if max_tokens is None:
                return self._encoder.encode(text)
            return self._encoder.encode(text, None, _limit(max_tokens))
        except UnicodeEncodeError:
            return self.encode_ordinary(_repaired(text), max_tokens=max_tokens)

    def encode(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
        max_tokens: int | None = None,
        add_special_tokens: bool = False,
    ) -> list[int]:
        """Encode `text`; special tokens in it are an error unless they are allowed.

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
            the largest number of ids, at least 0. Disallowed tokens are still searched for in all
            of the text.
        add_special_tokens
            whether to add the ids that the vocabulary's files put before and after a text, as
            transformers does by default. A published encoding has none.

        >>> from fastprep import get_encoding
        >>> enc = get_encoding("gpt2")
        >>> enc.encode("tea<|endoftext|>", allowed_special={"<|endoftext|>"})
        [660, 64, 50256]
        >>> enc.encode("<|endoftext|>", disallowed_special=())
        [27, 91, 437, 1659, 5239, 91, 29]
        >>> enc.encode("a long text", max_tokens=2)
        [64, 890]

        Raises ValueError that names a disallowed token in the text, TypeError if `text` is not a str,
        :class:`~fastprep.errors.InvalidInput` for a wrong `max_tokens`, and
        :class:`~fastprep.errors.MissingByte` if the vocabulary lacks a byte that the text needs.
        """
        if add_special_tokens:
            before, after = self.recipe.template
            if max_tokens is not None:
                max_tokens = self._room(max_tokens)
            own = self.encode(
                text,
                allowed_special=allowed_special,
                disallowed_special=disallowed_special,
                max_tokens=max_tokens,
            )
            return [*before, *own, *after]
        specials = self._specials
        try:
            # The choices of most calls, without a call to find what they mean. Others are compared
            # there.
            usual = allowed_special is NOTHING and max_tokens is None
            if usual and disallowed_special is _NONE:
                return self._encoder.encode(text)
            if usual and disallowed_special is _ALL and specials.is_usual:
                ids = self._encoder.encode(text, None, NO_LIMIT, specials.guard)
            else:
                rule = specials.rule(text, allowed_special, disallowed_special)
                limit = NO_LIMIT if max_tokens is None else _limit(max_tokens)
                ids = self._encoder.encode(text, rule.cutter, limit, rule.guard)
        except UnicodeEncodeError:
            self._specials.screen(text, allowed_special, disallowed_special)
            return self.encode(
                _repaired(text),
                allowed_special=allowed_special,
                disallowed_special=(),
                max_tokens=max_tokens,
            )
        if ids is None:
            self._specials.refuse(text, allowed_special, disallowed_special)
        return ids

    def encode_with_offsets(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
        add_special_tokens: bool = False,
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """Encode `text` as :meth:`encode` does, and return for each id the characters it comes from.

        Returns
        -------
        (list of int, list of (int, int))
            the ids; for each the index in `text` of its first character, and that after its last.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_with_offsets("hello world")
        ([31373, 995], [(0, 5), (5, 11)])

        The spans are those of the tokenizers library without ``trim_offsets``: a token that has a
        part of a character has all of it, a space that is put before a text has its first character,
        and a composed character of normal form C the first of those it is made of.

        Raises what :meth:`encode` does, UnicodeEncodeError for a lone surrogate, and
        :class:`~fastprep.errors.TextIsChanged` for a vocabulary with one id for unknown characters.
        """
        from fastprep_ext.bpe import list_with_spans

        ids, spans = self.encode_with_offsets_to_numpy(
            text,
            allowed_special=allowed_special,
            disallowed_special=disallowed_special,
            add_special_tokens=add_special_tokens,
        )
        return list_with_spans(ids, spans.reshape(-1))

    def encode_with_offsets_to_numpy(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
        add_special_tokens: bool = False,
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Encode `text` as :meth:`encode_with_offsets` does, into arrays of numpy.

        Returns
        -------
        (uint32 ``[n]``, int64 ``[n, 2]``)
            the ids; for each the index in `text` of its first character, and that after its last.

        >>> from fastprep import get_encoding
        >>> ids, spans = get_encoding("gpt2").encode_with_offsets_to_numpy("hello world")
        >>> spans
        array([[ 0,  5],
               [ 5, 11]])

        No Python object is made per token. Raises what :meth:`encode_with_offsets` does.
        """
        import numpy as np

        from fastprep.encoding.offsets import encode_spans

        specials = self._specials.screen(text, allowed_special, disallowed_special)
        ids, spans = encode_spans(self, text, specials)
        if not add_special_tokens:
            return ids, spans
        before, after = self.recipe.template
        return (
            np.concatenate([np.array(before, np.uint32), ids, np.array(after, np.uint32)]),
            np.pad(spans, ((len(before), len(after)), (0, 0))),
        )

    def encode_batch_with_offsets_to_numpy(
        self,
        texts: Iterable[str],
        *,
        num_threads: int = 8,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Encode each text with :meth:`encode_with_offsets` into flat arrays, ids on several threads.

        Returns
        -------
        (uint32 ``[total]``, int64 ``[n + 1]``, int64 ``[total, 2]``)
            the ids of all texts back to back; where those of each text begin, and the last end, as of
            :meth:`encode_batch_to_numpy`; the span of each id, in characters of its own text.

        >>> from fastprep import get_encoding
        >>> texts = ["hello world", "tea"]
        >>> ids, offsets, spans = get_encoding("gpt2").encode_batch_with_offsets_to_numpy(texts)
        >>> spans[offsets[1] : offsets[2]]
        array([[0, 2],
               [2, 3]])

        Raises what :meth:`encode_with_offsets` does for the first text that has an error, and
        :class:`~fastprep.errors.InvalidInput` without a thread.
        """
        from fastprep.encoding import batches
        from fastprep.encoding.offsets import encode_batch_spans

        rule = self._batch_rule(allowed_special, disallowed_special)

        def one(text: str) -> list[int]:
            ids, _ = self.encode_with_offsets_to_numpy(
                text, allowed_special=allowed_special, disallowed_special=disallowed_special
            )
            found: list[int] = ids.tolist()
            return found

        listed = [*texts]
        ids, offsets = batches.encode_flat(self._encoder, listed, None, num_threads, one, rule)
        return ids, offsets, encode_batch_spans(self, listed, ids, offsets, rule.cutter)

    @overload
    def encode_to_numpy(  # noqa: D102
        self,
        text: str,
        *,
        allowed_special: Allowed = ...,
        disallowed_special: Disallowed = ...,
        max_tokens: int | None = ...,
        out: None = ...,
        add_special_tokens: bool = ...,
    ) -> npt.NDArray[np.uint32]: ...
    @overload
    def encode_to_numpy(  # noqa: D102, F811
        self,
        text: str,
        *,
        allowed_special: Allowed = ...,
        disallowed_special: Disallowed = ...,
        max_tokens: int | None = ...,
        out: npt.NDArray[IdType],
        add_special_tokens: bool = ...,
    ) -> npt.NDArray[IdType]: ...
    def encode_to_numpy(  # noqa: F811
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
        max_tokens: int | None = None,
        out: npt.NDArray[Any] | None = None,
        add_special_tokens: bool = False,
    ) -> npt.NDArray[Any]:
        """Encode `text` as :meth:`encode` does, into a uint32 array ``[n]`` of numpy.

        >>> from fastprep import get_encoding
        >>> import numpy as np
        >>> get_encoding("gpt2").encode_to_numpy("hello world")
        array([31373,   995], dtype=uint32)

        No Python object is made per token. If `out` is given, a contiguous uint16 or uint32 array,
        the ids are written into it, and its first part, which holds them, is returned. No copy is
        made if it is uint32 and has 8 more items than the text has bytes. Raises ValueError if the
        ids do not fit into it, OverflowError if an id does not fit the dtype, UnicodeEncodeError for
        a lone surrogate, as tiktoken does here.

        >>> out = np.empty(8, np.uint16)
        >>> get_encoding("gpt2").encode_to_numpy("hello world", out=out)
        array([31373,   995], dtype=uint16)
        """
        if add_special_tokens:
            from fastprep.encoding.templates import encode_to_numpy

            if out is not None:
                _check_out(out)
            return encode_to_numpy(
                self,
                text,
                out,
                allowed_special=allowed_special,
                disallowed_special=disallowed_special,
                max_tokens=None if max_tokens is None else self._room(max_tokens),
            )
        specials = self._specials
        try:
            usual = allowed_special is NOTHING and max_tokens is None
            cutter = guard = None
            limit = NO_LIMIT
            if usual and disallowed_special is _ALL and specials.is_usual:
                guard = specials.guard
            elif not usual or disallowed_special is not _NONE:
                rule = specials.rule(text, allowed_special, disallowed_special)
                cutter, guard = rule.cutter, rule.guard
                if max_tokens is not None:
                    limit = _limit(max_tokens)
            if out is None:
                ids: Any = self._encoder.encode_to_array(text, cutter, limit, guard)
            else:
                ids = self._encoder.encode_into(text, out, cutter, limit, guard)
                if ids is NotImplemented:
                    _check_out(out)
                    ids = self._encoder.encode_into(text, out, cutter, limit, guard, True)
                    ids = None if ids is None else out[:ids]
        except UnicodeEncodeError:
            specials.screen(text, allowed_special, disallowed_special)
            raise
        if ids is None:
            specials.refuse(text, allowed_special, disallowed_special)
        found: npt.NDArray[Any] = ids
        return found

    def encode_bytes(self, data: bytes | bytearray | memoryview) -> npt.NDArray[np.uint32]:
        """Encode a buffer of UTF-8 as ordinary text, without decoding it to a str: uint32 ``[n]``.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_bytes(b"hello world")
        array([31373,   995], dtype=uint32)

        Raises :class:`~fastprep.errors.InvalidUtf8` naming the byte.
        """
        return self._encoder.encode_buffer(data)

    def count(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
        add_special_tokens: bool = False,
        limit: int | None = None,
    ) -> int:
        """Count the ids that :meth:`encode` returns, without storing them.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").count("hello world")
        2

        With `limit`, counting stops there, and the rest of the text is not read: the result is `limit`
        for a text of as many ids or more. So ``count(text, limit=n + 1) <= n`` tells in short time
        whether a text of any length has at most n ids.

        >>> get_encoding("gpt2").count("to be or not to be", limit=3)
        3

        Raises what :meth:`encode` does, with `limit` for `max_tokens`.
        """
        if add_special_tokens:
            added = sum(map(len, self.recipe.template))
            return added + self.count(
                text,
                allowed_special=allowed_special,
                disallowed_special=disallowed_special,
                limit=None if limit is None else self._room(limit),
            )
        specials = self._specials
        try:
            usual = allowed_special is NOTHING and limit is None
            if usual and disallowed_special is _NONE:
                return self._encoder.count(text)
            rule = specials.rule(text, allowed_special, disallowed_special)
            most = NO_LIMIT if limit is None else _limit(limit, "limit")
            count = self._encoder.count(text, rule.cutter, most, rule.guard)
        except UnicodeEncodeError:
            self._specials.screen(text, allowed_special, disallowed_special)
            return self.count(
                _repaired(text),
                allowed_special=allowed_special,
                disallowed_special=(),
                limit=limit,
            )
        if count is None:
            self._specials.refuse(text, allowed_special, disallowed_special)
        return count

    def truncate(
        self,
        text: str,
        n: int,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> tuple[str, int]:
        """Cut `text` where a character ends after at most `n` ids, and count the ids of all of it.

        Returns
        -------
        (str, int)
            the start of `text` that most of its first `n` ids spell: all `n`, unless the last of them
            end within a character; the number of ids of the whole text, which is at most `n` only if
            nothing was cut.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").truncate("hello world, hello", 3)
        ('hello world,', 4)

        The ids are those of :meth:`encode`, found once. What is left out are whole ids, so a cut may
        be within a word. Encoded by itself the start usually has the ids that it was cut from, and may
        have others where what follows a text decides how it is split, as after spaces.

        Raises what :meth:`encode` does; :class:`~fastprep.errors.TextIsChanged` where
        :meth:`encode_with_offsets` does.
        """
        n = whole_number(n, "n", 0)
        try:
            if self._ids_spell_text:
                array = self.encode_to_numpy(
                    text, allowed_special=allowed_special, disallowed_special=disallowed_special
                )
                if len(array) <= n:
                    return text, len(array)
                return self._decoder.cut(text, array[:n]), len(array)
            ids, spans = self.encode_with_offsets(
                text, allowed_special=allowed_special, disallowed_special=disallowed_special
            )
        except UnicodeEncodeError:
            found, total = self.truncate(
                _repaired(text), n, allowed_special=allowed_special, disallowed_special=()
            )
            return text if total <= n else found, total
        if len(ids) <= n:
            return text, len(ids)
        while n and spans[n][0] < spans[n - 1][1]:
            n -= 1
        return text[: spans[n][0]] if n else "", len(ids)

    @cached_property
    def _ids_spell_text(self) -> bool:
        """Whether the bytes of a text's ids are, one after another, those of the text."""
        recipe, table = self.recipe, self.recipe.table
        return (
            recipe.is_plain
            and recipe.fallback is None
            and not missing_bytes(table.blob, table.ends_buffer)
            and all(
                self._decoder.decode_token(id) == token.encode()
                for token, id in recipe.ids_outside.items()
            )
        )

    def count_missing(self, text: str | bytes | memoryview) -> int:
        """Count the bytes of a text that are no tokens: without merges that have them, they are lost.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").count_missing("any text")
        0

        In a vocabulary with merges each is left out before merging (:meth:`from_file`).
        """
        from fastprep_ext.bpe import count_bytes

        table = self.recipe.table
        return count_bytes(text, missing_bytes(table.blob, table.ends_buffer))

    def encode_ordinary_batch(
        self, text: Iterable[str], *, num_threads: int = 8
    ) -> list[list[int]]:
        """Encode each text with :meth:`encode_ordinary`, on up to `num_threads` threads.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_ordinary_batch(["hello world", "goodbye world"])
        [[31373, 995], [11274, 16390, 995]]

        Raises what :meth:`encode_ordinary` does for the first text that has an error, and
        :class:`~fastprep.errors.InvalidInput`, a ValueError, without a thread.
        """
        from fastprep.encoding import batches

        return batches.encode_batch(self._encoder, text, num_threads, self.encode_ordinary)

    def encode_batch(
        self,
        text: Iterable[str],
        *,
        num_threads: int = 8,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
        add_special_tokens: bool = False,
    ) -> list[list[int]]:
        """Encode each text with :meth:`encode`, on up to `num_threads` threads.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_batch(["hello world", "goodbye world"])
        [[31373, 995], [11274, 16390, 995]]

        Raises what :meth:`encode` does for the first text that has an error, and
        :class:`~fastprep.errors.InvalidInput`, a ValueError, without a thread.
        """
        from fastprep.encoding import batches

        rule = self._batch_rule(allowed_special, disallowed_special)

        def one(text: str) -> list[int]:
            return self.encode(
                text, allowed_special=allowed_special, disallowed_special=disallowed_special
            )

        found = batches.encode_batch(self._encoder, text, num_threads, one, rule)
        before, after = self.recipe.template
        if add_special_tokens and (before or after):
            return [[*before, *ids, *after] for ids in found]
        return found

    def encode_batch_to_numpy(
        self,
        texts: Any,
        offsets: Any = None,
        *,
        num_threads: int = 8,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """Encode each text with :meth:`encode` into one flat array, on up to `num_threads` threads.

        Parameters
        ----------
        texts
            an iterable of str and buffers of UTF-8; or an Arrow column of strings, as
            :meth:`encode_arrow` takes it, whose nulls have no ids; or, with `offsets`, one buffer of
            UTF-8 that holds all texts.
        offsets
            whole numbers ``[n + 1]``: text i is bytes ``offsets[i]`` to ``offsets[i + 1]`` of `texts`.
        num_threads
            the largest number of threads; they do not hold the GIL.

        Returns
        -------
        (uint32 ``[total]``, int64 ``[n + 1]``)
            the ids of all texts back to back; where those of each text begin, and the last end.

        >>> from fastprep import get_encoding
        >>> ids, offsets = get_encoding("gpt2").encode_batch_to_numpy(["hello world", "tea"])
        >>> ids, offsets
        (array([31373,   995,   660,    64], dtype=uint32), array([0, 2, 4]))
        >>> ids[offsets[1] : offsets[2]].tolist()
        [660, 64]

        No Python object is made per text or id. Raises what :meth:`encode` does for the first text
        that has an error, :class:`~fastprep.errors.InvalidUtf8` naming text and byte,
        :class:`~fastprep.errors.InvalidArgument` for wrong offsets, and
        :class:`~fastprep.errors.InvalidInput` without a thread.
        """
        from fastprep.encoding import batches

        rule = self._batch_rule(allowed_special, disallowed_special)

        def one(text: str) -> list[int]:
            return self.encode(
                text, allowed_special=allowed_special, disallowed_special=disallowed_special
            )

        return batches.encode_flat(self._encoder, texts, offsets, num_threads, one, rule)

    def encode_padded(
        self,
        texts: Any,
        length: int,
        *,
        pad: int = 0,
        side: Literal["left", "right"] = "right",
        num_threads: int = 8,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Encode each text with :meth:`encode` into a row of `length` ids, on several threads.

        Parameters
        ----------
        texts
            an iterable of str and buffers of UTF-8, or an Arrow column of strings.
        length
            the number of columns, L. Of a text that has more ids the first L are kept.
        pad
            the number in the places that have no id: of a padding token, or -100 for labels that a
            loss leaves out.
        side
            where those places are: after the ids of a text, or before them (``"left"``).
        num_threads
            the largest number of threads; they do not hold the GIL.

        Returns
        -------
        (int64 ``[B, L]``, bool ``[B, L]``)
            the ids of B texts; the mask, which is True where an id of the text is.

        >>> from fastprep import get_encoding
        >>> rows, mask = get_encoding("gpt2").encode_padded(["hello world", "tea time now"], 3)
        >>> rows
        array([[31373,   995,     0],
               [  660,    64,   640]])
        >>> mask.sum(axis=1)
        array([2, 3])

        Raises what :meth:`encode_batch_to_numpy` does, and
        :class:`~fastprep.errors.InvalidArgument` for a wrong length, pad or side.
        """
        from fastprep.encoding import batches

        length, pad = batches.check_padding(length, pad, side)
        rule = self._batch_rule(allowed_special, disallowed_special)

        def one(text: str) -> list[int]:
            return self.encode(
                text,
                allowed_special=allowed_special,
                disallowed_special=disallowed_special,
                max_tokens=length,
            )

        found = batches.encode_flat(self._encoder, texts, None, num_threads, one, rule, length)
        return batches.pad_rows(*found, length, pad, side)

    def count_batch(
        self,
        texts: Any,
        *,
        num_threads: int = 8,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> npt.NDArray[np.int64]:
        """Count the ids of each text as :meth:`count` does, on several threads: int64 ``[n]``.

        `texts` are an iterable of str and buffers of UTF-8, or an Arrow column of strings.

        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").count_batch(["hello world", "tea"])
        array([2, 2])

        Raises what :meth:`encode_batch_to_numpy` does.
        """
        from fastprep.encoding import batches

        rule = self._batch_rule(allowed_special, disallowed_special)

        def one(text: str) -> int:
            return self.count(
                text, allowed_special=allowed_special, disallowed_special=disallowed_special
            )

        return batches.count_batch(self._encoder, texts, num_threads, one, rule)

    def _batch_rule(self, allowed: Allowed, disallowed: Disallowed) -> Rule:
        """Return what each text of a batch is searched for. Raises what an empty text does."""
        return self._specials.rule("", allowed, disallowed)

    def encode_segments(self, segments: Iterable[tuple[str, bool]]) -> list[int]:
        """Encode a text of several parts, of which only those of the caller have special tokens.

        Parameters
        ----------
        segments
            pairs of a text and whether special tokens in it are encoded as themselves: True for the
            parts of a chat template, False for what a user or a model wrote, in which they are
            ordinary text.

        Returns
        -------
        list of int
            the ids of each part, one after another, as if each were encoded by itself: by
            ``encode(text, allowed_special="all")`` or by ``encode_ordinary(text)``. No token
            reaches from one part into the next, and no special token forms across their border. The
            ids of the joined text may differ: merge parts that should be split as one text.

        >>> from fastprep import get_encoding
        >>> enc = get_encoding("gpt2")
        >>> enc.encode_segments([("a<|endoftext|>", True), ("tea <|", False), ("endoftext|>", False)])
        [64, 50256, 660, 64, 1279, 91, 437, 1659, 5239, 91, 29]

        The ids of parts are kept, up to 4 million characters of them per encoding, so of a chat that
        grows only the new parts are encoded. Raises :class:`~fastprep.errors.WrongType` for anything
        but such pairs, and what :meth:`encode_ordinary` does.
        """
        return self._segments.encode(segments)

    @cached_property
    def _segments(self) -> Segments:
        from fastprep.encoding.segments import Segments

        return Segments(
            lambda text: self.encode(text, allowed_special="all", disallowed_special=()),
            self.encode_ordinary,
        )

    def encode_file(
        self,
        source: str | PathLike[str],
        target: str | PathLike[str],
        *,
        dtype: npt.DTypeLike | None = None,
        workers: int = 1,
    ) -> int:
        """Encode a text file as one ordinary text into a file of ids; return the number of ids.

        >>> import numpy as np
        >>> path = tmp / "hello.txt"
        >>> _ = path.write_text("hello world")
        >>> from fastprep import get_encoding
        >>> get_encoding("gpt2").encode_file(path, path.with_suffix(".bin"))
        2
        >>> np.fromfile(path.with_suffix(".bin"), np.uint16)
        array([31373,   995], dtype=uint16)

        The ids are those of the whole content, including a byte order mark, stored back to back as
        `dtype`: uint16 (the default if every id is below 65,536) or uint32. Memory does not grow
        with the file, unless a long text has no place to cut or the encoding's text may not be cut
        (:attr:`may_be_cut`). `workers` threads share the work. The target appears once it is
        complete. For many documents, checksums, and files that survive a power cut use
        :func:`fastprep.prepare`.

        Raises :class:`~fastprep.errors.InvalidInput` naming the file, and the byte that is not
        UTF-8; ValueError for another dtype or no worker, OverflowError if ids do not fit the dtype,
        OSError from the system.
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
            uint64 ``[>= len(texts)]``: receives for each text the index in `out` after its last id.
        end_token
            an id to append to each text.
        close_last
            if False, the last text continues in another call, so nothing is appended to it.

        Returns
        -------
        int
            the number of ids written.

        >>> from fastprep import get_encoding
        >>> import numpy as np
        >>> enc = get_encoding("gpt2")
        >>> out, ends = np.empty(40, np.uint16), np.empty(2, np.uint64)
        >>> n = enc.encode_documents(["hello world", b"tea"], out, ends, end_token=enc.eot_token)
        >>> out[:n].tolist(), ends.tolist()
        ([31373, 995, 50256, 660, 64, 50256], [3, 6])

        Raises :class:`~fastprep.errors.InvalidUtf8` naming text and byte, OverflowError if ids may
        not fit the dtype of `out`, ValueError if `out` is too small.
        """
        if end_token is not None:
            end_token = whole_number(end_token, "end_token", 0)
        return self._encoder.encode_documents(
            texts, out, ends, end_token=end_token, close_last=close_last
        )

    def encode_arrow(
        self, column: Any, *, num_threads: int = 8, add_special_tokens: bool = False
    ) -> Any:
        """Encode an Arrow column of strings; see :func:`fastprep.encoding.arrow.encode_arrow`.

        `column` is any object with Arrow's PyCapsule interface: an array of pyarrow, a Series of
        polars or pandas, a column of a dataset. An array of ``list<uint32>`` is returned. Special
        tokens in the text are ordinary text; `add_special_tokens` is that of :meth:`encode`.

        >>> from fastprep import get_encoding
        >>> import pyarrow as pa
        >>> get_encoding("gpt2").encode_arrow(pa.array(["hello world", None])).to_pylist()
        [[31373, 995], None]

        Raises TypeError for anything but a column of strings, InvalidUtf8 naming the row, and
        MissingExtra if pyarrow is not installed.
        """
        from fastprep.encoding.arrow import encode_arrow

        template = self.recipe.template if add_special_tokens else ((), ())
        return encode_arrow(self._encoder, column, num_threads=num_threads, template=template)

    def _room(self, max_tokens: int) -> int:
        """Return how many of `max_tokens` ids are left for a text beside those that are added."""
        added = sum(map(len, self.recipe.template))
        return whole_number(max_tokens, "max_tokens, with the special tokens,", added) - added

    # -- single pieces, and text that is not complete ----------------------------------------------

    def encode_with_unstable(
        self,
        text: str,
        *,
        allowed_special: Allowed = NOTHING,
        disallowed_special: Disallowed = "all",
    ) -> tuple[list[int], list[list[int]]]:
        """Return the ids of `text` that no further text changes, and what may follow them then.

        Returns
        -------
        (list of int, list of lists of int)
            the ids of a first part of `text`; sequences of ids, in no particular order, each of
            which spells the rest of it and perhaps more.

        >>> from fastprep import get_encoding
        >>> certain, possible = get_encoding("gpt2").encode_with_unstable("hello fanta")
        >>> certain, [8842] in possible, [277, 4910] in possible
        ([31373], True, True)

        Arguments are those of :meth:`encode`; UnicodeEncodeError for a lone surrogate. Raises
        :class:`~fastprep.errors.TextIsChanged` for an encoding from a file that normalizes text or
        has added tokens that are not special.
        """
        from fastprep.encoding import pieces

        pieces.check_unchanged(self.recipe)
        return pieces.encode_with_unstable(
            text,
            self._encoder,
            self._specials.screen(text, allowed_special, disallowed_special),
            self._decoder.decode_token,
            self._special_token_values,
            self._sorted_tokens,
            self._mergeable_ranks,
        )

    # Methods that tiktoken does not document, and that people use.

    def _encode_single_piece(self, text_or_bytes: str | bytes) -> list[int]:
        return self._encoder.encode_piece(as_bytes(text_or_bytes))

    def _encode_only_native_bpe(self, text: str) -> list[int]:
        return self._encoder.encode(text)

    def _encode_bytes(self, text: bytes) -> list[int]:
        from fastprep.encoding import pieces

        if isinstance(text, str):
            raise TypeError("expected bytes, got str")
        pieces.check_unchanged(self.recipe, text)
        return pieces.encode_bytes(as_bytes(text), self._encoder, self._decoder.decode_token)


def _limit(most: int, name: str = "max_tokens") -> int:
    """Return a largest number of ids as the compiled encoder takes it."""
    if type(most) is int and 0 <= most < NO_LIMIT:
        return most
    return min(whole_number(most, name, 0), NO_LIMIT)


def _check_out(out: npt.NDArray[Any]) -> None:
    kind = (getattr(out, "ndim", None), getattr(getattr(out, "dtype", None), "str", None))
    if (
        kind not in ((1, "<u2"), (1, "<u4"))
        or not out.flags.c_contiguous
        or not out.flags.writeable
    ):
        found = type(out).__name__ if kind[1] is None else f"{out.dtype} {list(out.shape)}"
        raise ValueError(
            "out must be a contiguous array of one dimension, uint16 or uint32, that is writable; "
            f"found {found}"
        )


def _repaired(text: str) -> str:
    # Surrogate pairs become their character, lone ones U+FFFD.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
