"""What folders and patterns pass over is counted and named; each file is read once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastprep import prepare
from fastprep.cli.main import main
from fastprep.corpus.documents import Format
from fastprep.corpus.inputs import find
from fastprep.corpus.passed_over import MAX_NAMES, Tally, in_words
from fastprep.errors import InvalidInput
from fastprep.jobs.estimate import estimate
from fastprep.store.reader import TokenStore

LINE = '{"text": "one"}\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make("in/a.jsonl").parent


def make(*names: str) -> Path:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(LINE)
    return Path(names[0])


def found(*inputs: str, on_error: str = "raise") -> tuple[list[str], dict[str, list[str]]]:
    """Return the files of inputs, and by its reason what was passed over."""
    passed = Tally()
    spans = find(list(inputs), Format(on_error=on_error), passed)
    return [span.path for span in spans], {each.reason: each.names for each in passed.records()}


KIND = "not of a kind that is read"
HIDDEN = "the name begins with . or _"
FILE_AGAIN = "the same file as one that is read"
FOLDER_AGAIN = "the same folder as one that is read"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["in/b.md", "in/b.unknown"], {KIND: ["in/b.md", "in/b.unknown"]}),
        (["in/b.json"], {"a .json file in a folder is usually metadata": ["in/b.json"]}),
        (["in/_SUCCESS", "in/.b.jsonl"], {HIDDEN: ["in/.b.jsonl", "in/_SUCCESS"]}),
        (["in/_temporary/b.jsonl", "in/.git/c.jsonl"], {HIDDEN: ["in/.git/", "in/_temporary/"]}),
        (["in/deep/er/_delta_log/0.json"], {HIDDEN: ["in/deep/er/_delta_log/"]}),
    ],
)
def test_a_folder_names_what_it_passes_over(
    names: list[str], expected: dict[str, list[str]]
) -> None:
    make(*names)
    assert found("in") == (["in/a.jsonl"], expected)


def test_a_pattern_names_what_matches_it_and_is_not_read() -> None:
    make("in/a.md", "in/b.md", "in/_a.jsonl", "in/.a.jsonl", "in/sub/a.jsonl", "in/_sub/a.jsonl")
    hidden = ["in/.a.jsonl", "in/_a.jsonl"]
    assert found("in/a*") == (["in/a.jsonl"], {KIND: ["in/a.md"]})
    assert found("in/*.jsonl") == (["in/a.jsonl"], {HIDDEN: hidden})
    assert found("in/*") == (
        ["in/a.jsonl"],
        {
            KIND: ["in/a.md", "in/b.md"],
            HIDDEN: [*hidden, "in/_sub/"],
            "folders are entered by ** only": ["in/sub/"],
        },
    )
    assert found("in/**/a.jsonl") == (["in/a.jsonl", "in/sub/a.jsonl"], {HIDDEN: ["in/_sub/"]})


def test_a_hidden_name_is_read_if_it_is_given() -> None:
    make("in/_b/_c.jsonl", "in/.d.jsonl")
    assert found("in/_b/_c.jsonl") == (["in/_b/_c.jsonl"], {})
    for pattern in ("in/_b/_*", "in/_*/_*.jsonl", "in/**/_b/_c.jsonl"):
        assert found(pattern)[0] == ["in/_b/_c.jsonl"]
    assert found("in/.*")[0] == ["in/.d.jsonl"]
    make("in/_b/d.jsonl")
    assert found("in/_b") == (["in/_b/d.jsonl"], {HIDDEN: ["in/_b/_c.jsonl"]})


def test_a_pipe_is_named_and_does_not_block() -> None:
    os.mkfifo("in/b.jsonl")
    for each in ("in", "in/*", "in/**/*.jsonl"):
        assert found(each) == (["in/a.jsonl"], {"not a regular file": ["in/b.jsonl"]})
    with pytest.raises(InvalidInput, match=r"in/b\.jsonl: not a regular file"):
        find("in/b.jsonl")


@pytest.mark.parametrize("name", ["b.jsonl", "folder"])
@pytest.mark.parametrize("given", ["in", "in/**", "in/**/*.jsonl"])
def test_a_link_without_a_target_is_an_error_unless_errors_are_skipped(
    name: str, given: str
) -> None:
    Path("in", name).symlink_to("nowhere")
    with pytest.raises(InvalidInput, match=rf"in/{name}: a link whose target does not exist"):
        find(given)
    expected = {"a link whose target does not exist": [f"in/{name}"]}
    assert found(given, on_error="skip") == (["in/a.jsonl"], expected)


def test_a_link_that_would_not_have_been_read_is_no_error() -> None:
    Path("in/b.md").symlink_to("nowhere")
    Path("in/_b.jsonl").symlink_to("nowhere")
    assert found("in") == (["in/a.jsonl"], {KIND: ["in/b.md"], HIDDEN: ["in/_b.jsonl"]})
    with pytest.raises(InvalidInput, match=r"in/b\.md: a link to nowhere, which does not exist"):
        find("in/b.md")


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    """Run a test as a user to whom modes apply."""
    if os.geteuid():
        yield
        return
    if not hasattr(os, "setresuid"):
        pytest.skip("root may read everything")
    tmp_path.chmod(0o755)
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def unreadable(tmp_path: Path) -> Iterator[None]:
    make("in/sub/b.jsonl", "in/c.jsonl")
    Path("in/sub").chmod(0)
    Path("in/c.jsonl").chmod(0)
    yield
    Path("in/sub").chmod(0o755)


@pytest.mark.usefixtures("unreadable", "as_nobody")
def test_what_may_not_be_read_is_an_error_unless_errors_are_skipped() -> None:
    reason = "no permission to read it"
    for given, named in (("in/**/b.jsonl", "in/sub/"), ("in/c*", "in/c.jsonl"), ("in", "in/")):
        with pytest.raises(InvalidInput, match=rf"{named}.*: {reason}"):
            find(given)
    assert found("in", on_error="skip") == (
        ["in/a.jsonl"],
        {reason: ["in/c.jsonl", "in/sub/"]},
    )
    with pytest.raises(InvalidInput, match=r"in/c\.jsonl: no permission to read it"):
        find("in/c.jsonl", Format(on_error="skip"))


def test_links_to_folders_are_followed_once() -> None:
    make("elsewhere/b.jsonl")
    Path("in/first").symlink_to("../elsewhere")
    Path("in/second").symlink_to("../elsewhere")
    Path("in/self").symlink_to(".")
    expected = {FOLDER_AGAIN: ["in/second/", "in/self/"]}
    assert found("in") == (["in/a.jsonl", "in/first/b.jsonl"], expected)
    assert found("in/**/*.jsonl") == (["in/a.jsonl", "in/first/b.jsonl"], expected)


def test_a_cycle_of_links_multiplies_nothing() -> None:
    make("e/b.jsonl")
    Path("in/l").symlink_to("../e")
    Path("e/up").symlink_to("../in")
    for given in ("in", "in/**/*.jsonl", "in/**/**/*", "in/**/l/**/*.jsonl"):
        files, passed = found(given)
        assert sorted(Path(file).name for file in files) == ["a.jsonl", "b.jsonl"]
        assert set(passed) <= {FOLDER_AGAIN, FILE_AGAIN}
    assert found("in")[1] == {FOLDER_AGAIN: ["in/l/up/"]}


def test_a_file_with_several_names_is_read_once_by_the_first_that_is_no_link() -> None:
    Path("in/0.jsonl").symlink_to("a.jsonl")
    os.link("in/a.jsonl", "in/b.jsonl")
    for given in ("in", "in/*"):
        assert found(given) == (["in/a.jsonl"], {FILE_AGAIN: ["in/0.jsonl", "in/b.jsonl"]})


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        (
            ["in", "in/a.jsonl"],
            r"in/a\.jsonl: input 2, in/a\.jsonl, .*; input 1, in, has it already;",
        ),
        (["in/a.jsonl", "in/a.jsonl"], r"in/a\.jsonl: input 2"),
        (["in/*", "in/**"], r"in/a\.jsonl: input 2, in/\*\*"),
        (["in/a.jsonl", "in/../in/a.jsonl"], r"has it already as in/a\.jsonl"),
        (["in/a.jsonl", "link.jsonl"], r"link\.jsonl: input 2.* has it already as in/a\.jsonl"),
        (["other", "in"], r"in/a\.jsonl: input 2.* has it already as other/a\.jsonl"),
    ],
)
def test_a_file_that_two_inputs_lead_to_is_an_error_that_names_it(
    inputs: list[str], named: str
) -> None:
    Path("link.jsonl").symlink_to("in/a.jsonl")
    Path("other").symlink_to("in")
    with pytest.raises(InvalidInput, match=named):
        find(inputs)


def test_a_table_that_is_passed_twice_is_an_error() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"text": ["one"]})
    assert len(find([table, pa.table({"text": ["one"]})])) == 2
    with pytest.raises(InvalidInput, match="inputs 1 and 2 are the same Table"):
        find([table, table])


def test_stores_among_the_inputs_are_not_counted_at_any_stage_of_their_making() -> None:
    make("in/store/notes.md", "in/store/shard-00000.bin", "in/store/manifest.json")
    make("in/store/shard-00000.ends", "in/store/shard-00001.bin.tmp", "in/store/shard-00000.done")
    make("in/job/job.json", "in/job/run.lock", "in/job/train/manifest.json")
    assert found("in") == (["in/a.jsonl"], {KIND: ["in/store/notes.md"]})
    assert found("in/**/*.json*") == (["in/a.jsonl"], {})


def test_a_resumed_job_whose_output_is_among_its_inputs_makes_the_same_bytes() -> None:
    make("in/b.md", "in/b.jsonl")
    options = {"shard_bytes": 1, "progress": False, "log": lambda _: None}
    assert prepare("in", "in/store", task=(0, 2), **options) is None
    store = prepare("in", "in/store", task=(1, 2), **options)
    assert store is not None
    whole = prepare("in", "whole", **options)
    manifest = (store.path / "manifest.json").read_bytes()
    assert manifest == (whole.path / "manifest.json").read_bytes()


def test_a_tally_keeps_counts_and_the_first_names_only() -> None:
    tally = Tally()
    for number in reversed(range(1000)):
        tally.add(f"{number:04}.md", KIND)
    (record,) = tally.records()
    assert (record.count, record.names) == (1000, [f"{i:04}.md" for i in range(MAX_NAMES)])
    assert (
        in_words([record]) == f"passed over: 1,000 files: 0000.md, 0001.md, 0002.md, ... ({KIND})"
    )


def test_a_name_that_is_not_unicode_is_escaped_in_the_record() -> None:
    (Path("in") / os.fsdecode(b"\xff.md")).write_text("")
    assert found("in")[1] == {KIND: ["in/\\udcff.md"]}


def test_what_was_passed_over_is_in_the_log_the_manifest_and_the_estimate() -> None:
    make("in/b.md", "in/_c/x")
    events: list[dict[str, object]] = []
    store = prepare("in", "store", progress=False, log=events.append)
    names = {KIND: ["in/b.md"], HIDDEN: ["in/_c/"]}
    assert {each.reason: each.names for each in store.manifest.passed_over} == names
    assert TokenStore("store").manifest.passed_over == store.manifest.passed_over
    (event,) = (event for event in events if event["event"] == "passed over")
    assert event["count"] == 2
    assert event["reasons"] == [
        {"reason": KIND, "count": 1, "names": ["in/b.md"]},
        {"reason": HIDDEN, "count": 1, "names": ["in/_c/"]},
    ]
    assert estimate("in").passed_over == store.manifest.passed_over
    with pytest.warns(UserWarning, match=rf"passed over: 2 files and folders: in/b\.md \({KIND}\)"):
        prepare("in", "store", progress=False, overwrite=True)


def test_what_was_passed_over_is_on_stderr_and_in_a_dry_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    make("in/b.md")
    line = f"passed over: 1 file: in/b.md ({KIND})"
    assert main(["prepare", "in", "-o", "store"]) == 0
    assert f"fastprep: {line}\n" in capsys.readouterr().err
    assert main(["prepare", "in", "-o", "store", "--dry-run"]) == 0
    assert capsys.readouterr().out.endswith(f"{line}\n")
    assert main(["prepare", "in", "-o", "store", "--dry-run", "--log", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed_over"][0]["names"] == ["in/b.md"]
    assert main(["info", "store", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed_over"] == 1


def test_a_folder_without_a_file_that_is_read_says_what_it_has() -> None:
    make("docs/b.md")
    with pytest.raises(InvalidInput, match=r"no files .* passed over: 1 file: docs/b\.md"):
        find("docs")


def test_a_file_that_appears_beside_the_inputs_does_not_make_another_job() -> None:
    make("in/b.jsonl")
    options = {"shard_bytes": 1, "progress": False, "log": lambda _: None}
    assert prepare("in", "store", task=(0, 2), **options) is None
    make("in/README.md")
    assert prepare("in", "store", task=(1, 2), **options) is not None
    assert prepare("in", "store", task=(0, 2), **options) is not None  # it is finished
