"""Files of the project: they can be read by what reads them, and agree with each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from texts import ROOT

import fastprep

PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
URLS = dict(re.findall(r'^(\w+) = "(https://.*)"$', PROJECT, re.MULTILINE))


def test_urls_are_those_of_the_project():
    assert {"Documentation", "Repository", "Issues", "Changelog"} <= set(URLS)
    pages = [*ROOT.glob("*.md"), *ROOT.glob("*.cff"), *(ROOT / ".github").rglob("*.*")]
    for path in pages:
        for link in re.findall(r"https://github\.com/[\w-]+/fastprep", path.read_text("utf-8")):
            assert link == URLS["Repository"], path


def test_citation_has_the_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {fastprep.__version__}\n" in citation
    assert f"\nrepository-code: {URLS['Repository']}\n" in citation
    assert f"\nurl: {URLS['Documentation']}\n" in citation


@pytest.mark.parametrize(
    "name",
    [
        "CITATION.cff",
        *(f".github/ISSUE_TEMPLATE/{n}.yml" for n in ["bug", "ids", "speed", "feature", "config"]),
    ],
)
def test_a_file_of_yaml_can_be_read(name):
    yaml = pytest.importorskip("yaml")
    content = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    if "body" in content:
        assert {"name", "description"} <= set(content)
        kinds = {part["type"] for part in content["body"]}
        assert kinds <= {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        identifiers = [part["id"] for part in content["body"] if part["type"] != "markdown"]
        assert len(set(identifiers)) == len(identifiers)


def test_changelog_has_the_form_of_keep_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert versions[0] == "[Unreleased]" or versions[0].startswith(f"[{fastprep.__version__}] - ")
    dated = versions[versions[0] == "[Unreleased]" :]
    assert all(re.fullmatch(r"\[[\d.]+\] - \d{4}-\d\d-\d\d", version) for version in dated)
    for version in versions:
        assert re.search(rf"^{re.escape(version.split(' - ')[0])}: https://", text, re.MULTILINE)
    allowed = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    for version in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.*)$", version, re.MULTILINE)
        assert kinds
        assert set(kinds) <= allowed
        assert len(set(kinds)) == len(kinds)


def test_the_documents_of_the_top_level_are_in_a_source_distribution():
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").split()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*.cff")]:
        assert path.name in manifest or path.name == "README.md"


def test_workflows_use_actions_of_one_version_and_files_that_exist():
    uses: dict[str, set[str]] = {}
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        for action, version in re.findall(r"uses: ([\w./-]+)@(\S+)", text):
            uses.setdefault(action, set()).add(version)
        for script in re.findall(r"python3? (?:-\S+ )*(\S+\.py)", text):
            assert (ROOT / script).is_file(), f"{path.name}: {script}"
        for targets in re.findall(r"run: make ([a-z ]+)", text):
            for target in targets.split():
                makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{path.name}: {target}"
    assert uses
    assert {action: found for action, found in uses.items() if len(found) > 1} == {}


def test_a_release_is_cut_by_one_command(tmp_path):
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    for name in ["CITATION.cff", "CHANGELOG.md"]:
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "fastprep").mkdir()
    shutil.copy(ROOT / "fastprep" / "__init__.py", tmp_path / "fastprep" / "__init__.py")
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n## [Unreleased]\n### Added\n- One.\n\n[Unreleased]: https://a/b/commits/main\n"
    )

    def version(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, tmp_path / ".ci" / "version.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "has no part [9.8.7]" in version("--set", "9.8.7", "--tag", "v9.8.7").stderr
    assert version("--cut").stdout == "9.8.7\n"
    assert version("--tag", "v9.8.7", "--changes").stdout.startswith("### Added\n- One.\n")
    assert "tag v9.8.7" in version("--tag", "v9.8.6").stderr
    assert "has [9.8.7] already" in version("--cut").stderr
    assert "\n[9.8.7]: https://a/b/releases/tag/v9.8.7\n" in (tmp_path / "CHANGELOG.md").read_text()
    for name in ["CITATION.cff", ".ci/conda-forge/recipe.yaml", "fastprep/__init__.py"]:
        assert "9.8.7" in (tmp_path / name).read_text(encoding="utf-8")
