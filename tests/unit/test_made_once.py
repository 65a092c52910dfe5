"""Work that is done once: messages of Arrow lists as JSON, and the look-up of tokens that files name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fastprep import Encoding, get_encoding
from fastprep.corpus import columns, tables
from fastprep.errors import InvalidInput
from fastprep.jobs.prepare import prepare
from fastprep.vocabulary.configuration import ids_of
from fastprep.vocabulary.recipe import Recipe

pa = pytest.importorskip("pyarrow")


def _spell(messages: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(message["content"] + "\n", message["role"] == "assistant") for message in messages]


def _files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("room", [tables.MAX_KEPT, 500, 0])
def test_messages_become_json_once_where_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    rows: list[Any] = [
        [{"role": "assistant", "content": f"é{i} " * (i % 5)}] if i % 7 else None for i in range(60)
    ]
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    table = pa.concat_tables(
        [pa.table({"m": pa.array(rows[a : a + 20], kind)}) for a in (0, 20, 40)]
    )
    made: dict[str, Any] = {"messages": "m", "template": _spell, "shard_bytes": 700}
    made |= {"progress": False, "on_error": "skip"}
    expected = prepare(table, tmp_path / "usual", **made)
    spelled = []

    def counted(value: Any) -> tuple[bytes, str | None]:
        spelled.append(value)
        return as_json(value)

    as_json = columns.as_json
    monkeypatch.setattr(columns, "as_json", counted)
    monkeypatch.setattr(tables, "_ROWS", 8)
    monkeypatch.setattr(tables, "MAX_KEPT", room)
    found = prepare(table, tmp_path / "found", **made)
    assert expected is not None
    assert found is not None
    assert len(expected.manifest.shards) > 2
    assert _files(tmp_path / "usual") == _files(tmp_path / "found")
    valid = sum(row is not None for row in rows)
    if room > 500:
        assert len(spelled) == valid
    else:
        assert len(spelled) > valid
    with pytest.raises(InvalidInput, match=r"<table 1>, row 0: 'm' is null"):
        prepare(table, tmp_path / "raise", **{**made, "on_error": "raise", "workers": 1})


def test_named_tokens_are_found_without_a_dict_of_the_vocabulary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = get_encoding("gpt2").recipe
    recipe = recipe.replaced(empty=60000, others={b"\xff\xfe": 60001})

    def refuse(self: Recipe) -> dict[bytes, int]:
        raise AssertionError("a dict of the whole vocabulary")

    monkeypatch.setattr(Recipe, "mergeable_ranks", refuse)
    named = {"bos": "<|endoftext|>", "eos": " hello", "pad": "nothing of the kind", "unk": ""}
    assert ids_of(recipe, named) == {"bos": 50256, "eos": 23748, "unk": 60000}
    bare = Encoding("bytes", pat_str=".", mergeable_ranks={bytes([i]): i for i in range(256)},
                    special_tokens={}).recipe  # fmt: skip
    assert ids_of(bare, {"unk": "", "pad": "a"}) == {"pad": 97}
