"""tiktoken as the oracle, without a network: its encodings over the bundled tables.

The tables' hashes are compared with those that tiktoken pins, so they are the tables that it would load.
"""

from __future__ import annotations

import functools
import os

os.environ.setdefault("RUST_BACKTRACE", "0")  # if tiktoken panics, its message is enough

import tiktoken
from tiktoken_ext import openai_public

from fastprep.vocabulary.ranks import SHA256, bundled

NAMES = [
    *("gpt2", "r50k_base", "p50k_base", "p50k_edit"),
    *("cl100k_base", "o200k_base", "o200k_harmony"),
]
#: One encoding per table and pattern.
DISTINCT = ["r50k_base", "p50k_base", "cl100k_base", "o200k_base"]


@functools.cache
def _ranks(name: str) -> dict[bytes, int]:
    return bundled(name).mergeable_ranks()


def _load(url: str, expected_hash: str) -> dict[bytes, int]:
    name = url.rsplit("/", 1)[1].removesuffix(".tiktoken")
    assert SHA256[name] == expected_hash
    return _ranks(name)


openai_public.load_tiktoken_bpe = _load
# gpt2's own files are the same table as r50k_base, according to tiktoken's documentation.
openai_public.data_gym_to_mergeable_bpe_ranks = lambda **_: _ranks("r50k_base")


def theirs(name: str) -> tiktoken.Encoding:
    """Return tiktoken's encoding of that name."""
    return tiktoken.get_encoding(name)
