"""Configuration of Sphinx: `make docs` builds the site in build/docs, with warnings as errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import tomllib
from docutils import nodes

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import fastprep  # noqa: E402

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "fastprep"
author = "The fastprep authors"
copyright = f"2026, {author}"
release = version = fastprep.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # sections of numpydoc
    "sphinx_copybutton",
]
exclude_patterns = ["README.md"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # links to headings, as GitHub makes them
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries_show_parents = "hide"
copybutton_exclude = ".linenos, .gp, .go"
pygments_style = "default"

html_theme = "furo"
html_title = f"fastprep {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "source_repository": PROJECT["urls"]["Repository"],
    "source_branch": "main",
    "source_directory": "docs/",
}


def public_reference(app: Any, env: Any, node: Any, content: nodes.Element) -> nodes.Node | None:
    """Resolve `fastprep.folder.module.Name` of a docstring to the entry of `fastprep.Name`."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("fastprep"):
        return None
    owner, _, member = target.rpartition(".")
    name = owner.rpartition(".")[2]
    # Of a module's attribute, and of a method of its class.
    shorter = (f"fastprep.{member}", f"fastprep.{name}.{member}", f"fastprep.errors.{member}")
    domain = env.get_domain("py")
    for candidate in shorter:
        if candidate in domain.objects and candidate != target:
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, node["reftype"], candidate, node, content
            )
    return None


def close_sections(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Put text that follows the last section of a docstring, and is not indented, into Notes."""
    indented = False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if indented and line[:1].strip() and not lines[number - 1] and following[:3] != "---":
            lines[number:number] = ["Notes", "-----"]
            return
        if line.strip():
            indented = line.startswith("    ") and "----" in "".join(lines[:number])
        if re.fullmatch("(Notes|Examples|References)", line):
            return


def public_bases(app: Any, name: str, obj: Any, options: Any, bases: list[Any]) -> None:
    """Replace private base classes by their bases."""
    for base in [base for base in bases if base.__name__.startswith("_")]:
        at = bases.index(base)
        bases[at : at + 1] = [one for one in base.__bases__ if one not in bases]


def check_assets(app: Any, failure: Exception | None) -> None:
    """Raise RuntimeError for a page that loads scripts, styles, fonts or pictures from elsewhere."""
    outside = re.compile(
        r'<(?:script|img|iframe|source)\b[^>]*\bsrc="(?:https?:)?//'
        r'|<link\b[^>]*\brel="(?:stylesheet|preconnect|preload)"[^>]*\bhref="(?:https?:)?//'
        r'|<link\b[^>]*\bhref="(?:https?:)?//[^>]*\brel="stylesheet"'
        r"|@import|url\(['\"]?(?:https?:)?//"
    )
    for path in Path(app.outdir).rglob("*"):
        if failure is None and path.suffix in (".html", ".css"):
            found = outside.search(path.read_text(encoding="utf-8"))
            if found:
                raise RuntimeError(f"{path}: {found[0]!r} loads a file from another host")


def setup(app: Any) -> None:
    """Register what prepares docstrings for napoleon, resolves references, and checks the pages."""
    app.connect("autodoc-process-bases", public_bases)
    app.connect("build-finished", check_assets)
    app.connect("missing-reference", public_reference)
    app.connect("autodoc-process-docstring", close_sections, priority=100)
