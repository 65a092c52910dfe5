"""The commands for eyes: show, encodings and bench, the summary of prepare, and waiting for input."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastprep
from fastprep.checks import peers
from fastprep.checks.peers import Difference, Peer, compare, installed, measure, missing
from fastprep.cli.main import main
from fastprep.model import MODEL_TO_ENCODING

ROOT = Path(__file__).parents[2]
TEXTS = ("One.", "Zwei, 東京 😀\nthree", "", "\x1b[2J four")


def out_of(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([*map(str, words)]) == 0
    return capsys.readouterr().out


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8"
    )
    fastprep.prepare(tmp_path / "a.jsonl", tmp_path / "store", progress=False)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "store"


# -- show ------------------------------------------------------------------------------------------


def run(*words: object) -> bytes:
    command = [sys.executable, "-m", "fastprep", *map(str, words)]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout


def test_show_prints_a_document_as_it_was(store: Path) -> None:
    assert run("show", store, "1") == TEXTS[1].encode()
    assert run("show", store, "-1") == TEXTS[3].encode()  # no terminal: no escapes


def test_show_leaves_out_the_end_token_wherever_it_is(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for eot in ("prepend", "none"):
        other = store.parent / eot
        fastprep.prepare(store.parent / "a.jsonl", other, eot=eot, progress=False)
        assert out_of(capsys, "show", other, 0) == "One."


@pytest.mark.parametrize(
    ("words", "numbers"),
    [([], [0]), (["2"], [2]), (["-2"], [2]), (["1:"], [1, 2, 3]), (["-2:", "0"], [2, 3, 0])],
)
def test_show_selects_documents(
    words: list[str], numbers: list[int], store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = out_of(capsys, "show", store, *words, "--tokens")
    expected = fastprep.TokenStore(store)
    ids = [
        int(n)
        for line in shown.splitlines()
        if "\t" in line
        for n in line.split("\t")[0].split("+")
    ]
    assert ids == [id for number in numbers for id in expected.document(number).tolist()]
    headers = [line for line in shown.splitlines() if line.startswith("document ")]
    assert len(headers) == (len(numbers) if len(numbers) > 1 else 0)


def test_show_prints_tokens_with_their_ids(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Hello 東京\n\x1b[2J\u202e"
    for encoding in ("gpt2", "gpt-4o"):
        shown = out_of(capsys, "show", "--text", text, "--encoding", encoding)
        lines = [line.split("\t") for line in shown.splitlines()]
        name = MODEL_TO_ENCODING.get(encoding, encoding)
        ids = [int(number) for labels, _ in lines for number in labels.split("+")]
        assert ids == fastprep.get_encoding(name).encode(text)
        tokens = "".join(token for _, token in lines)
        assert tokens == "Hello 東京↵\\u001b[2J\\u202e"


def test_show_colours_tokens_within_the_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    text = "Some words 東京 naïve and antidisestablishmentarianism\nand a \x1b[31mline"
    shown = out_of(capsys, "show", "--text", text)
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert "\x1b" not in plain
    assert "\\u001b" in plain
    above, below = plain.splitlines()[::2], plain.splitlines()[1::2]
    assert len(above) == len(below) > 2
    assert all(len(line.rstrip()) <= 30 for line in below)
    ids = [int(number) for line in below for number in re.findall(r"\d+", line)]
    assert ids == fastprep.get_encoding("gpt2").encode(text)
    # A token and the ids below it begin at the same column; wide characters take two.
    for tokens, labels in zip(above, below, strict=True):
        if tokens.isascii():
            starts = [found.start() for found in re.finditer(r"\S+", labels)]
            assert all(start == 0 or tokens[start - 1] == " " for start in starts)
    # The line of the text ends a line here.
    assert any(line.rstrip().endswith("↵") for line in above)


def test_show_of_a_word_store_separates_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("to be or not")
    assert main(["prepare", str(tmp_path / "a.txt"), "-o", str(tmp_path / "s"), "--words"]) == 0
    capsys.readouterr()
    assert out_of(capsys, "show", tmp_path / "s") == "to be or not"


# -- encodings -------------------------------------------------------------------------------------


def test_encodings_are_listed_with_all_facts(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(out_of(capsys, "encodings", "--json"))["encodings"]
    assert [facts["name"] for facts in found] == fastprep.list_encoding_names()
    for facts in found:
        encoding = fastprep.get_encoding(facts["name"])
        assert facts["vocab_size"] == encoding.n_vocab
        assert facts["special_tokens"] == encoding.special_tokens
        for model in facts["models"]:
            assert fastprep.encoding_name_for_model(model.replace("*", "x")) == facts["name"]
    models = {model for facts in found for model in facts["models"]}
    assert set(MODEL_TO_ENCODING) <= models
    shown = out_of(capsys, "encodings")
    assert max(map(len, shown.splitlines())) <= 80
    for text in ("gpt2  50,257 tokens", "gpt-4o", "<|endoftext|>", "reserved"):
        assert text in shown


# -- bench -----------------------------------------------------------------------------------------


@pytest.fixture
def two_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave fastprep, tiktoken, and others that fail in each way."""

    def wrong(subject: peers.Subject) -> peers.Encode:
        encode = subject.encoding.encode_ordinary
        return lambda documents: [encode(text)[: 3 + (len(text) < 9)] for text in documents]

    def failing(_: peers.Subject) -> peers.Encode:
        raise RuntimeError("cannot\nload it")

    known = {
        name: peers.PEERS[name] for name in ("fastprep, arrays", "fastprep, lists", "tiktoken")
    }
    known |= {"wrong": Peer("tiktoken", wrong), "failing": Peer("tiktoken", failing)}
    monkeypatch.setattr(peers, "PEERS", known)


def test_bench_compares_ids_before_it_times(
    two_peers: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["One.", "two words and more", "<|endoftext|> is left out", "three words or more"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    words = ("bench", tmp_path / "a.jsonl", "--rounds", 1)
    facts = json.loads(out_of(capsys, *words, "--json"))
    assert (facts["documents"], facts["documents_left_out"], facts["rounds"]) == (3, 1, 1)
    assert facts["bytes"] == sum(len(text) for text in texts) - len(texts[2])
    found = {each["name"]: each for each in facts["tokenizers"]}
    assert list(found) == ["fastprep, arrays", "fastprep, lists", "tiktoken", "wrong", "failing"]
    for name in list(found)[:3]:
        assert found[name]["again"] > 0
        assert found[name]["first"] > 0
        assert found[name]["version"]
    assert found["wrong"]["difference"] == {"documents": 2, "document": 1, "position": 3}
    assert found["wrong"]["again"] is None
    assert found["failing"]["fault"] == "cannot load it"
    table = out_of(capsys, *words)
    assert "differ in 2 documents, first in document 1 at id 3" in table
    assert "not compared: cannot load it" in table
    assert "MB per second of CPU on one thread" in table
    assert max(map(len, table.splitlines())) <= 80


def test_bench_says_on_a_terminal_what_it_does(
    two_peers: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a.txt").write_text("Some text.")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["bench", str(tmp_path / "a.txt"), "--rounds", "2"]) == 0
    lines = capsys.readouterr().err.split("\r")
    assert "comparing on 0.0 MB: ids of tiktoken" in [line.rstrip() for line in lines]
    assert any("round 2 of 2, fastprep, lists" in line for line in lines)
    assert not lines[-1]  # at the end the line is empty
    assert not lines[-2].strip()


def test_bench_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("Some text.")
    monkeypatch.setattr(peers, "version", lambda _: _raise())
    shown = out_of(capsys, "bench", tmp_path / "a.txt", "--rounds", 1)
    assert "no other tokenizer is installed" in shown
    assert "pip install tiktoken tokenizers" in shown
    assert installed() == {}
    assert "tiktoken" in missing()


def _raise() -> str:
    raise peers.PackageNotFoundError


def test_bench_reads_no_more_than_it_needs(
    two_peers: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("word " * 100_000)
    words = ("bench", tmp_path / "a.txt", "--megabytes", 0.01, "--rounds", 1, "--json")
    assert json.loads(out_of(capsys, *words))["bytes"] == 10_000


def test_installed_tokenizers_have_equal_ids() -> None:
    texts = ["Hello, world", "naïve 東京 😀\n\n  x", "don't", ""]
    found = {each.name: each for each in measure(fastprep.get_encoding("gpt2"), texts, 1)}
    for name in ("fastprep, arrays", "fastprep, lists", "tiktoken", "tokenizers"):
        assert found[name].fault is None
        assert found[name].difference is None
        assert found[name].again


def test_differences_are_counted_and_placed() -> None:
    ids = [[1, 2, 3], [4, 5], [], [6]]
    assert compare(ids, [[1, 2, 3], [4, 5], [], [6]]) is None
    assert compare(ids, [[1, 2], [4, 5], [7], [6, 1]]) == Difference(3, 0, 2)
    assert compare(ids, [[1, 2, 3], [4, 9], [], [6]]) == Difference(1, 1, 1)


# -- terminals -------------------------------------------------------------------------------------


def on_terminal(*words: object, typed: bytes = b"") -> str:
    """Return what a command prints with a terminal as all its streams, without colours."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-m", "fastprep", *map(str, words)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    content = b""
    while True:
        try:
            part = os.read(ours, 1 << 16)
        except OSError:  # the end, on Linux
            part = b""
        if not part:
            break
        content += part
        if typed and b"Ctrl-D" in content:
            os.write(ours, typed)
            typed = b""
    os.close(ours)
    assert process.wait(60) == 0
    return content.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("command", "typed", "result"),
    [("encode", b"Hello\n\x04", "15496 198\n"), ("decode", b"15496 198\n\x04", "Hello\n")],
)
def test_commands_that_read_a_terminal_say_that_they_wait(
    command: str, typed: bytes, result: str
) -> None:
    shown = on_terminal(command, typed=typed)
    # The terminal may show what was typed before the end of this line.
    assert re.match(
        r"fastprep: reading .+ from the terminal; end it with Ctrl-D on a new line", shown
    )
    assert shown.rstrip("\n").endswith(result.rstrip("\n"))


def test_summary_on_a_terminal_has_time_speed_sizes_and_the_next_command(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One.<|endoftext|>Two.")
    store = tmp_path / "a store"
    shown = on_terminal("prepare", tmp_path / "a.txt", "-o", store).splitlines()
    assert shown[-3] == f"{store}: 6 tokens in 2 documents, 1 shard"
    assert re.fullmatch(
        r"21 B of input in [\d.]+ (?:s|min \d+ s): .+ k?B/s, .+ tokens/s; 28 B on disk", shown[-2]
    )
    assert shown[-1] == f"next: fastprep info '{store}'"
    again = on_terminal("prepare", tmp_path / "a.txt", "-o", store).splitlines()
    assert "nothing to do" in again[0]
    assert again[1:] == [shown[-3], shown[-1]]
    assert "input bytes        21 (21 B)" in on_terminal("info", store)
