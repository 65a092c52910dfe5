"""The files that tiktoken would download, written from the bundled tables.

tiktoken compares each with a pinned hash before use, and downloads it if they differ, so these are the
published ones.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from fastprep.vocabulary.byte_alphabet import to_characters
from fastprep.vocabulary.ranks import BUNDLED, SHA256, bundled
from fastprep_ext.bpe import PATTERNS, Encoder

_SITE = "https://openaipublic.blob.core.windows.net"


def fill(folder: Path) -> None:
    """Write all files to `folder`, for TIKTOKEN_CACHE_DIR."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SHA256:
        data = (Path(BUNDLED) / f"{name}.tiktoken").read_bytes()
        _write(folder, f"{_SITE}/encodings/{name}.tiktoken", data)
    # gpt2 comes as a list of merges and a dict of ids.
    table = bundled("r50k_base")
    encoder = Encoder(table.blob, table.ends, table.ids, PATTERNS["r50k"])
    room = np.empty((len(table.ids), 3), np.uint32)
    merges = room[: encoder.last_merges(room.ravel())]
    names = [to_characters(token) for token in table.mergeable_ranks()]
    lines = [f"{names[left]} {names[right]}\n" for left, right, _ in merges.tolist()]
    ids = {name: number for number, name in enumerate(names)} | {"<|endoftext|>": len(names)}
    main = f"{_SITE}/gpt-2/encodings/main"
    _write(folder, f"{main}/vocab.bpe", ("#version: 0.2\n" + "".join(lines)).encode())
    _write(folder, f"{main}/encoder.json", json.dumps(ids).encode())


def _write(folder: Path, url: str, data: bytes) -> None:
    (folder / hashlib.sha1(url.encode()).hexdigest()).write_bytes(data)
