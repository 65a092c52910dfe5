"""The module tables of ARCHITECTURE.md, from the first sentence of each module: `make architecture`."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- modules:begin -->", "<!-- modules:end -->"
#: Suffixes of sources. A kernel's contract is in its .pxd, so its sentence comes first.
_SUFFIXES = (".py", ".pxd", ".pyx", ".h")
# A docstring or a block comment, and nothing before it.
_HEAD = re.compile(r'[rR]?"""(.*?)"""|/\*(.*?)\*/', re.DOTALL)


def stages() -> tuple[str, ...]:
    """Return the stages of fastprep in the order of imports, from the test that enforces it."""
    source = (ROOT / "tests" / "unit" / "test_layers.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STAGES":
            return tuple(ast.literal_eval(node.value))
    raise ValueError("tests/unit/test_layers.py does not define STAGES")


def first_sentence(source: str) -> str:
    r"""Return the first sentence of a source's docstring or comment, without its full stop.

    >>> first_sentence('r\"\"\"Read .zst files. Memory is bounded.\n\nMore.\n\"\"\"\n')
    'Read .zst files'
    >>> first_sentence("/* Bits of\n * a word. */\n#ifndef X")
    'Bits of a word'
    """
    match = _HEAD.match(source)
    if match is None:
        return ""
    lines = (re.sub(r"^\s*\*?\s*", "", line) for line in (match[1] or match[2]).splitlines())
    paragraph = " ".join("\n".join(lines).strip().partition("\n\n")[0].split())
    sentence = re.split(r"(?<=\.) (?=[A-Z(`])", paragraph)[0].removesuffix(".")
    sentence = re.sub(r":[a-z]+:`~?([^`]*)`", r"`\1`", sentence).replace("``", "`")
    return sentence.replace("|", r"\|")


def _sentence_of(path: Path) -> str:
    return first_sentence(path.read_text(encoding="utf-8"))


def _table(paths: list[Path]) -> list[str]:
    """Return a table with a row for each module; a .pxd and a .pyx of one name share a row."""
    modules: dict[str, list[Path]] = {}
    for path in sorted(paths, key=lambda path: (path.stem, _SUFFIXES.index(path.suffix))):
        # A header is a module of its own.
        key = path.name if path.suffix == ".h" else path.stem
        modules.setdefault(key, []).append(path)
    rows = []
    for files in modules.values():
        names = ", ".join([f"`{files[0].name}`", *(f"`{path.suffix}`" for path in files[1:])])
        rows.append(f"| {names} | {next(filter(None, map(_sentence_of, files)), '')} |")
    return ["", "| module | content |", "|---|---|", *rows]


def _heading(title: str, path: Path) -> list[str]:
    return ["", f"### {title}", f"{_sentence_of(path)}."]


def table_lines() -> list[str]:
    """Return the generated part of ARCHITECTURE.md."""
    package, compiled = ROOT / "fastprep", ROOT / "fastprep_ext"
    names = stages()
    modules = [package / f"{name}.py" for name in names if (package / f"{name}.py").exists()]
    lines = [*_heading("`fastprep/`", package / "__init__.py"), *_table(modules)]
    for name in names:
        folder = package / name
        if folder.is_dir():
            parts = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
            lines += [*_heading(f"`fastprep/{name}/`", folder / "__init__.py"), *_table(parts)]
    for unit in sorted(compiled.glob("*.pyx")):
        lines += _heading(f"`fastprep_ext/{unit.name}`", unit)
        included = re.findall(r'^include "(\w+)/', unit.read_text(encoding="utf-8"), re.MULTILINE)
        for name in dict.fromkeys([*included, unit.stem]):
            parts = [path for path in (compiled / name).iterdir() if path.suffix in _SUFFIXES]
            lines += ["", f"In `fastprep_ext/{name}/`:", *_table(parts)]
    return lines[1:]


def updated(page: str) -> str:
    """Return a page with the part between the markers generated again."""
    before, rest = page.split(BEGIN)
    return before + "\n".join([BEGIN, *table_lines(), END]) + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
