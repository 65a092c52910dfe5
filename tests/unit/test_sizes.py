"""Sizes and fractions as people write them, in Python and on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastprep.cli.commands import parser_of
from fastprep.errors import InvalidArgument
from fastprep.jobs.prepare import prepare
from fastprep.system.sizes import fraction, number_of_bytes


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (5, 5),
        (np.int64(5), 5),
        ("5", 5),
        ("5B", 5),
        ("10MB", 10_000_000),
        ("10 mb", 10_000_000),
        ("256MiB", 256 << 20),
        ("256mib", 256 << 20),
        ("1.5KiB", 1536),
        ("0.1kB", 100),
        (".5 GB", 500_000_000),
        ("1,000,000", 1_000_000),
        ("2TB", 2 * 10**12),
        ("2TiB", 2 << 40),
        ("0.0000001TB", 100_000),
    ],
)
def test_a_size_is_exact(written: object, size: int) -> None:
    assert number_of_bytes(written, "shard_bytes") == size


@pytest.mark.parametrize(
    "written",
    [
        "",
        "MB",
        "10M",
        "10K",
        "10 MBit",
        "-1",
        "-1MB",
        "0",
        "0MB",
        "0.0001kB",
        "1e6",
        "ten",
        "1..5MB",
        "1MB2",
        "١MB",
        True,
        1.5,
        0,
        -1,
        None,
        b"1MB",
    ],
)
def test_a_wrong_size_is_named(written: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^shard_bytes is "):
        number_of_bytes(written, "shard_bytes")


@pytest.mark.parametrize(
    ("written", "share"),
    [
        ("1%", 0.01),
        ("0.5 %", 0.005),
        ("12.5%", 0.125),
        ("0.01", 0.01),
        ("1e-3", 0.001),
        (0, 0.0),
        (0.3, 0.3),
        (np.float32(0.5), 0.5),
    ],
)
def test_a_fraction_is_exact(written: object, share: float) -> None:
    assert fraction(written, "validation") == share


@pytest.mark.parametrize(
    "written",
    ["100%", "-1%", "1%%", "%", "", "x", 1, 2, -0.1, "nan", float("nan"), True, None, b"1%"],
)
def test_a_wrong_fraction_is_named(written: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^validation is .* as in 0\.01 or 1%"):
        fraction(written, "validation")


def test_python_and_the_command_line_take_the_same(tmp_path: Path) -> None:
    words = ["--shard-bytes", "1.5kB", "--validation", "25%"]
    options = parser_of("prepare").parse(["a.txt", "-o", "s", *words])
    assert (options.shard_bytes, options.validation) == (1500, 0.25)
    (tmp_path / "a.txt").write_text("<|endoftext|>".join(f"Document {n}." for n in range(100)))
    stores = [
        prepare(tmp_path / "a.txt", tmp_path / name, progress=False, **settings)
        for name, settings in (
            ("text", {"shard_bytes": "1.5kB", "validation": "25%", "block_bytes": "1KiB"}),
            ("numbers", {"shard_bytes": 1500, "validation": 0.25, "block_bytes": 1024}),
        )
    ]
    assert stores[0].manifest == stores[1].manifest
    assert len(stores[0].manifest.shards) == 2
