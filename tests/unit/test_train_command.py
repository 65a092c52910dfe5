"""fastprep train: files by name, shares of the work, and counting that resumes after any end."""

from __future__ import annotations

import json
import re
import sys
import tarfile
from pathlib import Path

import pytest

import fastprep
from fastprep import Encoding, PieceCounts, count_pieces, train_bpe
from fastprep.cli.main import main
from fastprep.system import atomic

TEXT = "To train a vocabulary is to count pieces, and to merge pairs. "


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    names = []
    for number in range(3):
        path = tmp_path / f"{number}.jsonl"
        lines = [json.dumps({"text": TEXT * (i % 4) + f"word{i % 7}"}) for i in range(60)]
        path.write_text("\n".join(lines) + "\n")
        names.append(str(path))
    return names


def expected(corpus: list[str], size: int = 300) -> fastprep.TrainedEncoding:
    return train_bpe(corpus, size)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.bpe"])
def test_the_vocabulary_is_the_one_of_train_bpe(
    tmp_path: Path, corpus: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / name
    output.parent.mkdir()
    assert main(["train", *corpus, "-o", str(output), "--vocab-size", "300"]) == 0
    enc = Encoding.from_file(output)
    assert enc._mergeable_ranks == expected(corpus)._mergeable_ranks
    assert "300 tokens, 43 merges" in capsys.readouterr().out
    names = {"vocab.bpe", "encoder.json"} if name == "vocab.bpe" else {name}
    assert {path.name for path in output.parent.iterdir()} == names


def test_tasks_count_shares_and_merge_trains(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "a.tiktoken")
    options = ["-o", output, "--part-bytes", "1kB", "--quiet"]
    merge = ["train", "--merge", "-o", output, "--vocab-size", "300"]
    assert main(merge) == 1
    assert "nothing was counted here" in capsys.readouterr().err
    for task in ("2/3", "0/3"):
        assert main(["train", *corpus, *options, "--task", task]) == 0
    assert main(merge) == 1
    assert "not counted yet" in capsys.readouterr().err
    assert main(["train", *corpus, *options, "--task", "1/3"]) == 0
    assert main(merge) == 0
    trained = expected(corpus)
    trained.save(tmp_path / "b.tiktoken")
    assert Path(output).read_bytes() == (tmp_path / "b.tiktoken").read_bytes()
    assert not Path(f"{output}.work").exists()


def test_counts_are_saved_and_trained_later(tmp_path: Path, corpus: list[str]) -> None:
    for number, name in enumerate(corpus):
        assert main(["train", name, "-o", str(tmp_path / f"{number}.counts"), "--quiet"]) == 0
    found = [str(tmp_path / f"{number}.counts") for number in range(3)]
    assert PieceCounts.load(found[0]) == count_pieces(corpus[0])
    output = str(tmp_path / "tokenizer.json")
    assert main(["train", *found, "-o", output, "--vocab-size", "300", "--quiet"]) == 0
    assert Encoding.from_file(output)._mergeable_ranks == expected(corpus)._mergeable_ranks


class Killed(BaseException):
    pass


def test_counting_resumes_after_an_end_at_any_step(
    tmp_path: Path, corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "tokenizer.json"
    command = ["train", *corpus, "-o", str(output), "--vocab-size", "300", "--part-bytes", "4kB"]
    command += ["--workers", "1", "--quiet"]
    assert main(command) == 0
    once = output.read_bytes()
    output.unlink()
    steps = 0
    while True:
        counted: list[str] = []

        def kill(step: str, path: Path, last: int = steps, counted: list[str] = counted) -> None:
            counted.append(step)
            if len(counted) > last:
                raise Killed

        monkeypatch.setattr(atomic, "before", kill)
        try:
            main(command)
        except Killed:
            pass
        else:
            break
        monkeypatch.setattr(atomic, "before", lambda step, path: None)
        finished = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.work/*.counts")}
        again: list[str] = []
        monkeypatch.setattr(
            atomic, "before", lambda step, path, again=again: again.append(path.name)
        )
        assert main(command) == 0
        # What was finished is not counted again.
        assert not {f"{name}.tmp" for name in finished} & {*again}
        assert output.read_bytes() == once
        output.unlink()
        steps += 1
    assert steps > 20


def test_changed_inputs_are_counted_again_and_other_settings_refused(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "tokenizer.json")
    options = ["-o", output, "--part-bytes", "6kB"]
    assert main(["train", *corpus, *options, "--task", "0/2"]) == 0
    assert main(["train", *corpus, *options, "--task", "1/2", "--pattern", "o200k_base"]) == 1
    assert "is not finished, in which patterns differs; finish it" in capsys.readouterr().err
    path = Path(corpus[0])
    content = path.read_text()
    path.write_text(content.replace("word1", "drow1"))
    assert main(["train", *corpus, *options, "--vocab-size", "300"]) == 0
    assert "its inputs were changed since" in capsys.readouterr().err
    assert Encoding.from_file(output)._mergeable_ranks == expected(corpus)._mergeable_ranks


def test_a_damaged_part_is_counted_again(tmp_path: Path, corpus: list[str]) -> None:
    output = str(tmp_path / "tokenizer.json")
    options = ["-o", output, "--part-bytes", "6kB", "--quiet"]
    assert main(["train", *corpus, *options, "--task", "0/2"]) == 0
    part = next(tmp_path.glob("*.work/part-*"))
    part.write_bytes(part.read_bytes()[:-2])
    assert main(["train", *corpus, *options, "--vocab-size", "300"]) == 0
    assert Encoding.from_file(output)._mergeable_ranks == expected(corpus)._mergeable_ranks


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "INPUT"),
        (["a.txt"], "--vocab-size"),
        (["a.txt", "--merge"], "--merge takes no INPUT"),
        (["a.txt", "--vocab-size", "10"], "at least 257"),
        (["a.txt", "--vocab-size", "300", "--task", "3/3"], "write I/N"),
        (["a.txt", "--vocab-size", "300", "--special", "a", "--no-special"], "exclude each other"),
    ],
)
def test_wrong_usage_ends_with_2(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["train", *words, "-o", str(tmp_path / "tokenizer.json")])
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    assert said in capsys.readouterr().err


def test_an_output_is_named_for_its_format(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["train", *corpus, "-o", str(tmp_path / "a.bin"), "--vocab-size", "300"])
    assert "tokenizer.json" in capsys.readouterr().err


def test_events_are_json(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "tokenizer.json")
    words = ["train", *corpus, "-o", output, "--vocab-size", "300", "--log", "json"]
    assert main(words) == 0
    events = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert events == ["counting", "task done", "merging", "trained"]
    Path(corpus[0]).write_text("{")
    assert main(words) == 1
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (last["event"], last["error"]) == ("failed", "InvalidInput")


def test_a_first_try_without_result_does_not_bind_the_next(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", *corpus, "-o", str(tmp_path / "tokenizer.json"), "--vocab-size", "300"]
    assert main([*command, "--field", "body"]) == 1
    assert "resumes" not in capsys.readouterr().err
    assert main([*command, "--field", "text"]) == 0
    assert Encoding.from_file(tmp_path / "tokenizer.json").n_vocab == 300


def test_the_settings_of_counted_parts_are_named(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", *corpus, "-o", str(tmp_path / "a.json"), "--part-bytes", "1kB", "--quiet"]
    assert main([*command, "--task", "0/3"]) == 0
    assert main([*command, "--vocab-size", "300", "--documents", "lines"]) == 1
    assert "documents was 'whole' and is 'lines'" in capsys.readouterr().err


def test_one_directory_above_the_vocabulary_is_made(tmp_path: Path, corpus: list[str]) -> None:
    command = ["train", corpus[0], "--vocab-size", "300", "--quiet", "-o"]
    assert main([*command, str(tmp_path / "new" / "tokenizer.json")]) == 0
    assert main([*command, str(tmp_path / "a" / "b" / "tokenizer.json")]) == 1


def test_counts_and_texts_are_not_mixed(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    counts, output = str(tmp_path / "a.counts"), str(tmp_path / "tokenizer.json")
    assert main(["train", corpus[0], "-o", counts, "--quiet"]) == 0
    with pytest.raises(SystemExit, match="2"):
        main(["train", counts, corpus[1], "-o", output, "--vocab-size", "300"])
    assert f"{counts} is a file of counts, and other inputs are texts" in capsys.readouterr().err


def test_a_terminal_is_told_the_time_and_what_to_do_next(
    tmp_path: Path,
    corpus: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output = str(tmp_path / "tokenizer.json")
    assert main(["train", *corpus, "-o", output, "--vocab-size", "300"]) == 0
    first, time, following = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{output}: 300 tokens, 43 merges")
    assert re.fullmatch(r"[\d.]+ kB of input counted, and 43 merges made, in [\d.]+ s", time)
    assert following == f"next: fastprep prepare {corpus[0]} -o store --encoding {output}"


@pytest.mark.parametrize("archive", [False, True])
def test_what_is_passed_over_is_named(
    tmp_path: Path, archive: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text(TEXT)
    (folder / "b.pdf").write_text("x")
    inputs = folder
    if archive:
        inputs = tmp_path / "in.tar"
        with tarfile.open(inputs, "w") as file:
            file.add(folder / "a.txt", "a.txt")
            file.add(folder / "b.pdf", "b.pdf")
    assert main(["train", str(inputs), "-o", str(tmp_path / "a.json"), "--vocab-size", "258"]) == 0
    shown = capsys.readouterr().err
    assert "passed over: 1 file: " in shown
    assert "b.pdf (not of a kind that is read)" in shown
    with pytest.warns(UserWarning, match=r"passed over: 1 file: .*b\.pdf"):
        count_pieces(str(inputs))


@pytest.mark.parametrize("name", ["tokenizer.json", "a.tiktoken", "vocab.bpe", "a.counts"])
def test_an_output_is_replaced_only_on_request(
    tmp_path: Path, corpus: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / name
    sizes = [] if name == "a.counts" else ["--vocab-size", "300"]
    command = ["train", *corpus, "-o", str(output), *sizes]
    assert main(command) == 0
    kept = {path.name: path.stat().st_mtime_ns for path in output.parent.iterdir()}
    capsys.readouterr()
    assert main(command) == 0
    assert f"{output}: made before from the same inputs and settings" in capsys.readouterr().err
    assert kept == {path.name: path.stat().st_mtime_ns for path in output.parent.iterdir()}
    Path(corpus[0]).write_text(json.dumps({"text": "Other text, and more of it. " * 9}))
    other = [*command, "--part-bytes", "1kB"]
    before = output.read_bytes()
    assert main(other) == 1
    assert "pass --overwrite to replace it" in capsys.readouterr().err
    assert output.read_bytes() == before
    # What was counted is kept.
    assert output.with_name(f"{name}.work").is_dir()
    assert main([*other, "--overwrite"]) == 0
    assert output.read_bytes() != before
    assert not output.with_name(f"{name}.work").exists()


def test_one_of_two_files_that_differs_is_not_replaced(tmp_path: Path, corpus: list[str]) -> None:
    command = [
        "train",
        *corpus,
        "-o",
        str(tmp_path / "vocab.bpe"),
        "--vocab-size",
        "300",
        "--quiet",
    ]
    assert main(command) == 0
    (tmp_path / "encoder.json").write_text("{}")
    assert main(command) == 1
    assert (tmp_path / "encoder.json").read_text() == "{}"


def test_the_name_is_that_of_the_file(tmp_path: Path, corpus: list[str]) -> None:
    trained = train_bpe(corpus, 300)
    trained.save(tmp_path / "tokenizer.json")
    again = Encoding.from_file(tmp_path / "tokenizer.json")
    assert again.name == trained.name
    store = fastprep.prepare(corpus, tmp_path / "store", encoding=trained, progress=False)
    # The same job, so the store is returned.
    same = fastprep.prepare(corpus, tmp_path / "store", encoding=tmp_path / "tokenizer.json")
    assert same.num_tokens == store.num_tokens


def test_a_base_held_out_text_and_a_page(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    base, output = tmp_path / "base.json", tmp_path / "tokenizer.json"
    assert main(["train", *corpus, "-o", str(base), "--vocab-size", "280", "--quiet"]) == 0
    command = ["train", *corpus[:2], "--base", str(base), "-o", str(output), "--vocab-size", "300"]
    command += ["--held-out", corpus[2], "--report", str(tmp_path / "page.html")]
    assert main(command) == 0
    assert "bytes per token of held-out text: tokenizer " in capsys.readouterr().out
    assert "Held-out text" in (tmp_path / "page.html").read_text("utf-8")
    expected = train_bpe(corpus[:2], 300, base=Encoding.from_file(base))
    assert Encoding.from_file(output)._mergeable_ranks == expected._mergeable_ranks
    whole = [
        "train",
        *corpus,
        "--base",
        str(base),
        "--no-pattern",
        "--vocab-size",
        "330",
        "--quiet",
    ]
    assert main([*whole, "-o", str(tmp_path / "whole.json")]) == 0
    found = Encoding.from_file(tmp_path / "whole.json")
    assert (
        found._mergeable_ranks == train_bpe(corpus, 330, base=base, pattern=None)._mergeable_ranks
    )
    counted = ["train", *corpus, "--no-pattern", "-o", str(tmp_path / "a.counts"), "--quiet"]
    assert main(counted) == 0
    trained = ["train", str(tmp_path / "a.counts"), "--base", str(base), "--vocab-size", "330"]
    assert main([*trained, "-o", str(tmp_path / "again.json"), "--quiet"]) == 0
    assert Encoding.from_file(tmp_path / "again.json").pat_str == found.pat_str
    with pytest.raises(SystemExit):
        main(["train", *corpus, "--no-pattern", "--vocab-size", "300", "-o", str(output)])


def test_held_out_text_that_cannot_be_read_loses_nothing(
    tmp_path: Path, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "tokenizer.json"
    train = ["train", *corpus, "-o", str(output), "--vocab-size", "300"]
    assert main([*train, "--held-out", str(tmp_path / "missing.jsonl")]) == 1
    assert "missing.jsonl" in capsys.readouterr().err
    assert not output.parent.exists()  # before anything was counted
    other = tmp_path / "other.txt"
    other.write_bytes(b"Some text, \xff that is not UTF-8.")
    assert main([*train, "--held-out", str(other)]) == 1
    assert "other.txt, byte 11: the bytes there are not UTF-8" in capsys.readouterr().err
    assert Encoding.from_file(output).n_vocab == 300  # saved before
    other.write_text("Some other text.")
    assert main([*train, "--held-out", str(other)]) == 0
    with pytest.raises(fastprep.errors.InvalidInput, match="missing"):
        train_bpe(corpus, 300, held_out=tmp_path / "missing.jsonl")


def test_options_about_a_vocabulary_need_one(
    tmp_path: Path, corpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for option in ("--held-out", "--report"):
        with pytest.raises(SystemExit, match="2"):
            main(["train", *corpus, "-o", str(tmp_path / "a.counts"), option, str(tmp_path / "b")])
    # The command line wins over the environment.
    monkeypatch.setenv("FASTPREP_PATTERN", "o200k_base")
    output = tmp_path / "a.json"
    train = ["train", *corpus, "--base", "gpt2", "--no-pattern", "--vocab-size", "50300"]
    assert main([*train, "-o", str(output)]) == 0
