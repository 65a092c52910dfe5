"""Formats of inputs: the same documents from every kind of file, table and stream."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading import bad_in, read, spans_of

from fastprep import prepare, verify
from fastprep.cli.main import main
from fastprep.corpus.documents import Format
from fastprep.corpus.formats import in_folders, kind_of
from fastprep.corpus.inputs import find
from fastprep.corpus.reader import can_split, whole
from fastprep.errors import DamagedInput, InvalidInput
from fastprep.jobs.estimate import estimate
from fastprep.store.reader import TokenStore

pa = pytest.importorskip("pyarrow")
zstandard = pytest.importorskip("zstandard")

TEXTS = [f'text {i}, "quoted",\nwith é and\t漢' * (i % 3 + 1) for i in range(60)]
EXPECTED = [text.encode() for text in TEXTS]


def as_lines(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def as_csv(texts: list[str], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    rows = csv.writer(out, delimiter=delimiter)
    rows.writerow(["id", "text"])
    rows.writerows([number, text] for number, text in enumerate(texts))
    return out.getvalue().encode()


def as_arrow(texts: list[str], *, file: bool = True, **options: Any) -> bytes:
    out = io.BytesIO()
    table = pa.table({"id": range(len(texts)), "text": texts})
    new = pa.ipc.new_file if file else pa.ipc.new_stream
    with new(out, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=7)
    return out.getvalue()


MAKE: dict[str, Callable[[], bytes]] = {
    "a.txt": lambda: "|".join(TEXTS).encode(),
    "a.jsonl": lambda: as_lines(TEXTS),
    "array.json": lambda: json.dumps([{"text": text} for text in TEXTS], indent=2).encode(),
    "values.json": lambda: b"\n".join(json.dumps({"text": t}, indent=1).encode() for t in TEXTS),
    "a.csv": lambda: as_csv(TEXTS),
    "a.tsv": lambda: as_csv(TEXTS, "\t"),
    "a.arrow": lambda: as_arrow(TEXTS),
    "stream.arrow": lambda: as_arrow(TEXTS, file=False),
    "a.feather": lambda: as_arrow(TEXTS, options=pa.ipc.IpcWriteOptions(compression="zstd")),
}
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}
NAMES = [
    *MAKE,
    *(name + packing for name in ("a.txt", "a.jsonl", "array.json", "a.csv") for packing in PACK),
]


def made(folder: Path, name: str) -> Path:
    path = folder / name
    plain = name
    for packing in PACK:
        plain = plain.removesuffix(packing)
    content = MAKE[plain]()
    path.write_bytes(content if plain == name else PACK[name[len(plain) :]](content))
    return path


def stored(inputs: Any, output: Path, **options: Any) -> TokenStore:
    return prepare(inputs, output, progress=False, separator="|", **options)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_has_the_same_documents_in_blocks_of_any_size(
    tmp_path: Path, name: str
) -> None:
    path = made(tmp_path, name)
    form = Format("|")
    for block_bytes in (30, 1000, 1 << 20):
        assert read([whole(path)], form, block_bytes=block_bytes) == EXPECTED
        if can_split(str(path), form):
            assert (
                read(spans_of(path, [99, 300, 301, 2000]), form, block_bytes=block_bytes)
                == EXPECTED
            )


@pytest.mark.parametrize("name", NAMES)
def test_every_format_makes_the_same_store_which_can_be_verified(tmp_path: Path, name: str) -> None:
    path = made(tmp_path, name)
    expected = stored(made(tmp_path, "a.jsonl"), tmp_path / "expected")
    found = stored(path, tmp_path / "store", shard_bytes=1500)
    assert found[:].tolist() == expected[:].tolist()
    assert verify(found, against="tiktoken").compared == len(TEXTS)
    assert estimate(path, separator="|", shard_bytes=1500).tasks == len(found.manifest.shards)
    again = stored(path, tmp_path / "again", shard_bytes=1500, workers=2)
    assert again.manifest == found.manifest


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(("a.txt", True), ("a.jsonl", True), ("a.arrow", True), ("a.feather", True)),
        *(("array.json", False), ("values.json", False), ("stream.arrow", False), ("a.csv", False)),
        *(("a.jsonl.xz", False), ("a.txt.bz2", False)),
    ],
)
def test_formats_are_split_among_tasks_where_they_can_be(
    tmp_path: Path, name: str, split: bool
) -> None:
    assert can_split(str(made(tmp_path, name)), Format("|")) == split


@pytest.mark.parametrize(
    ("name", "form", "kind"),
    [
        ("wiki_00", None, None),
        ("wiki_00", "jsonl", ("lines", "", "")),
        ("wiki_00.bz2", "jsonl", ("lines", ".bz2", "")),
        ("a.txt", "jsonl", ("lines", "", "")),
        ("-", "csv.gz", ("csv", ".gz", "")),
        ("a.tgz", None, ("", ".gz", ".tar")),
        ("a.tar.zst", "txt", ("text", ".zst", ".tar")),
        ("dump", "tar", ("", "", ".tar")),
        ("a.zip", "json", ("lines", "", ".zip")),
        ("a.zip.gz", None, None),
        ("a.parquet.gz", None, None),
        ("a.arrow.zst", None, None),
        (".txt", None, None),
        ("a.txt.gz.zst", None, None),
        ("A.CSV.XZ", None, ("csv", ".xz", "")),
    ],
)
def test_the_kind_of_a_file_follows_from_its_name_and_the_format(
    name: str, form: str | None, kind: tuple[str, str, str] | None
) -> None:
    assert kind_of(name, form) == kind


@pytest.mark.parametrize("name", ["pdf", "", "jsonl.rar", 5, ".", "gz"])
def test_a_format_that_there_is_not_is_an_error(name: Any) -> None:
    with pytest.raises(InvalidInput, match=r"format is .* supported are"):
        Format(format=name)


def test_a_format_is_for_names_that_say_nothing(tmp_path: Path) -> None:
    for name in ("AA/wiki_00", "AA/wiki_01"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(as_lines([name]))
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8")
    form = Format(format="jsonl")
    found = find(tmp_path, form)
    assert read(found, form) == [b"AA/wiki_00", b"AA/wiki_01"]
    assert read(find(tmp_path / "AA" / "*", form), form) == [b"AA/wiki_00", b"AA/wiki_01"]
    with pytest.raises(InvalidInput, match="pass the format"):
        find(tmp_path / "AA" / "wiki_00")
    with pytest.warns(UserWarning, match=r"passed over: 2 files: .*notes\.txt"):
        store = stored(tmp_path, tmp_path / "store", format="jsonl")
    assert (store.num_documents, store.manifest.input_format) == (2, "jsonl")
    assert verify(store, against="tiktoken").compared == 2


def test_a_folder_of_json_only_is_read(tmp_path: Path) -> None:
    (tmp_path / "part-0.json").write_bytes(as_lines(["one"]))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "part-1.json").write_text('[{"text": "two"}]')
    assert read(find(tmp_path), Format()) == [b"one", b"two"]
    (tmp_path / "data.jsonl").write_bytes(as_lines(["three"]))
    assert read(find(tmp_path), Format()) == [b"three"]
    assert in_folders("a.json", "json")
    assert not in_folders("a.json", "jsonl")


def test_standard_input_is_read_in_any_format_that_can_be_a_stream(tmp_path: Path) -> None:
    expected = stored(made(tmp_path, "a.jsonl"), tmp_path / "expected")
    for number, (name, form) in enumerate(
        [
            ("a.jsonl", "jsonl"),
            ("array.json", "json"),
            ("a.csv.gz", "csv.gz"),
            ("a.txt.xz", "txt.xz"),
        ]
    ):
        output = tmp_path / str(number)
        subprocess.run(
            [
                sys.executable,
                "-m",
                "fastprep",
                "prepare",
                "-",
                "-o",
                output,
                "--format",
                form,
                "--separator",
                "|",
                "--quiet",
            ],
            input=made(tmp_path, name).read_bytes(),
            check=True,
        )
        assert TokenStore(output)[:].tolist() == expected[:].tolist()


@pytest.mark.parametrize("form", [None, "parquet", "arrow", "zip"])
def test_standard_input_without_a_format_it_can_have_is_an_error(form: str | None) -> None:
    with pytest.raises(InvalidInput, match="-: "):
        find("-", Format(format=form))


# -- tables and streams in memory ---------------------------------------------------------------


def dicts() -> Iterator[dict[str, Any]]:
    yield from ({"text": text, "id": number} for number, text in enumerate(TEXTS))


def scans() -> list[Any]:
    table = pa.table({"id": range(len(TEXTS)), "text": TEXTS})
    dataset = pytest.importorskip("pyarrow.dataset").dataset(table)
    return [dataset, dataset.scanner()]


def test_dicts_of_an_iterator_are_one_stream_of_documents(tmp_path: Path) -> None:
    expected = stored(made(tmp_path, "a.jsonl"), tmp_path / "expected")
    for number, inputs in enumerate([dicts(), [*dicts()], *scans()]):
        store = stored(inputs, tmp_path / str(number))
        assert store[:].tolist() == expected[:].tolist()
        assert len(store.manifest.shards) == 1
        with pytest.raises(InvalidInput, match="in the memory of the process"):
            verify(store, against="tiktoken")
    # A generator of paths is still one of paths.
    assert len(find(path for path in tmp_path.glob("*.jsonl"))) == 1


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("text", "it is a str, not a dict"),
        ({"body": "x"}, "it has no 'text'; it has body"),
        ({"text": 5}, "its 'text' is a int, not a str"),
        ({"text": None}, "it has no 'text'"),
    ],
)
def test_an_item_without_a_text_is_named_by_its_number(item: Any, fault: str) -> None:
    items = [{"text": "one"}, item, {"text": "\ud83dx"}]
    with pytest.raises(InvalidInput, match=f"<stream 1>, item 1: {fault}"):
        read(find(iter(items)), Format())
    form = Format(on_error="skip")
    assert read(find(iter(items), form), form) == [b"one", "\ufffdx".encode()]
    form = Format(on_error="replace")
    assert read(find(iter(items), form), form) == [b"one", b"", "\ufffdx".encode()]
    assert [bad.place for bad in bad_in(find(iter(items), form), form)] == ["<stream 1>, item 1"]


def test_a_stream_is_read_once() -> None:
    spans = find(dicts())
    assert read(spans, Format()) == EXPECTED
    with pytest.raises(InvalidInput, match="only once"):
        read(spans, Format())


def test_nested_fields_of_dicts_and_scans() -> None:
    rows = [{"meta": {"body": text}} for text in TEXTS]
    form = Format(field="meta.body")
    table = pa.Table.from_pylist(rows)
    dataset = pytest.importorskip("pyarrow.dataset").dataset(table)
    for inputs in (iter(rows), table, dataset):
        assert read(find(inputs, form), form) == EXPECTED


def test_columns_of_polars_are_read() -> None:
    pl = pytest.importorskip("polars")
    words = ["one", None, "two", "one"] * 30
    kinds = [pl.String, pl.Categorical, pl.Enum(["one", "two"])]
    form = Format(on_error="skip")
    for kind in kinds:
        frame = pl.DataFrame({"id": range(120), "text": pl.Series(words, dtype=kind)})
        expected = [word.encode() for word in words if word]
        (span,) = find(frame, form)
        assert read([span], form) == expected
        edges = [0, span.size // 3, span.size // 2, span.size]
        parts = [span.part(a, b) for a, b in itertools.pairwise(edges)]
        assert read(parts, form) == expected
        assert read(find(frame.lazy(), form), form) == expected
    with pytest.raises(InvalidInput, match=r"<stream 1>: has no column 'body'; it has: id"):
        read(find(frame.lazy(), Format(field="body")), Format(field="body"))


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.sampled_from(["", "a", "bé", "漢" * 9]) | st.none(), max_size=30),
    kind=st.sampled_from(
        [
            pa.dictionary(pa.int8(), pa.string()),
            pa.dictionary(pa.int32(), pa.large_string()),
            pa.dictionary(pa.uint32(), pa.string_view()),
            pa.string_view(),
            pa.large_string(),
        ]
    ),
    cuts=st.lists(st.integers(0, 300), max_size=4),
)
def test_any_ranges_of_dictionaries_and_views(
    texts: list[str | None], kind: Any, cuts: list[int]
) -> None:
    array = pa.array(texts, pa.string())
    if pa.types.is_dictionary(kind):
        array = array.dictionary_encode()
        array = pa.DictionaryArray.from_arrays(
            array.indices.cast(kind.index_type), array.dictionary.cast(kind.value_type)
        )
    else:
        array = array.cast(kind)
    form = Format(on_error="replace")
    (span,) = find(pa.table({"text": array}), form)
    edges = sorted({0, span.size, *(cut % (span.size + 1) for cut in cuts)})
    parts = [span.part(a, b) for a, b in itertools.pairwise(edges)] or [span]
    assert read(parts, form) == [(text or "").encode() for text in texts]


# -- saved data sets ----------------------------------------------------------------------------


def save(folder: Path, texts: list[str], files: int = 2) -> None:
    """Write a folder as `datasets.Dataset.save_to_disk` does."""
    folder.mkdir(parents=True)
    names = [f"data-{number:05d}-of-{files:05d}.arrow" for number in range(files)]
    step = -(-len(texts) // files)
    for number, name in enumerate(names):
        (folder / name).write_bytes(
            as_arrow(texts[number * step : (number + 1) * step], file=False)
        )
    (folder / "dataset_info.json").write_text("{}")
    state = {"_data_files": [{"filename": name} for name in names], "_format_type": None}
    (folder / "state.json").write_text(json.dumps(state))


def test_a_saved_data_set_is_its_data_files(tmp_path: Path) -> None:
    save(tmp_path / "set", TEXTS)
    (tmp_path / "set" / "cache-1a.arrow").write_bytes(as_arrow(["cached"], file=False))
    assert read(find(tmp_path / "set"), Format()) == EXPECTED
    (tmp_path / "set" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(InvalidInput, match=r"data-00001-of-00002\.arrow: no such file, although"):
        find(tmp_path / "set")


def test_a_saved_data_set_with_several_splits_or_indices_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "sets" / "train", TEXTS)
    splits = tmp_path / "sets" / "dataset_dict.json"
    splits.write_text('{"splits": ["train"]}')
    assert read(find(tmp_path / "sets"), Format()) == EXPECTED
    splits.write_text('{"splits": ["train", "test"]}')
    with pytest.raises(
        InvalidInput, match=r"several data sets; pass one of .*/sets/train, .*/test"
    ):
        find(tmp_path / "sets")
    state = tmp_path / "sets" / "train" / "state.json"
    state.write_text('{"_data_files": [], "_indices_data_files": [{"filename": "indices.arrow"}]}')
    with pytest.raises(InvalidInput, match="another order than its files"):
        find(tmp_path / "sets" / "train")


# -- names of columns ---------------------------------------------------------------------------


def test_a_column_with_a_dot_and_two_columns_of_a_name_are_explained(tmp_path: Path) -> None:
    form = Format(field="meta.body")
    table = pa.table({"meta.body": ["one"], "id": [1]})
    with pytest.raises(
        InvalidInput, match=r"has no column 'meta.body'.*; pass meta\\\.body as field"
    ):
        find(table, form)
    form = Format(field=r"meta\.body")
    assert read(find(table, form), form) == [b"one"]
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"])
    with pytest.raises(InvalidInput, match=r"has 2 columns of one name for 'text'.*rename all but"):
        find(twice)
    path = tmp_path / "a.jsonl"
    path.write_text('{"meta.body": "one"}\n')
    with pytest.raises(InvalidInput, match=r"or meta\\\.body for a key with dots"):
        read([whole(path)], Format(field="meta.body"))
    path = tmp_path / "a.csv"
    path.write_text("id,meta.body\n1,one\n")
    for field in ("meta.body", r"meta\.body"):
        assert read([whole(path)], Format(field=field)) == [b"one"]


# -- windows of zstd ----------------------------------------------------------------------------


def test_a_large_window_of_zstd_is_read_if_it_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path.write_bytes(packer.compress(as_lines(["one"])) + packer.flush())
    with pytest.raises(DamagedInput, match=r"of 256 MiB; pass zstd_window=28 \(--zstd-window 28\)"):
        stored(path, tmp_path / "store")
    store = stored(path, tmp_path / "store", zstd_window=28)
    assert store.num_documents == 1
    assert verify(store, against="tiktoken").compared == 1
    for wrong in (9, 32, True, "28"):
        with pytest.raises(InvalidInput, match=r"zstd_window is .* from 10 to 31"):
            Format(zstd_window=wrong)  # type: ignore[arg-type]


def test_a_dictionary_of_zstd_is_named(tmp_path: Path) -> None:
    samples = [f"sample {number} of some text to train on".encode() * 3 for number in range(400)]
    dictionary = zstandard.train_dictionary(1000, samples)
    path = tmp_path / "a.txt.zst"
    path.write_bytes(zstandard.ZstdCompressor(dict_data=dictionary).compress(samples[0]))
    number = dictionary.dict_id()
    with pytest.raises(DamagedInput, match=rf"the zstd dictionary {number}, which is not part"):
        read([whole(path)], Format())


# -- jobs ---------------------------------------------------------------------------------------


def test_a_job_of_another_format_is_another_job_and_old_jobs_can_be_read(tmp_path: Path) -> None:
    from fastprep.errors import OtherJob
    from fastprep.jobs.journal import Journal

    (tmp_path / "a").write_bytes(as_lines(["one"] * 20))
    options: dict[str, Any] = {"format": "jsonl", "shard_bytes": 100}
    prepare([tmp_path / "a"], tmp_path / "out", task=(0, 2), progress=False, **options)
    with pytest.raises(OtherJob, match="format was 'jsonl' and is 'txt'"):
        prepare([tmp_path / "a"], tmp_path / "out", format="txt", shard_bytes=100, progress=False)
    job = tmp_path / "out" / "job.json"
    old = {
        k: v
        for k, v in json.loads(job.read_text()).items()
        if k not in ("input_format", "zstd_window")
    }
    job.write_text(json.dumps(old))
    found = Journal(tmp_path / "out").read_job()
    assert found is not None
    assert found.form == Format()


def test_words_of_standard_input_are_refused_because_it_is_read_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "store"
    assert main(["prepare", "-", "--format", "jsonl", "--words", "-o", str(output)]) == 1
    assert "reads the inputs twice" in capsys.readouterr().err
    assert not output.exists()
