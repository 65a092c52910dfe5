"""Help pages, usage errors, environment variables and completion of the command line."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastprep.cli.commands import COMMANDS, parser_of
from fastprep.cli.completion import words_of
from fastprep.cli.main import main
from fastprep.cli.parser import variable_of
from fastprep.terminal import BOLD, Pen, columns_of, shows_colours

#: A command line of each command that is right but for what is added to it.
RIGHT = {
    "prepare": "prepare a.txt -o s",
    "train": "train a.txt -o v.json --vocab-size 300",
    "info": "info s",
    "show": "show s",
    "verify": "verify s",
    "export": "export s --to llmc",
    "import": "import a.bin -o s --from llmc --encoding gpt2",
    "encode": "encode x",
    "decode": "decode 1",
    "encodings": "encodings",
    "bench": "bench a.txt",
    "completion": "completion bash",
    "help": "help",
}


def usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str], *, command: str | None
) -> str:
    """Return the first of the two lines of a usage error."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, second = printed.err.splitlines()
    assert first.startswith("fastprep: error: ")
    where = "fastprep --help" if command is None else f"fastprep {command} --help"
    assert second.startswith("usage: fastprep ")
    assert second.endswith(where)
    return first.removeprefix("fastprep: error: ")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Remove the variables that colours and widths depend on."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return monkeypatch


class Screen(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


# -- help ------------------------------------------------------------------------------------------


def lines_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    with contextlib.suppress(SystemExit):
        assert main(words) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_80_columns_and_the_short_page_a_screen(
    command: str, capsys: pytest.CaptureFixture[str], clean: pytest.MonkeyPatch
) -> None:
    complete = lines_of([command, "--help"], capsys)
    assert max(map(len, complete)) <= 80
    short = lines_of([command, "-h"], capsys)
    assert len(short) <= 40
    assert lines_of(["help", command], capsys) == complete
    # Every option is on the complete page once.
    text = "\n".join(complete)
    for option in parser_of(command).option_words():
        assert len(re.findall(rf"^  (?:-\w, )?{option}\b(?!-)", text, re.MULTILINE)) <= 1
        assert re.search(rf"^  .*{option}\b", text, re.MULTILINE), option


def test_overview_fits_a_screen(
    capsys: pytest.CaptureFixture[str], clean: pytest.MonkeyPatch
) -> None:
    page = lines_of(["--help"], capsys)
    assert max(map(len, page)) <= 80
    assert len(page) <= 23  # and a line for the prompt
    assert page == lines_of(["-h"], capsys) == lines_of(["help"], capsys)
    assert {line.split()[0] for line in page if line.startswith("  ")} >= set(COMMANDS)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.splitlines()) == ("", page)


def test_help_is_wrapped_to_the_width(
    capsys: pytest.CaptureFixture[str], clean: pytest.MonkeyPatch
) -> None:
    clean.setenv("COLUMNS", "60")
    narrow = lines_of(["verify", "--help"], capsys)
    clean.setenv("COLUMNS", "200")
    wide = lines_of(["verify", "--help"], capsys)
    assert max(map(len, narrow[:-4])) <= 60  # but for examples and the link
    assert 80 < max(map(len, wide)) <= 100


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version_has_a_short_option(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    import fastprep

    assert lines_of([option], capsys) == [f"fastprep {fastprep.__version__}"]


# -- colours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "terminal", "colours"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colours_are_where_they_are_wanted(
    variables: dict[str, str],
    terminal: bool,
    colours: bool,
    clean: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        clean.setenv(name, value)
    stream = Screen() if terminal else io.StringIO()
    assert shows_colours(stream) == colours
    pen = Pen(stream)
    pen.print(pen("a\x1b[31m", BOLD), pen("b"))
    shown = "a\\u001b[31m"  # what a text holds is never a colour
    assert stream.getvalue() == (f"\x1b[1m{shown}\x1b[0m b\n" if colours else f"{shown} b\n")


def test_colours_change_nothing_else(
    capsys: pytest.CaptureFixture[str], clean: pytest.MonkeyPatch
) -> None:
    for words in (["--help"], ["prepare", "--help"], ["encodings"]):
        plain = lines_of(words, capsys)
        clean.setenv("FORCE_COLOR", "1")
        painted = lines_of(words, capsys)
        clean.delenv("FORCE_COLOR")
        assert painted != plain
        assert [re.sub(r"\x1b\[\d*m", "", line) for line in painted] == plain


def test_width_of_no_terminal_is_that_of_the_environment(clean: pytest.MonkeyPatch) -> None:
    assert columns_of(io.StringIO()) == 80
    for given, columns in ("132", 132), ("0", 80), ("x", 80):
        clean.setenv("COLUMNS", given)
        assert columns_of(io.StringIO()) == columns


# -- usage errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("prepare a -o s --worker 2", "there is no option --worker; did you mean --workers?"),
        ("prepare a --ouput s", "there is no option --ouput; did you mean --output?"),
        ("prepare a -o s --xyz=1", "there is no option --xyz"),
        ("prepare a -o s -x", "there is no option -x"),
        ("prepare a", "--output is missing"),
        ("prepare -o s", "INPUT is missing"),
        ("prepare a -o", "--output: a value must follow it"),
        ("prepare a -o s --quiet=1", "--quiet: it takes no value, but got '1'"),
        (
            "prepare a -o s --append --overwrite",
            "--overwrite: cannot be used with --append",
        ),
        (
            "prepare a -o s --on-error skipp",
            "--on-error: 'skipp' is none of raise, skip, replace; did you mean skip?",
        ),
        ("prepare a -o s --workers 0", "--workers: '0': it must be a whole number, 1 or more"),
        ("export", "STORE and --to are missing"),
        ("info a b c", "too many words: b c"),
        ("encode x --encoding cl10k_base", "did you mean cl100k_base?"),
        ("encode x --encoding gpt4o", "did you mean gpt-4o?"),
        ("encode x --encoding -- y", "--encoding: a value must follow it"),
        ("completion bsh", "SHELL: 'bsh' is none of bash, zsh, fish; did you mean bash?"),
    ],
)
def test_usage_errors_say_what_is_wrong(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = line.split()
    assert message in usage_error(words, capsys, command=words[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepar"], "there is no command prepar; did you mean prepare?"),
        (["help", "verfy"], "there is no command verfy; did you mean verify?"),
        (["--versoin"], "there is no option --versoin; did you mean --version?"),
        (["xyz"], "there is no command xyz"),
    ],
)
def test_unknown_commands_have_a_suggestion(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage_error(words, capsys, command=None) == message


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_may_be_abbreviated_or_misspelt(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in parser_of(command).option_words():
        if not option.startswith("--"):
            continue
        for wrong in (option[:-1], f"{option}x"):
            if wrong in parser_of(command).option_words():
                continue
            message = usage_error([*RIGHT[command].split(), wrong], capsys, command=command)
            assert message.startswith(f"there is no option {wrong}; did you mean --")


def test_words_that_begin_with_a_sign_are_no_options() -> None:
    parse = parser_of("show").parse
    assert parse(["s", "-1", "-3:-1", "0:2"]).documents == [-1, slice(-3, -1), slice(0, 2)]
    assert parser_of("prepare").parse(["-", "-os", "--format=txt"]).output == "s"
    assert parser_of("encode").parse(["--", "--encoding"]).text == "--encoding"


# -- environment variables -------------------------------------------------------------------------


def test_variables_set_options_and_the_command_line_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = parser_of("prepare").parse
    for name, value in (
        ("ENCODING", "cl100k_base"),
        ("WORKERS", "3"),
        ("SHARD_BYTES", "10MB"),
        ("ON_ERROR", "skip"),
        ("QUIET", "1"),
        ("LOG", "json"),
    ):
        monkeypatch.setenv(f"FASTPREP_{name}", value)
    options = parse(["a", "-o", "s"])
    assert (options.encoding, options.workers, options.shard_bytes) == ("cl100k_base", 3, 10**7)
    assert (options.on_error, options.quiet, options.log) == ("skip", True, "json")
    given = parse(["a", "-o", "s", "--workers", "2", "--encoding=gpt2", "--on-error", "raise"])
    assert (given.encoding, given.workers, given.on_error) == ("gpt2", 2, "raise")
    monkeypatch.setenv("FASTPREP_QUIET", "no")
    monkeypatch.setenv("FASTPREP_WORKERS", "")
    assert (parse(["a", "-o", "s"]).quiet, parse(["a", "-o", "s"]).workers) == (False, None)


BAD_VALUES = {
    "workers": "0",
    "engine": "x",
    "shard_bytes": "10M",
    "on_error": "x",
    "zstd_window": "x",
    "quiet": "perhaps",
    "log": "x",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bad_variable_is_an_error_that_names_it(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in parser_of(command).variables:
        if name in BAD_VALUES:
            monkeypatch.setenv(variable_of(name), BAD_VALUES[name])
            message = usage_error(RIGHT[command].split(), capsys, command=command)
            assert message.startswith(f"{variable_of(name)}: ")
            assert f"'{BAD_VALUES[name]}'" in message
            monkeypatch.delenv(variable_of(name))


def test_variables_are_in_the_help_and_never_replace_data() -> None:
    for name in COMMANDS:
        command = parser_of(name)
        page = "\n".join(command.page(Pen(io.StringIO()), 80))
        assert set(re.findall("FASTPREP_[A-Z_]+", page)) == set(map(variable_of, command.variables))
        assert not {"output", "overwrite", "append", "inputs", "task"} & set(command.variables)
        assert set(command.variables) <= set(command.option_names())


# -- models and files as encodings -----------------------------------------------------------------


def test_encoding_may_be_a_model_or_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fastprep

    text = "naïve 東京 text"
    fastprep.get_encoding("cl100k_base").save(tmp_path / "tokenizer.json")
    monkeypatch.chdir(tmp_path)
    shown = {}
    for name in ("cl100k_base", "gpt-4", "gpt-4-turbo", "tokenizer.json", str(tmp_path), "gpt-4o"):
        assert main(["encode", text, "--encoding", name]) == 0
        shown[name] = capsys.readouterr().out
    assert len(set(shown.values())) == 2
    assert shown["gpt-4o"] != shown["gpt-4"] == shown["tokenizer.json"]
    assert main(["encode", text, "--encoding", "none.json"]) == 1
    assert "none.json" in capsys.readouterr().err


# -- completion ------------------------------------------------------------------------------------

SCRIPTS = ("bash", "zsh", "fish")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_scripts_have_all_commands_options_and_values(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"\b{name}\b", script)
        command = parser_of(name)
        for option in command.option_words():
            name_of_fish = f"-l {option[2:]} " if option[:2] == "--" else f"-s {option[1:]} "
            assert (name_of_fish if shell == "fish" else option) in script
        for action in command.actions():
            for word in words_of(command, action) or ():
                assert word in script
    if program := shutil.which(shell):
        check = ["-n"] if shell != "fish" else ["--no-execute"]
        subprocess.run([program, *check], input=script, text=True, check=True)


BASH = shutil.which("bash")


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
def test_bash_completes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    (tmp_path / "corpus file.txt").touch()
    (tmp_path / "other").mkdir()
    cases = {
        ("pre",): {"prepare"},
        ("",): {*COMMANDS, "--version", "--help"},
        ("prepare", "--wor"): {"--workers", "--words"},
        ("prepare", "--on-error", ""): {"raise", "skip", "replace"},
        ("prepare", "--on-error", "=", "r"): {"raise", "replace"},
        ("prepare", "corp"): {"corpus file.txt"},
        ("prepare", "-o", "o"): {"other"},
        ("prepare", "--workers", ""): set(),
        ("encode", "--encoding", "o2"): {"o200k_base", "o200k_harmony"},
        ("encode", "--encoding", "corp"): {"corpus file.txt"},
        ("export", "store", "--to", "n"): {"nanogpt"},
        ("completion", ""): set(SCRIPTS),
        ("help", "inf"): {"info"},
        ("unknown", "x"): set(),
    }
    for words in cases:
        typed = " ".join(f"'{word}'" for word in ("fastprep", *words))
        script += (
            f"COMP_WORDS=({typed}) COMP_CWORD={len(words)}; _fastprep 2> /dev/null\n"
            'printf "%s\\n" "${COMPREPLY[@]}"; echo --\n'
        )
    assert BASH is not None
    done = subprocess.run(
        [BASH, "--norc"], input=script, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    answers = done.stdout.split("--\n")
    for (words, expected), answer in zip(cases.items(), answers, strict=False):
        assert {line for line in answer.split("\n") if line} == expected, words


def test_a_script_is_complete_without_other_files() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fastprep", "completion", "bash"], capture_output=True, check=True
    )
    assert done.stderr == b""
    assert done.stdout.endswith(b"complete -F _fastprep fastprep\n")
