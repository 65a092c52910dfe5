"""An output that exists and cannot be what a training gives is refused before anything is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastprep.cli.main import main


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """Return the path of a small corpus."""
    path = tmp_path / "a.txt"
    path.write_text("to be or not to be, that is the question. " * 20)
    return str(path)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("a.counts", ["--pattern", "o200k"], "by another pattern"),
        ("a.counts", ["--documents", "lines"], "of whole documents"),
        ("a.tiktoken", ["--vocab-size", "270"], "more than the 13 merges"),
        ("a.tiktoken", ["--vocab-size", "280", "--ties", "bytes"], "first byte"),
        ("tokenizer.json", ["--vocab-size", "270"], "more than the 13 merges"),
        ("tokenizer.json", ["--vocab-size", "280", "--ties", "bytes"], "another order"),
        ("tokenizer.json", ["--vocab-size", "280", "--specials", "first"], "another order"),
        ("tokenizer.json", ["--vocab-size", "280", "--special", "<a>"], "the special tokens"),
        ("vocab.bpe", ["--vocab-size", "270"], "more than the 13 merges"),
    ],
)
def test_other_settings_are_known_before_training(
    corpus: str,
    tmp_path: Path,
    name: str,
    options: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out" / name
    first = [] if name == "a.counts" else ["--vocab-size", "280"]
    assert main(["train", corpus, "-o", str(output), *first]) == 0
    before = output.read_bytes()
    command = ["train", corpus, "-o", str(output), *options]
    assert main(command) == 1
    shown = capsys.readouterr().err
    assert reason in shown
    assert "pass --overwrite to replace it" in shown
    assert output.read_bytes() == before
    # Nothing was counted.
    assert not output.with_name(f"{name}.work").exists()
    assert main([*command, "--overwrite"]) == 0
    assert output.read_bytes() != before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.counts", b"text"),
        ("a.tiktoken", b"text\n"),
        ("tokenizer.json", b"{"),
        ("tokenizer.json", b"[]"),
        ("tokenizer.json", b'{"added_tokens": [], "model": 1}'),
        ("vocab.bpe", b"text\n"),
        ("vocab.bpe", None),
    ],
)
def test_another_file_is_known_before_training(
    corpus: str,
    tmp_path: Path,
    name: str,
    content: bytes | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / name
    if content is None:
        output.mkdir()
    else:
        output.write_bytes(content)
    sizes = [] if name == "a.counts" else ["--vocab-size", "280"]
    assert main(["train", corpus, "-o", str(output), *sizes]) == 1
    assert f"{output}: it exists, and" in capsys.readouterr().err
    assert not output.with_name(f"{name}.work").exists()


@pytest.mark.parametrize("specials", ["first", "last"])
@pytest.mark.parametrize("ties", ["huggingface", "bytes"])
def test_the_same_command_is_not_refused(
    corpus: str, tmp_path: Path, specials: str, ties: str
) -> None:
    for name in ("tokenizer.json", "a.tiktoken", "vocab.bpe"):
        command = ["train", corpus, "-o", str(tmp_path / name), "--vocab-size", "9000"]
        command += ["--specials", specials, "--ties", ties, "--special", "<b>", "--special", "<a>"]
        assert main(command) == 0
        assert main(command) == 0
