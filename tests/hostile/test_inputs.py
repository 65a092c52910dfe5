"""Damaged and malicious inputs: a typed error that names the file, or the documents; never a crash."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from reading import PRINT_MEMORY

from fastprep.corpus.documents import Format
from fastprep.corpus.reader import batches, whole
from fastprep.errors import InvalidInput

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
zstandard = pytest.importorskip("zstandard")

TEXTS = [f"text {number} with é, 漢 and some more words of it" for number in range(300)]
LINES = b"".join(json.dumps({"id": 1, "text": text}).encode() + b"\n" for text in TEXTS)
SEPARATED = "<|endoftext|>".join(TEXTS).encode()


def seeds(directory: Path) -> dict[str, bytes]:
    """Return one good file of each kind."""
    table = pa.table({"id": range(300), "text": TEXTS, "in": [{"text": t} for t in TEXTS]})
    found = {"a.jsonl": LINES[:6000]}
    for name, options in {
        "plain.parquet": {"compression": "none", "use_dictionary": False},
        "zstd.parquet": {"compression": "zstd", "write_page_checksum": True},
        "snappy.parquet": {"data_page_version": "2.0", "row_group_size": 100},
    }.items():
        pq.write_table(table, directory / name, **options)
        found[name] = (directory / name).read_bytes()
    for name, content in (("a.jsonl", LINES), ("a.txt", SEPARATED)):
        found[f"{name}.gz"] = gzip.compress(content[:2000]) + gzip.compress(content[2000:])
        pack = zstandard.ZstdCompressor(write_checksum=True).compress
        found[f"{name}.zst"] = pack(content[:2000]) + pack(content[2000:])
    return found


def mutated(content: bytes, rnd: random.Random) -> bytes:
    """Return content with a few changes, most of them near its ends, where formats have lengths."""
    data = bytearray(content)
    for _ in range(rnd.choice([1, 1, 2, 8])):
        near = rnd.choice([len(data), 64, 64])
        at = rnd.randrange(near) if rnd.random() < 0.5 else len(data) - 1 - rnd.randrange(near)
        at = min(max(at, 0), len(data) - 1)
        kind = rnd.random()
        if kind < 0.6:
            data[at] = rnd.choice([0, 1, 0x7F, 0x80, 0xFF, data[at] ^ 1 << rnd.randrange(8)])
        elif kind < 0.75:
            del data[at : at + rnd.choice([1, 4, 100])]
        elif kind < 0.9:
            data[at:at] = rnd.choice([b"\0", b"\xff" * 4, bytes(data[:20]), b"PAR1"])
        else:
            del data[rnd.randrange(len(data)) :]
        if not data:
            break
    return bytes(data)


def outcome(path: Path, form: Format) -> str:
    """Read a file; any result but documents or InvalidInput fails the test."""
    try:
        count = sum(len(batch.texts) for batch in batches(whole(path), form))
    except InvalidInput as error:
        return "refused" if str(path) in str(error) else "refused without a name"
    return "all" if count == len(TEXTS) else "some"


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_mutants_of_every_kind_of_file_are_read_or_refused_by_name(
    tmp_path: Path, on_error: str
) -> None:
    rnd = random.Random(7)
    for name, content in seeds(tmp_path).items():
        path = tmp_path / name
        found = set()
        for _ in range(100):
            path.write_bytes(mutated(content, rnd))
            field = rnd.choice(["text", "in.text"]) if "parquet" in name else "text"
            found.add(outcome(path, Format(field=field, on_error=on_error)))
        assert "refused without a name" not in found, name
        assert ("refused" in found) == (on_error == "raise"), name


def test_every_truncation_of_a_parquet_file_is_refused(tmp_path: Path) -> None:
    content = seeds(tmp_path)["snappy.parquet"]
    path = tmp_path / "snappy.parquet"
    for size in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:size])
        assert outcome(path, Format()) == "refused"
        assert outcome(path, Format(on_error="skip")) == "some"


BOMB = """
import resource, sys
from fastprep.corpus import sources as files
from fastprep.corpus.reader import batches, whole
from fastprep.errors import InvalidInput
from fastprep.corpus.documents import Format
files._MAX_PACKED_DOCUMENT >>= 3
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
try:
    for batch in batches(whole(sys.argv[1]), Format(on_error=sys.argv[2])):
        pass
    found = "read"
except InvalidInput as error:
    found = "refused"
print(found)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ["bomb.txt.zst", "bomb.jsonl.zst"])
def test_a_file_that_unpacks_for_ever_into_one_document_ends_in_bounded_memory(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    block = zstandard.ZstdCompressor(level=1).compress(b"\0" * (64 << 20))
    with path.open("wb") as file:
        for _ in range(160):  # 10 GiB, in a few hundred kilobytes
            file.write(block)
    for on_error, expected in (("raise", "refused"), ("skip", "read")):
        command = [sys.executable, "-c", BOMB + PRINT_MEMORY, str(path), on_error]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found, megabytes = done.stdout.split()
        assert found == expected
        assert int(megabytes) < 300
