"""What training reports: bytes per token of held-out text, unused tokens, and a page about them."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest

import fastprep
from fastprep import TrainedEncoding, train_bpe, write_report
from fastprep.errors import InvalidInput
from fastprep.report.page import write_report as write_page

TEXTS = [
    "to be or not to be, that is the question. " * 3,
    "naïve tokens: 字漢字漢 <b>&amp;</b> ",
] * 20
RANDOM = random.Random(4)
TEXTS += [" ".join("".join(RANDOM.choices("abcde", k=9)) for _ in range(40))]
HELD_OUT = ["to be is the question <|endoftext|>", "字漢"]


@pytest.fixture(scope="module")
def trained() -> TrainedEncoding:
    return train_bpe(iter(TEXTS), 320, held_out=iter(HELD_OUT))


def test_held_out_text_is_measured_beside_published_vocabularies(trained: TrainedEncoding) -> None:
    found = trained.report.held_out
    assert found is not None
    assert [*found.tokens] == ["tokenizer", "gpt2", "cl100k_base", "o200k_base"]
    assert (found.documents, found.bytes) == (2, sum(len(text.encode()) for text in HELD_OUT))
    for name, count in found.tokens.items():
        enc = trained if name == "tokenizer" else fastprep.get_encoding(name)
        assert count == sum(len(enc.encode_ordinary(text)) for text in HELD_OUT)
        assert found.bytes_per_token[name] == found.bytes / count
    assert "bytes per token of held-out text: tokenizer " in str(trained.report)
    assert trained.merges == train_bpe(iter(TEXTS), 320).merges


def test_held_out_inputs_are_those_of_training(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"body": text}) + "\n" for text in HELD_OUT)
    (tmp_path / "held.jsonl").write_text(lines)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"body": t}) + "\n" for t in TEXTS))
    events: list[dict[str, object]] = []
    found = train_bpe(
        tmp_path / "in.jsonl",
        300,
        held_out=tmp_path / "held.jsonl",
        field="body",
        documents="lines",
        log=events.append,
    )
    assert found.report.held_out is not None
    assert found.report.held_out.documents == 2
    assert json.loads(json.dumps(events[-1]))["held_out"]["documents"] == 2
    with pytest.raises(InvalidInput, match="held_out has no text"):
        train_bpe(iter(TEXTS), 300, held_out=iter([""]))
    with pytest.raises(InvalidInput):
        train_bpe(iter(TEXTS), 300, held_out=tmp_path / "none.jsonl")


@pytest.mark.parametrize("kind", ["bytes", "base"])
def test_unused_tokens_are_those_that_no_text_has(kind: str) -> None:
    base = train_bpe(iter(TEXTS), 280) if kind == "base" else None
    found = train_bpe(iter(TEXTS), 340, base=base)
    used = Counter(id for text in TEXTS for id in found.encode_ordinary(text))
    new = [found.encode_single_token(a + b) for a, b in found.merges[-found.report.merges :]]
    assert found.report.unused == sum(id not in used for id in new)
    assert found.report.unused > 0


def test_counts_of_the_merges_are_kept(trained: TrainedEncoding) -> None:
    counts = list(trained.merge_counts)
    assert len(counts) == trained.report.merges
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == trained.report.last_count


def test_the_page_shows_what_was_found(tmp_path: Path, trained: TrainedEncoding) -> None:
    pytest.importorskip("matplotlib", reason="the report's plots need fastprep[report]")
    page = write_report(trained, tmp_path / "a.html").read_text(encoding="utf-8")
    assert trained.report.held_out is not None
    for said in ("Held-out text", "o200k_base", "Counts of the merged pairs", "unused tokens"):
        assert said in page
    assert f"{trained.report.held_out.bytes_per_token['gpt2']:.3f}" in page
    assert "<svg" in page
    assert "<b>&" in page  # text of tokens is escaped
    assert "<script" not in page
    without = train_bpe(iter(TEXTS), 257)
    assert "Held-out" not in write_report(without, tmp_path / "b.html").read_text("utf-8")
    with pytest.raises(InvalidInput, match="was not trained here"):
        write_page(fastprep.get_encoding("gpt2"), tmp_path / "c.html")  # type: ignore[arg-type]
