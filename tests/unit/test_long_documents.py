"""Documents longer than a block: read in at most twice their size, and encoded in parts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import fastprep.store.writer as writers
from fastprep import prepare
from fastprep.corpus.documents import Format
from fastprep.corpus.reader import read, whole
from fastprep_ext.base import Rows

_MEASURE = """
import re, sys
from pathlib import Path

from fastprep.corpus.documents import Format
from fastprep.corpus.reader import import_readers, read, whole

def peak():  # ru_maxrss would start with the parent's
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

form = Format(on_error=sys.argv[2], separator=None)
span = whole(sys.argv[1])
import_readers([span], form)
before = peak()
size = sum(batch.size for batch in read([span], form))
print(size, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is there on Linux alone")
@pytest.mark.parametrize(
    ("name", "on_error"),
    [("a.txt", "skip"), ("a.jsonl", "skip"), ("a.jsonl", "raise"), ("a.json", "raise")],
)
def test_a_long_document_takes_at_most_twice_its_size(
    tmp_path: Path, name: str, on_error: str
) -> None:
    text = "word " * (8 << 20)
    path = tmp_path / name
    line = json.dumps({"text": text})
    path.write_text({"a.txt": text, "a.jsonl": f"{line}\n", "a.json": f"[\n{line}\n]"}[name])
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, path, on_error], check=True, capture_output=True, text=True
    )
    size, kibibytes = map(int, done.stdout.split())
    assert size == len(text)
    # 30 MiB for blocks, and for what is imported in the first call.
    assert kibibytes << 10 < 2 * size + (30 << 20)


@pytest.mark.parametrize("sizes", [[5, 9000, 3, 9001], [1, 4000, 4000, 8000, 16000, 5]])
@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_blocks_grow_for_a_long_line_and_shrink_after_it(
    tmp_path: Path, name: str, sizes: list[int]
) -> None:
    texts = [f"{number}é".encode() * size for number, size in enumerate(sizes)]
    objects = [json.dumps({"a": 1, "text": text.decode()}) for text in texts]
    path = tmp_path / name
    path.write_text("\n".join(objects) if name == "a.jsonl" else f"[{','.join(objects)}]")
    for block in (1, 100, 1000, 4096, 1 << 20):
        found = read([whole(path)], Format(), block_bytes=block, cut=False)
        assert [text for batch in found for text in batch.texts] == texts, block


@pytest.mark.parametrize("settings", [{"on_error": "skip"}, {"validation": 0.4}])
def test_documents_that_are_read_whole_are_encoded_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    lines = [json.dumps({"text": f"{number} word " * (300 * number)}) for number in range(12)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))

    def shards(name: str) -> dict[str, bytes]:
        prepare(tmp_path / "a.jsonl", tmp_path / name, progress=False, **settings)  # type: ignore[call-overload]
        found = sorted((tmp_path / name).rglob("shard-*"))
        return {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in found}

    expected = shards("whole")
    monkeypatch.setattr(writers, "_LONG_BATCHES", 0)
    monkeypatch.setattr(writers, "BLOCK_BYTES", 1000)
    assert shards("parts") == expected


def test_bytes_are_discarded_from_the_front() -> None:
    rows = Rows()
    rows.read(lambda buffer: buffer.__setitem__(slice(0, 6), b"onetwo") or 6, 100)
    rows.discard(3)
    assert bytes(rows.held()) == b"two"
    rows.discard(50)
    assert rows.filled == 0
    rows.append(b"three", 0)
    with pytest.raises(ValueError, match="1 documents"):
        rows.discard(1)


def test_a_block_that_grew_is_not_kept() -> None:
    rows = Rows()
    for part in (b"a" * (9 << 20), b"b" * (30 << 20), b"c" * (10 << 20)):
        rows.read(
            lambda buffer, part=part: buffer.__setitem__(slice(None), part) or len(part), len(part)
        )
    assert bytes(rows.held()[9 << 20 :][:3]) == b"bbb"
    rows.discard((49 << 20) - 5)
    assert bytes(rows.held()) == b"ccccc"
