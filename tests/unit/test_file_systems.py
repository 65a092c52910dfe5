"""File systems without locks or syncs, and machines whose cgroup limits the CPU."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from fastprep import prepare, verify
from fastprep.system import guarantees
from fastprep.system.threads import available_cores, cgroup_quota

NOT_SUPPORTED = [errno.EINVAL, errno.EPERM, errno.ENOTSUP]


@pytest.fixture(autouse=True)
def no_syncs() -> None:
    """Do not skip syncs, as all other tests do."""


@pytest.fixture(autouse=True)
def nothing_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarantees, "reported", {})


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("Do you like tea?")
    return path


def refusing(number: int, real: Any, *, directories: bool | None) -> Any:
    def refuse(descriptor: int, *arguments: Any) -> Any:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        if directories is None or directories == is_directory:
            raise OSError(number, os.strerror(number))
        return real(descriptor, *arguments)

    return refuse


@pytest.mark.parametrize("number", NOT_SUPPORTED)
@pytest.mark.parametrize(
    ("call", "directories", "lacks"),
    [
        ("fsync", True, "cannot sync directories"),
        ("fsync", False, "cannot sync files"),
        ("flock", None, "has no locks"),
    ],
)
def test_a_lost_guarantee_is_reported_and_the_work_continues(
    tmp_path: Path,
    text: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    call: str,
    directories: bool | None,
    lacks: str,
) -> None:
    module: Any = os if call == "fsync" else fcntl
    monkeypatch.setattr(
        module, call, refusing(number, getattr(module, call), directories=directories)
    )
    events: list[Any] = []
    with pytest.warns(RuntimeWarning, match=lacks) as warned:
        store = prepare(text, tmp_path / "s", progress=False, log=events.append)
    assert len({str(warning.message) for warning in warned}) <= 2  # the output, and its parent
    assert verify(store).documents == 1
    lost = [event["message"] for event in events if event["event"] == "guarantee lost"]
    assert lost
    assert all(lacks in message and os.strerror(number) in message for message in lost)


@pytest.mark.parametrize("call", ["fsync", "flock"])
def test_a_disk_that_fails_is_still_an_error(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    module: Any = os if call == "fsync" else fcntl
    real = getattr(module, call)
    monkeypatch.setattr(module, call, refusing(errno.EIO, real, directories=None))
    with pytest.raises(OSError, match="Input/output error"):
        prepare(text, tmp_path / "s", progress=False)


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "200000 100000"}, 0.5),
        ("0::/gone/../..\n", {"cpu.max": "300000 100000"}, 3.0),
        ("0::/\n", {"cpu.max": "nonsense"}, None),
        ("0::/\n", {}, None),
        (
            "4:cpu,cpuacct:/docker/1\n3:memory:/docker/1\n0::/\n",
            {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            2.5,
        ),
        (
            "4:cpu:/\n",
            {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"},
            None,
        ),
        ("4:cpuset:/\n", {"cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "1"}, None),
    ],
)
def test_the_quota_of_a_cgroup(
    tmp_path: Path, own: str, files: dict[str, str], quota: float | None
) -> None:
    (tmp_path / "own").write_text(own)
    for name, content in files.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert cgroup_quota(str(tmp_path / "fs"), str(tmp_path / "own")) == quota


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (1.5, 2), (0.2, 1), (100.0, 8)])
def test_cores_follow_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr("fastprep.system.threads.cgroup_quota", lambda: quota)
    assert available_cores() == cores
