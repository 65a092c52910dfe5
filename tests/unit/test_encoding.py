"""Encoding: its interface, its buffers, its errors."""

from __future__ import annotations

import copy
import pickle
import random
import resource
import subprocess
import sys
import threading

import numpy as np
import pytest
from texts import mixed_texts

import fastprep
from fastprep.errors import BadVocabulary, InvalidUtf8, MissingByte, UnknownEncoding


def test_the_notebooks_ids(gpt2):
    text = "Hello, do you like tea? <|endoftext|> In the sunlit terracesof someunknownPlace."
    ids = gpt2.encode(text, allowed_special={"<|endoftext|>"})
    assert ids == [
        *(15496, 11, 466, 345, 588, 8887, 30, 220, 50256, 554, 262, 4252, 18250, 8812),
        *(2114, 1659, 617, 34680, 27271, 13),
    ]
    assert gpt2.decode(ids) == text


def test_the_exercise_on_unknown_words(gpt2):
    ids = gpt2.encode("Akwirw ier")
    assert ids == [33901, 86, 343, 86, 220, 959]
    assert [gpt2.decode([i]) for i in ids] == ["Ak", "w", "ir", "w", " ", "ier"]


def test_sizes_and_specials(gpt2):
    assert gpt2.n_vocab == 50257
    assert gpt2.max_token_value == gpt2.eot_token == 50256
    assert gpt2.special_tokens_set == {"<|endoftext|>"}
    assert gpt2.encode_single_token("<|endoftext|>") == 50256
    assert gpt2.decode_single_token_bytes(50256) == b"<|endoftext|>"


def test_empty_text_has_no_ids(gpt2):
    assert gpt2.encode("") == []
    assert gpt2.encode_to_numpy("").tolist() == []
    assert gpt2.decode([]) == ""
    assert gpt2.encode_batch([]) == []


def test_gpt2_and_r50k_base_are_one_table(gpt2):
    r50k = fastprep.get_encoding("r50k_base")
    assert r50k.encode_ordinary("the same ids") == gpt2.encode_ordinary("the same ids")
    assert r50k is fastprep.get_encoding("r50k_base")
    assert (r50k.name, gpt2.name) == ("r50k_base", "gpt2")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(UnknownEncoding, match=r"(?s)gpt3.*gpt2, r50k_base"):
        fastprep.get_encoding("gpt3")


def test_encodings_pickle_and_copy_by_name(gpt2):
    assert pickle.loads(pickle.dumps(gpt2)) is gpt2
    assert copy.deepcopy(gpt2) is gpt2
    assert len(pickle.dumps(gpt2)) < 200


@pytest.mark.parametrize("text", [None, 3, b"bytes", ["a"]])
def test_input_that_is_not_a_str_is_a_type_error(gpt2, text):
    for encode in (gpt2.encode_ordinary, gpt2.encode, gpt2.encode_to_numpy):
        with pytest.raises(TypeError):
            encode(text)


def test_pickles_that_name_the_class_by_its_former_path_are_read(gpt2):
    made = fastprep.Encoding(
        "made",
        pat_str=gpt2.pat_str,
        mergeable_ranks={bytes([byte]): byte for byte in range(256)},
        special_tokens={"<e>": 256},
    )
    # Protocol 2 writes the module's name without its length.
    former = pickle.dumps(made, 2).replace(b"fastprep.encoding.encoding\n", b"fastprep.encoding\n")
    assert b"fastprep.encoding.encoding" not in former
    assert pickle.loads(former).encode("a<e>", allowed_special="all") == [97, 256]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_encoding_with_merges_is_pickled_with_its_recipe(gpt2, tmp_path, protocol):
    gpt2.save(tmp_path / "tokenizer.json")
    made = fastprep.Encoding.from_file(tmp_path)
    again = pickle.loads(pickle.dumps(made, protocol))
    assert again.rank_table_sha256 == made.rank_table_sha256 != gpt2.rank_table_sha256
    assert again.encode("tea<|endoftext|>", allowed_special="all") == [660, 64, 50256]


def test_a_recipe_does_not_change(gpt2):
    with pytest.raises(AttributeError, match="Recipe is immutable"):
        gpt2.recipe.name = "other"
    assert repr(gpt2.recipe).startswith("Recipe(name='gpt2', patterns=(")


def test_numpy_ids_are_the_lists_and_can_be_written(gpt2):
    text = "word " * 10_000
    ids = gpt2.encode_to_numpy(text)
    assert ids.dtype == np.uint32
    assert ids.flags.writeable
    assert ids.tolist() == gpt2.encode_ordinary(text)


def test_unknown_ids_are_key_errors(gpt2):
    for ids in ([50257], [0, 4_000_000_000], np.array([60_000], np.uint16)):
        with pytest.raises(KeyError, match=str(int(ids[-1]))):
            gpt2.decode_bytes(ids)
    with pytest.raises(OverflowError):
        gpt2.decode([-1])
    with pytest.raises(OverflowError):
        gpt2.decode(np.array([-1]))
    with pytest.raises(TypeError):
        gpt2.decode(["a"])
    with pytest.raises(KeyError):
        gpt2.encode_single_token("no such token")


@pytest.mark.parametrize(
    "dtype", ["uint16", "uint32", "int32", "int64", "uint64", "uint8", "object"]
)
def test_ids_of_any_integer_dtype_decode(gpt2, dtype):
    ids = [72, 10, 200]
    assert gpt2.decode_bytes(np.array(ids, dtype)) == gpt2.decode_bytes(ids)
    assert gpt2.decode_bytes(np.array(ids * 2, dtype)[::2]) == gpt2.decode_bytes([72, 200, 10])
    assert gpt2.decode_bytes(np.array([], dtype)) == b""
    assert gpt2.decode_bytes(tuple(ids)) == gpt2.decode_bytes(iter(ids)) == gpt2.decode_bytes(ids)


def test_a_list_that_changes_while_it_is_read_decodes_as_it_was(gpt2):
    ids = [31373, 995] * 300

    class Clearing:
        def __index__(self):
            ids.clear()
            return 0

    ids += [Clearing(), 995]
    assert gpt2.decode(ids) == "hello world" * 300 + "! world"
    assert ids == []


def test_cut_character_decodes_as_requested(gpt2):
    first = gpt2.encode_ordinary("\U0001f9ff")[:1]
    assert gpt2.decode(first) == "\ufffd"
    with pytest.raises(UnicodeDecodeError):
        gpt2.decode(first, errors="strict")


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize("as_bytes", [str, str.encode, lambda text: memoryview(text.encode())])
def test_documents_are_encoded_back_to_back(gpt2, dtype, as_bytes):
    texts = [*mixed_texts(seed=6, count=200), "", "a", "", "tail"]
    total = sum(len(text.encode()) for text in texts)
    out = np.zeros(total + len(texts), dtype)
    ends = np.zeros(len(texts), np.uint64)
    n = gpt2.encode_documents([as_bytes(text) for text in texts], out, ends, end_token=50256)
    expected = [[*gpt2.encode_ordinary(text), 50256] for text in texts]
    assert out[:n].tolist() == [i for ids in expected for i in ids]
    assert ends.tolist() == np.cumsum([len(ids) for ids in expected]).tolist()


def test_nothing_is_written_after_the_end_of_the_buffer(gpt2):
    for text in ("a", "ab", "a b", "!" * 5, "\n\n", "x\n" * 30):
        room = len(text) + 1
        out = np.full(room + 8, 60_000, np.uint16)
        ends = np.zeros(1, np.uint64)
        gpt2.encode_documents([text], out[:room], ends, end_token=50256)
        assert out[room:].tolist() == [60_000] * 8


def test_the_last_document_can_stay_open(gpt2):
    out, ends = np.zeros(30, np.uint16), np.zeros(2, np.uint64)
    n = gpt2.encode_documents(["one", "two"], out, ends, end_token=50256, close_last=False)
    assert out[:n].tolist() == [505, 50256, 11545]
    assert ends.tolist() == [2, 3]


def test_short_buffers_are_refused(gpt2):
    with pytest.raises(ValueError, match="room for 4 ids"):
        gpt2.encode_documents(["abc"], np.zeros(3, np.uint16), np.zeros(1, np.uint64))
    with pytest.raises(ValueError, match="1 texts"):
        gpt2.encode_documents(["abc"], np.zeros(9, np.uint16), np.zeros(0, np.uint64))
    with pytest.raises(OverflowError, match="70000"):
        gpt2.encode_documents(
            ["abc"], np.zeros(9, np.uint16), np.zeros(1, np.uint64), end_token=70_000
        )


def test_invalid_utf8_names_text_and_byte(gpt2):
    with pytest.raises(InvalidUtf8, match=r"text 1 .* byte 2") as caught:
        gpt2.encode_documents(
            [b"fine", b"ab\xff", b"fine"], np.zeros(30, np.uint16), np.zeros(3, np.uint64)
        )
    assert (caught.value.index, caught.value.offset) == (1, 2)
    assert pickle.loads(pickle.dumps(caught.value)).offset == 2


def test_encodings_with_one_table_share_it():
    for one, other in (
        ("gpt2", "r50k_base"),
        ("p50k_base", "p50k_edit"),
        ("o200k_base", "o200k_harmony"),
    ):
        first, second = fastprep.get_encoding(one), fastprep.get_encoding(other)
        assert first._encoder is second._encoder
        assert first.recipe.table is second.recipe.table


def test_encoding_of_a_published_table_shares_it():
    base = fastprep.get_encoding("cl100k_base")
    made = fastprep.Encoding(
        "made",
        pat_str=base._pat_str,
        mergeable_ranks=dict(base._mergeable_ranks),
        special_tokens={"<x>": 100300},
    )
    assert made._encoder is base._encoder
    assert made.rank_table_sha256 == base.rank_table_sha256
    changed = {**base._mergeable_ranks, b" notokensofar": 100301}
    other = fastprep.Encoding(
        "other", pat_str=base._pat_str, mergeable_ranks=changed, special_tokens={}
    )
    assert other._encoder is not base._encoder
    assert other.encode("a notokensofar") == [64, 100301] != base.encode("a notokensofar")
    assert other.rank_table_sha256 != base.rank_table_sha256


def test_dict_of_all_tokens_is_made_only_on_request():
    program = (
        "import fastprep; enc = fastprep.get_encoding('gpt2'); enc.encode('a'); enc.decode([1]);"
        "print('_mergeable_ranks' in vars(enc))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("limit", [0, 1, 2, 7, 511, 512, 513, 2_000, 10**6])
def test_max_tokens_are_the_first_ids(gpt2, limit):
    text = "".join(mixed_texts(seed=12, count=200)).replace("<|endoftext|>", "")
    marked = text[:40] + "<|endoftext|>" + text[40:]
    every = gpt2.encode(marked, allowed_special="all")
    arguments = {"allowed_special": "all", "max_tokens": limit}
    assert gpt2.encode(marked, **arguments) == every[:limit]
    assert gpt2.encode_to_numpy(marked, **arguments).tolist() == every[:limit]
    assert gpt2.encode_ordinary(text, max_tokens=limit) == gpt2.encode_ordinary(text)[:limit]
    assert gpt2.encode_ordinary("a\ud800", max_tokens=1) == [64]


def test_max_tokens_leave_the_rest_alone(gpt2):
    # The bytes after the limit are not UTF-8, and are never read.
    data = b"word " * 3_000 + b"\xff"
    assert len(gpt2._encoder.encode_buffer(data, 10)) == 10
    with pytest.raises(InvalidUtf8):
        gpt2.encode_bytes(data)


def test_count_is_the_number_of_ids(gpt2):
    for text in [*mixed_texts(seed=13, count=500), "", "a" * 100_000, "word " * 5_000, "a\ud800"]:
        assert gpt2.count(text, disallowed_special=()) == len(gpt2.encode_ordinary(text))
        assert gpt2.count(text, allowed_special="all") == len(
            gpt2.encode(text, allowed_special="all")
        )
    with pytest.raises(ValueError, match="disallowed"):
        gpt2.count("<|endoftext|>")


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize("extra", [0, 1, 3, 4, 100])
def test_ids_go_into_the_callers_array(gpt2, dtype, extra):
    for text in [*mixed_texts(seed=14, count=100), ""]:
        ids = gpt2.encode_ordinary(text)
        for room in (len(ids) + extra, len(text.encode()) + extra):
            memory = np.full(room + 8, 7, dtype)
            out = gpt2.encode_to_numpy(text, disallowed_special=(), out=memory[:room])
            assert out.base is memory
            assert out.tolist() == ids
            assert memory[room:].tolist() == [7] * 8


def test_ids_that_do_not_fit_the_callers_array_are_refused(gpt2):
    with pytest.raises(ValueError, match=r"2 ids.*room for 1"):
        gpt2.encode_to_numpy("hello world", out=np.zeros(1, np.uint16))
    wide = fastprep.get_encoding("o200k_base")
    with pytest.raises(OverflowError, match="uint32"):
        wide.encode_to_numpy("<|endofprompt|>", allowed_special="all", out=np.zeros(9, np.uint16))
    locked = np.zeros(99, np.uint32)
    locked.flags.writeable = False
    every_other = np.zeros(99, np.uint16)[::2]
    numbers = (np.zeros(99, np.int64), np.zeros(99, np.float32), np.zeros((9, 9), np.uint16))
    for wrong in (*numbers, locked, every_other, [0] * 99):
        with pytest.raises(ValueError, match=r"uint16 or uint32.*; found (list|\w+ \[\d+)"):
            gpt2.encode_to_numpy("hello world", out=wrong)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_buffers_of_utf8_are_encoded_without_a_str(gpt2, kind):
    for text in [*mixed_texts(seed=15, count=200), ""]:
        assert gpt2.encode_bytes(kind(text.encode())).tolist() == gpt2.encode_ordinary(text)
    with pytest.raises(InvalidUtf8, match="byte 2"):
        gpt2.encode_bytes(kind(b"ab\xff"))


def test_batches_of_any_shape_keep_their_order(gpt2):
    rnd = random.Random(16)
    texts = [text * rnd.choice([1, 1, 1, 300]) for text in mixed_texts(seed=16, count=400)]
    texts += ["", "a" * 300_000, "\ud800 lone", "end"]
    expected = [gpt2.encode_ordinary(text) for text in texts]
    for threads in (1, 2, 8):
        assert gpt2.encode_ordinary_batch(texts, num_threads=threads) == expected
        assert gpt2.encode_batch(texts, num_threads=threads, disallowed_special=()) == expected


def test_a_missing_byte_is_named_by_every_method():
    ranks = {bytes([i]): i for i in range(256) if i != 0x7A}
    made = fastprep.Encoding("made", pat_str="(?s).", mergeable_ranks=ranks, special_tokens={})
    assert made.encode("abc") == [97, 98, 99]
    room, ends = np.zeros(9, np.uint32), np.zeros(1, np.uint64)
    for call in (
        lambda: made.encode("xyz"),
        lambda: made.encode_ordinary("xyz"),
        lambda: made.encode_to_numpy("xyz"),
        lambda: made.encode_to_numpy("xyz", out=room),
        lambda: made.encode_bytes(b"xyz"),
        lambda: made.count("xyz"),
        lambda: made.encode_batch(["a", "xyz"]),
        lambda: made._encode_single_piece("xyz"),
        lambda: made.encode_documents(["xyz"], room, ends),
    ):
        with pytest.raises(MissingByte, match="byte 0x7A"):
            call()


def test_any_pattern_works(gpt2):
    made = fastprep.Encoding(
        "made",
        pat_str=gpt2._pat_str + "|unused",
        mergeable_ranks=gpt2._mergeable_ranks,
        special_tokens=gpt2._special_tokens,
    )
    text = "it's a <|endoftext|> pattern \u4e2d\u6587  that nobody knows \n"
    expected = gpt2.encode(text, allowed_special="all")
    assert made.encode(text, allowed_special="all") == expected
    assert made.encode_to_numpy(text, allowed_special="all").tolist() == expected
    assert made.encode(text, allowed_special="all", max_tokens=3) == expected[:3]
    assert made.count(text, allowed_special="all") == len(expected)
    ordinary = gpt2.encode_ordinary(text)
    assert made.encode_batch([text] * 3, disallowed_special=()) == [ordinary] * 3
    assert made.encode_bytes(text.encode()).tolist() == ordinary
    out, ends = np.zeros(200, np.uint16), np.zeros(2, np.uint64)
    n = made.encode_documents([text, text.encode()], out, ends, end_token=50256)
    assert out[:n].tolist() == [*ordinary, 50256] * 2
    certain, possible = gpt2.encode_with_unstable("tea")
    assert made.encode_with_unstable("tea")[0] == certain
    assert sorted(made.encode_with_unstable("tea")[1]) == sorted(possible)
    with pytest.raises(InvalidUtf8, match=r"text 1 .* byte 1"):
        made.encode_documents([b"a", b"a\xff"], out, ends)
    with pytest.raises(TypeError):
        made.encode(b"a", disallowed_special=())


def test_invalid_pattern_is_refused(gpt2):
    with pytest.raises(BadVocabulary, match=r"not a regular expression"):
        fastprep.Encoding(
            "made", pat_str="(", mergeable_ranks=gpt2._mergeable_ranks, special_tokens={}
        )


def test_the_end_of_the_text_is_not_before_a_newline():
    ranks = {bytes([i]): i for i in range(256)} | {b"a\n": 256}
    made = fastprep.Encoding("x", pat_str="a$|a\n|b", mergeable_ranks=ranks, special_tokens={})
    assert made.encode("ba\n") == [98, 256]
    assert made.encode("ba") == [98, 97]


def test_huge_ids_take_no_memory_by_their_size():
    # A table with a row per id, of 2 ** 32 ids, would be 64 GiB.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ranks = {bytes([i]): i for i in range(255)} | {b"\xff": 2**32 - 2}
    made = fastprep.Encoding("x", pat_str="(?s).", mergeable_ranks=ranks, special_tokens={})
    assert made.decode_bytes([97, 2**32 - 2, 98]) == b"a\xffb"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (1 << 20)  # KiB


def test_threads_may_share_an_encoding(gpt2):
    texts = list(mixed_texts(seed=7, count=2_000))
    expected = [gpt2.encode_ordinary(text) for text in texts]
    results: list[list[list[int]]] = []

    def work(seed: int) -> None:
        order = list(range(len(texts)))
        random.Random(seed).shuffle(order)
        ids = {i: gpt2.encode_ordinary(texts[i]) for i in order}
        results.append([ids[i] for i in range(len(texts))])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8
    assert gpt2.encode_batch(texts, disallowed_special=()) == expected
    assert gpt2.encode_ordinary_batch(texts) == expected


def test_cache_overflow_is_harmless(gpt2):
    # More distinct pieces, and longer ones, than the cache's arena holds.
    rnd = random.Random(8)
    words = ["".join(rnd.choices("abcdefghij", k=rnd.randrange(3, 40))) for _ in range(150_000)]
    text = " ".join(words)
    first = gpt2.encode_to_numpy(text)
    assert (first == gpt2.encode_to_numpy(text)).all()
    assert gpt2.decode(first) == text
    for word in words[:2_000]:
        assert gpt2.decode(gpt2.encode_ordinary(word)) == word


def test_importing_fastprep_imports_no_torch():
    program = "import fastprep, sys; fastprep.get_encoding; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_lists_share_the_ints_of_their_ids_which_live_as_long_as_the_process(gpt2):
    text = "hello world, hello tokens 0123456789 größer 本"
    first, second = gpt2.encode_ordinary(text), gpt2.encode_ordinary_batch([text] * 3)[1]
    assert all(one is other for one, other in zip(first, second, strict=True))
    large = next(number for number in first if number > 256)
    for _ in range(100):
        assert gpt2.encode_ordinary(text) == second
    # Lists do not count their references to them, so no number of lists may bring the count to 0.
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    assert sys.getrefcount(large) > (1 << 29 if has_gil else 1)


def test_a_vocabulary_of_many_ids_lists_ints_of_its_own(gpt2):
    far = 3_000_000_000
    ranks = {bytes([byte]): byte for byte in range(255)} | {b"\xff": far}
    made = fastprep.Encoding("far", pat_str=gpt2._pat_str, mergeable_ranks=ranks, special_tokens={})
    assert made.encode_ordinary("ab") == [97, 98]
    assert made._encoder.encode_piece(b"a\xffb") == [97, far, 98]
