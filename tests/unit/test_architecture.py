"""ARCHITECTURE.md describes the modules that there are, in the order of imports."""

from __future__ import annotations

import re

from architecture import PAGE, ROOT, first_sentence, stages, table_lines, updated


def test_the_module_tables_are_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert page == updated(page), "run `make architecture`"


def test_the_picture_names_every_stage_in_order():
    picture = PAGE.read_text(encoding="utf-8").split("```")[1]
    column = picture.index("stage") - picture.index("  data")
    found = [line[column:].split()[0] for line in picture.splitlines()[3:] if line[column:].strip()]
    assert found == list(stages())


def test_the_tables_name_every_module():
    cells = re.findall(r"^\| (.+?) \|", "\n".join(table_lines()), re.MULTILINE)
    listed = sum(cell.count("`") // 2 for cell in cells)
    folders = [path for path in (ROOT / "fastprep_ext").iterdir() if path.is_dir()]
    modules = [
        path
        for pattern in ("*.py", "*.pyx", "*.pxd", "*.h")
        for folder in folders
        for path in folder.glob(pattern)
    ]
    modules += (ROOT / "fastprep").glob("*.py")
    modules += [path for path in (ROOT / "fastprep").glob("*/*.py") if path.stem != "__init__"]
    assert listed == len(modules)


def test_every_module_has_a_first_sentence():
    assert not [line for line in table_lines() if line.endswith("|  |")]
    assert first_sentence("import os\n") == ""
