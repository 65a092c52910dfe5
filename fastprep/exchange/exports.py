"""export_store: the ids of a token store as the files of another program.

If the bytes are the same nothing need be copied: Megatron-LM's ``.idx`` can be written beside the
shards, and files can be links. Copied bytes are checked against the store's checksums on the way, and
each file is replaced atomically. Memory is a few times 16 MiB, whatever the size of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fastprep.errors import IdOutOfRange, InvalidArgument, InvalidInput, StoreExists
from fastprep.exchange import datatrove, llmc, megatron
from fastprep.exchange.formats import FORMATS, FormatName
from fastprep.exchange.layouts import Ends
from fastprep.jobs.output import check_parent
from fastprep.store.blocks import read_blocks, read_tokens
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import local_path, whole_number
from fastprep.system.atomic import link as link_file
from fastprep.system.atomic import replacing
from fastprep.system.bars import Progress, bar_of
from fastprep.system.renamed import renamed


@renamed(to="format", report="progress")
def export_store(
    store: TokenStore | str | PathLike[str],
    *,
    format: FormatName,
    output: str | PathLike[str] | None = None,
    link: bool = False,
    one_file: bool = False,
    validation: int | TokenStore | str | PathLike[str] | None = None,
    shard_tokens: int = llmc.SHARD_TOKENS,
    overwrite: bool = False,
    progress: Progress = None,
) -> list[Path]:
    """Write the ids of a store as files of another program.

    Parameters
    ----------
    store
        a store or its path.
    format
        ``"megatron"``
            ``shard-00000.idx`` and ``.bin``, one pair per shard. Without `output` the indices are
            written into the store itself, beside its ``.bin``, and nothing is copied.
        ``"datatrove"``
            ``00000_tokens.ds``, ``.ds.index`` and ``.ds.metadata``, three files per shard, which
            nanotron reads as well.
        ``"nanogpt"``
            ``train.bin``, uint16, and ``val.bin`` if there is a `validation`.
        ``"llmc"``
            ``tokens_train_000001.bin`` and so on, of `shard_tokens` ids each, uint16 or uint32, and
            ``tokens_val_000000.bin`` if there is a `validation`. End tokens that follow documents
            are moved before them, as llm.c has them.
    output
        the directory to write into; it is created if it is missing.
    link
        if the bytes of a file are those of a shard, create a hard link, or across file systems a
        symbolic one, instead of a copy. This applies to Megatron's and datatrove's files only.
    one_file
        for Megatron, one pair ``tokens.bin`` and ``.idx`` for the whole store.
    validation
        for nanoGPT and llm.c: the number of documents from the store's start that are the
        validation split and not the training one, or another store that is the validation split.
    shard_tokens
        ids per file of llm.c, at most 2**31 - 1.
    overwrite
        whether to replace files of these names.
    progress
        whether to show a progress bar; by default in a terminal (on stderr) and in a notebook, if it
        takes long. Or a function that is called with each number of bytes read.

    Returns
    -------
    list of Path
        the files that were written.

    Raises
    ------
    InvalidStore
        if the store is damaged.
    IdOutOfRange
        for an id or a length that the format cannot hold.
    StoreExists
        if a file of one of the names exists.
    InvalidInput
        for options that contradict each other.

    Examples
    --------
    >>> from fastprep import prepare
    >>> _ = (tmp / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(tmp / "two.txt", tmp / "store", progress=False)
    >>> [path.name for path in export_store(store, format="megatron")]
    ['shard-00000.idx']
    >>> [path.name for path in export_store(store, format="nanogpt", output=tmp / "nano")]
    ['train.bin']
    >>> np.fromfile(tmp / "nano" / "train.bin", np.uint16).tolist()
    [3198, 13, 50256, 7571, 13, 50256]
    """
    if format not in FORMATS:
        raise InvalidArgument(f"format is {format!r}; the known formats are {', '.join(FORMATS)}")
    if output is None and (format != "megatron" or one_file):
        raise InvalidArgument(f"no directory for {format}'s files; pass output (-o DIR)")
    if link and (format in ("nanogpt", "llmc") or one_file or output is None):
        raise InvalidArgument(
            "nothing to link: link (--link) needs a format with one file per shard, and an output"
        )
    if one_file and format != "megatron":
        raise InvalidArgument("one_file (--one-file) applies to Megatron's files only")
    if validation is not None and format not in ("nanogpt", "llmc"):
        raise InvalidArgument("validation applies to nanoGPT's and llm.c's files only")
    opened = store if isinstance(store, TokenStore) else TokenStore(store)
    if opened.has_mask:
        raise InvalidInput(
            f"{opened.path}: it has a mask of the tokens that the assistant wrote, and {format} has no "
            "place for it; train from the store, or use its table of Arrow, which has it as a column"
        )
    directory = opened.path if output is None else local_path(output, "the output")
    check_parent(directory)
    for index in range(opened.num_shards) if link else ():
        opened.fetch(index, "bin")
        opened.fetch(index, "ends")
    ranges = _split_ranges(opened, validation)
    files: list[_File] = {
        "megatron": lambda: list(_megatron(opened, output is None, link, one_file)),
        "datatrove": lambda: list(_datatrove(opened, link)),
        "nanogpt": lambda: list(_nanogpt(*ranges)),
        "llmc": lambda: list(_llmc(*ranges, shard_tokens)),
    }[format]()
    if not files:
        raise InvalidInput(f"{opened.path}: the store holds no ids, so there is nothing to export")
    size = opened.num_tokens * opened.dtype.itemsize + 8 * opened.num_documents
    with bar_of(progress, size, "export") as update:
        return _write(directory, files, overwrite, update)


class _File(NamedTuple):
    """A file to export: a function of its path and `report` that writes it, or a file to link to."""

    name: str
    write: Callable[[Path, Callable[[int], object]], object] | None = None
    same_as: Path | None = None


def _write(
    directory: Path, files: list[_File], overwrite: bool, report: Callable[[int], object]
) -> list[Path]:
    if directory.exists() and not directory.is_dir():
        raise StoreExists(f"{directory}: a file of that name exists; choose another output")
    paths = [directory / file.name for file in files]
    existing = [path for path in paths if path.is_symlink() or path.exists()]
    if existing and not overwrite:
        raise StoreExists(
            f"{existing[0]}: exists already; pass overwrite=True (--overwrite) to replace it, or "
            "choose another output"
        )
    for path, file in zip(paths, files, strict=True):
        if file.same_as is not None and path.exists() and path.samefile(file.same_as):
            raise StoreExists(f"{path}: this is the store's own file; choose another output")
    directory.mkdir(parents=True, exist_ok=True)
    for path, file in zip(paths, files, strict=True):
        if file.write is not None:
            file.write(path, report)
        elif file.same_as is not None:
            link_file(file.same_as, path)
    return paths


# -- one file per shard ----------------------------------------------------------------------------


def _ends_of(store: TokenStore, index: int) -> Callable[[], Iterator[Ends]]:
    return lambda: read_blocks(store, index, "ends")


def _nonempty_shards(store: TokenStore) -> list[int]:
    # No reader of the other programs can map an empty file.
    return [index for index, size in enumerate(store.shard_sizes) if size]


def _copy_of(store: TokenStore, index: int, kind: Literal["bin", "ends"]) -> Callable[..., object]:
    return partial(_write_arrays, arrays=partial(read_blocks, store, index, kind))


def _write_arrays(
    path: Path,
    report: Callable[[int], object],
    *,
    arrays: Callable[[], Iterator[npt.NDArray[Any]]],
    head: bytes = b"",
) -> None:
    """Write the bytes `head` and then the arrays that `arrays` yields."""
    with replacing(path) as file:
        file.write(head)
        for array in arrays():
            file.write(memoryview(np.ascontiguousarray(array)).cast("B"))
            report(array.nbytes)


def _write_index(
    path: Path,
    report: Callable[[int], object],
    *,
    dtype: str,
    shards: list[Callable[[], Iterator[Ends]]],
) -> None:
    megatron.write_index(path, dtype, shards)
    report(path.stat().st_size)


def _megatron(store: TokenStore, beside: bool, link: bool, one_file: bool) -> Iterator[_File]:
    largest = max(store.max_ids, default=0)
    if largest >> 31:
        raise IdOutOfRange(
            f"{store.path}: its largest id is {largest}, and Megatron's ids are int32: below 2**31"
        )
    dtype, shards = store.head.dtype, _nonempty_shards(store)
    if one_file:
        if not shards:
            return
        whole = partial(read_tokens, store, 0, store.num_tokens)
        yield _File("tokens.bin", partial(_write_arrays, arrays=whole))
        # The index last: Megatron does not see a .bin without one as a data set.
        ends = [_ends_of(store, index) for index in shards]
        yield _File("tokens.idx", partial(_write_index, dtype=dtype, shards=ends))
        return
    for index in shards:
        if not beside:
            name = f"shard-{index:05d}.bin"
            yield (
                _File(name, same_as=store.shard_file(index, "bin"))
                if link
                else _File(name, _copy_of(store, index, "bin"))
            )
        yield _File(
            f"shard-{index:05d}.idx",
            partial(_write_index, dtype=dtype, shards=[_ends_of(store, index)]),
        )


def _datatrove(store: TokenStore, link: bool) -> Iterator[_File]:
    sizes = store.shard_sizes
    for index in _nonempty_shards(store):
        name = f"{index:05d}_tokens.ds"
        kinds: dict[str, Literal["bin", "ends"]] = {"": "bin", ".index": "ends"}
        for suffix, kind in kinds.items():
            source = store.shard_file(index, kind)
            yield (
                _File(name + suffix, same_as=source)
                if link
                else _File(name + suffix, _copy_of(store, index, kind))
            )
        text = datatrove.metadata(store.encoding_name, store.dtype.itemsize, sizes[index])
        yield _File(f"{name}.metadata", partial(_write_arrays, arrays=lambda: iter(()), head=text))


# -- one stream, cut at any token ------------------------------------------------------------------


class _TokenRange(NamedTuple):
    """Tokens ``[start, stop)`` of a store."""

    store: TokenStore
    start: int
    stop: int


def _split_ranges(
    store: TokenStore, validation: int | TokenStore | str | PathLike[str] | None
) -> tuple[_TokenRange, _TokenRange | None]:
    """Return the tokens for training and for validation; both must come from one encoding."""
    if validation is None:
        return _TokenRange(store, 0, store.num_tokens), None
    if not isinstance(validation, TokenStore | str | PathLike):
        validation = whole_number(validation, "validation, in documents,", 0)
        if not 1 <= validation < store.num_documents:
            raise InvalidInput(
                f"validation is {validation} documents, and {store.path} has "
                f"{store.num_documents}; it must be at least 1, and leave some to train on"
            )
        middle = store.token_start(validation)
        return _TokenRange(store, middle, store.num_tokens), _TokenRange(store, 0, middle)
    other = validation if isinstance(validation, TokenStore) else TokenStore(validation)
    ours, theirs = (
        (one.head.encoding, one.eot_token, one.eot, one.bos_token) for one in (store, other)
    )
    if ours != theirs:
        raise InvalidInput(
            f"{other.path}: made with {other.encoding_name!r}, end token {other.eot_token} "
            f"({other.eot}), but {store.path} with {store.encoding_name!r}, {store.eot_token} "
            f"({store.eot}); both must be alike"
        )
    return _TokenRange(store, 0, store.num_tokens), _TokenRange(other, 0, other.num_tokens)


def _nanogpt(training: _TokenRange, validation: _TokenRange | None) -> Iterator[_File]:
    splits = {"train.bin": training, "val.bin": validation}
    for part in filter(None, splits.values()):
        largest = max(part.store.max_ids, default=0)
        if largest >> 16:
            raise IdOutOfRange(
                f"{part.store.path}: its largest id is {largest}, and nanoGPT's files are uint16; "
                "use an encoding of at most 65536 ids, such as gpt2"
            )
    for name, split in splits.items():
        if split is not None and split.stop > split.start:
            yield _File(name, partial(_write_arrays, arrays=partial(_narrow, *split)))


def _narrow(store: TokenStore, start: int, stop: int) -> Iterator[npt.NDArray[Any]]:
    return (ids.astype("<u2", copy=False) for ids in read_tokens(store, start, stop))


def _llmc(
    training: _TokenRange, validation: _TokenRange | None, shard_tokens: int
) -> Iterator[_File]:
    shard_tokens = whole_number(shard_tokens, "shard_tokens, ids per file,", most=llmc.MAX_TOKENS)
    splits = [("val", 0, validation), ("train", 1, training)]
    itemsize = max(part.store.dtype.itemsize for _, _, part in splits if part is not None)
    for name, first, part in splits:
        if part is None:
            continue
        for number, start in enumerate(range(part.start, part.stop, shard_tokens), first):
            stop = min(start + shard_tokens, part.stop)
            yield _File(
                f"tokens_{name}_{number:06d}.bin",
                partial(
                    _write_arrays,
                    arrays=partial(_with_end_tokens_first, part, start, stop, itemsize),
                    head=llmc.header(itemsize, stop - start),
                ),
            )


def _with_end_tokens_first(
    part: _TokenRange, start: int, stop: int, itemsize: int
) -> Iterator[npt.NDArray[Any]]:
    """Yield ids ``[start, stop)`` of a range as if each end token preceded its document.

    The end token after the last document comes first, which shifts all other ids by one.
    """
    dtype = np.dtype(f"<u{itemsize}")
    if part.store.eot == "append":
        if start == part.start:
            yield np.array([part.store.eot_token], dtype)
            start += 1
        start, stop = start - 1, stop - 1
    for ids in read_tokens(part.store, start, stop):
        yield ids.astype(dtype, copy=False)
