"""``fastprep completion``: scripts that complete commands, options and their values in a shell.

The scripts hold all names, so that completing runs no program.
"""

from __future__ import annotations

from fastprep.cli.commands import COMMANDS, parser_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from fastprep.cli.parser import Parser

SHELLS = ("bash", "zsh", "fish")
#: Options whose values are no names of files, and have no words to complete them with.
_FREE = ("N", "S", "F", "P", "SEED", "I/N", "SIZE", "LOG", "TOKEN", "TOKEN=ID", "TEXT", "IDS", "MB")


def add_completion(command: Parser) -> None:
    """Add the options of ``completion``."""
    command.description = (
        "Print a script for a shell, which completes commands, options, their values and names of files "
        "after the tab key. The example of each shell is what to do once."
    )
    command.examples = (
        'eval "$(fastprep completion bash)"    # in ~/.bashrc',
        'eval "$(fastprep completion zsh)"     # in ~/.zshrc, after compinit',
        "fastprep completion fish > ~/.config/fish/completions/fastprep.fish",
    )
    command.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    command.set_defaults(run=_completion)


def _completion(options: argparse.Namespace) -> None:
    print("\n".join({"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell]()))


def _commands() -> Iterator[tuple[str, Parser]]:
    for name in COMMANDS:
        yield name, parser_of(name)


def words_of(command: Parser, action: argparse.Action) -> Sequence[str] | None:
    """Return the words that complete a value: a few, none at all, or None for names of files.

    >>> command = parser_of("encode")
    >>> options = {action.dest: action for action in command.actions()}
    >>> words_of(command, options["encoding"])[0], words_of(command, options["encoding_file"])
    ('gpt2', None)
    """
    if action.choices is not None:
        return list(map(str, action.choices))
    if action.dest in command.completions:
        return command.completions[action.dest]
    return () if action.metavar in _FREE else None


def _bash() -> Iterator[str]:
    yield "# fastprep in bash"
    yield "_fastprep() {"
    yield "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}"
    yield "    local command=${COMP_WORDS[1]} words= files="
    yield "    COMPREPLY=()"
    # Readline splits words at =, so that the option is the word before it.
    yield '    if [[ $word == "=" ]]; then word=; elif [[ $previous == "=" ]]; then'
    yield "        previous=${COMP_WORDS[COMP_CWORD-2]}"
    yield "    fi"
    yield "    if (( COMP_CWORD == 1 )); then"
    yield f'        words="{" ".join(COMMANDS)} --version --help"'
    yield "    else"
    yield '        case "$command $previous" in'
    for name, command in _commands():
        for action in command.actions():
            if not action.option_strings or action.nargs == 0:
                continue
            patterns = "|".join(f'"{name} {option}"' for option in action.option_strings)
            words = words_of(command, action)
            then = f'words="{" ".join(words or ())}"' if words is not None else "files=1"
            yield f"            {patterns}) {then} ;;"
        options = " ".join(command.option_words())
        given = [
            words_of(command, action) for action in command.actions() if not action.option_strings
        ]
        positional = " ".join(word for words in given for word in words or ())
        files = " files=1;" * (None in given)
        yield f'            "{name} "*)'
        yield f'                if [[ $word == -* ]]; then words="{options}"; else'
        yield f'                    words="{positional}";{files}'
        yield "                fi ;;"
    yield "        esac"
    yield "    fi"
    yield '    COMPREPLY=( $(compgen -W "$words" -- "$word") )'
    yield "    if [[ -n $files || ( -n $words && $previous == --encoding ) ]]; then"
    yield "        local IFS=$'\\n'"
    yield '        COMPREPLY+=( $(compgen -f -- "$word") )'
    yield "        compopt -o filenames 2> /dev/null"
    yield "    fi"
    yield "}"
    yield "complete -F _fastprep fastprep"


def _zsh() -> Iterator[str]:
    names = parser_of("encode").completions["encoding"]
    yield "#compdef fastprep"
    yield "# fastprep in zsh"
    yield "_fastprep_encodings() {"
    yield f"    _alternative 'encodings:encoding:({' '.join(names)})' 'files:file:_files'"
    yield "}"
    yield "_fastprep() {"
    yield "    local -a commands"
    yield "    commands=("
    yield from (f"        {_quoted(f'{name}:{about}')}" for name, (_, about) in COMMANDS.items())
    yield "    )"
    yield "    if (( CURRENT == 2 )); then _describe command commands; return; fi"
    yield "    case $words[2] in"
    for name, command in _commands():
        yield f"        {name})"
        yield "            shift words; (( CURRENT-- ))"
        arguments = [
            argument for action in command.actions() for argument in _zsh_of(command, action)
        ]
        yield "            _arguments " + " \\\n                ".join(arguments) + " ;;"
    yield "    esac"
    yield "}"
    # As a file of $fpath it is the function itself, at its first call.
    yield "if [[ $funcstack[1] == _fastprep ]]; then _fastprep; else compdef _fastprep fastprep; fi"


def _zsh_of(command: Parser, action: argparse.Action) -> Iterator[str]:
    """Yield the specifications of an option or a word for ``_arguments``."""
    words = words_of(command, action)
    values = "_files" if words is None else f"({' '.join(words)})" if words else " "
    if action.dest == "encoding":
        values = "_fastprep_encodings"
    value = f":{str(action.metavar or action.dest).replace(':', ' ')}:{values}"
    about = (command.help_of(action)).translate({ord(c): f"\\{c}" for c in "[]:"})
    for option in action.option_strings:
        repeat = (
            "*" if isinstance(action.const, list) or action.dest in ("special", "sources") else ""
        )
        # Both names of an option may not be given together.
        alone = f"({' '.join(action.option_strings)})" * (not repeat)
        takes = "" if action.nargs == 0 else "=" if option.startswith("--") else "+"
        yield _quoted(
            f"{alone}{repeat}{option}{takes}[{about}]{'' if action.nargs == 0 else value}"
        )
    if not action.option_strings:
        yield _quoted(f"{'*' * (action.nargs in ('*', '+'))}{value}")


def _fish() -> Iterator[str]:
    yield "# fastprep in fish"
    yield "complete -c fastprep -f"
    for name, (_, summary) in COMMANDS.items():
        yield f"complete -c fastprep -n __fish_use_subcommand -a {name} -d {_quoted_in_fish(summary)}"
    yield "complete -c fastprep -n __fish_use_subcommand -s V -l version -d 'print the version'"
    for name, command in _commands():
        of = f"complete -c fastprep -n '__fish_seen_subcommand_from {name}'"
        for action in command.actions():
            words = words_of(command, action)
            about = _quoted_in_fish(command.help_of(action))
            names = "".join(
                f" -l {option[2:]}" if option.startswith("--") else f" -s {option[1:]}"
                for option in action.option_strings
            )
            if action.nargs == 0:
                yield f"{of}{names} -d {about}"
            elif words is None or action.dest == "encoding":
                also = f" -a {_quoted_in_fish(' '.join(words or ()))}" * bool(words)
                yield f"{of}{names}{' -r' * bool(names)} -F{also} -d {about}"
            elif names:
                yield f"{of}{names} -x -a {_quoted_in_fish(' '.join(words))} -d {about}"
            elif words:
                yield f"{of} -a {_quoted_in_fish(' '.join(words))}"


def _quoted(text: str) -> str:
    """Quote a text for bash and zsh.

    >>> print(_quoted("a model's name"))
    'a model'\\''s name'
    """
    return "'" + text.replace("'", "'\\''") + "'"


def _quoted_in_fish(text: str) -> str:
    """Quote a text for fish.

    >>> print(_quoted_in_fish("a model's name"))
    'a model\\'s name'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
