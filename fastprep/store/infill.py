"""Fill-in-the-middle: documents rearranged so that a model learns to fill a gap.

The paper is Bavarian et al., 2022. A document is cut at two characters into prefix, middle and
suffix, which become::

    PREFIX prefix SUFFIX suffix MIDDLE middle     prefix first (PSM)
    PREFIX SUFFIX suffix MIDDLE prefix middle     suffix first (SPM)

where PREFIX, SUFFIX and MIDDLE are special tokens. These are the rules of Megatron-LM and BigCode,
whose SPM is the second variant of the paper; each part is encoded by itself. Which documents are
rearranged, and where they are cut, is drawn by a hash of the document's bytes with the seed as its key,
so that it depends on nothing else.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from fastprep.errors import InvalidArgument, InvalidUtf8
from fastprep.store.manifest import MAX_SEED, InfillRecord
from fastprep.system.arguments import whole_number
from fastprep.system.byte_order import BYTES_OF, empty_array
from fastprep.system.sizes import fraction

if TYPE_CHECKING:
    from fastprep.store.encodings import StoreEncoding
    from fastprep.system.byte_order import Letter

#: The tokens of published models: before prefix, suffix and middle.
KNOWN = (
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, CodeGemma, cl100k_base
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
)


class Split(NamedTuple):
    """How a document is rearranged: the two characters at which it is cut, and its order."""

    first: int
    second: int
    suffix_first: bool


def infill_of(
    rate: float | str,
    spm_rate: float | str,
    seed: int,
    tokens: Sequence[str] | None,
    encoding: StoreEncoding,
) -> InfillRecord | None:
    """Return the rule for the arguments of :func:`fastprep.prepare`, None for a rate of 0.

    >>> from fastprep import get_encoding
    >>> infill_of(0.5, 0.5, 0, None, get_encoding("cl100k_base")).tokens
    (100258, 100260, 100259)

    Raises InvalidArgument for a rate, seed or token out of range, and an encoding without such tokens.
    """
    chosen = _rate(rate, "fim_rate")
    spm = _rate(spm_rate, "fim_spm_rate")
    seed = whole_number(seed, "fim_seed", 0, MAX_SEED)
    if not chosen:
        if tokens is not None:
            raise InvalidArgument("fim_tokens go with fim_rate (--fim-rate), which is 0")
        return None
    ids = dict(encoding.special_tokens)
    recipe = getattr(encoding, "recipe", None)
    ids.update({} if recipe is None else {each.content: each.id for each in recipe.added or ()})
    if tokens is None:
        found = next((names for names in KNOWN if all(name in ids for name in names)), None)
        if found is None:
            raise InvalidArgument(
                f"the encoding {encoding.name!r} has no tokens for fill-in-the-middle that are "
                f"known, as {' '.join(KNOWN[0])}; pass its own as fim_tokens (--fim-tokens): those "
                "before prefix, suffix and middle"
            )
        tokens = found
    if isinstance(tokens, str) or len(tokens) != 3 or not all(isinstance(t, str) for t in tokens):
        raise InvalidArgument(
            f"fim_tokens is {tokens!r:.80}; pass three special tokens: those before prefix, suffix and "
            "middle"
        )
    for token in tokens:
        if token not in ids:
            raise InvalidArgument(
                f"fim_tokens: the encoding {encoding.name!r} has no token {token!r}"
            )
    prefix, suffix, middle = (ids[token] for token in tokens)
    return InfillRecord(chosen, spm, seed, (prefix, suffix, middle))


def _rate(given: float | str, name: str) -> float:
    """Return a fraction of 0 to 1, both included."""
    if given in (1, "1", "100%") and given is not True:
        return 1.0
    return fraction(given, name, "; 1 is all")


def split_of(document: bytes | memoryview, rule: InfillRecord) -> Split | None:
    """Return how a document is rearranged, None if it is not.

    >>> rule = InfillRecord(0.5, 0.5, 7, (1, 2, 3))
    >>> split_of(b"document 1", rule), split_of(b"document 2", rule)
    (Split(first=0, second=6, suffix_first=True), None)

    Raises UnicodeDecodeError for a document that is rearranged and is not UTF-8.
    """
    digest = blake2b(document, digest_size=32, key=rule.seed.to_bytes(8, "little")).digest()
    drawn, order, one, other = (
        int.from_bytes(digest[at : at + 8], "big") for at in range(0, 32, 8)
    )
    if drawn >= rule.rate * (1 << 64):
        return None
    places = len(str(document, "utf-8")) + 1
    first, second = sorted((one * places >> 64, other * places >> 64))
    return Split(first, second, order < rule.spm_rate * (1 << 64))


def encode_infilled(
    encoding: StoreEncoding,
    rule: InfillRecord,
    texts: Sequence[bytes],
    letter: Letter,
    end_token: int | None,
    *,
    prepend: bool,
) -> tuple[memoryview[int], memoryview[int]]:
    """Return the ids of whole documents back to back, and the end of each.

    Raises InvalidUtf8 with the number of the document.
    """
    prefix, suffix, middle = rule.tokens
    parts: list[bytes] = []
    owners: list[int] = []
    before: list[tuple[int, ...]] = []
    for number, document in enumerate(texts):
        try:
            split = split_of(document, rule)
        except UnicodeDecodeError as error:
            raise InvalidUtf8("not UTF-8", number, error.start) from None
        if split is None:
            parts.append(document)
            before.append(())
            owners.append(number)
            continue
        text = str(document, "utf-8")
        first, hidden, last = (
            each.encode()
            for each in (
                text[: split.first],
                text[split.first : split.second],
                text[split.second :],
            )
        )
        if split.suffix_first:
            parts += last, first, hidden
            before += (prefix, suffix), (middle,), ()
        else:
            parts += first, last, hidden
            before += (prefix,), (suffix,), (middle,)
        owners += [number] * 3
    ids = empty_array(encoding.most_ids(sum(map(len, parts)), len(parts)) + len(parts), letter)
    ends = empty_array(len(parts), "Q")
    try:
        encoding.encode_documents(parts, ids, ends)
    except InvalidUtf8 as error:
        raise InvalidUtf8(str(error), owners[error.index], error.offset) from None
    return _joined(ids, ends.tolist(), owners, before, letter, end_token, prepend)


def _joined(
    ids: memoryview[int],
    ends: list[int],
    owners: list[int],
    before: list[tuple[int, ...]],
    letter: Letter,
    end_token: int | None,
    prepend: bool,
) -> tuple[memoryview[int], memoryview[int]]:
    """Return the ids of parts with the tokens before them, and an end token per document."""
    content, size = ids.cast("B"), BYTES_OF[letter]
    found: array[Any] = array(letter)
    document_ends = array("Q")
    start = 0
    for index, (end, owner, tokens) in enumerate(zip(ends, owners, before, strict=True)):
        if prepend and end_token is not None and (index == 0 or owners[index - 1] != owner):
            found.append(end_token)
        found.extend(tokens)
        found.frombytes(content[start * size : end * size])
        start = end
        if index + 1 == len(ends) or owners[index + 1] != owner:
            if not prepend and end_token is not None:
                found.append(end_token)
            document_ends.append(len(found))
    return memoryview(found), memoryview(document_ends)
