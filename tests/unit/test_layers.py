"""The folders of fastprep are layers: each imports only those before it, and no imports are circular."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastprep

ROOT = Path(fastprep.__file__).parent

#: The layers in the order of the data flow: each may import those before it, also in functions.
STAGES = (
    "terminal",
    "errors",
    "system",
    "vocabulary",
    "encoding",
    "core",
    "load",
    "registry",
    "model",
    "corpus",
    "chat",
    "words",
    "store",
    "jobs",
    "trainer",
    "checks",
    "windows",
    "exchange",
    "report",
    "training",
    "__init__",
    "cli",
    "__main__",
)
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")
}
PACKAGES = sorted(name.removesuffix(".__init__") for name in FILES if name.endswith(".__init__"))


def stage_of(module: str) -> str:
    return module.split(".")[0]


def module_of(name: str) -> str | None:
    """Return the module of fastprep for an absolute name of it or of its content, or None."""
    if name != "fastprep" and not name.startswith("fastprep."):
        return None
    parts = name.split(".")[1:]
    while parts:
        path = ".".join(parts)
        if path in FILES or f"{path}.__init__" in FILES:
            return path if path in FILES else f"{path}.__init__"
        parts.pop()
    return "__init__"


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield all import statements in a node, except those for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from statements(other)
        elif isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        else:
            yield from statements(child)


def imports_of(module: str) -> set[str]:
    """Return the modules of fastprep that a module imports, at its top level or in a function."""
    names = set()
    for node in statements(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {found for name in names if (found := module_of(name)) is not None} - {module}


IMPORTS = {module: imports_of(module) for module in FILES}


def test_every_folder_and_module_is_a_stage():
    assert {stage_of(module) for module in FILES} == set(STAGES)


@pytest.mark.parametrize("module", sorted(set(FILES) - {"__init__"}))
def test_a_module_imports_only_stages_before_its_own(module):
    own = STAGES.index(stage_of(module))
    above = {name for name in IMPORTS[module] if STAGES.index(stage_of(name)) > own}
    assert not above


def test_no_imports_are_circular():
    finished: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in finished:
            return
        path.append(module)
        for name in sorted(IMPORTS[module]):
            visit(name)
        finished.add(path.pop())

    for module in sorted(FILES):
        visit(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_nothing_itself(package):
    path = FILES["__init__" if package == "__init__" else f"{package}.__init__"]
    found = [
        ast.unparse(statement)
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(statement, (ast.Import, ast.ImportFrom))
    ]
    assert not found


def test_no_package_has_the_name_of_a_public_function():
    # Importing such a package would replace the function.
    assert not set(PACKAGES) & set(fastprep.__all__)
