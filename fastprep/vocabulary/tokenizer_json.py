"""Reader of ``tokenizer.json``, the file format of the tokenizers library of Hugging Face.

Such a file describes a chain: normalizer, pre-tokenizer, model, post-processor. Byte-level BPE is
read, with a pattern that has a compiled splitter; everything else is refused by its name. The
post-processor, truncation and padding change ids afterwards, and the decoder changes text: they are
not applied. It is only checked that each is null or has the keys and values by which the library
recognizes it; what a post-processor or a decoder contains beside its type is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NoReturn

import msgspec

from fastprep.errors import BadVocabulary
from fastprep.vocabulary.json_values import (
    NULL,
    decoded,
    fields,
    number_parts,
    settings,
    string_parts,
)
from fastprep.vocabulary.merge_list import MAX_MERGES, merge_list
from fastprep.vocabulary.nfc import nfc
from fastprep.vocabulary.patterns import BYTE_LEVEL_PATTERN, DIGIT_PATTERN, family_of
from fastprep.vocabulary.recipe import AddedToken, Recipe
from fastprep.vocabulary.token_list import MAX_ID, TokenList, token_list
from fastprep_ext.base import json_outline

MAX_ADDED = 1 << 14
MAX_ADDED_CHARACTERS = 1 << 20
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


class _Nfc(msgspec.Struct, forbid_unknown_fields=True):
    type: str


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


class _Digits(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    individual_digits: bool


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


class _PostProcessor(msgspec.Struct):
    # Old files leave the type of BertProcessing and RobertaProcessing out.
    type: Literal[
        "BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing", None
    ] = None
    sep: tuple[str, Number] | None = None
    cls: tuple[str, Number] | None = None


class _Decoder(msgspec.Struct):
    type: str


_NOT_APPLIED: dict[str, type[msgspec.Struct]] = {
    "truncation": _Truncation,
    "padding": _Padding,
    "post_processor": _PostProcessor,
    "decoder": _Decoder,
}

_Step = _Split | _Digits | _ByteLevel
_STEPS: dict[str, type[_Step]] = {"Split": _Split, "Digits": _Digits, "ByteLevel": _ByteLevel}


@dataclass(frozen=True)
class _Splitting:
    patterns: tuple[str, ...]
    space_before: bool = False


def from_tokenizer_json(data: bytes, name: str, source: str) -> Recipe:
    """Read the bytes of a ``tokenizer.json``.

    Parameters
    ----------
    data
        the file's content.
    name
        the name of the encoding.
    source
        the file's name in errors.

    Raises BadVocabulary for a file that is damaged or contradicts itself, and for one that is not
    byte-level BPE with a known pattern, naming the unsupported part.
    """
    values = fields(data, source)
    settings(values, _Document, values.keys() - {"version"}, source)  # which keys there are
    _check_not_applied(values, source)
    normalize = _normalizer(values.get("normalizer", NULL), source)
    splitting = _splitting(values.get("pre_tokenizer", NULL), source)
    model, parts = _model(values["model"], source)
    vocab = token_list(number_parts(parts["vocab"], MAX_ID, f"{source}, model.vocab"), source)
    added = _added_tokens(values.get("added_tokens", NULL), normalize, source)
    listed = merge_list(
        vocab,
        string_parts(parts["merges"], MAX_MERGES, f"{source}, model.merges"),
        whole_pieces=model.ignore_merges,
        apart=[token.content for token in added],
        source=source,
    )
    _check_ids(added, vocab, f"{source}, added_tokens")
    return Recipe(
        name,
        splitting.patterns,
        merge_list=listed,
        added=added,
        normalize=normalize,
        space_before=splitting.space_before,
        source=source,
    )


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


def _refuse(source: str, what: str) -> NoReturn:
    raise BadVocabulary(
        f"{source}: {what} is not supported; fastprep reads byte-level BPE with a known pattern, "
        "so use the tokenizers library for this file"
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


def _normalizer(data: msgspec.Raw, source: str) -> bool:
    """Return whether text is put into normal form C."""
    if _is_none(data):
        return False
    place = f"{source}, normalizer"
    kind = _type(data, place)
    if kind == "Sequence":
        steps = decoded(data, _Normalizers, place).normalizers
        # Not any(): each step must be checked. Normalizing twice changes nothing more.
        return True in [_normalizer(step, source) for step in steps]
    if kind != "NFC":
        _refuse(source, f"the normalizer {kind:.80}")
    decoded(data, _Nfc, place)
    return True


# -- pre-tokenizer ---------------------------------------------------------------------------------


def _splitting(data: msgspec.Raw, source: str) -> _Splitting:
    if _is_none(data):
        _refuse(source, "a file without a pre-tokenizer")
    match _flat(data, source):
        case [_ByteLevel(use_regex=True) as only]:
            return _Splitting((BYTE_LEVEL_PATTERN,), only.add_prefix_space)
        case [*_, _ByteLevel(add_prefix_space=True)]:
            _refuse(source, "a space before each piece of a Split (add_prefix_space)")
        case [*steps, _ByteLevel(use_regex=again)] if steps:
            patterns = [_pattern(step, source) for step in steps]
            patterns += [BYTE_LEVEL_PATTERN] * again
        case steps:
            names = ", ".join(step.type for step in steps) or "Sequence of nothing"
            _refuse(source, f"the pre-tokenizer {names:.200}")
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
        _refuse(source, "a ByteLevel before another pre-tokenizer")
    if isinstance(step, _Digits):
        return DIGIT_PATTERN if step.individual_digits else f"{DIGIT_PATTERN}+"
    place = f"{source}, pre_tokenizer.pattern"
    found = fields(step.pattern, place)
    if list(found) != ["Regex"]:
        _refuse(source, f"a Split by {', '.join(found) or 'no pattern'!r:.80}")
    pattern = decoded(found["Regex"], str, f"{place}.Regex")
    # The known patterns match all of a text, so both settings keep all of it.
    kept_whole = (step.behavior, step.invert) == ("Removed", True)
    if step.behavior != "Isolated" and not (kept_whole and family_of([pattern])):
        _refuse(source, f"a Split that is {step.behavior!r:.80} with invert={step.invert}")
    return pattern


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
    if model.byte_fallback:
        _refuse(source, "byte_fallback")
    if model.continuing_subword_prefix:
        _refuse(source, f"the continuing_subword_prefix {model.continuing_subword_prefix!r:.80}")
    if model.end_of_word_suffix:
        _refuse(source, f"the end_of_word_suffix {model.end_of_word_suffix!r:.80}")
    # An unk_token is for characters that are not tokens. All 256 bytes are, or the file is refused.
    return model, found


# -- added tokens ----------------------------------------------------------------------------------


def _added_tokens(data: msgspec.Raw, normalize: bool, source: str) -> list[AddedToken]:
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
        if token.single_word:
            _refuse(source, f"single_word, of the added token {token.content!r:.80},")
    _check_twice(found, normalize, place)
    return [AddedToken(t.content, t.id, t.special, t.normalized, t.lstrip, t.rstrip) for t in found]


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


def _check_twice(added: list[_Added], normalize: bool, place: str) -> None:
    seen: set[tuple[bool, str]] = set()
    contents: set[str] = set()
    for token in added:
        late = token.normalized and normalize
        key = (token.normalized, nfc(token.content) if late else token.content)
        if key in seen or token.content in contents:
            raise BadVocabulary(f"{place}: {token.content!r:.80} is there twice; leave one out")
        seen.add(key)
        contents.add(token.content)
