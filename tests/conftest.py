"""Fixtures that many tests share."""

from __future__ import annotations

import pytest
import tiktoken
from texts import shared_file
from tiktoken_ext.openai_public import r50k_pat_str

from fastprep.encoding.encoding import Encoding
from fastprep.registry import get_encoding


@pytest.fixture(autouse=True)
def no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip syncs, which take long on a busy disk and which no test needs."""
    monkeypatch.setattr("fastprep.system.host.sync", lambda descriptor: None)


@pytest.fixture(scope="session")
def verdict() -> str:
    """Return the notebook's text, "The Verdict" by Edith Wharton."""
    return shared_file("data/the-verdict.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def gpt2() -> Encoding:
    return get_encoding("gpt2")


@pytest.fixture(scope="session")
def oracle() -> tiktoken.Encoding:
    """Return tiktoken's gpt2, made without a network from the bundled table (whose hash is checked)."""
    return tiktoken.Encoding(
        "gpt2",
        pat_str=r50k_pat_str,
        mergeable_ranks=get_encoding("gpt2")._mergeable_ranks,
        special_tokens={"<|endoftext|>": 50256},
    )
