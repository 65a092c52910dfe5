"""Attributes of classes are declared, so that all type checkers agree on their types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import fastprep

ROOT = Path(fastprep.__file__).parent
#: Of torch's class, which declares them.
INHERITED = {"WindowSampler": {"rank", "num_replicas"}}


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield str(path.relative_to(ROOT)), node


def undeclared(node: ast.ClassDef) -> Iterator[str]:
    """Yield the public attributes that methods compute and nothing declares."""
    declared = {
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    } | INHERITED.get(node.name, set())
    assigned: set[str] = set()
    for statement in ast.walk(node):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Attribute):
            declared.add(statement.target.attr)
        if isinstance(statement, ast.FunctionDef):
            declared.add(statement.name)  # properties
        for target in statement.targets if isinstance(statement, ast.Assign) else ():
            for part in target.elts if isinstance(target, ast.Tuple) else (target,):
                if (
                    isinstance(part, ast.Attribute)
                    and isinstance(part.value, ast.Name)
                    and part.value.id == "self"
                    # What comes from one argument has its type.
                    and not isinstance(statement.value, ast.Name)
                    and not part.attr.startswith("_")
                ):
                    assigned.add(part.attr)
    return iter(sorted(assigned - declared))


def test_public_attributes_have_a_declared_type():
    found = [f"{path}: {node.name}.{name}" for path, node in classes() for name in undeclared(node)]
    assert found == []
