"""Writing ``tokenizer.json``, so that the tokenizers library of Hugging Face gives the same ids.

tiktoken merges whatever two tokens spell a token, first the one of lowest rank. A
``tokenizer.json`` lists merges. Both mean the same with one merge for each token that merging
makes, in the order of ranks; :meth:`fastprep_ext.bpe.Encoder.last_merges` says why. A token that
no merging makes is found only where a piece is that token as a whole, which Hugging Face calls
``ignore_merges``.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from fastprep.encoding.added_tokens import AddedToken
from fastprep.encoding.encoding import Encoding
from fastprep.encoding.huggingface import HuggingFaceEncoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary.merge_list import MergeList, listed_table, to_bytes, to_characters
from fastprep.vocabulary.patterns import BYTE_LEVEL_PATTERN, DIGIT_PATTERN, HUGGING_FACE, TIKTOKEN
from fastprep.vocabulary.regex_patterns import isolated_splitter
from fastprep_ext.bpe import PATTERNS, Encoder, split_pieces


def to_tokenizer_json(encoding: Encoding) -> bytes:
    """The bytes of a ``tokenizer.json`` that describes `encoding`.

    Raises :class:`~fastprep.errors.BadVocabulary` where no such file can.
    """
    if not isinstance(encoding, HuggingFaceEncoding):
        encoding = as_hugging_face(encoding)
    merge_list = encoding.merge_list
    keys = _keys(merge_list)
    vocab = dict(zip(keys, merge_list.table.ids.tolist(), strict=True))
    added = sorted(encoding.added, key=lambda token: token.id)
    for one, other in itertools.pairwise(added):
        if one.id == other.id:
            raise BadVocabulary(
                f"{encoding.name}: {one.content!r:.80} and {other.content!r:.80} both have the id "
                f"{one.id}, and a tokenizer.json gives each token its own; save an encoding without "
                "one of the two"
            )
    _make_room_for(added, vocab, encoding)
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(token) for token in added],
        "normalizer": {"type": "NFC"} if encoding.normalize else None,
        "pre_tokenizer": _pre_tokenizer(encoding),
        "post_processor": None,
        "decoder": _byte_level(space_before=True, use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": merge_list.whole_pieces,
            "vocab": vocab,
            "merges": [f"{keys[a]} {keys[b]}" for a, b, _ in merge_list.merges.tolist()],
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2)


def as_hugging_face(encoding: Encoding) -> HuggingFaceEncoding:
    """The same ids for the same text, by a list of merges."""
    family = TIKTOKEN.get(encoding._pat_str)
    if family is None:
        raise BadVocabulary(
            f"{encoding.name}: its pattern has no spelling that is known to mean the same to "
            f"Hugging Face: {encoding._pat_str!r:.400}"
        )
    return HuggingFaceEncoding(
        encoding.name,
        merge_list=by_merges(encoding._mergeable_ranks),
        patterns=HUGGING_FACE[family][0],
        added=[AddedToken(token, id) for token, id in encoding._special_tokens.items()],
    )


def by_merges(ranks: dict[bytes, int]) -> MergeList:
    """The merge list that means the same as tiktoken's table of ranks.

    >>> ranks = {bytes([i]): i for i in range(256)} | {b"ab": 256, b"bc": 257, b"abc": 258}
    >>> by_merges(ranks).merges.tolist()  # abc is made of ab and c: bc has no chance there
    [[97, 98, 256], [98, 99, 257], [256, 99, 258]]
    """
    tokens = sorted(ranks, key=ranks.__getitem__)
    blob = b"".join(tokens)
    ends = np.cumsum(np.fromiter(map(len, tokens), np.uint64, len(tokens)), dtype=np.uint64)
    ids = np.fromiter(map(ranks.__getitem__, tokens), np.uint32, len(tokens))
    merges = _last_merges(Encoder(blob, ends, ids, PATTERNS["r50k"]), len(tokens))
    return listed_table(blob, ends, ids, merges, whole_pieces=256 + len(merges) != len(tokens))


def same_as_ranks(merge_list: MergeList) -> bool:
    """Whether merging by the ids' order, as tiktoken does, gives what the list of merges gives.

    It does where both make each token of the same two, and the list has those in the ids' order.
    """
    table, n = merge_list.table, len(merge_list.table.ids)
    listed = Encoder(table.blob, table.ends, table.ids, PATTERNS["r50k"], merge_list.merges.ravel())
    live = _last_merges(listed, n)
    place = {(a, b): at for at, (a, b, _) in enumerate(merge_list.merges.tolist())}
    places = [place[a, b] for a, b, _ in live.tolist()]
    ranked = Encoder(table.blob, table.ends, table.ids, PATTERNS["r50k"])
    return (
        np.array_equal(live, _last_merges(ranked, n))
        and places == sorted(places)
        and (merge_list.whole_pieces or 256 + len(live) == n)
    )


def _last_merges(encoder: Encoder, tokens: int) -> npt.NDArray[np.uint32]:
    room = np.empty((tokens, 3), np.uint32)
    return room[: encoder.last_merges(room.ravel())]


def _keys(merge_list: MergeList) -> list[str]:
    characters = to_characters(merge_list.table.blob)
    ends = merge_list.table.ends.tolist()
    return [characters[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


# Hugging Face does not read the ids of added tokens: one that is in the vocabulary has its id from
# there, the others are counted from the vocabulary's size. Where that is wrong, all go into it.
def _make_room_for(
    added: list[AddedToken], vocab: dict[str, int], encoding: HuggingFaceEncoding
) -> None:
    apart = [token for token in added if vocab.get(token.content) != token.id]
    counted = list(range(len(vocab), len(vocab) + len(apart)))
    if [token.id for token in apart] == counted and not vocab.keys() & {t.content for t in apart}:
        return
    for token in apart:
        content = token.content
        if content in vocab:
            raise BadVocabulary(
                f"{encoding.name}: the added token {content!r:.80} is written as the token "
                f"{vocab[content]} is; a tokenizer.json cannot tell the two apart"
            )
        if encoding.merge_list.whole_pieces and _may_be_a_piece(content, encoding):
            raise BadVocabulary(
                f"{encoding.name}: the added token {content!r:.80} may be a piece of ordinary "
                "text, and a tokenizer.json would take it for itself there"
            )
        vocab[content] = token.id


def _may_be_a_piece(content: str, encoding: HuggingFaceEncoding) -> bool:
    try:
        piece = to_bytes(content).decode("utf-8")
        if encoding.family is None:
            return isolated_splitter(encoding.patterns)(piece) == [piece]
        return len(split_pieces(piece.encode(), PATTERNS[encoding.family])) == 1
    except UnicodeError:
        return False


def _added(token: AddedToken) -> dict[str, Any]:
    return {
        "id": token.id,
        "content": token.content,
        "single_word": False,
        "lstrip": token.lstrip,
        "rstrip": token.rstrip,
        "normalized": token.normalized,
        "special": token.special,
    }


def _pre_tokenizer(encoding: HuggingFaceEncoding) -> dict[str, Any]:
    *first, last = encoding.patterns
    again = last == BYTE_LEVEL_PATTERN
    steps = [_isolated(pattern) for pattern in (first if again else encoding.patterns)]
    byte_level = _byte_level(encoding.space_before, use_regex=again)
    return {"type": "Sequence", "pretokenizers": [*steps, byte_level]} if steps else byte_level


def _isolated(pattern: str) -> dict[str, Any]:
    if pattern == DIGIT_PATTERN:
        return {"type": "Digits", "individual_digits": True}
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _byte_level(space_before: bool, use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": space_before,
        "trim_offsets": True,
        "use_regex": use_regex,
    }
