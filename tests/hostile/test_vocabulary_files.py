"""A hostile vocabulary file is refused with the file's name, and has no other effect."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastprep import Encoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary.byte_alphabet import ALPHABET
from fastprep.vocabulary.patterns import LLAMA3_PATTERN, R50K_PATTERN

# -- good files, as small as possible -------------------------------------------------------------

LETTERS = {letter: i for i, letter in enumerate(ALPHABET)}
MERGES = ["a b", "ab c", "Ġ a"]
VOCAB = {**LETTERS, "ab": 256, "abc": 257, "Ġa": 258}
ADDED = {
    "id": 259,
    "content": "<s>",
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": True,
}
BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": False,
}
SPLIT = {
    "type": "Split",
    "pattern": {"Regex": LLAMA3_PATTERN},
    "behavior": "Isolated",
    "invert": False,
}
GOOD: dict[str, Any] = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [ADDED],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPLIT, BYTE_LEVEL]},
    "post_processor": None,
    "decoder": None,
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": VOCAB,
        "merges": MERGES,
    },
}
BYTES = [bytes([i]) for i in range(256)]
TOKENS = [*BYTES, b"ab", b"abc", b" a"]


def tiktoken_file(tokens: list[bytes]) -> bytes:
    lines = (base64.b64encode(token) + b" %d\n" % i for i, token in enumerate(tokens))
    return b"".join(lines)


def read(path: Path) -> Encoding:
    if path.suffix == ".tiktoken":
        return Encoding.from_file(
            path, pat_str=R50K_PATTERN, special_tokens={"<|endoftext|>": 300_000}
        )
    return Encoding.from_file(path)


def refused(path: Path, complaint: str | None = None) -> None:
    with pytest.raises(BadVocabulary, match=complaint) as error:
        read(path)
    message = str(error.value)
    assert path.stem in message, message
    assert len(message) < 1_000, "an error does not repeat the file"


def test_the_good_files_are_good(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps(GOOD))
    (tmp_path / "x.tiktoken").write_bytes(tiktoken_file(TOKENS))
    (tmp_path / "vocab.json").write_text(json.dumps(VOCAB))
    (tmp_path / "merges.txt").write_text("\n".join(MERGES), encoding="utf-8")
    for name in ("tokenizer.json", "x.tiktoken", "vocab.json"):
        assert read(tmp_path / name).encode("abc a") == [257, 258]


# -- tokenizer.json: wrong values ------------------------------------------------------------------

WRONG = {
    "null": "null",
    "true": "true",
    "an integer": "7",
    "a negative": "-7",
    "a fraction": "0.5",
    "a huge integer": "9" * 5_000,
    "an exponent": "1e999",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "a string": '"x"',
    "an empty string": '""',
    "a list": "[1, [2]]",
    "an empty list": "[]",
    "an object": '{"x": {"y": 1}}',
    "an empty object": "{}",
    "nothing": "",
    "a lone surrogate": '"\\ud800"',
    "a bad escape": '"\\x41"',
    "a control character": '"\n"',
    "a comment": "1 /* one */",
    "single quotes": "'x'",
}
# Paths of values, and the wrong values that are valid there.
PLACES: dict[tuple[str | int, ...], set[str]] = {
    ("model",): set(),
    ("model", "type"): set(),
    ("model", "vocab"): set(),
    ("model", "vocab", "abc"): set(),
    ("model", "merges"): {"an empty list"},
    ("model", "merges", 1): set(),
    ("model", "dropout"): {"null"},
    ("model", "byte_fallback"): set(),
    ("model", "ignore_merges"): {"true"},
    ("model", "continuing_subword_prefix"): {"null", "an empty string"},
    ("model", "end_of_word_suffix"): {"null", "an empty string"},
    ("added_tokens",): {"null", "an empty list"},
    ("added_tokens", 0): {"nothing"},
    ("added_tokens", 0, "id"): set(),
    ("added_tokens", 0, "content"): set(),
    ("added_tokens", 0, "single_word"): {"true"},
    ("added_tokens", 0, "lstrip"): {"true"},
    ("added_tokens", 0, "rstrip"): {"true"},
    ("added_tokens", 0, "normalized"): {"true"},
    ("added_tokens", 0, "special"): {"true"},
    ("normalizer",): {"null"},
    ("normalizer", "normalizers"): {"an empty list"},
    ("normalizer", "normalizers", 0): {"null", "nothing"},
    ("pre_tokenizer",): set(),
    ("pre_tokenizer", "pretokenizers"): set(),
    ("pre_tokenizer", "pretokenizers", 0): set(),
    ("pre_tokenizer", "pretokenizers", 0, "pattern"): set(),
    ("pre_tokenizer", "pretokenizers", 0, "pattern", "Regex"): {"a string", "an empty string"},
    ("pre_tokenizer", "pretokenizers", 0, "behavior"): set(),
    ("pre_tokenizer", "pretokenizers", 0, "invert"): {"true"},
    ("pre_tokenizer", "pretokenizers", 1, "use_regex"): {"true"},
    ("pre_tokenizer", "pretokenizers", 1, "add_prefix_space"): set(),
}


def with_value(place: tuple[str | int, ...], json_text: str) -> bytes:
    document = copy.deepcopy(GOOD)
    value: Any = document
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = "@HERE@"
    return json.dumps(document).replace('"@HERE@"', json_text).encode()


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_value_is_refused(place, wrong, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(with_value(place, WRONG[wrong]))
    if wrong in PLACES[place]:
        assert read(path).n_vocab >= 259
    else:
        refused(path)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_duplicate_key_is_refused(place, tmp_path):
    if not isinstance(place[-1], str):
        pytest.skip("it is an item of a list")
    document = copy.deepcopy(GOOD)
    value: Any = document
    for key in place[:-1]:
        value = value[key]
    value["@TWICE@"] = value[place[-1]]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document).replace("@TWICE@", place[-1]))
    refused(path, "twice|both have the id")


# -- tokenizer.json: what is not supported, by name ------------------------------------------------

NORMALIZERS = ["NFD", "NFKD", "Strip", "StripAccents", "BertNormalizer"]
NORMALIZERS += ["Nmt", "Precompiled", "ByteLevel", "Nonsense"]
PRE_TOKENIZERS = ["BertPreTokenizer", "Whitespace", "WhitespaceSplit"]
PRE_TOKENIZERS += ["CharDelimiterSplit", "UnicodeScripts", "FixedLength", "Nonsense"]


@pytest.mark.parametrize("name", NORMALIZERS)
def test_other_normalizers_are_refused_by_name(name, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**GOOD, "normalizer": {"type": name}}))
    refused(path, f"the normalizer {name} is not supported")
    steps = {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": name}]}
    path.write_text(json.dumps({**GOOD, "normalizer": steps}))
    refused(path, f"the normalizer {name} is not supported")


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_other_pre_tokenizers_are_refused_by_name(name, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**GOOD, "pre_tokenizer": {"type": name}}))
    refused(path, f"the pre-tokenizer {name} is not supported")
    for steps in ([{"type": name}, BYTE_LEVEL], [SPLIT, {"type": name}, BYTE_LEVEL], [BYTE_LEVEL]):
        sequence = {"type": "Sequence", "pretokenizers": steps}
        path.write_text(json.dumps({**GOOD, "pre_tokenizer": sequence}))
        refused(path, "the pre-tokenizer .*is not supported")


@pytest.mark.parametrize("name", ["WordPiece", "WordLevel", "Unigram", "Nonsense"])
def test_other_models_are_refused_by_name(name, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**GOOD, "model": {"type": name, "vocab": [["a", -1.5]]}}))
    refused(path, f"the model '{name}' is not supported")


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("dropout", 0.1, "dropout"),
        ("byte_fallback", True, "byte_fallback"),
        ("continuing_subword_prefix", "##", "continuing_subword_prefix '##'"),
        ("end_of_word_suffix", "</w>", "end_of_word_suffix '</w>'"),
    ],
)
def test_other_settings_of_the_model_are_refused_by_name(setting, value, complaint, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**GOOD, "model": {**GOOD["model"], setting: value}}))
    refused(path, f"{complaint}.* is not supported")


@pytest.mark.parametrize(
    "step",
    [
        {**SPLIT, "pattern": {"Regex": "(?<=a+)b"}},
        {**SPLIT, "pattern": {"Regex": "(" * 1_000}},
        {**SPLIT, "pattern": {"Regex": "x" * 1_000_000}},
        {**SPLIT, "pattern": {"String": " "}},
        {**SPLIT, "pattern": {}},
        {**SPLIT, "behavior": "Removed"},
        {**SPLIT, "behavior": "MergedWithNext"},
    ],
    ids=lambda step: str(step)[:60],
)
def test_a_split_that_is_not_supported_is_refused(step, tmp_path):
    path = tmp_path / "tokenizer.json"
    steps = {"type": "Sequence", "pretokenizers": [step, BYTE_LEVEL]}
    path.write_text(json.dumps({**GOOD, "pre_tokenizer": steps}))
    refused(path, "is not supported")


# -- tokenizer.json: contradictions ----------------------------------------------------------------


def vocab_without(*keys: str, **more: int) -> dict[str, int]:
    return {key: id for key, id in VOCAB.items() if key not in keys} | more


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"vocab": {}}, "no tokens"),
        ({"vocab": vocab_without("a")}, "merge 0.*'a' is not in the vocabulary"),
        ({"vocab": {"ab": 0}, "merges": []}, "no single byte"),
        ({"vocab": vocab_without("ab")}, "merge 0.*'ab'"),
        ({"vocab": vocab_without(x=259)}, "twice|both have the id|contradicts"),
        ({"vocab": vocab_without(xy=258)}, "both have the id 258"),
        ({"vocab": vocab_without(xy=1 << 20)}, "between 0 and"),
        ({"vocab": vocab_without(xy=1 << 63)}, "out of range|between 0 and"),
        ({"vocab": vocab_without(xy=-1)}, "between 0 and"),
        ({"vocab": vocab_without(**{"x" * 65_537: 259})}, "65537 bytes"),
        ({"merges": ["a b", "a b"]}, "twice"),
        ({"merges": [["a", "b"], ["a"]]}, "length|merge"),
        ({"merges": [["a", "b", "c"]]}, "length|merge"),
        ({"merges": ["ab"]}, "merge 0 is 'ab'"),
        ({"merges": ["a b c"]}, "merge 0 is 'a b c'"),
        ({"merges": ["a  b"]}, "merge 0 is 'a  b'"),
        ({"merges": [" ab"]}, "merge 0"),
        ({"merges": ["x y"]}, "merge 0, of 'x' and 'y': 'xy' is not in the vocabulary"),
        ({"merges": ["q中 y"]}, "not in the vocabulary"),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_a_model_that_contradicts_itself_is_refused(changes, complaint, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**GOOD, "model": {**GOOD["model"], **changes}}))
    refused(path, complaint)


@pytest.mark.parametrize(
    ("tokens", "complaint"),
    [
        ([{**ADDED, "id": 260}], "contradicts"),
        ([{**ADDED, "id": 0}], "contradicts"),
        ([{**ADDED, "content": "ab"}], "contradicts"),
        ([ADDED, ADDED], "twice|contradicts"),
        ([ADDED, {**ADDED, "id": 259, "content": "<t>"}], "contradicts"),
        ([{**ADDED, "content": ""}], "empty"),
        ([{**ADDED, "content": "x" * (1 << 23) + "y"}], "characters"),
        (
            [
                {**ADDED, "content": "é", "normalized": True},
                {**ADDED, "id": 260, "content": "e\u0301", "normalized": True},
            ],
            "twice|contradicts",
        ),
        ([{key: ADDED[key] for key in ADDED if key != "lstrip"}], "lstrip"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_added_tokens_that_contradict_the_file_are_refused(tokens, complaint, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**GOOD, "added_tokens": tokens}))
    refused(path, complaint)


# -- any file --------------------------------------------------------------------------------------

GOOD_FILES = {
    "tokenizer.json": json.dumps(GOOD).encode(),
    "some.tiktoken": tiktoken_file(TOKENS),
    "vocab.json": json.dumps(VOCAB).encode(),
    "merges.txt": "\n".join(MERGES).encode(),
}
NO_VOCABULARY = {
    "nothing": b"",
    "blanks": b" \n\t\r\n",
    "zeros": bytes(5_000),
    "0xFF": b"\xff" * 5_000,
    "random": random.Random(1).randbytes(5_000),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.",
    "a web page": b"<!DOCTYPE html><html><body>404: Not Found</body></html>",
    "a pointer": b"version https://git-lfs.example/spec/v1\noid sha256:00\nsize 5\n",
    "a protocol buffer": b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02",
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep, in a good place": b'{"model": {"type": "BPE", "vocab": ' + b"[" * 500_000,
    "a list": b"[]",
    "a number": b"1",
    "a string": b'"tokenizer"',
    "null": b"null",
    "an empty object": b"{}",
    "many keys": b"{" + b",".join(b'"%d":0' % i for i in range(5_000)) + b"}",
    "quotes": b'"' * 5_000,
    "backslashes": b'"' + b"\\" * 5_001,
    "colons": b"{" + b":" * 5_000,
    "a safetensors header": b'\x40\x00\x00\x00\x00\x00\x00\x00{"__metadata__":{}}',
}


def write(tmp_path: Path, name: str, data: bytes) -> Path:
    """Write one file as given; its other half, if it has one, is written correctly."""
    for other in ("vocab.json", "merges.txt") if name in ("vocab.json", "merges.txt") else ():
        (tmp_path / other).write_bytes(GOOD_FILES[other])
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.mark.parametrize("name", GOOD_FILES)
@pytest.mark.parametrize("kind", NO_VOCABULARY)
def test_content_that_is_not_a_vocabulary_is_refused(kind, name, tmp_path):
    refused(write(tmp_path, name, NO_VOCABULARY[kind]))


@pytest.mark.parametrize("name", GOOD_FILES)
@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_another_encoding_of_the_file_is_refused(name, mark, tmp_path):
    text = GOOD_FILES[name].decode().encode(mark)
    text = b"\xfe\xff" + text if mark == "utf-16-be" else text
    refused(write(tmp_path, name, text), "byte order mark")


@pytest.mark.parametrize("name", GOOD_FILES)
def test_lines_may_end_as_on_windows(name, tmp_path):
    data = GOOD_FILES[name].replace(b"\n", b"\r\n").replace(b", ", b",\r\n")
    assert read(write(tmp_path, name, data)).encode("abc a") == [257, 258]


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json"])
def test_json_truncated_anywhere_is_refused(name, tmp_path):
    data = GOOD_FILES[name]
    for end in sorted(random.Random(2).sample(range(len(data)), 150)):
        refused(write(tmp_path, name, data[:end]))


def test_truncated_list_is_refused_if_it_shows(tmp_path):
    data = GOOD_FILES["some.tiktoken"]
    lines = [0, *(i + 1 for i, byte in enumerate(data) if byte == 10)]
    for end in range(0, lines[256], 7):
        refused(write(tmp_path, "some.tiktoken", data[:end]))
    for name, ending in (("some.tiktoken", b"YWI= 9999999"), ("merges.txt", b"\na b")):
        refused(write(tmp_path, name, data[: lines[256]] + ending), "merge|rank")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (tiktoken_file(TOKENS[1:]), "byte 0x00"),
        (tiktoken_file([*TOKENS, b"ab"]), "twice"),
        (tiktoken_file(TOKENS) + b"eHg= 1048576\n", "below 1048576"),
        (tiktoken_file(TOKENS) + b"eHg= 4294967294\n", "below 1048576"),
        (tiktoken_file(TOKENS) + b"eHg= 4294967296\n", "line 260"),
        (tiktoken_file(TOKENS) + b"eHg= 18446744073709551617\n", "line 260"),
        (tiktoken_file(TOKENS) + b"eHg= 1.5\n", "line 260"),
        (tiktoken_file(TOKENS) + b"eHg= -1\n", "line 260"),
        (tiktoken_file(TOKENS) + b"eHg= NaN\n", "line 260"),
        (tiktoken_file(TOKENS) + b"eHg=\t259\n", "line 260"),
        (tiktoken_file(TOKENS) + b"eHg= 258\n", "increasing"),
        (tiktoken_file([*TOKENS, b"x" * 65_537]), "65537 bytes"),
        (tiktoken_file([*BYTES, *(b"x" * n for n in range(2, 3_000))]), "too many ways"),
        (b"\n" * (1 << 20) + b"\n", "empty"),
        (tiktoken_file(TOKENS) + b"\n" * (1 << 20), "lines"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_ranks_that_contradict_themselves_are_refused(data, complaint, tmp_path):
    refused(write(tmp_path, "some.tiktoken", data), complaint)


@pytest.mark.parametrize(
    ("specials", "complaint"),
    [
        ({"<s>": 5}, "of another token"),
        ({"<s>": 400, "<t>": 400}, "of another token"),
        ({"<s>": -1}, "between 0 and"),
        ({"<s>": 1 << 40}, "between 0 and"),
        ({"": 400}, "empty"),
    ],
)
@pytest.mark.parametrize("name", ["some.tiktoken", "vocab.json"])
def test_special_tokens_that_contradict_the_file_are_refused(name, specials, complaint, tmp_path):
    path = write(tmp_path, name, GOOD_FILES[name])
    with pytest.raises(BadVocabulary, match=complaint):
        Encoding.from_file(path, pat_str=R50K_PATTERN, special_tokens=specials)


def test_file_without_a_pattern_needs_one(tmp_path):
    path = write(tmp_path, "some.tiktoken", GOOD_FILES["some.tiktoken"])
    with pytest.raises(BadVocabulary, match=r"some\.tiktoken.*give pat_str"):
        Encoding.from_file(path)


def test_other_than_regular_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.tiktoken")
    refused(tmp_path / "pipe.tiktoken", "not a regular file")
    (tmp_path / "directory").mkdir()
    refused(tmp_path / "directory", "tokenizer.json")
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.tiktoken")
    (tmp_path / "large.tiktoken").touch()
    os.truncate(tmp_path / "large.tiktoken", (1 << 26) + 1)
    refused(tmp_path / "large.tiktoken", "67108865 bytes")


# -- mutants ---------------------------------------------------------------------------------------

SNIPPETS = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"null", b"-1", b"1e9", b"\xff", b"\0"]


def mutants(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Yield files with bytes changed, removed, repeated or inserted."""
    rnd = random.Random(seed)
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(rnd.randrange(1, 4)):
            at = rnd.randrange(len(mutant) - 1)
            choice = rnd.randrange(5)
            if choice == 0:
                mutant[at] = rnd.randrange(256)
            elif choice == 1:
                mutant[at] ^= 1 << rnd.randrange(8)
            elif choice == 2:
                del mutant[at + 2 : at + rnd.randrange(3, 30)]
            elif choice == 3:
                mutant[at:at] = mutant[at : at + rnd.randrange(1, 60)]
            else:
                mutant[at:at] = rnd.choice(SNIPPETS)
        yield bytes(mutant)


@pytest.mark.filterwarnings("ignore:a text has the byte:RuntimeWarning")  # which a mutant lacks
@pytest.mark.parametrize("name", GOOD_FILES)
def test_a_mutant_is_read_or_refused(name, tmp_path):
    text = "abc a<s>é\u0301  zzz"
    for mutant in mutants(GOOD_FILES[name], seed=3, count=1_500):
        path = write(tmp_path, name, mutant)
        try:
            encoding = read(path)
        except BadVocabulary as error:
            assert path.stem in str(error)  # noqa: PT017
            continue
        assert isinstance(encoding.decode(encoding.encode(text, allowed_special="all")), str)


# -- time and memory ---------------------------------------------------------------------------------


def entries(count: int) -> str:
    return ",".join(f'"{ALPHABET[i % 94 + 33]}{i:x}":{i + 256}' for i in range(count))


def thue_morse() -> list[bytes]:
    """Return tokens with equal polynomial hashes for any base, made of two blocks with equal hashes."""
    a, b = b"a", b"b"
    for _ in range(11):
        a, b = a + b, b + a
    return [b"".join(blocks) for blocks in itertools.product((a, b), repeat=10)]


COSTLY = {
    "keys.json": lambda: b'{"model": {"vocab": {' + entries(3_000_000).encode() + b"}}}",
    "merges.json": lambda: with_value(("model", "merges"), "[" + '"",' * 15_000_000 + '""]'),
    "added.json": lambda: with_value(("added_tokens",), "[" + "{}," * 15_000_000 + "{}]"),
    "steps.json": lambda: with_value(
        ("normalizer", "normalizers"), "[" + "{}," * 15_000_000 + "1]"
    ),
    "number.json": lambda: with_value(("model", "vocab", "abc"), "9" * 60_000_000),
    "token.json": lambda: with_value(("model", "vocab"), '{"' + "a" * 60_000_000 + '":0}'),
    "depth.json": lambda: b'{"model":' * 7_000_000,
    "prefixes.tiktoken": lambda: tiktoken_file([*BYTES, *(b"a" * n for n in range(2, 9_000))]),
    "giants.tiktoken": lambda: tiktoken_file([*BYTES, *(b"a" * n for n in range(64_900, 65_536))]),
    "hashes.tiktoken": lambda: tiktoken_file([*BYTES, *thue_morse()]),
    "lines.tiktoken": lambda: b"YQ== 0\n" * 9_000_000,
}
PROGRAM = """
import resource, sys
from pathlib import Path
from fastprep import Encoding
from fastprep.errors import BadVocabulary
from fastprep.vocabulary.patterns import R50K_PATTERN
path = Path(sys.argv[1])
pattern = R50K_PATTERN if path.suffix == ".tiktoken" else None
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
used = int(status["VmSize"].split()[0]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20), resource.RLIM_INFINITY))
try:
    Encoding.from_file(path, pat_str=pattern)
except BadVocabulary as error:
    print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads /proc")
@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_file_is_refused_within_256_mebibytes(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(COSTLY[name]()[: 1 << 26])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert name in done.stdout
