"""Fuzz targets: ``python tests/fuzz.py TARGET --seconds 60``; without a target all of them, in turn.

A target reads bytes that may be anything. It must end with a result, which agrees with another
library's where there is one, or with an error of fastprep; anything else is a finding, whose bytes
are written to a file. With the package atheris (``pip install 'fastprep[fuzz]'``) and ``--engine
atheris`` the mutations are guided by coverage; without it they are random. The corpora are
generated.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import hashlib
import json
import random
import shutil
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Only modules that are imported here are guided by coverage.
if "atheris" in sys.argv:
    import atheris

    importing: contextlib.AbstractContextManager[object] = atheris.instrument_imports(["fastprep"])
else:
    importing = contextlib.nullcontext()
with importing:
    import fastprep
    import fastprep.checks.verification
    import fastprep.exchange.imports
    import fastprep.jobs.prepare
    from fastprep.corpus.documents import Format
    from fastprep.corpus.reader import batches, whole
    from fastprep.encoding.encoding import Encoding
    from fastprep.errors import FastprepError
    from fastprep_ext.corpus import is_value_stream

TEXT = "hello world, naïve 東京 <|endoftext|> 😀 'll 1234\n\n  x"
PATTERN = fastprep.get_encoding("gpt2")._pat_str
QUIET = {"progress": False, "workers": 1}


class Target(NamedTuple):
    """A target: its seeds, made in a folder, and the function that tries bytes."""

    seeds: Callable[[], list[bytes]]
    attempt: Callable[[bytes, Path], object]
    words: tuple[bytes, ...]


def _documents(path: Path, content: bytes, **form: str) -> list[bytes]:
    path.write_bytes(content)
    found: list[bytes] = []
    open_document = False
    for batch in batches(whole(path), Format(**form), block_bytes=64):  # type: ignore[arg-type]
        texts = [*batch.texts]
        if open_document and texts:
            found[-1] += texts.pop(0)
        found += texts
        if batch.texts:
            open_document = not batch.closed
    return found


def _lines(content: bytes, folder: Path) -> None:
    found = _documents(folder / "a.jsonl", content)
    content = content.removeprefix(b"\xef\xbb\xbf")
    if is_value_stream(content, 0, min(len(content), 1 << 16)):
        return  # an array, or values over several lines
    lines = [line for line in content.split(b"\n") if line.strip()]
    # Bytes that are not UTF-8 are accepted in what is not the text.
    values = [json.loads(line.decode("utf-8", "surrogateescape")) for line in lines]
    expected = [_encoded(value["text"]) for value in values]
    if found != expected:
        raise AssertionError(f"{found} instead of {expected}")


def _encoded(text: str) -> bytes:
    """Return UTF-8, with U+FFFD for each surrogate that has no partner."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _compressed(content: bytes, folder: Path) -> None:
    found = _documents(folder / "a.txt.gz", content)
    try:
        expected = gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return  # zeros after the last member and the like
    if b"".join(found) != expected.replace(b"<|endoftext|>", b"") and expected.strip():
        texts = [text for text in expected.split(b"<|endoftext|>") if text and not text.isspace()]
        if found != texts:
            raise AssertionError(f"{found} instead of {texts}")


def _frames(content: bytes, folder: Path) -> None:
    _documents(folder / "a.txt.zst", content)


def _tokenizer_json(content: bytes, folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_bytes(content)
    encoding = Encoding.from_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of bytes that are no tokens
        found = [encoding.encode(text, allowed_special="all") for text in (TEXT, TEXT[::-1])]
    import tokenizers

    try:
        other = tokenizers.Tokenizer.from_str(content.decode())
    except Exception:
        return  # it refuses sections that fastprep does not read
    other.no_padding()
    other.no_truncation()
    expected = [other.encode(text, add_special_tokens=False).ids for text in (TEXT, TEXT[::-1])]
    if found != expected:
        raise AssertionError(f"{found} instead of {expected}")


def _tiktoken(content: bytes, folder: Path) -> None:
    path = folder / "small.tiktoken"
    path.write_bytes(content)
    encoding = Encoding.from_file(path, pat_str=PATTERN, special_tokens={})
    ranks = {}
    for line in content.split(b"\n"):
        if line.strip():
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
    if {encoding.decode_single_token_bytes(rank): rank for rank in ranks.values()} != ranks:
        raise AssertionError("other tokens")
    if encoding.decode(encoding.encode_ordinary(TEXT)) != TEXT:
        raise AssertionError("the text does not come back")


def _manifest(content: bytes, folder: Path) -> None:
    store = folder / "store"
    shutil.copytree(_sample(), store)
    (store / "manifest.json").write_bytes(content)
    opened = fastprep.TokenStore(store)
    opened[:].sum()
    for index in range(opened.num_documents):
        opened.document(index)
    fastprep.verify(store)


def _journal(content: bytes, folder: Path) -> None:
    output = folder / "out"
    shutil.copytree(_sample().parent / "unfinished", output)
    name, _, rest = content.partition(b"\n")
    for path in [*output.glob("*.done"), output / "job.json"]:
        if path.name.encode().endswith(name):
            path.write_bytes(rest)
            break
    store = fastprep.prepare(_sample().parent / "a.txt", output, shard_bytes=300, **QUIET)  # type: ignore[call-overload]
    fastprep.verify(store)
    expected = fastprep.TokenStore(_sample().parent / "whole")
    if store[:].tolist() != expected[:].tolist():
        raise AssertionError("other ids")


def _index(kind: str) -> Callable[[bytes, Path], None]:
    def attempt(content: bytes, folder: Path) -> None:
        source = _sample().parent / kind
        shutil.copytree(source, folder / "in")
        index = next(
            path for path in (folder / "in").iterdir() if path.suffix in (".idx", ".index")
        )
        index.write_bytes(content)
        inputs = [path for path in (folder / "in").iterdir() if path.suffix in (".bin", ".ds")]
        store = fastprep.import_tokens(
            inputs, folder / "out", format=kind, encoding="gpt2", progress=False
        )
        fastprep.verify(store)

    return attempt


_made: list[Path] = []


def _sample() -> Path:
    """Make a store, an unfinished one and their exports, once; return the store."""
    if not _made:
        folder = Path(tempfile.mkdtemp())
        (folder / "a.txt").write_text(f"{TEXT}<|endoftext|>" * 12, newline="")
        fastprep.prepare(folder / "a.txt", folder / "store", **QUIET)  # type: ignore[call-overload]
        small = {**QUIET, "shard_bytes": 300}
        fastprep.prepare(folder / "a.txt", folder / "whole", **small)  # type: ignore[call-overload]
        fastprep.prepare(folder / "a.txt", folder / "unfinished", task=(0, 2), **small)  # type: ignore[call-overload]
        for kind in ("megatron", "datatrove"):
            fastprep.export_store(folder / "store", format=kind, output=folder / kind)  # type: ignore[arg-type]
        _made.append(folder / "store")
    return _made[0]


def _small_encoding() -> Encoding:
    ranks = {bytes([byte]): byte for byte in range(256)}
    ranks |= {token: 256 + at for at, token in enumerate((b"he", b"ll", b"hell", b"hello", b" w"))}
    return Encoding(
        "small", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": 300}
    )


def _saved(name: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        path = Path(tempfile.mkdtemp()) / name
        _small_encoding().save(path)
        return [path.read_bytes()]

    return seeds


def _files(folder: str, suffix: str) -> Callable[[], list[bytes]]:
    return lambda: [
        path.read_bytes() for path in (_sample().parent / folder).iterdir() if path.suffix == suffix
    ]


def _journals() -> list[bytes]:
    folder = _sample().parent / "unfinished"
    return [
        path.name[-9:].encode() + b"\n" + path.read_bytes()
        for path in folder.iterdir()
        if path.suffix in (".json", ".done")
    ]


def _zstd_frames() -> list[bytes]:
    import zstandard

    frame = zstandard.ZstdCompressor().compress(TEXT.encode() * 3)
    return [frame, frame * 2, b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + frame]


_JSON = (
    b'"',
    b"\\",
    b"\\u",
    b"\\ud83d\\ude00",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"1e9",
)
TARGETS = {
    "json-lines": Target(
        lambda: [
            json.dumps({"text": TEXT, "other": [1, {"text": None}]}).encode()
            + b"\n"
            + b'{"text":""}\n',
            json.dumps({"text": TEXT}, ensure_ascii=False).encode(),
        ],
        _lines,
        (*_JSON, b'"text"', b"\n", b"\r\n", b"\xef\xbb\xbf"),
    ),
    "tokenizer-json": Target(_saved("tokenizer.json"), _tokenizer_json, _JSON),
    "tiktoken": Target(
        _saved("small.tiktoken"), _tiktoken, (b"=", b" ", b"\n", b"\r\n", b"aGU= 9")
    ),
    "manifest": Target(
        _files("store", ".json"), _manifest, (*_JSON, b"-1", b"18446744073709551616")
    ),
    "journal": Target(_journals, _journal, (*_JSON, b"-1", b"18446744073709551616")),
    "megatron": Target(_files("megatron", ".idx"), _index("megatron"), (b"\xff" * 8, b"\0" * 8)),
    "datatrove": Target(
        _files("datatrove", ".index"), _index("datatrove"), (b"\xff" * 8, b"\0" * 8)
    ),
    "gzip": Target(
        lambda: [gzip.compress(TEXT.encode()), gzip.compress(b"") + gzip.compress(TEXT.encode())],
        _compressed,
        (b"\x1f\x8b\x08", b"\0\0\0\0"),
    ),
    "zstd": Target(_zstd_frames, _frames, (b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18")),
}


def mutated(rng: random.Random, seeds: list[bytes], words: tuple[bytes, ...]) -> bytes:
    """Return a seed with some random changes."""
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 8, 64)))
        change = rng.randrange(7)
        if change == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif change == 1:
            data[at:end] = b""
        elif change == 2:
            data[at:at] = data[at:end] * rng.randint(1, 3)
        elif change == 3:
            data[at:at] = rng.choice(words)
        elif change == 4:
            data[at:end] = rng.choice(words)
        elif change == 5:
            other = rng.choice(seeds)
            data[at:] = other[rng.randrange(len(other) + 1) :]
        elif rng.random() < 0.2:
            del data[at:]
        else:
            data[at:end] = rng.randbytes(end - at)
    return bytes(data)


def attempt(name: str, data: bytes) -> bool:
    """Try bytes; return whether they were accepted. Raises what is a finding."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            TARGETS[name].attempt(data, Path(folder))
        except FastprepError:
            return False
        return True


def fuzz(name: str, seconds: float, seed: int) -> dict[str, object]:
    """Try random mutations for some seconds, or up to the first finding; return what happened."""
    rng = random.Random(seed)
    seeds = TARGETS[name].seeds()
    tried = accepted = 0
    finding = None
    until = time.monotonic() + seconds
    while finding is None and time.monotonic() < until:
        data = mutated(rng, seeds, TARGETS[name].words) if tried >= len(seeds) else seeds[tried]
        tried += 1
        try:
            accepted += attempt(name, data)
        except Exception as error:
            path = Path(tempfile.gettempdir()) / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
            path.write_bytes(data)
            finding = f"{path}: {type(error).__name__}: {error}"[:600]
    return {"target": name, "tried": tried, "accepted": accepted, "seed": seed, "finding": finding}


def fuzz_guided(name: str, seconds: int) -> None:
    """Let atheris choose the bytes; it ends the process."""
    corpus = Path(tempfile.mkdtemp())
    for number, data in enumerate(TARGETS[name].seeds()):
        (corpus / str(number)).write_bytes(data)
    words = [sys.argv[0], f"-max_total_time={seconds}", str(corpus)]
    atheris.Setup(words, lambda data: attempt(name, data) and None)
    atheris.Fuzz()


def main() -> int:
    """Run the targets that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "targets", nargs="*", default=[*TARGETS], metavar="TARGET", help=", ".join(TARGETS)
    )
    parser.add_argument("--seconds", type=int, default=60, help="per target")
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 32))
    parser.add_argument("--engine", choices=["random", "atheris"], default="random")
    parser.add_argument("--file", type=Path, help="try these bytes only, as for a finding")
    options = parser.parse_args()
    failed = False
    for name in options.targets:
        if options.file is not None:
            print(name, attempt(name, options.file.read_bytes()))
        elif options.engine == "atheris":
            fuzz_guided(name, options.seconds)
        else:
            found = fuzz(name, options.seconds, options.seed)
            failed |= found["finding"] is not None
            print(json.dumps(found), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
