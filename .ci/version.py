"""The version: printed, written where it is needed, compared with a tag, with its changelog.

A release: `python .ci/version.py --set 0.2.0 --cut`, a commit, and the tag v0.2.0.

It is a literal in fastprep/__init__.py, because to read it from an installed package takes longer than
most commands do. A release is made of a tag only if both are equal, so the version is the tag's.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


# The files that have it, and the line.
PLACES = {
    "fastprep/__init__.py": r'^__version__ = "([^"]+)"$',
    "CITATION.cff": r"^version: (.+)$",
    ".ci/conda-forge/recipe.yaml": r'^  version: "([^"]+)"$',
}


def version() -> str:
    """Return the version; exit with the fault where two files have different ones."""
    found = {}
    for place, line in PLACES.items():
        (found[place],) = re.findall(line, (ROOT / place).read_text("utf-8"), re.MULTILINE)
    if len({*found.values()}) > 1:
        sys.exit(
            f"Different versions: {found}; `python .ci/version.py --set VERSION` writes them all"
        )
    return found["fastprep/__init__.py"]


def set_version(wanted: str) -> None:
    """Write the version to all files that have it."""
    for place, line in PLACES.items():
        path = ROOT / place
        text = path.read_text("utf-8")
        (old,) = re.finditer(line, text, re.MULTILINE)
        path.write_text(text[: old.start(1)] + wanted + text[old.end(1) :], "utf-8")


def changes(wanted: str, text: str) -> str:
    """Return the part of a changelog for a version, without its title; empty if there is none.

    >>> changes("1.0", "# Changelog\\n## [1.0] - 2026-01-01\\nNew.\\n## [0.9] - 2025-01-01\\nOld.\\n")
    'New.'
    """
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    for part in parts:
        title, _, body = part.partition("\n")
        if title.startswith(f"[{wanted}]"):
            return body.strip()
    return ""


def cut(wanted: str, date: str, text: str) -> str:
    """Return a changelog whose unreleased part is that of a version; exit if there is none.

    >>> link = "[Unreleased]: https://a/commits/main\\n"
    >>> print(cut("1.0", "2026-01-01", "# Changelog\\n## [Unreleased]\\nNew.\\n" + link))
    # Changelog
    ## [1.0] - 2026-01-01
    New.
    [1.0]: https://a/releases/tag/v1.0
    <BLANKLINE>
    """
    if changes(wanted, text) or not changes("Unreleased", text):
        sys.exit(f"CHANGELOG.md has no part Unreleased, or has [{wanted}] already")
    text = text.replace("## [Unreleased]\n", f"## [{wanted}] - {date}\n", 1)
    link = r"^\[Unreleased\]: (https://.*)/(?:commits|compare)/\S+$"
    return re.sub(link, rf"[{wanted}]: \1/releases/tag/v{wanted}", text, flags=re.MULTILINE)


def main() -> None:
    """Print what the arguments ask for; exit with the fault if the tag is not that of this tree."""
    parser = argparse.ArgumentParser(description="Print the version.")
    parser.add_argument("--set", metavar="VERSION", help="write it to all files that have it")
    parser.add_argument("--cut", action="store_true", help="date the changelog's unreleased part")
    parser.add_argument("--tag", help="v and the version; anything else is an error")
    parser.add_argument("--changes", action="store_true", help="print its part of the changelog")
    options = parser.parse_args()
    if options.set:
        set_version(options.set)
    here = version()
    if options.tag and options.tag != f"v{here}":
        sys.exit(f"The tag is {options.tag}, and the version {here}: tag v{here}, or --set another")
    changelog = ROOT / "CHANGELOG.md"
    if options.cut:
        today = datetime.date.today().isoformat()
        changelog.write_text(cut(here, today, changelog.read_text("utf-8")), "utf-8")
    found = changes(here, changelog.read_text("utf-8"))
    if options.tag and not found:
        sys.exit(f"CHANGELOG.md has no part [{here}]: `python .ci/version.py --cut` makes it")
    print(found if options.changes else here)


if __name__ == "__main__":
    main()
