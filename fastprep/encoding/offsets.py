"""Spans of the original text that tokens come from, also where text is changed before it is split.

Compiled code finds those of text that its tokens spell. Other text is taken apart as the encoder does:
tokens that are found first, sections between them, their change, tokens that are found in changed text,
and parts between those. The tokens of a part spell it, and an alignment leads from its characters to
those of the original.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import combining, decomposition

import numpy as np
import numpy.typing as npt

from fastprep.errors import TextIsChanged
from fastprep.vocabulary import changes
from fastprep.vocabulary.nfc import nfc, nfkc
from fastprep.vocabulary.recipe import Recipe
from fastprep.vocabulary.regex_program import compile_tokenizers
from fastprep_ext.bpe import Encoder, Program, Specials, TextChange, find_spans, split_pieces

if TYPE_CHECKING:
    from fastprep.encoding.encoding import Encoding

Ids = npt.NDArray[np.uint32]
Numbers = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int64]

_PART = 200  # characters that are normalized together


class _Aligned(NamedTuple):
    """A text, and for each of its characters the first original character and the end of the last.

    `shift`: characters are those of the original one by one, from there on; None if not.
    """

    text: str
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    shift: int | None = None

    def span(self) -> tuple[int, int]:
        return int(self.starts[0]), int(self.ends[-1])

    def part(self, begin: int, end: int) -> _Aligned:
        shift = None if self.shift is None else self.shift + begin
        return _Aligned(self.text[begin:end], self.starts[begin:end], self.ends[begin:end], shift)


def encode_spans(encoding: Encoding, text: str, specials: Specials | None) -> tuple[Ids, Spans]:
    """Return the ids of `text` and their spans; see :meth:`fastprep.Encoding.encode_with_offsets`.

    >>> from fastprep import get_encoding
    >>> encode_spans(get_encoding("gpt2"), "one é", None)[1]
    array([[0, 3],
           [3, 5]])
    """
    check_spans(encoding.recipe)
    encoder = encoding._encoder
    if isinstance(encoder, Encoder):
        ids = encoder.encode_to_array(text, specials)
        spans = np.empty((len(ids), 2), np.int64)
        if find_spans(encoder, encoding._decoder, text, ids, spans.reshape(-1), specials):
            return ids, spans
    return _by_parts(encoding, text, specials)


def check_spans(recipe: Recipe) -> None:
    """Raise TextIsChanged for a vocabulary whose ids do not say which characters they come from.

    >>> check_spans(Recipe("x", ()))
    """
    if recipe.fallback is not None and recipe.fallback.bytes is None:
        raise TextIsChanged(
            f"{recipe.name} has one id for unknown characters, which does not say how many they are; "
            "use the tokenizers library for offsets"
        )


def encode_batch_spans(
    encoding: Encoding, texts: Sequence[str], ids: Ids, offsets: Numbers, specials: Specials | None
) -> Spans:
    """Return the spans of the ids of all texts, which are between `offsets` in `ids`.

    >>> from fastprep import get_encoding
    >>> ids = np.array([505, 38251, 505], np.uint32)
    >>> encode_batch_spans(get_encoding("gpt2"), ["one é", "one"], ids, np.array([0, 2, 3]), None)
    array([[0, 3],
           [3, 5],
           [0, 3]])
    """
    check_spans(encoding.recipe)
    encoder = encoding._encoder
    spans = np.empty((len(ids), 2), np.int64)
    flat = spans.reshape(-1)
    for text, (begin, end) in zip(texts, itertools.pairwise(offsets.tolist()), strict=True):
        if not isinstance(encoder, Encoder) or not find_spans(
            encoder, encoding._decoder, text, ids[begin:end], flat[2 * begin : 2 * end], specials
        ):
            found, places = _by_parts(encoding, text, specials)
            assert len(found) == end - begin  # numpy would repeat a single span
            spans[begin:end] = places
    return spans


def _by_parts(encoding: Encoding, text: str, specials: Specials | None) -> tuple[Ids, Spans]:
    """Encode the parts of a text one by one."""
    recipe = encoding.recipe
    encoder = encoding._encoder
    default = getattr(encoder, "added", None)
    cutter = default if specials is None else specials
    # Parts are encoded as they are, without the tokens and changes that the encoder has by default.
    nothing = None if default is None else Specials([])
    change = getattr(encoding._specials, "change", None)
    ids: list[Ids] = [np.empty(0, np.uint32)]
    spans: list[Spans] = [np.empty((0, 2), np.int64)]

    def add(token: int, part: _Aligned) -> None:
        ids.append(np.array([token], np.uint32))
        spans.append(np.array([part.span()], np.int64))

    places = np.arange(len(text) + 1)
    whole = _Aligned(text, places[:-1], places[1:], 0)
    for section, token in _cut(whole, cutter, late=False):
        if token is not None:
            add(token, section)
            continue
        first = section.starts[0] == 0
        for part, found in _cut(_changed(section, recipe, change), cutter, late=True):
            if found is not None:
                add(found, part)
                first = False
                continue
            spaced = _spaced(part, recipe, first)
            first = False
            part_ids = encoder.encode_to_array(spaced.text, nothing)
            ids.append(part_ids)
            spans.append(_spans(spaced, part_ids, encoding, nothing))
    return np.concatenate(ids), np.concatenate(spans)


def _cut(
    aligned: _Aligned, cutter: Specials | None, *, late: bool
) -> list[tuple[_Aligned, int | None]]:
    """Return the parts of a text that are not empty, and tokens with their ids between them."""
    data = aligned.text.encode()
    cuts = [] if cutter is None else cutter.cut(data, late)
    if not cuts:
        return [(aligned, None)] if data else []
    places = _characters(data)
    found: list[tuple[_Aligned, int | None]] = []
    reached = 0
    for begin, end, id in cuts:
        first, last = int(places[begin]), int(places[end])
        if first > reached:
            found.append((aligned.part(reached, first), None))
        found.append((aligned.part(first, last), id))
        reached = last
    if reached < len(aligned.text):
        found.append((aligned.part(reached, len(aligned.text)), None))
    return found


# -- changes of text, with the alignment of their results ------------------------------------------


def _changed(section: _Aligned, recipe: Recipe, change: TextChange | None) -> _Aligned:
    """Return a section between the tokens that are found first, changed as changes.pyx does it."""
    if change is None or change.leaves(section.text.encode()):
        return _prepended(section, " ") if recipe.space_before in (3, 4) else section
    steps: list[tuple[str, ...]] = [("NFC",)] if recipe.normalize else [*recipe.steps]
    if steps == [("NFC",)] and not recipe.marks:
        section = _joined([_normalized_part(part, change) for part in _at_spaces(section)])
    else:
        for name, *arguments in steps:
            section = _step(section, name, *arguments)
    if recipe.marks:
        section = section._replace(text=section.text.replace("\u2581", " "))
    return _prepended(section, " ") if recipe.space_before in (3, 4) else section


def _at_spaces(given: _Aligned) -> Iterator[_Aligned]:
    """Yield parts that start with spaces, which normal form C composes with no text before them."""
    begin = 0
    while begin < len(given.text):
        end = given.text.find(" ", begin + _PART)
        end = len(given.text) if end < 0 else end
        yield given.part(begin, end)
        begin = end


def _normalized_part(part: _Aligned, change: TextChange) -> _Aligned:
    return part if change.leaves(part.text.encode()) else _normalized(part, nfc)


def _joined(parts: list[_Aligned]) -> _Aligned:
    return _Aligned(
        "".join(part.text for part in parts),
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.ends for part in parts]),
    )


def _step(given: _Aligned, name: str, *arguments: str) -> _Aligned:
    if name in ("NFC", "NFKC"):
        return _normalized(given, nfc if name == "NFC" else nfkc)
    if name == "Lowercase":
        return _replaced(given, [(i, i + 1, c.lower()) for i, c in enumerate(given.text)])
    if name == "Prepend":
        return _prepended(given, arguments[0])
    pattern = changes.WHITE if name == "ReplaceWhite" else re.compile(re.escape(arguments[0]))
    found = [(*match.span(), arguments[-1]) for match in pattern.finditer(given.text)]
    return _replaced(given, found)


def _prepended(given: _Aligned, new: str) -> _Aligned:
    if not given.text:
        return given
    starts = np.concatenate([np.repeat(given.starts[:1], len(new)), given.starts])
    return _Aligned(
        new + given.text,
        starts,
        np.concatenate([np.repeat(given.ends[:1], len(new)), given.ends]),
    )


def _replaced(given: _Aligned, found: list[tuple[int, int, str]]) -> _Aligned:
    """Return a text with other strings in some places; what replaces text has all of its span."""
    texts: list[str] = []
    starts: list[npt.NDArray[np.int64]] = [given.starts[:0]]
    ends = [given.ends[:0]]
    reached = 0
    for begin, end, new in found:
        texts += given.text[reached:begin], new
        starts += given.starts[reached:begin], np.repeat(given.starts[begin], len(new))
        ends += given.ends[reached:begin], np.repeat(given.ends[end - 1], len(new))
        reached = end
    texts.append(given.text[reached:])
    starts.append(given.starts[reached:])
    ends.append(given.ends[reached:])
    return _Aligned("".join(texts), np.concatenate(starts), np.concatenate(ends))


def _normalized(given: _Aligned, normalize: Callable[[str], str]) -> _Aligned:
    """Normalize each stretch from a character that nothing before it affects to the next one.

    As in the tokenizers library, what a stretch gets shorter by counts as left out after its first
    character, so a composed character has the span of the first of those it is made of.
    """
    text = given.text
    if normalize(text) == text:
        return given
    seconds = _seconds()
    begins = [i for i, c in enumerate(text) if i == 0 or not (combining(c) or c in seconds)]
    made: list[str] = []
    rows: list[int] = []
    for begin, end in itertools.pairwise([*begins, len(text)]):
        new = normalize(text[begin:end])
        made.append(new)
        each = [normalize(c) for c in text[begin:end]] if len(new) > end - begin else []
        if each and "".join(each) == new:
            rows += [begin + i for i, parts in enumerate(each) for _ in parts]
            continue
        less = end - begin - len(new)
        rows += [begin if i == 0 else max(begin, begin + i + less) for i in range(len(new))]
    chosen = np.array(rows, np.int64)
    return _Aligned("".join(made), given.starts[chosen], given.ends[chosen])


@functools.cache
def _seconds() -> frozenset[str]:
    """Return the characters without a combining class that may compose with one before."""
    found = {chr(c) for c in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for point in range(0xC0, 0x2FA20):
        parts = decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    return frozenset(found)


@functools.lru_cache(maxsize=8)
def _program(patterns: tuple[str, ...]) -> Program:
    return compile_tokenizers(patterns)


def _spaced(part: _Aligned, recipe: Recipe, first: bool) -> _Aligned:
    """Return a part between all tokens with the spaces that it gets (texts.pyx)."""
    before = recipe.space_before
    if before == 5:
        program = _program(recipe.patterns)
        data = part.text.encode()
        places = _characters(data)
        ends = [0, *places[split_pieces(data, program)].tolist()]
        kept: list[tuple[int, int, str]] = []
        for begin, end in itertools.pairwise(ends):
            piece = part.text[begin:end]
            if changes.WHITE.match(piece):
                kept.append((begin, end, ""))
            else:
                kept.append((end - 1, end, piece[-1] + " "))
        return _replaced(part, kept)
    wanted = before == 1 or (before == 2 and first)
    return _prepended(part, " ") if wanted and part.text[:1] != " " else part


def _characters(data: bytes) -> npt.NDArray[np.int64]:
    """Return for each byte of UTF-8 the number of its character, and at the end their number."""
    first = (np.frombuffer(data, np.uint8) & 0xC0) != 0x80
    places = np.empty(len(data) + 1, np.int64)
    np.cumsum(first, out=places[:-1])
    places[:-1] -= 1
    places[-1] = places[-2] + 1 if data else 0
    return places


def _spans(aligned: _Aligned, ids: Ids, encoding: Encoding, nothing: Specials | None) -> Spans:
    """Return the spans of tokens that spell a text, or what is left of it without some bytes."""
    encoder, decoder = encoding._encoder, encoding._decoder
    spans = np.empty((len(ids), 2), np.int64)
    if not isinstance(encoder, Encoder) or not find_spans(
        encoder, decoder, aligned.text, ids, spans.reshape(-1), nothing
    ):
        if not len(ids):
            return spans
        tokens = decoder.decode_each(ids)
        data = aligned.text.encode()
        ends = np.cumsum(np.fromiter(map(len, tokens), np.int64, len(tokens)))
        kept = np.array(_found(data, b"".join(tokens)), np.int64)
        places = _characters(data)
        spans[:, 0] = places[kept[np.concatenate([[0], ends[:-1]])]]
        spans[:, 1] = places[kept[ends - 1]] + 1
    if aligned.shift is not None:
        return spans + aligned.shift
    spans[:, 0] = aligned.starts[spans[:, 0]]
    spans[:, 1] = aligned.ends[spans[:, 1] - 1]
    return spans


def _found(data: bytes, spelled: bytes) -> list[int]:
    """Return the place of each byte that tokens spell, where bytes of the text are left out."""
    places = []
    at = -1
    for byte in spelled:
        at = data.index(byte, at + 1)
        places.append(at)
    return places
