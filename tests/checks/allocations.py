"""Public calls whose allocations fail, one at a time or several: a program of memory_failures.py.

``python allocations.py CALL KIND ONCE FIRST STEP CASES`` makes a call with its FIRST allocation
failing, then with that STEP later, until it needs no more. With a STEP of 0 it chooses one for
about CASES cases, and prints it. KIND is "python" (Python's allocators) or "c" (malloc as the
compiled modules call it, by a preloaded library); ONCE is "once" or "on": one allocation fails, or
some in a row. It prints a line before each call and one after it.
"""

from __future__ import annotations

import _testcapi
import contextlib
import ctypes
import os
import re
import shutil
import sys
import tempfile
import traceback
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastprep
import fastprep_ext.base as base
import fastprep_ext.bpe as bpe
import fastprep_ext.corpus as corpus
import fastprep_ext.windows as windows
import fastprep_ext.words as words
from fastprep.encoding.encoding import Encoding
from fastprep.encoding.files import encode_file
from fastprep.exchange.exports import export_store
from fastprep.exchange.imports import import_tokens
from fastprep.windows.sliding import sliding_windows
from fastprep.words.encoding import WordEncoding
from fastprep.words.tokenizers import SimpleTokenizerV1, SimpleTokenizerV2, build_vocab

MERGES = [b"he", b"ll", b"hell", b"hello", b" w", b"or", b" wor", b" worl", b" world", b"  "]
RANKS = {bytes([byte]): byte for byte in range(256)} | {
    token: 256 + number for number, token in enumerate(MERGES)
}
SPECIAL = {"<|endoftext|>": 300, "<|other|>": 70_000}
TEXT = "hello world, naïve 東京 <|endoftext|> 😀 hello\n"
LONG = TEXT * 300
IDS = [256, 300, 104, 70_000, 259, 264]


# CPython 3.11 raises no error where a call of Python's own has no memory for its frame. What compiled
# functions forget to raise is named with the function.
FRAMELESS = re.compile(
    r"<(class '[\w.]+'|function|bound method).*> returned NULL without setting an exception|"
    r"error return without exception set"
)
# Without any memory at all the interpreter itself aborts.
ON = 12
MAX = 1 << 20


class Call(NamedTuple):
    """A call: what it needs, which is made with memory, and the call itself, made without."""

    make: Callable[[], Any]
    use: Callable[[Any], Any]


def new_encoding(pattern: str | None = None) -> Encoding:
    return Encoding(
        "small",
        pat_str=pattern or fastprep.get_encoding("gpt2")._pat_str,
        mergeable_ranks=RANKS,
        special_tokens=SPECIAL,
    )


def encoded(use: Callable[[Encoding], Any]) -> Call:
    """Return a call of a new encoding."""
    return Call(new_encoding, use)


def documents() -> tuple[bytes, Any, Any]:
    return TEXT.encode() * 3, array("q", [0, 10, 20]), array("q", [10, 20, 55])


def read_rows() -> base.Rows:
    rows = base.Rows()
    for number in range(100):
        rows.append(b"document %d" % number, number)
    return rows


def lines(_: object) -> list[bytes]:
    rows = base.Rows()
    text = b'{"text": "one\\n", "other": [1, 2]}\n' * 200
    corpus.LineReader([b"text"]).read(text, 0, len(text), rows, 0)
    return list(rows)


def splits(_: object) -> list[bytes]:
    rows = base.Rows()
    rows.append(b"one--two--three" * 50, 0)
    made = base.Rows()
    made.carry(rows, 0)
    corpus.split_documents(made, b"--", 1 << 40, False, True, 0)
    return list(made)


def new_arrays() -> tuple[Any, ...]:
    inputs, targets = np.empty((4, 5), np.int64), np.empty((4, 5), np.int64)
    return inputs, targets, (inputs.ctypes.data, targets.ctypes.data, 0, 0, 0)


def batches(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    inputs, targets, places = arrays
    tokens = windows.TokenShards([np.arange(100, dtype=np.uint16), np.arange(50, dtype=np.uint16)])
    ends = windows.DocumentEnds(
        [(100, np.array([50, 100], np.uint64)), (50, np.array([50], np.uint64))]
    )
    maker = windows.BatchMaker([windows.GatheredRows(tokens, 30, 4, ends=ends)], 5, mask=True)
    maker.make([0, 7, 3, 2], places)
    first = inputs.tolist(), targets.tolist()
    order = windows.Order([30], seed=3)
    prefetcher = windows.Prefetcher(maker, order, 2)
    prefetcher.submit(range(4), places, None)
    prefetcher.take()
    prefetcher.stop()
    return (*first, inputs.tolist(), targets.tolist(), order.take(range(30)))


def in_folder(use: Callable[[Path], Any]) -> Call:
    """Return a call in a new folder, with inputs and a store."""
    return Call(new_folder, use)


def new_folder() -> Path:
    for old in FOLDER.iterdir():
        shutil.rmtree(old)
    folder = FOLDER / "work"
    shutil.copytree(SAMPLE, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in (".lock", ".tmp")
    }


def prepared(folder: Path, workers: int) -> dict[str, bytes]:
    inputs = [folder / "a.jsonl", folder / "b.txt"]
    quiet = {"progress": False, "workers": workers, "shard_bytes": 2000}
    fastprep.prepare(inputs, folder / "out", encoding=ENCODING, **quiet)  # type: ignore[call-overload]
    return contents(folder / "out")


def exported(folder: Path) -> dict[str, bytes]:
    export_store(folder / "store", format="nanogpt", output=folder / "out", overwrite=True)
    return contents(folder / "out")


def imported(folder: Path) -> int:
    store = import_tokens(
        [folder / "ids" / "train.bin"], folder / "out", format="nanogpt", encoding=NARROW,
        eot_token="<|endoftext|>", overwrite=True, progress=False,
    )  # fmt: skip
    return store.num_tokens


def arrays(encoding: Encoding) -> list[list[int]]:
    out = np.empty(4096, np.uint32)
    ends = np.empty(3, np.uint64)
    count = encoding.encode_documents([TEXT.encode()] * 3, out, ends, end_token=300)
    return [out[:count].tolist(), ends.tolist()]


def streamed(encoding: Encoding) -> str:
    stream = encoding.decode_stream()
    return "".join([*map(stream.push, encoding.encode_ordinary(TEXT)), stream.finish()])


def stored_text(folder: Path) -> str:
    return fastprep.TokenStore(folder / "store").text(3)


def stored_ids(folder: Path) -> list[list[int]]:
    # By numbers: CPython 3.11 forgets the error of a generator or map if it cannot allocate its frame.
    store, found = fastprep.TokenStore(folder / "store"), []
    for number in range(store.num_documents):
        found.append(store.document(number).tolist())
    return found


def loaded(folder: Path, **options: Any) -> list[list[list[int]]]:
    loader = fastprep.create_dataloader(folder / "store", batch_size=3, max_length=7, **options)
    return [inputs.tolist() for inputs, _ in loader]


def counted(folder: Path) -> Any:
    return fastprep.count_pieces(folder / "b.txt", progress=False).items()


VOCAB = {
    word: number for number, word in enumerate(sorted({*TEXT.split(), "<|unk|>", "<|endoftext|>"}))
}

CALLS: dict[str, Call] = {
    "encode": encoded(lambda enc: enc.encode("hello world")),
    "encode, long": encoded(lambda enc: enc.encode_ordinary(LONG)),
    "encode, special": encoded(lambda enc: enc.encode(TEXT, allowed_special="all")),
    "encode, special refused": encoded(lambda enc: enc.encode(TEXT, disallowed_special=())),
    "encode, max_tokens": encoded(lambda enc: enc.encode_ordinary(TEXT)[:3]),
    "encode_bytes": encoded(lambda enc: list(enc.encode_bytes("naïve hello".encode()))),
    "encode_to_numpy": encoded(
        lambda enc: enc.encode_to_numpy(LONG, disallowed_special=()).tolist()
    ),
    "encode_batch": encoded(lambda enc: enc.encode_ordinary_batch([TEXT] * 20, num_threads=1)),
    "encode_batch, threads": encoded(
        lambda enc: enc.encode_ordinary_batch([LONG, "\ud800x", ""] * 20, num_threads=3)
    ),
    "encode_with_unstable": encoded(lambda enc: enc.encode_with_unstable("hello wor")),
    "encode_single_token": encoded(lambda enc: enc.encode_single_token("hello")),
    "encode_documents": encoded(arrays),
    "count": encoded(lambda enc: enc.count(LONG, disallowed_special=())),
    "decode": encoded(lambda enc: enc.decode(IDS)),
    "decode, long": encoded(lambda enc: enc.decode(IDS * 500)),
    "decode, array": encoded(lambda enc: enc.decode_bytes(np.array(IDS * 500))),
    "decode_batch": encoded(lambda enc: enc.decode_batch([IDS, IDS * 50], num_threads=2)),
    "decode_with_offsets": encoded(lambda enc: enc.decode_with_offsets(IDS)),
    "decode_tokens_bytes": encoded(lambda enc: enc.decode_tokens_bytes(IDS)),
    "token_byte_values": encoded(lambda enc: enc.token_byte_values()),
    "Encoding()": Call(lambda: None, lambda _: new_encoding(PATTERN).encode("hello world")),
    "Encoding.from_file, tiktoken": in_folder(
        lambda folder: Encoding.from_file(
            folder / "small.tiktoken", pat_str=PATTERN, special_tokens=SPECIAL
        ).encode("hello world")
    ),
    "Encoding.from_file, json": in_folder(
        lambda folder: Encoding.from_file(folder / "tokenizer.json").encode("hello world")
    ),
    "encode_with_offsets": encoded(
        lambda enc: str(enc.encode_with_offsets(TEXT, disallowed_special=()))
    ),
    "decode_stream": encoded(streamed),
    "encode_file": in_folder(
        lambda folder: (
            encode_file(ENCODING, folder / "b.txt", folder / "ids.bin", None, 2),
            (folder / "ids.bin").read_bytes(),
        )
    ),
    "split_pieces": Call(lambda: None, lambda _: bpe.split_pieces(LONG.encode())),
    "Vocabulary": encoded(
        lambda enc: (
            enc._encoder.encode_piece(b"hello"),
            enc._encoder.merge_piece(b"hello", "heap"),
            enc._encoder.cuts(b"hello"),
        )
    ),
    "Specials": Call(
        lambda: None, lambda _: bpe.Specials([(b"<a>", 1), (b"<b>", None)]).cut(b"x<a>y<b><a>")
    ),
    "Decoder": Call(
        lambda: None,
        lambda _: bpe.Decoder(
            b"abc", array("Q", [1, 2, 3]), array("I", [0, 5, 4_000_000_000]), [(b"xyz", 9)]
        ).decode_each([0, 5, 4_000_000_000, 9]),
    ),
    "Rows": Call(
        lambda: None,
        lambda _: [
            list(base.Rows(*documents())),
            base.Rows(*documents())[::-1],
            list(base.Rows(*documents()).without([1])),
            list(base.Rows(*documents()).replaced({1: b"other"})),
            [list(part) for part in base.Rows(*documents()).draw(1 << 63)],
            base.Rows(*documents()).invalid(),
        ],
    ),
    "Rows.append": Call(lambda: None, lambda _: list(base.Rows.joined([read_rows()] * 2, [0, 1]))),
    "LineReader": Call(lambda: None, lines),
    "split_documents": Call(lambda: None, splits),
    "load_files": Call(
        lambda: ([os.fsencode(SAMPLE / "b.txt")], [(SAMPLE / "b.txt").stat().st_size]),
        lambda files: corpus.load_files(*files, base.Rows()),
    ),
    "Folder": Call(lambda: None, lambda _: corpus.Folder(str(SAMPLE), 0).read(9)[0]),
    "borders_between": Call(
        lambda: [f"{number}.txt" for number in range(50)],
        lambda paths: corpus.borders_between(paths, [4] * 50, 9),
    ),
    "modified_times": Call(lambda: None, lambda _: corpus.modified_times([b"missing", b"/"])[:1]),
    "batches": Call(new_arrays, batches),
    "read_tokens": Call(
        lambda: windows.TokenShards([array("H", range(500))]),
        lambda tokens: windows.read_tokens(tokens, 3, 400),
    ),
    "best_fit": Call(
        lambda: np.array([3, 2, 2, 1] * 20, np.int32),
        lambda sizes: [windows.best_fit(sizes, 4)[0].tolist(), windows.best_fit(sizes, 4)[1]],
    ),
    "sliding_windows": Call(
        lambda: None, lambda _: [side.tolist() for side in [sliding_windows(list(range(50)), 4, 2)]]
    ),
    "build_vocab": Call(lambda: None, lambda _: build_vocab(LONG)),
    "SimpleTokenizerV1": Call(
        lambda: None, lambda _: round_trip(SimpleTokenizerV1(build_vocab(TEXT)), TEXT)
    ),
    "SimpleTokenizerV2": Call(lambda: None, lambda _: round_trip(SimpleTokenizerV2(VOCAB), LONG)),
    "split_words": Call(lambda: None, lambda _: words.split_words(LONG)),
    "unique_words": Call(lambda: None, lambda _: words.unique_words([LONG, "x" * 90])),
    "WordEncoding": Call(lambda: None, lambda _: arrays_of_words(WordEncoding(VOCAB))),
    "prepare": in_folder(lambda folder: prepared(folder, 1)),
    "prepare, threads": in_folder(lambda folder: prepared(folder, 3)),
    "TokenStore": in_folder(
        lambda folder: (
            fastprep.TokenStore(folder / "store")[:].tolist(),
            fastprep.TokenStore(folder / "store").document(3).tolist(),
        )
    ),
    "TokenStore.text": in_folder(
        lambda folder: [
            stored_text(folder),
            *stored_ids(folder),
        ]
    ),
    "create_dataloader": in_folder(loaded),
    "create_dataloader, packed": in_folder(
        lambda folder: loaded(folder, layout="packed", shuffle="blocks", shuffle_block_tokens=64)
    ),
    "count_pieces": in_folder(lambda folder: dict(counted(folder))),
    "train_bpe": in_folder(
        lambda folder: fastprep.train_bpe(folder / "b.txt", 270, progress=False).merges
    ),
    "verify": in_folder(lambda folder: fastprep.verify(folder / "store").tokens),
    "export_store": in_folder(exported),
    "import_tokens": in_folder(imported),
}


def round_trip(tokenizer: Any, text: str) -> tuple[list[int], str]:
    ids = tokenizer.encode(text)
    return ids, tokenizer.decode(ids)


def arrays_of_words(encoding: Any) -> list[list[int]]:
    out = np.empty(4096, np.uint16)
    ends = np.empty(2, np.uint64)
    count = encoding.encode_documents([TEXT.encode(), TEXT.encode()], out, ends, end_token=0)
    return [out[:count].tolist(), ends.tolist()]


@contextlib.contextmanager
def failing(kind: str, first: int, once: bool) -> Any:
    """Let allocations fail from the `first` on, or only that one."""
    if kind == "python":
        _testcapi.set_nomemory(first, first + 1 if once else first + ON)
    else:
        SHIM.fail_from(first + 1, int(once))
    try:
        yield
    finally:
        if kind == "python":
            _testcapi.remove_mem_hooks()
        else:
            SHIM.fail_from(0, 0)


def outcome(call: Call, made: Any, kind: str, first: int, once: bool, expected: Any) -> str:
    """Make a call with failing allocations, and return what became of it."""
    result = None
    error: BaseException | None = None
    try:
        with failing(kind, first, once):
            result = call.use(made)
    except BaseException as caught:
        error = caught
    if error is None:
        return "right" if result == expected else "wrong result"
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == 12:
        return "no memory"
    innermost = [*traceback.extract_tb(error.__traceback__)][-1].filename
    by = "" if "fastprep" in innermost and not FRAMELESS.match(str(error)) else " by others"
    return f"{type(error).__name__}{by}: {error}"


def main() -> None:
    name, kind, once = sys.argv[1], sys.argv[2], sys.argv[3] == "once"
    first, step, cases = map(int, sys.argv[4:7])
    call = CALLS[name]
    expected = call.use(call.make())
    if call.use(call.make()) != expected:
        raise AssertionError(f"{name}: two calls differ")
    complete = 0
    if step == 0:
        needed = 1
        while outcome(call, call.make(), kind, needed, True, expected) != "right" and needed < MAX:
            needed *= 2
        step = max(1, needed // cases)
        os.write(1, f"{step}\n".encode())
    for number in range(first, MAX, step):
        os.write(1, f"{number}\n".encode())
        made = call.make()
        found = outcome(call, made, kind, number, once, expected)
        complete = complete + 1 if found == "right" else 0
        again: Any = None
        try:
            again = call.use(call.make() if isinstance(made, Path) else made)
        except BaseException as error:
            again = error
        if again != expected:
            found = f"{found}; the call after it: {again!r}"[:300]
        os.write(1, f"{found}\n".encode("utf-8", "replace").replace(b"\\n", b" "))
        # A call may be right without some of its allocations; this many together are those it has not.
        if complete * step >= 25 and complete >= 3:
            break


if __name__ == "__main__":
    if sys.argv[2] == "c":
        SHIM = ctypes.CDLL(None)
    ENCODING = new_encoding()
    PATTERN = ENCODING._pat_str
    # Of the ids of nanoGPT's files, which have 16 bits.
    NARROW = Encoding(
        "narrow",
        pat_str=PATTERN,
        mergeable_ranks=RANKS,
        special_tokens={"<|endoftext|>": SPECIAL["<|endoftext|>"]},
    )
    FOLDER = Path(tempfile.mkdtemp(dir=os.environ["FASTPREP_FOLDER"]))
    SAMPLE = Path(tempfile.mkdtemp(dir=os.environ["FASTPREP_FOLDER"]))
    (SAMPLE / "a.jsonl").write_text('{"text": "hello world"}\n' * 200)
    (SAMPLE / "b.txt").write_text(TEXT * 100)
    ENCODING.save(SAMPLE / "tokenizer.json")
    ENCODING.save(SAMPLE / "small.tiktoken")
    fastprep.prepare(
        SAMPLE / "a.jsonl", SAMPLE / "store", encoding=ENCODING, progress=False, shard_bytes=2000
    )
    export_store(SAMPLE / "store", format="nanogpt", output=SAMPLE / "ids")
    main()
