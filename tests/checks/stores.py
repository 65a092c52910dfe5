"""Checks that damaged stores are refused, found by verify, or unchanged; and that nothing crashes."""

from __future__ import annotations

import os
import random
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from checks import Found
from fastprep.checks.verification import verify
from fastprep.errors import FastprepError, InvalidStore
from fastprep.jobs.prepare import prepare
from fastprep.store.reader import TokenStore
from fastprep.training.loader import create_dataloader

#: A file of the store, and its new content.
Damage = tuple[str, bytes]

DOCUMENTS = 90
FIRST = 4 << 10
WORDS = [b"0", b"-1", b"1e9", b"9223372036854775808", b"null", b"[]", b"{}", b'"', b",", b"NaN"]
# Cases per child process. If it crashes, that is one differing case, and its other cases are lost.
_BATCH = 500


class Original:
    """A small store in two shards, its files, and its content."""

    def __init__(self, directory: Path, seed: int) -> None:
        rng = random.Random(seed)
        texts = [f"Document {i} {'has some words ' * rng.randrange(40)}" for i in range(DOCUMENTS)]
        (directory / "corpus.txt").write_text("<|endoftext|>".join(texts))
        self.path = directory / "store"
        size = (directory / "corpus.txt").stat().st_size
        prepare(
            directory / "corpus.txt",
            self.path,
            shard_bytes=size * 2 // 3,
            workers=1,
            progress=False,
        )
        self.files = {path.name: path.read_bytes() for path in sorted(self.path.iterdir())}
        self.content = self.read()

    def read(self) -> tuple[bytes, bytes]:
        """Read the ids and document ends of the store as it is now."""
        opened = TokenStore(self.path)
        return opened[:].tobytes(), opened.document_ends.tobytes()

    def is_detected(self, name: str) -> bool:
        """Return whether the damage to a file is refused by name, or changes no id and no document."""
        try:
            verify(self.path)
            return name == "manifest.json" and self.read() == self.content
        except InvalidStore as error:
            return str(self.path) in str(error)

    def is_harmless(self, name: str) -> bool:
        """Return whether reading a damaged store that was not verified ends, by an error or not."""
        try:
            opened = TokenStore(self.path)
            for number in range(opened.num_documents):
                opened.document(number)
            for options in (
                {"position_ids": True, "document_ids": True, "cu_seqlens": True},
                {"layout": "packed", "document_ids": True},
                {"layout": "documents"},
            ):
                loader = create_dataloader(opened, batch_size=4, max_length=16, seed=1, **options)
                for _ in loader:
                    pass
        except FastprepError:
            pass
        return True

    def count_failures(self, damages: list[Damage], check: Callable[[str], bool]) -> int:
        """Count the damages for which a check, in a child process, fails."""
        with warnings.catch_warnings():
            # A warning that other threads are missing in the child, which does not need them.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            wrong = 0
            try:
                for name, content in damages:
                    (self.path / name).write_bytes(content)
                    try:
                        wrong += not check(name)
                    except Exception:
                        traceback.print_exc()
                        wrong += 1
                    (self.path / name).write_bytes(self.files[name])
            finally:
                os._exit(min(wrong, 100))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for name, content in self.files.items():
            (self.path / name).write_bytes(content)
        return code if code >= 0 else 1


def hostile_stores(seed: int, cases: int) -> Iterator[Found]:
    """Try all kinds of damage; up to `cases` of those kinds that are finite."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        original = Original(Path(name), seed)
        kinds: dict[str, tuple[Iterator[Damage] | list[Damage], Callable[[str], bool]]] = {
            "a bit of the first 4 KiB of a file flipped": (
                _some(rng, cases, [*_flips(original.files)]),
                original.is_detected,
            ),
            "a file cut short, or longer by a byte": (
                _some(rng, cases, [*_lengths(original.files)]),
                original.is_detected,
            ),
            "mutants": (_mutants(rng, original.files, cases), original.is_detected),
            "other ids or ends, read and loaded unverified": (
                _other_arrays(rng, original.files, cases // 10),
                original.is_harmless,
            ),
        }
        for kind, (damages, check) in kinds.items():
            count = wrong = 0
            batch: list[Damage] = []
            for damage in damages:
                batch.append(damage)
                if len(batch) == _BATCH:
                    wrong += original.count_failures(batch, check)
                    count += len(batch)
                    batch = []
            wrong += original.count_failures(batch, check)
            yield Found(f"stores, {kind}", count + len(batch), wrong)


def _some(rng: random.Random, cases: int, damages: list[Any]) -> Iterator[Damage]:
    for damage in damages if len(damages) <= cases else rng.sample(damages, cases):
        yield damage()


def _flips(files: dict[str, bytes]) -> Iterator[Callable[[], Damage]]:
    for name, content in files.items():
        # All of the manifest.
        size = len(content) if name == "manifest.json" else min(len(content), FIRST)
        for bit in range(8 * size):

            def damage(name: str = name, content: bytes = content, bit: int = bit) -> Damage:
                bad = bytearray(content)
                bad[bit // 8] ^= 1 << bit % 8
                return name, bytes(bad)

            yield damage


def _lengths(files: dict[str, bytes]) -> Iterator[Callable[[], Damage]]:
    for name, content in files.items():
        # A manifest without its final newline is valid, too.
        whole = len(content.rstrip()) if name == "manifest.json" else len(content)
        for size in range(whole):
            yield lambda name=name, content=content, size=size: (name, content[:size])
        if name != "manifest.json":
            yield lambda name=name, content=content: (name, content + b"\0")


def _mutants(rng: random.Random, files: dict[str, bytes], cases: int) -> Iterator[Damage]:
    names = [*files, *["manifest.json"] * len(files)]  # half of them
    count = 0
    while count < cases:
        name = rng.choice(names)
        bad = bytearray(files[name])
        for _ in range(rng.randint(1, 3)):
            start = rng.randrange(len(bad))
            bad[start : start + rng.randint(0, 12)] = rng.choice([*WORDS, rng.randbytes(2)])
        if bad != files[name]:
            count += 1
            yield name, bytes(bad)


def _other_arrays(rng: random.Random, files: dict[str, bytes], cases: int) -> Iterator[Damage]:
    """Yield other ids or ends for the first shard, of equal number, so that it opens."""
    for _ in range(cases):
        kind = rng.choice(["bin", "ends"])
        array = np.frombuffer(files[f"shard-00000.{kind}"], "<u2" if kind == "bin" else "<u8")
        array = array.copy()
        limit = np.iinfo(array.dtype).max
        for _ in range(rng.randint(1, 8)):
            near = int(array[rng.randrange(len(array))]) + rng.randint(-3, 3)
            value = rng.choice([0, near, rng.randrange(limit), limit, limit >> 1, 1 << 15])
            array[rng.randrange(len(array))] = min(max(value, 0), limit)
        yield f"shard-00000.{kind}", array.tobytes()
