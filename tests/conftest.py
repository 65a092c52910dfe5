"""What many tests share: the oracle, and the texts that lie outside the project."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Texts too large or not ours to commit; FASTPREP_SHARED names the folder that has them.
SHARED = Path(os.environ.get("FASTPREP_SHARED", ROOT.parent / "shared"))


def shared_file(name: str) -> Path:
    """A file of the shared folder, or a skip that says where it was looked for."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set FASTPREP_SHARED to the folder that holds {name}")
    return path


def corpus_documents(name: str) -> Iterator[str]:
    """The documents of one corpus ("prose", "code", "multi"), one str each."""
    import zstandard

    with shared_file(f"corpora/{name}.jsonl.zst").open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file)
        for line in io.TextIOWrapper(reader, encoding="utf-8"):
            yield json.loads(line)["text"]


@pytest.fixture(scope="session")
def verdict() -> str:
    """The notebook's text, "The Verdict" by Edith Wharton."""
    return shared_file("data/the-verdict.txt").read_text(encoding="utf-8")
