"""Reader of ``tokenizer.json``, the file format of the tokenizers library of Hugging Face.

Such a file describes a chain: normalizer, pre-tokenizer, model, post-processor. BPE is read, of bytes
with patterns or of characters; everything else is refused by its name. Of the post-processor the ids
that it puts before and after a text are read, which are added on request. Truncation and padding change
ids afterwards, and the decoder changes text: they are not applied, but for a space that decoding leaves
out. It is only checked that each is null or has the keys and values by which the library recognizes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import msgspec

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.changes import function
from fastprep.vocabulary.characters import MARK, Fallback, character_vocabulary
from fastprep.vocabulary.json_values import (
    NULL,
    decoded,
    fields,
    number_parts,
    settings,
    string_parts,
)
from fastprep.vocabulary.limits import MAX_ID
from fastprep.vocabulary.merge_list import MAX_MERGES, merge_list, rows_of_json
from fastprep.vocabulary.patterns import (
    BYTE_LEVEL_PATTERN,
    CLIP_PATTERN,
    DIGIT_PATTERN,
    OF_BYTES,
    PUNCTUATION_PATTERN,
    family_of,
)
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep.vocabulary.token_list import TokenList, token_list, token_list_of_json
from fastprep.vocabulary.word_ends import ending, merges_of_ends, with_ends
from fastprep_ext.base import json_outline
from fastprep_ext.bpe import missing_bytes

if TYPE_CHECKING:
    from fastprep.vocabulary.recipe import Template

MAX_ADDED = 1 << 18
MAX_ADDED_CHARACTERS = 1 << 23
MAX_SETTINGS = 1000

Id = Annotated[int, msgspec.Meta(ge=0, lt=MAX_ID)]


# Unknown keys are refused: an unknown setting may change the ids.
class _Document(msgspec.Struct, forbid_unknown_fields=True):
    model: msgspec.Raw
    version: Literal["1.0"] = "1.0"
    truncation: msgspec.Raw = NULL
    padding: msgspec.Raw = NULL
    added_tokens: msgspec.Raw = NULL
    normalizer: msgspec.Raw = NULL
    pre_tokenizer: msgspec.Raw = NULL
    post_processor: msgspec.Raw = NULL
    decoder: msgspec.Raw = NULL


class _Added(msgspec.Struct, forbid_unknown_fields=True):
    id: Id
    content: str
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool
    special: bool


class _Bpe(msgspec.Struct, forbid_unknown_fields=True):
    vocab: msgspec.Raw
    merges: msgspec.Raw
    type: str = "BPE"
    dropout: float | None = None
    unk_token: str | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False
    ignore_merges: bool = False


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    type: str


class _Prepend(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    prepend: str


class _Replace(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    pattern: dict[str, str]
    content: str


class _Normalizers(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    normalizers: list[msgspec.Raw]


class _PreTokenizers(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    pretokenizers: list[msgspec.Raw]


class _Split(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    pattern: msgspec.Raw
    behavior: str
    invert: bool


class _Metaspace(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    replacement: str
    prepend_scheme: Literal["always", "first", "never"] = "always"
    split: bool = True
    add_prefix_space: bool | None = None
    str_rep: str | None = None


class _Digits(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    individual_digits: bool


class _Punctuation(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    behavior: str = "Isolated"


class _ByteLevel(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    add_prefix_space: bool
    trim_offsets: bool
    use_regex: bool = True


Side = Literal["Left", "Right"]
Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class _Truncation(msgspec.Struct):
    max_length: Number
    strategy: Literal["LongestFirst", "OnlyFirst", "OnlySecond"]
    stride: Number
    direction: Side = "Right"


class _Padding(msgspec.Struct):
    strategy: Literal["BatchLongest"] | dict[Literal["Fixed"], Number]
    direction: Side
    pad_id: Number
    pad_type_id: Number
    pad_token: str
    pad_to_multiple_of: Number | None = None


class _Named(msgspec.Struct):
    id: str


class _TemplateToken(msgspec.Struct):
    ids: list[Number]


class _PostProcessor(msgspec.Struct):
    # Old files leave the type of BertProcessing and RobertaProcessing out.
    type: Literal[
        "BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing", None
    ] = None
    sep: tuple[str, Number] | None = None
    cls: tuple[str, Number] | None = None
    single: list[dict[Literal["SpecialToken", "Sequence"], _Named]] = []
    special_tokens: dict[str, _TemplateToken] = {}
    processors: list[msgspec.Raw] = []


class _Decoder(msgspec.Struct):
    type: str


class _AnyDecoder(msgspec.Struct):
    type: str
    decoders: list[msgspec.Raw] = []
    content: str | None = None
    start: int = 0
    prepend_scheme: str = "always"
    add_prefix_space: bool | None = None


_NOT_APPLIED: dict[str, type[msgspec.Struct]] = {
    "truncation": _Truncation,
    "padding": _Padding,
    "post_processor": _PostProcessor,
    "decoder": _Decoder,
}

_Step = _Split | _Digits | _Punctuation | _ByteLevel | _Metaspace
_STEPS: dict[str, type[_Step]] = {
    "Split": _Split,
    "Digits": _Digits,
    "Punctuation": _Punctuation,
    "ByteLevel": _ByteLevel,
    "Metaspace": _Metaspace,
}


@dataclass(frozen=True)
class _Splitting:
    patterns: tuple[str, ...]
    space_before: bool = False
    ends_words: bool = False


def from_tokenizer_json(data: bytes, name: str, source: str, missing: str = "drop") -> Recipe:
    """Read the bytes of a ``tokenizer.json``.

    Parameters
    ----------
    data
        the file's content.
    name
        the name of the encoding.
    source
        the file's name in errors.
    missing
        as in :class:`Recipe`.

    Raises BadVocabulary for a file that is damaged or contradicts itself, and for one that is not
    byte-level BPE with a known pattern, naming the unsupported part.
    """
    values = fields(data, source)
    settings(values, _Document, values.keys() - {"version"}, source)  # which keys there are
    _check_not_applied(values, source)
    template = _template(values.get("post_processor", NULL), f"{source}, post_processor")
    changes = _changes(_normalizers(values.get("normalizer", NULL), source))
    model, parts = _model(values["model"], source)
    steps = _pre_tokenizer(values.get("pre_tokenizer", NULL), source)
    added = _added_tokens(values.get("added_tokens", NULL), changes, source)
    if not any(isinstance(step, _ByteLevel) for step in steps):
        spaces = _spaces(steps, changes, model, source)
        recipe = _of_characters(model, parts, added, changes, spaces, values, name, source)
        return _with_template(recipe, template, source)
    if changes.marks:
        _refuse(source, "U+2581 for spaces before a ByteLevel")
    if model.byte_fallback:
        _refuse(source, "byte_fallback with a ByteLevel")
    splitting = _splitting(steps, source)
    tokens = number_parts(parts["vocab"], MAX_ID, f"{source}, model.vocab")
    merges = string_parts(parts["merges"], MAX_MERGES, f"{source}, model.merges")
    suffix = model.end_of_word_suffix
    if splitting.ends_words != bool(suffix):
        _refuse(source, f"the end_of_word_suffix {suffix!r:.80} with other patterns than CLIP's")
    if suffix:
        if changes.normalize or changes.space or model.ignore_merges:
            _refuse(source, "an end_of_word_suffix without Lowercase, or with ignore_merges")
        tokens, merges = with_ends(tokens, merges, suffix)
    vocab = None if suffix else token_list_of_json(parts["vocab"], source)
    rows = None if vocab is None else rows_of_json(parts["merges"], vocab)
    vocab = token_list(tokens, source) if vocab is None else vocab
    if suffix:
        merges_of_ends(vocab.rows, suffix, source)
    listed = merge_list(
        vocab,
        merges,
        whole_pieces=model.ignore_merges,
        apart=[token.content for token in added],
        source=source,
        rows=rows,
    )
    if suffix:
        listed = ending(listed, suffix, source)
    if model.unk_token and missing_bytes(listed.table.blob, listed.table.ends_buffer):
        known = vocab.ids_of([model.unk_token])
        if known:
            _refuse(source, f"the unk_token {model.unk_token!r:.80} for bytes that are not tokens")
    _check_ids(added, vocab, f"{source}, added_tokens")
    recipe = Recipe(
        name,
        splitting.patterns,
        merge_list=listed,
        added=added,
        normalize=changes.normalize,
        steps=changes.steps,
        space_before=5 if suffix else splitting.space_before,
        empty=vocab.empty,
        others=_unreachable(vocab, added),
        missing=missing,
        source=source,
    )
    return _with_template(recipe, template, source)


# -- vocabularies of characters --------------------------------------------------------------------


@dataclass(frozen=True)
class _Spaces:
    marks: bool
    space: int
    splits: bool


def _spaces(steps: list[_Step], changes: _Changes, model: _Bpe, source: str) -> _Spaces:
    """Return what happens to spaces where no ByteLevel turns text into bytes."""
    match steps:
        case []:
            if not (changes.marks or model.byte_fallback or model.unk_token):
                _refuse(source, "a file without a pre-tokenizer")
            return _Spaces(changes.marks, changes.space, False)
        case [_Metaspace() as only] if only.replacement == MARK:
            scheme = "never" if only.add_prefix_space is False else only.prepend_scheme
            space = {"never": 0, "always": 1, "first": 2}[scheme]
            if changes.space and space:
                _refuse(source, "a Prepend before a Metaspace")
            return _Spaces(True, changes.space or space, only.split)
        case [_Split() as only] if changes.marks and _splits_at(only, source) == " ":
            # No space is left for it.
            return _Spaces(True, changes.space, False)
    names = ", ".join(step.type for step in steps)
    return _refuse(source, f"the pre-tokenizer {names:.200}")


def _splits_at(step: _Split, source: str) -> str | None:
    """Return the string at which a step splits text, if it leaves none of it out."""
    place = f"{source}, pre_tokenizer.pattern"
    found = fields(step.pattern, place)
    if list(found) != ["String"] or step.behavior == "Removed" or step.invert:
        return None
    return decoded(found["String"], str, f"{place}.String")


def _of_characters(
    model: _Bpe,
    parts: dict[str, msgspec.Raw],
    added: list[AddedToken],
    changes: _Changes,
    spaces: _Spaces,
    values: dict[str, msgspec.Raw],
    name: str,
    source: str,
) -> Recipe:
    if model.ignore_merges:
        _refuse(source, "ignore_merges without a ByteLevel")
    vocab: dict[str, int] = {}
    count = 0
    for part in number_parts(parts["vocab"], MAX_ID, f"{source}, model.vocab"):
        count += len(part)
        vocab |= part
    if len(vocab) < count:
        raise BadVocabulary(f"{source}: a token is in the vocabulary twice; leave one out")
    listed, others, of_bytes = character_vocabulary(
        vocab,
        string_parts(parts["merges"], MAX_MERGES, f"{source}, model.merges"),
        byte_fallback=model.byte_fallback,
        marks=spaces.marks,
        source=source,
    )
    unk = vocab.get(model.unk_token) if model.unk_token else None
    if model.unk_token and unk is None and of_bytes is None:
        raise BadVocabulary(
            f"{source}: the unk_token {model.unk_token!r:.80} is not in the vocabulary"
        )
    free = len(vocab)
    for token in added:
        expected = vocab.get(token.content, free)
        free += token.content not in vocab
        if token.id != expected:
            raise BadVocabulary(
                f"{source}, added_tokens: {token.content!r:.80} has the id {token.id} here, but "
                f"Hugging Face gives it {expected}; the file contradicts itself"
            )
    return Recipe(
        name,
        (),
        merge_list=listed,
        added=added,
        normalize=changes.normalize,
        steps=changes.steps,
        marks=spaces.marks,
        space_before=spaces.space,
        others=others,
        source=source,
        fallback=Fallback(of_bytes, unk, model.fuse_unk, spaces.splits),
        strips=_strips(values.get("decoder", NULL), f"{source}, decoder"),
    )


def _strips(data: msgspec.Raw, place: str) -> bool:
    """Return whether a decoder leaves out a space at the start."""
    if _is_none(data):
        return False
    found = decoded(data, _AnyDecoder, place)
    if found.type == "Sequence":
        return any(_strips(step, place) for step in found.decoders)
    if found.type == "Metaspace":
        return found.prepend_scheme != "never" and found.add_prefix_space is not False
    return found.type == "Strip" and found.content == " " and found.start > 0


def _unreachable(vocab: TokenList, added: list[AddedToken]) -> dict[bytes, int]:
    contents = {token.content for token in added}
    return {key.encode(): id for key, id in vocab.others.items() if key not in contents}


def _check_not_applied(values: dict[str, msgspec.Raw], source: str) -> None:
    """Check the sections that have no influence on the ids of a text."""
    for name, type in _NOT_APPLIED.items():
        data = values.get(name, NULL)
        if _is_none(data):
            continue
        place = f"{source}, {name}"
        found = decoded(data, type, place)
        if (
            isinstance(found, _PostProcessor)
            and found.type is None
            and not (found.sep and found.cls)
        ):
            raise BadVocabulary(f"{place}: it has no type; it is damaged, so write null there")


def _template(data: msgspec.Raw, place: str) -> Template:
    """Return the ids that a post-processor puts before and after one text."""
    if _is_none(data):
        return (), ()
    found = decoded(data, _PostProcessor, place)
    if found.type == "ByteLevel":
        return (), ()
    if found.type == "Sequence":
        before: tuple[int, ...] = ()
        after: tuple[int, ...] = ()
        for number, processor in enumerate(found.processors):
            outer = _template(processor, f"{place}.processors[{number}]")
            before, after = outer[0] + before, after + outer[1]
        return before, after
    if found.type != "TemplateProcessing":
        return _ids_of(found.cls), _ids_of(found.sep)
    sides: list[list[int]] = [[]]
    for piece in found.single:
        for kind, named in piece.items():
            if kind == "Sequence":
                sides.append([])
            elif named.id in found.special_tokens:
                sides[-1] += found.special_tokens[named.id].ids
            else:
                raise BadVocabulary(
                    f"{place}.single: {named.id!r:.80} is not among its special_tokens; add it there"
                )
    if len(sides) != 2:
        raise BadVocabulary(
            f"{place}.single: it has the text {len(sides) - 1} times, where a template has it once; "
            "the file is damaged"
        )
    return tuple(sides[0]), tuple(sides[1])


def _with_template(recipe: Recipe, template: Template, source: str) -> Recipe:
    for id in (*template[0], *template[1]):
        if not recipe.is_token(id):
            raise BadVocabulary(
                f"{source}, post_processor: it puts the id {id} beside a text, which is not a token; "
                "the file contradicts itself"
            )
    return recipe if template == ((), ()) else recipe.replaced(template=template)


def _ids_of(token: tuple[str, int] | None) -> tuple[int, ...]:
    return () if token is None else (token[1],)


def _refuse(source: str, what: str) -> NoReturn:
    raise BadVocabulary(
        f"{source}: {what} is not supported; use the tokenizers library for this file"
    )


def _is_none(value: msgspec.Raw) -> bool:
    return len(memoryview(value)) < 100 and bytes(value).strip() == b"null"


def _type(data: msgspec.Raw, place: str) -> str:
    """Return the type of a normalizer or pre-tokenizer."""
    keys, items, _ = json_outline(data)
    if keys + items > MAX_SETTINGS:
        raise BadVocabulary(f"{place}: {keys} keys and {items} items, where a few are expected")
    found = fields(data, place)
    return decoded(found.get("type", NULL), str, f"{place}.type")


# -- normalizer ------------------------------------------------------------------------------------


def _normalizers(data: msgspec.Raw, source: str) -> list[tuple[str, ...]]:
    """Return the steps of :mod:`fastprep.vocabulary.changes`."""
    if _is_none(data):
        return []
    place = f"{source}, normalizer"
    kind = _type(data, place)
    if kind == "Sequence":
        steps = decoded(data, _Normalizers, place).normalizers
        return [inner for step in steps for inner in _normalizers(step, source)]
    if kind in ("NFC", "NFKC", "Lowercase"):
        decoded(data, _Plain, place)
        return [(kind,)]
    if kind == "Prepend":
        return [(kind, decoded(data, _Prepend, place).prepend)]
    if kind == "Replace":
        replace = decoded(data, _Replace, place)
        if "String" in replace.pattern and len(replace.pattern) == 1 and replace.pattern["String"]:
            return [(kind, replace.pattern["String"], replace.content)]
        if replace.pattern == {"Regex": r"\s+"}:
            return [("ReplaceWhite", replace.content)]
        _refuse(source, f"a Replace of {replace.pattern!r:.80}")
    return _refuse(source, f"the normalizer {kind:.80}")


@dataclass(frozen=True)
class _Changes:
    normalize: bool = False
    steps: tuple[tuple[str, ...], ...] = ()
    marks: bool = False
    space: int = 0


def _changes(steps: list[tuple[str, ...]]) -> _Changes:
    """Return steps in the form of a recipe: U+2581 for spaces last, and normal form C alone apart."""
    space = 0
    marks = ("Replace", " ", MARK)
    last = [step for step in steps[-2:] if step in (marks, ("Prepend", MARK))]
    has_marks = marks in last and steps[-len(last) :] == last and len(set(last)) == len(last)
    if has_marks:
        steps = steps[: -len(last)]
        space = 3 if len(last) == 2 else 0
    if steps and all(step == ("NFC",) for step in steps):
        return _Changes(True, (), has_marks, space)
    return _Changes(False, tuple(steps), has_marks, space)


# -- pre-tokenizer ---------------------------------------------------------------------------------


def _pre_tokenizer(data: msgspec.Raw, source: str) -> list[_Step]:
    return [] if _is_none(data) else _flat(data, source)


def _splitting(steps: list[_Step], source: str) -> _Splitting:
    match steps:
        case [_ByteLevel(use_regex=True) as only]:
            return _Splitting((BYTE_LEVEL_PATTERN,), only.add_prefix_space)
        case [
            _Split(behavior="Removed", invert=True) as first,
            _ByteLevel(use_regex=True) as last,
        ] if _regex(first, source) == CLIP_PATTERN and not last.add_prefix_space:
            return _Splitting((CLIP_PATTERN, BYTE_LEVEL_PATTERN), ends_words=True)
    at = next(i for i, step in enumerate(steps) if isinstance(step, _ByteLevel))
    byte_level, after = steps[at], steps[at + 1 :]
    assert isinstance(byte_level, _ByteLevel)
    if byte_level.add_prefix_space:
        _refuse(source, "a space before each piece of a Split (add_prefix_space)")
    patterns = [_pattern(step, source) for step in steps[:at]]
    patterns += [BYTE_LEVEL_PATTERN] * byte_level.use_regex
    patterns += [OF_BYTES + _pattern(step, source) for step in after]
    if not patterns:
        _refuse(source, "the pre-tokenizer ByteLevel without a pattern")
    return _Splitting(tuple(patterns))


def _flat(data: msgspec.Raw, source: str) -> list[_Step]:
    """Return the steps of a pre-tokenizer, with nested sequences flattened."""
    place = f"{source}, pre_tokenizer"
    kind = _type(data, place)
    if kind == "Sequence":
        steps = decoded(data, _PreTokenizers, place).pretokenizers
        return [inner for step in steps for inner in _flat(step, source)]
    if kind not in _STEPS:
        _refuse(source, f"the pre-tokenizer {kind:.80}")
    return [decoded(data, _STEPS[kind], place)]


def _pattern(step: _Step, source: str) -> str:
    """Return the pattern whose matches a step isolates."""
    if isinstance(step, _ByteLevel):
        _refuse(source, "a ByteLevel after another one")
    if isinstance(step, _Metaspace):
        _refuse(source, "the pre-tokenizer Metaspace, with a ByteLevel,")
    if isinstance(step, _Digits):
        return DIGIT_PATTERN if step.individual_digits else f"{DIGIT_PATTERN}+"
    if isinstance(step, _Punctuation):
        if step.behavior not in ("Isolated", "Contiguous"):
            _refuse(source, f"a Punctuation that is {step.behavior!r:.80}")
        return PUNCTUATION_PATTERN + "+" * (step.behavior == "Contiguous")
    pattern = _regex(step, source)
    if pattern.startswith(OF_BYTES):
        _refuse(source, f"a pattern that starts with {OF_BYTES}")
    # The known patterns match all of a text, so both settings keep all of it.
    kept_whole = (step.behavior, step.invert) == ("Removed", True)
    if step.behavior != "Isolated" and not (kept_whole and family_of([pattern])):
        _refuse(source, f"a Split that is {step.behavior!r:.80} with invert={step.invert}")
    return pattern


def _regex(step: _Split, source: str) -> str:
    place = f"{source}, pre_tokenizer.pattern"
    found = fields(step.pattern, place)
    if list(found) != ["Regex"]:
        _refuse(source, f"a Split by {', '.join(found) or 'no pattern'!r:.80}")
    return decoded(found["Regex"], str, f"{place}.Regex")


# -- model -----------------------------------------------------------------------------------------


def _model(data: msgspec.Raw, source: str) -> tuple[_Bpe, dict[str, msgspec.Raw]]:
    """Return the settings of the model and its values; tokens and merges are not decoded yet."""
    place = f"{source}, model"
    found = fields(data, place)
    kind = decoded(found["type"], str, f"{place}.type") if "type" in found else "BPE"
    if kind != "BPE":
        _refuse(source, f"the model {kind!r:.80}")
    model = settings(found, _Bpe, ["vocab", "merges"], place)
    if model.dropout:
        _refuse(source, f"dropout ({model.dropout})")
    if model.continuing_subword_prefix:
        _refuse(source, f"the continuing_subword_prefix {model.continuing_subword_prefix!r:.80}")
    return model, found


# -- added tokens ----------------------------------------------------------------------------------


def _added_tokens(data: msgspec.Raw, changes: _Changes, source: str) -> list[AddedToken]:
    if _is_none(data):
        return []
    place = f"{source}, added_tokens"
    keys, items, _ = json_outline(data)
    if max(keys, items) > MAX_ADDED * len(_Added.__struct_fields__):
        raise BadVocabulary(
            f"{place}: more than {MAX_ADDED} added tokens; the limit is {MAX_ADDED}"
        )
    parts = decoded(data, list[msgspec.Raw], place)
    for at, part in enumerate(parts):
        fields(part, f"{place}[{at}]")
    found = decoded(data, list[_Added], place)
    if sum(len(token.content) for token in found) > MAX_ADDED_CHARACTERS:
        raise BadVocabulary(
            f"{place}: their texts have more than {MAX_ADDED_CHARACTERS} characters"
        )
    for token in found:
        if not token.content:
            raise BadVocabulary(f"{place}: the token {token.id} is empty; leave it out")
    _check_twice(found, changes, place)
    return [
        AddedToken(
            *(t.content, t.id, t.special, t.normalized),
            *(t.lstrip, t.rstrip, t.single_word),
        )
        for t in found
    ]


def _check_ids(added: list[AddedToken], vocab: TokenList, place: str) -> None:
    """Check the ids of added tokens: the tokenizers library counts them instead of reading them."""
    free = len(vocab)
    known = vocab.ids_of([token.content for token in added])
    for token in added:
        id = known.get(token.content)
        if id is None:
            id = free
            free += 1
            if vocab.has_id(id):
                raise BadVocabulary(
                    f"{place}: {token.content!r:.80} gets the id {id}, which is taken: the ids of "
                    "the vocabulary have gaps"
                )
        if id != token.id:
            raise BadVocabulary(
                f"{place}: {token.content!r:.80} has the id {token.id} here, but Hugging Face gives "
                f"it {id}, the next free one or that in the vocabulary; the file contradicts itself"
            )


def _check_twice(added: list[_Added], changes: _Changes, place: str) -> None:
    shape = Recipe(
        "",
        (),
        normalize=changes.normalize,
        steps=changes.steps,
        marks=changes.marks,
        space_before=changes.space,
    )
    spelled = function(shape)
    seen: set[tuple[bool, str]] = set()
    contents: set[str] = set()
    for token in added:
        key = (token.normalized, spelled(token.content) if token.normalized else token.content)
        if key in seen or token.content in contents:
            raise BadVocabulary(f"{place}: {token.content!r:.80} is there twice; leave one out")
        seen.add(key)
        contents.add(token.content)
