"""Files that are not what their names say, or are damaged: each is an error with its place."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reading import bad_in, read, spans_of

from fastprep import prepare
from fastprep.corpus import compressed, csv_rows
from fastprep.corpus.compressed import Unpacked
from fastprep.corpus.documents import Format
from fastprep.corpus.inputs import find
from fastprep.corpus.reader import whole
from fastprep.errors import DamagedInput, InvalidInput, MissingExtra

pa = pytest.importorskip("pyarrow")
zstandard = pytest.importorskip("zstandard")

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstandard.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


# -- other encodings, and pointers ----------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("suffix", [".txt", ".jsonl", ".csv", ".json.gz"])
def test_the_mark_of_another_encoding_is_named(tmp_path: Path, encoding: str, suffix: str) -> None:
    content = '\ufeff{"text": "one"}\n'.encode(encoding)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    message = f"its byte order mark, .*, is that of {encoding[:6].upper()}; save it as UTF-8"
    with pytest.raises(InvalidInput, match=message):
        read([whole(path)], Format())
    for on_error in ("skip", "replace"):
        form = Format(on_error=on_error)  # type: ignore[arg-type]
        spans = [whole(path)] if suffix.endswith("gz") else spans_of(path, [5, 9, 20])
        assert read(spans, form) == []
        (bad,) = bad_in(spans, form)
        assert bad.place == str(path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4" * 64 + b"\nsize 9\n"


@pytest.mark.parametrize(
    "suffix",
    [
        *(".txt", ".jsonl", ".csv", ".parquet", ".arrow", ".zip", ".tar", ".jsonl.gz", ".txt.zst"),
        *(".csv.xz", ".txt.bz2", ".tar.gz"),
    ],
)
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(POINTER)
    with pytest.raises(DamagedInput, match=r"a\..*: a pointer of Git LFS, .* `git lfs pull`"):
        read([whole(path)], Format())
    form = Format(on_error="skip")
    assert read([whole(path)], form) == []
    assert [bad.reason for bad in bad_in([whole(path)], form)] == [
        "a pointer of Git LFS, not the file itself"
    ]


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_among_small_files_that_are_read_together_such_files_are_named_too(
    tmp_path: Path, suffix: str
) -> None:
    good = b'{"text": "one"}\n'
    contents = [good, POINTER, good, b"\xff\xfea\0", good]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}{suffix}").write_bytes(content)
    with pytest.raises(DamagedInput, match=rf"1\{suffix}: a pointer of Git LFS"):
        prepare(tmp_path, tmp_path / "out", progress=False)
    store = prepare(find(tmp_path)[0].path, tmp_path / "one", progress=False)
    assert store.num_documents == 1
    store = prepare(
        [tmp_path / f"{n}{suffix}" for n in range(5)],
        tmp_path / "two",
        on_error="skip",
        progress=False,
    )
    assert store.num_documents == 3
    assert [Path(bad.place).name for bad in store.manifest.shards[0].bad] == [
        f"1{suffix}",
        f"3{suffix}",
    ]


def test_a_text_about_git_lfs_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(POINTER + b"x" * 2000)
    assert read([whole(path)], Format()) == [path.read_bytes()]
    path.write_bytes(b"version 1 of a text")
    assert read([whole(path)], Format()) == [b"version 1 of a text"]


# -- compressed files -----------------------------------------------------------------------------


@pytest.mark.parametrize("packing", sorted(PACK))
def test_every_truncation_and_many_flips_are_reported(tmp_path: Path, packing: str) -> None:
    texts = [f"text {number} é".encode() for number in range(40)]
    packed = PACK[packing](b"|".join(texts))
    path = tmp_path / f"a.txt{packing}"
    form = Format("|", on_error="skip")
    for size in range(1, len(packed)):
        path.write_bytes(packed[:size])
        with pytest.raises(DamagedInput, match=rf"a\.txt{packing}, (before )?byte"):
            read([whole(path)], Format("|"))
        found = read([whole(path)], form)
        assert found == texts[: len(found)]
        assert len(bad_in([whole(path)], form)) == 1
    rnd = random.Random(packing)
    for _ in range(100):
        content = bytearray(packed)
        content[rnd.randrange(len(content))] ^= 1 << rnd.randrange(8)
        path.write_bytes(content)
        try:  # a few bits, as those of a time, do not matter
            assert read([whole(path)], Format("|")) == texts or packing in (".zst", ".gz")
        except DamagedInput as error:
            found = str(error)
            assert f"a.txt{packing}, " in found


class _Counting:
    """Decompressor that counts the bytes that it is given and returns unused."""

    copied = 0

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def decompress(self, data: bytes, limit: int) -> bytes:
        result: bytes = self._inner.decompress(data, limit)
        _Counting.copied += len(data) + len(self._inner.unused_data)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.mark.parametrize("packing", sorted(PACK))
@pytest.mark.parametrize("text", [b"", b"x", b"some words " * 1000])
def test_the_bytes_handled_per_member_are_bounded_by_its_size(
    monkeypatch: pytest.MonkeyPatch, packing: str, text: bytes
) -> None:
    make, errors = compressed.decompressor(packing)  # type: ignore[arg-type]
    monkeypatch.setattr(compressed, "decompressor", lambda *_: (lambda: _Counting(make()), errors))
    monkeypatch.setattr(_Counting, "copied", 0)
    member = PACK[packing](text)
    count = 500
    file = Unpacked(io.BytesIO(member * count), "a", packing)  # type: ignore[arg-type]
    read_bytes = 0
    while part := file.read(1 << 20):
        read_bytes += len(part)
    assert read_bytes == count * len(text)
    # What a decompressor gets first, and the double of what it used.
    assert _Counting.copied <= count * (2 * compressed._FIRST_BYTES + 5 * len(member))


def test_skippable_frames_of_zstd_need_no_decompressor(monkeypatch: pytest.MonkeyPatch) -> None:
    make, errors = compressed.decompressor(".zst")
    made: list[Any] = []
    monkeypatch.setattr(
        compressed,
        "decompressor",
        lambda *_: (lambda: made.append(0) or make(), errors),
    )
    frames = [
        b"%c\x2a\x4d\x18" % (0x50 + n % 16) + n.to_bytes(4, "little") + b"x" * n for n in range(300)
    ]
    packed = zstandard.compress(b"one")
    content = b"".join(frames) + packed + b"".join(frames) + packed + frames[9]
    for chunk in (1, 7, 1 << 16):
        monkeypatch.setattr(compressed, "_PACKED_BYTES", chunk)
        made.clear()
        assert Unpacked(io.BytesIO(content), "a", ".zst").read(99) == b"oneone"
        assert len(made) == 2
    for size in range(1, len(frames[9])):
        file = Unpacked(io.BytesIO(packed + frames[9][:size]), "a", ".zst")
        assert file.read(99) == b"one"
        with pytest.raises(DamagedInput, match="ends in the middle"):
            file.read(1)


def test_a_dictionary_of_xz_that_takes_too_much_memory_is_named(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]
    path = tmp_path / "a.txt.xz"
    path.write_bytes(lzma.compress(b"one", filters=filters))
    with pytest.raises(DamagedInput, match="needs more than 128 MiB of memory"):
        read([whole(path)], Format())


def test_a_python_without_lzma_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt.xz"
    path.write_bytes(lzma.compress(b"one"))
    monkeypatch.setitem(__import__("sys").modules, "lzma", None)
    with pytest.raises(MissingExtra, match="needs the module lzma, which this Python was built"):
        read([whole(path)], Format())


# -- tables ---------------------------------------------------------------------------------------


def parquet(path: Path) -> bytes:
    from pyarrow import parquet

    table = pa.table({"id": range(40), "text": ["one", "two"] * 20})
    parquet.write_table(
        table.set_column(1, "text", table["text"].dictionary_encode()),
        path,
        compression="none",
        row_group_size=20,
    )
    return path.read_bytes()


def arrow(path: Path) -> bytes:
    kinds = [pa.string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
    columns = [pa.array(["one", "two", "three, which is long"] * 4).cast(kinds[0])]
    columns += [columns[0].cast(kinds[1]), columns[0].dictionary_encode().cast(kinds[2])]
    table = pa.table(dict(zip("abc", columns, strict=True)))
    new = pa.ipc.new_stream if "stream" in path.name else pa.ipc.new_file
    with new(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=6)
    return path.read_bytes()


def outcome(path: Path, form: Format) -> str:
    """Read a file; every exception but InvalidInput fails the test."""
    try:
        read([whole(path)], form)
    except InvalidInput as error:
        assert path.name in str(error)  # noqa: PT017
        return type(error).__name__
    return "read"


def _pages_end(content: bytes) -> int:
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def test_a_parquet_file_of_any_changed_byte_of_its_pages_is_read_or_refused_by_name(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.parquet"
    content = parquet(path)
    found = set()
    for at in range(_pages_end(content)):
        value = content[at] ^ (1, 0x80, 0x7F)[at % 3]
        path.write_bytes(content[:at] + bytes([value]) + content[at + 1 :])
        found.add(outcome(path, Format()))
    assert "DamagedInput" in found


def test_an_index_out_of_the_dictionary_is_damage_of_a_row_group(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    content = parquet(path)
    for at in range(_pages_end(content)):
        path.write_bytes(content[:at] + b"\xff" + content[at + 1 :])
        try:
            read([whole(path)], Format())
        except DamagedInput as error:
            if "ndex" in str(error):
                found = str(error)
                break
    else:
        pytest.fail("no byte is one of an index")
    assert "a.parquet, row" in found
    assert "of row group" in found
    form = Format(on_error="skip")
    assert len(read([whole(path)], form)) >= 20
    assert len(bad_in([whole(path)], form)) == 1


@pytest.mark.parametrize("name", ["a.arrow", "stream.arrow"])
def test_an_arrow_file_of_any_changed_byte_is_read_or_refused_by_name(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    content = arrow(path)
    rnd = random.Random(1)
    found = set()
    for at in rnd.sample(range(len(content)), min(len(content), 200)):
        path.write_bytes(content[:at] + bytes([rnd.randrange(256)]) + content[at + 1 :])
        for field in "abc":
            found.add(outcome(path, Format(field=field)))
    assert {"read", "DamagedInput"} <= found


@pytest.mark.parametrize("name", ["a.arrow", "stream.arrow"])
def test_truncated_arrow_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    content = arrow(path)
    for size in range(0, len(content) - 8, 40):
        path.write_bytes(content[:size])
        assert outcome(path, Format(field="a")) in ("InvalidInput", "DamagedInput") or (
            name == "stream.arrow"  # it may end after any record batch
        )
    path.write_bytes(b"FEA1" + content)
    with pytest.raises(InvalidInput, match="Feather version 1"):
        read([whole(path)], Format())
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="has no column 'text'; it has: a"):
        read([whole(path)], Format())
    assert len(bad_in([whole(path)], Format(on_error="skip"))) == 1


def test_a_null_of_an_arrow_file_is_named_by_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    table = pa.table({"text": ["one", "two", None, "three"]})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    with pytest.raises(InvalidInput, match=r"a\.arrow, row 0 of record batch 1: 'text' is null"):
        read([whole(path)], Format())
    assert read([whole(path)], Format(on_error="skip")) == [b"one", b"two", b"three"]
    assert read([whole(path)], Format(on_error="replace")) == [b"one", b"two", b"", b"three"]


def test_a_table_in_memory_with_an_index_out_of_range_is_damaged() -> None:
    indices = pa.array([0, 5], pa.int8())
    array = pa.DictionaryArray.from_arrays(indices, pa.array(["one"]), safe=False)
    with pytest.raises(DamagedInput, match=r"<table 1>, row 0: the values from there on"):
        read(find(pa.table({"text": array})), Format())


# -- csv ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b"b", "1 fields, but the header has 2"),
        (b"b,2,3", "3 fields, but the header has 2"),
        (b'"b"c,2', "expected after"),
    ],
)
def test_a_bad_row_of_csv_is_named_by_its_line(tmp_path: Path, row: bytes, fault: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbftext,id\r\n"a\na",1\r\n\r\n' + row + b"\r\nc,3\r\n")
    for block_bytes in (1, 1 << 20):
        with pytest.raises(InvalidInput, match=rf"a\.csv, line 5: .*{fault}"):
            read([whole(path)], Format(), block_bytes=block_bytes)
        form = Format(on_error="skip")
        assert read([whole(path)], form, block_bytes=block_bytes) == [b"a\na", b"c"]
        assert [b.place for b in bad_in([whole(path)], form)] == [f"{path}, line 5"]
        assert read([whole(path)], Format(on_error="replace")) == [b"a\na", b"", b"c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text;id\na;1\n", "has no column 'text'; its header is 'text;id'.*commas in .csv"),
        (b"text,text\na,1\n", "has 2 columns 'text'.*rename one"),
        (b"\n\n", "has no column 'text'"),
        (b'"text\n', "line 1: unexpected end of data"),
    ],
)
def test_a_header_of_csv_without_the_column_is_an_error(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=rf"a\.csv.*{message}"):
        read([whole(path)], Format())
    assert len(bad_in([whole(path)], Format(on_error="skip"))) == 1


def test_bytes_of_csv_that_are_not_utf8_are_handled_as_in_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,text\n\xff,a\n2,b\xffc\n")
    with pytest.raises(InvalidInput, match=r"a\.csv, line 3, byte 1 of its text"):
        prepare(path, tmp_path / "out", progress=False)
    store = prepare(path, tmp_path / "out", on_error="skip", progress=False)
    assert store.num_documents == 1


def test_a_row_of_csv_without_its_last_quote_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'text\na\n"b\n' + b"c\n" * 2000)
    with pytest.raises(InvalidInput, match=r"line 3: unexpected end of data"):
        read([whole(path)], Format())
    monkeypatch.setattr(csv_rows, "_MAX_ROW", 1000)
    with pytest.raises(DamagedInput, match=r"line 3: a row of more than 1000 bytes: a quote"):
        read([whole(path)], Format())
    assert read([whole(path)], Format(on_error="skip")) == [b"a"]


def test_a_long_field_of_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = "x, y\n" * 200_000
    path.write_text(f'text\n"{text}"\n')
    assert read([whole(path)], Format(), block_bytes=1000) == [text.encode()]


def test_a_damaged_csv_gz_ends_before_the_damage(tmp_path: Path) -> None:
    content = b"text\n" + b"".join(b'"row\n%d"\n' % number for number in range(500))
    packed = gzip.compress(content)
    path = tmp_path / "a.csv.gz"
    rows = [b"row\n%d" % number for number in range(500)]
    for size in range(60, len(packed), 41):
        path.write_bytes(packed[:size])
        found = read([whole(path)], Format(on_error="skip"))
        assert found == rows[: len(found)]
        assert len(bad_in([whole(path)], Format(on_error="skip"))) == 1
