"""Calls for many texts, and for a part of one, give the ids of ``encode`` in every vocabulary."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from texts import mixed_texts
from tokenizer_styles import FOREIGN, STYLES, both, texts
from vocabulary_kinds import (
    clip_style,
    falcon_style,
    gemma_style,
    llama_style,
    mistral_style,
    unknown_style,
    words_style,
)

from fastprep import Encoding, get_encoding
from fastprep.errors import InvalidArgument, InvalidInput, InvalidUtf8, MissingByte, TextIsChanged

KINDS = [
    *STYLES,
    *FOREIGN,
    *(
        llama_style,
        gemma_style,
        mistral_style,
        words_style,
        unknown_style,
        falcon_style,
        clip_style,
    ),
]
OPTIONS: list[dict[str, Any]] = [
    {"allowed_special": "all"},
    {"disallowed_special": ()},
    {"allowed_special": {"<s>", "<|endoftext|>"}, "disallowed_special": ()},
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda style: style.__name__)
def kind(request, tmp_path_factory):
    """An encoding of each kind, and texts with parts of all sorts, a long one and an empty one."""
    encoding = both(request.param, tmp_path_factory.mktemp("kind"))[1]
    long = "".join(texts(seed=9, count=60)) * 5
    batch = [*texts(seed=8, count=60), "", "<s>", "half a \ud83d pair", long, "e\u0301 \u2581a"]
    return encoding, batch


def flat(lists: list[list[int]]) -> list[int]:
    return [number for ids in lists for number in ids]


@pytest.mark.parametrize("options", OPTIONS, ids=["all", "none", "some"])
def test_flat_arrays_counts_and_rows_are_those_of_encode(kind, options):
    encoding, batch = kind
    expected = [encoding.encode(text, **options) for text in batch]
    counts = [len(ids) for ids in expected]
    for threads in (1, 3):
        how = {"num_threads": threads, **options}
        assert encoding.encode_batch(batch, **how) == expected
        ids, offsets = encoding.encode_batch_to_numpy(batch, **how)
        assert (ids.dtype, offsets.dtype) == (np.uint32, np.int64)
        assert offsets.tolist() == [0, *np.cumsum(counts).tolist()]
        assert ids.tolist() == flat(expected)
        assert encoding.count_batch(batch, **how).tolist() == counts
        for side in ("left", "right"):
            rows, mask = encoding.encode_padded(batch, 7, pad=-100, side=side, **how)
            assert rows.shape == mask.shape == (len(batch), 7)
            for row, marks, found in zip(rows.tolist(), mask.tolist(), expected, strict=True):
                kept = found[:7]
                rest = 7 - len(kept)
                if side == "left":
                    assert (row, marks) == (
                        [-100] * rest + kept,
                        [False] * rest + [True] * len(kept),
                    )
                else:
                    assert (row, marks) == (
                        kept + [-100] * rest,
                        [True] * len(kept) + [False] * rest,
                    )


def test_buffers_and_columns_are_as_texts(kind):
    encoding, batch = kind
    whole = [text for text in batch if "\ud83d" not in text]
    data = [text.encode() for text in whole]
    options: dict[str, Any] = {"allowed_special": "all"}
    ids, offsets = (found.tolist() for found in encoding.encode_batch_to_numpy(whole, **options))
    bounds = np.cumsum([0, *map(len, data)])
    mixed = [bytearray(text) if i % 2 else whole[i] for i, text in enumerate(data)]
    column = pa.array(whole, pa.large_string())
    sources: list[tuple[Any, ...]] = [
        (data,),
        (mixed,),
        (iter(whole),),
        (b"".join(data), bounds),
        (np.frombuffer(b"xx" + b"".join(data), np.uint8), (bounds + 2).astype(np.uint32)),
        (column,),
        (column.slice(0).cast(pa.string_view()),),
        (pa.chunked_array([whole[:20], whole[20:]], pa.string()),),
    ]
    for source in sources:
        found = encoding.encode_batch_to_numpy(*source, **options)
        assert [part.tolist() for part in found] == [ids, offsets]
    assert encoding.count_batch(column, **options).tolist() == np.diff(offsets).tolist()
    holes = pa.array([whole[0], None, whole[1]], pa.string())
    lengths = np.diff(encoding.encode_batch_to_numpy(holes, **options)[1]).tolist()
    assert lengths == [offsets[1], 0, offsets[2] - offsets[1]]


@pytest.mark.parametrize("options", OPTIONS, ids=["all", "none", "some"])
def test_count_stops_at_a_limit(kind, options):
    encoding, batch = kind
    for text in batch:
        count = len(encoding.encode(text, **options))
        for limit in {0, 1, 2, count // 2, count, count + 1}:
            assert encoding.count(text, limit=limit, **options) == min(count, limit)


def test_truncated_texts_are_spelled_by_their_first_ids(kind):
    encoding, batch = kind
    options: dict[str, Any] = {"allowed_special": "all"}
    if encoding.recipe.fallback is not None and encoding.recipe.fallback.bytes is None:
        with pytest.raises(TextIsChanged):
            encoding.truncate("text", 1)
        return
    for text in [*batch[:25], *batch[60:63], batch[63][:500], batch[64]]:
        whole = text.replace("\ud83d", "\ufffd")
        ids, spans = encoding.encode_with_offsets(whole, **options)
        for n in {0, 1, 2, 3, len(ids) // 2, len(ids) - 1, len(ids), len(ids) + 1} - {-1}:
            found, total = encoding.truncate(text, n, **options)
            assert total == len(ids)
            if total <= n:
                assert found == text
                continue
            assert whole.startswith(found)
            # The ids in front of the cut are of the start, and those after it are not.
            kept = sum(end <= len(found) for _, end in spans)
            assert kept <= n
            assert all(begin >= len(found) for begin, _ in spans[kept:])
            # No later place would do: up to the next one that does, there are too many ids.
            places = [i for i in range(kept + 1, n + 1) if spans[i][0] >= spans[i - 1][1]]
            assert places == []


@pytest.mark.parametrize("name", ["gpt2", "cl100k_base", "o200k_base"])
def test_truncated_texts_encoded_again_have_no_more_ids(name):
    encoding = get_encoding(name)
    rnd = random.Random(3)
    for text in mixed_texts(seed=5, count=300):
        ids = encoding.encode_ordinary(text)
        n = rnd.randrange(len(ids) + 1)
        found, total = encoding.truncate(text, n, disallowed_special=())
        assert total == len(ids)
        assert encoding.count(found, disallowed_special=()) <= n


def calls(encoding: Encoding) -> list[Callable[..., Any]]:
    return [
        lambda text, **how: encoding.encode_batch(["fine", text], **how),
        lambda text, **how: encoding.encode_batch_to_numpy(["fine", text], **how),
        lambda text, **how: encoding.encode_padded(["fine", text], 3, **how),
        lambda text, **how: encoding.count_batch(["fine", text], **how),
        lambda text, **how: encoding.count(text, **how),
        lambda text, **how: encoding.truncate(text, 3, **how),
        lambda text, **how: encoding.encode(text, **how),
        lambda text, **how: encoding.encode_to_numpy(text, **how),
    ]


@pytest.mark.parametrize("text", ["a <|endoftext|>", "\ud800 <|endoftext|>"])
def test_disallowed_tokens_are_refused_by_all_calls(text):
    for call in calls(get_encoding("gpt2")):
        with pytest.raises(ValueError, match=r"special token .<\|endoftext\|>."):
            call(text)
        with pytest.raises(ValueError, match="disallowed special token 'a '"):
            call("a a <", disallowed_special=["a "])
        call("<|endoftext|>", disallowed_special={"never"})
        with pytest.raises(ValueError, match="disallowed special token ''"):
            call("a", disallowed_special={""})
        with pytest.raises(TypeError, match="must be a set"):
            call("a", allowed_special=["<|endoftext|>"])


def test_the_first_text_with_an_error_is_named():
    encoding = get_encoding("gpt2")
    for call in (encoding.encode_batch_to_numpy, encoding.count_batch):
        with pytest.raises(InvalidUtf8, match=r"text 2 .* byte 1") as caught:
            call([b"fine", "fine", b"a\xff", "<|endoftext|>"])
        assert (caught.value.index, caught.value.offset) == (2, 1)
        with pytest.raises(ValueError, match="disallowed"):
            call([b"fine", "<|endoftext|>", b"\xff"])
        with pytest.raises(TypeError, match=r"text 1 is a int; pass str, or bytes"):
            call(["fine", 7])
        with pytest.raises(InvalidInput, match="num_threads is 0"):
            call([], num_threads=0)
        with pytest.raises(TypeError, match="a column of int64, not of strings"):
            call(pa.array([1, 2]))
    with pytest.raises(InvalidUtf8, match="text 1"):
        encoding.encode_batch_to_numpy(b"ab\xff", [0, 2, 3])
    with pytest.raises(TypeError):
        encoding.encode_batch([b"bytes"])


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([], "float64 .0."),
        ([0.0, 1.0], "float64 .2."),
        ([[0, 1]], "int64 .1, 2."),
        ([0, 3, 2], "offset 2 is 2, in 4 bytes"),
        ([0, 5], "offset 1 is 5, in 4 bytes"),
        ([-1, 3], "offset 0 is -1"),
    ],
)
def test_wrong_offsets_are_named(offsets, message):
    with pytest.raises(InvalidArgument, match=message):
        get_encoding("gpt2").encode_batch_to_numpy(b"text", offsets)
    with pytest.raises(InvalidArgument, match="offsets count bytes"):
        get_encoding("gpt2").encode_batch_to_numpy("text", [0, 4])


def test_wrong_rows_are_named():
    encoding = get_encoding("gpt2")
    for arguments, message in (
        ({"length": -1}, "length is -1"),
        ({"length": True}, "length is True"),
        ({"length": 2, "pad": 0.5}, "pad is 0.5"),
        ({"length": 2, "pad": 1 << 63}, "pad is 9223372036854775808"),
        ({"length": 2, "side": "up"}, "side is 'up'; pass 'right' or 'left'"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            encoding.encode_padded(["a"], **arguments)
    with pytest.raises(InvalidArgument, match="n is -1"):
        encoding.truncate("a", -1)
    with pytest.raises(InvalidArgument, match=r"limit is 1\.5"):
        encoding.count("a", limit=1.5)


def test_no_texts_and_no_columns():
    encoding = get_encoding("gpt2")
    ids, offsets = encoding.encode_batch_to_numpy([])
    assert (ids.tolist(), offsets.tolist()) == ([], [0])
    assert encoding.encode_batch_to_numpy(pa.chunked_array([], pa.string()))[1].tolist() == [0]
    assert encoding.encode_batch_to_numpy(b"", [0])[1].tolist() == [0]
    assert encoding.count_batch([]).tolist() == []
    rows, mask = encoding.encode_padded([], 3)
    assert rows.shape == mask.shape == (0, 3)
    assert encoding.encode_padded(["a"], 0)[0].shape == (1, 0)


def test_ranks_that_lack_bytes():
    """Such an encoding is run by Python code, with the same calls."""
    made = Encoding(
        "part", pat_str=".", mergeable_ranks={b"a": 0, b"b": 1}, special_tokens={"<e>": 2}
    )
    ids, offsets = made.encode_batch_to_numpy(["ab", b"", "a<e>"], allowed_special="all")
    assert (ids.tolist(), offsets.tolist()) == ([0, 1, 0, 2], [0, 2, 2, 4])
    assert made.count_batch(["ab", b""]).tolist() == [2, 0]
    assert made.count("abab", limit=3) == 3
    assert made.encode_padded(["ab"], 3)[0].tolist() == [[0, 1, 0]]
    assert made.truncate("aba", 2) == ("ab", 3)
    with pytest.raises(MissingByte):
        made.count_batch(["c"])
    with pytest.raises(ValueError, match="disallowed"):
        made.encode_batch_to_numpy(["<e>"])


def test_special_tokens_with_the_id_of_another_are_cut_where_they_are():
    tokens = {bytes([i]): i for i in range(256)}
    made = Encoding(
        "twice", pat_str=".", mergeable_ranks=tokens, special_tokens={"<a>": 256, "<abc>": 256}
    )
    found = made.truncate("<a>x<abc>y", 3, allowed_special="all")
    assert found == ("<a>x<abc>", 4)


def test_arrays_given_as_out_are_views_of_any_kind(tmp_path: Path):
    encoding = get_encoding("cl100k_base")
    text = "hello world, and more"
    ids = encoding.encode(text)
    room = np.zeros(100, np.uint32)
    mapped = np.memmap(tmp_path / "ids", np.uint32, "w+", shape=(100,))
    for out in (
        room,
        room[3:],
        room[:6],
        np.zeros(9, np.uint16 if max(ids) < 65536 else "<u4"),
        mapped,
    ):
        found = encoding.encode_to_numpy(text, out=out)
        assert found.tolist() == out[: len(ids)].tolist() == ids
        assert np.shares_memory(found, out)
        assert found.flags.writeable
    with pytest.raises(ValueError, match="out must be a contiguous array"):
        encoding.encode_to_numpy(text, out=room[::2])
    kept = encoding.encode_to_numpy(text, out=np.zeros(50, np.uint32))
    assert kept.tolist() == ids  # the view keeps its array alive
    assert encoding.encode_to_numpy(text).flags.owndata
    assert encoding.encode_to_numpy(text * 30_000).tolist() == encoding.encode(text * 30_000)
