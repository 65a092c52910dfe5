"""What POSIX does at once other systems do in steps: the results are the same."""

from __future__ import annotations

import ast
import os
import threading
from pathlib import Path

import pytest

import fastprep
from fastprep.system import host

# Calls and constants that Windows lacks, and modules.
POSIX = {
    *("pread", "preadv", "pwrite", "pwritev", "uname", "geteuid", "getuid", "fork", "fchmod"),
    *("O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "posix_fadvise", "sched_setaffinity"),
}
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "posix"}


@pytest.fixture(params=["at once", "in steps"])
def way(request, monkeypatch):
    if request.param == "in steps":
        monkeypatch.delattr(os, "preadv", raising=False)
        monkeypatch.delattr(os, "pwrite", raising=False)


@pytest.mark.usefixtures("way")
def test_bytes_are_read_at_positions(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    file = os.open(tmp_path / "a", host.READ_FLAGS)
    try:
        for position, size in [(0, 4), (7, 9), (3, 2), (10, 1)]:
            target = memoryview(bytearray(size))
            read = host.read_at(file, target, position)
            assert bytes(target[:read]) == b"0123456789"[position : position + size]
    finally:
        os.close(file)


@pytest.mark.usefixtures("way")
def test_threads_write_at_positions_of_one_file(tmp_path):
    with (tmp_path / "a").open("wb") as file:

        def write(number: int) -> None:
            for at in range(number, 400, 4):
                host.write_at(file.fileno(), memoryview(b"%04d" % at), 4 * at)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (tmp_path / "a").read_bytes() == b"".join(b"%04d" % at for at in range(400))


@pytest.mark.usefixtures("way")
def test_a_text_file_is_encoded_to_the_same_ids(tmp_path):
    (tmp_path / "a.txt").write_text("Some text, more text.\n" * 500)
    encoding = fastprep.get_encoding("gpt2")
    encoding.encode_file(tmp_path / "a.txt", tmp_path / "a.bin")
    ids = memoryview((tmp_path / "a.bin").read_bytes()).cast("H").tolist()
    assert ids == encoding.encode_ordinary((tmp_path / "a.txt").read_text())


@pytest.mark.parametrize("path", sorted(Path(host.__file__).parents[1].rglob("*.py")), ids=str)
def test_only_one_module_calls_what_windows_lacks(path):
    if path == Path(host.__file__):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "os":
            assert node.attr not in POSIX, f"line {node.lineno}: os.{node.attr}"
        elif isinstance(node, ast.Import):
            assert not {alias.name for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            assert node.module not in MODULES
