"""export_store: a token store's ids as the files of another program.

Where the bytes are the same nothing need be copied: Megatron-LM's ``.idx`` may be written beside the
shards, and files may be links. What is copied is held against the store's checksums on the way, and
appears whole or not at all. Memory is a few times 16 MiB, whatever the store holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from fastprep.errors import IdOutOfRange, InvalidInput, StoreExists
from fastprep.exchange import datatrove, llmc, megatron
from fastprep.exchange.layouts import Ends
from fastprep.store.blocks import read_blocks, read_tokens, token_start
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import link as link_file
from fastprep.system.atomic import replacing

Target = Literal["megatron", "datatrove", "nanogpt", "llmc"]
TARGETS: tuple[str, ...] = get_args(Target)


def export_store(
    store: TokenStore | str | PathLike[str],
    *,
    to: Target,
    output: str | PathLike[str] | None = None,
    link: bool = False,
    one_file: bool = False,
    validation: int | TokenStore | str | PathLike[str] | None = None,
    shard_tokens: int = llmc.SHARD_TOKENS,
    overwrite: bool = False,
    report: Callable[[int], object] = lambda _: None,
) -> list[Path]:
    """Write a store's ids as another program reads them.

    Parameters
    ----------
    store
        a store or its path.
    to
        ``"megatron"``
            ``shard-00000.idx`` and ``.bin``, a pair a shard. Without `output` the indices are written
            into the store itself, beside its ``.bin``, and nothing is copied.
        ``"datatrove"``
            ``00000_tokens.ds``, ``.ds.index`` and ``.ds.metadata``, three a shard; nanotron reads
            them, too.
        ``"nanogpt"``
            ``train.bin``, and ``val.bin`` where there is a `validation`.
        ``"llmc"``
            ``tokens_train_000001.bin`` and so on, of `shard_tokens` ids each, and
            ``tokens_val_000000.bin`` where there is a `validation`. End tokens that stand behind
            the documents are moved to before them, as llm.c has them.
    output
        the directory to write into; it is made if it is not there.
    link
        do not copy files whose bytes are a shard's: make hard links, or on another file system
        symbolic ones. Only Megatron's and datatrove's have such.
    one_file
        of Megatron's, one pair ``tokens.bin`` and ``.idx`` for the whole store.
    validation
        of nanoGPT's and llm.c's: how many documents from the store's start are the validation split
        and not the training one, or another store that is the validation split.
    shard_tokens
        ids in each of llm.c's files, at most 2**31 - 1.
    overwrite
        whether to replace files of these names.
    report
        is called with each number of bytes that was read.

    Returns
    -------
    list of Path
        the files that were written.

    Raises
    ------
    InvalidStore
        where the store is damaged.
    IdOutOfRange
        for an id or a length that the format cannot hold.
    StoreExists
        when a file of one of the names is there already.
    InvalidInput
        for options that contradict each other.

    Examples
    --------
    >>> import tempfile
    >>> from fastprep import prepare
    >>> directory = Path(tempfile.mkdtemp())
    >>> _ = (directory / "two.txt").write_text("One.<|endoftext|>Two.")
    >>> store = prepare(directory / "two.txt", directory / "store", progress=False)
    >>> [path.name for path in export_store(store, to="megatron")]
    ['shard-00000.idx']
    >>> [path.name for path in export_store(store, to="nanogpt", output=directory / "nano")]
    ['train.bin']
    >>> np.fromfile(directory / "nano" / "train.bin", np.uint16).tolist()
    [3198, 13, 50256, 7571, 13, 50256]
    """
    opened = store if isinstance(store, TokenStore) else TokenStore(store)
    if to not in TARGETS:
        raise InvalidInput(f"to is {to!r}; the known formats are {', '.join(TARGETS)}")
    if output is None and (to != "megatron" or one_file):
        raise InvalidInput(f"where to write {to}'s files is not said; pass output (-o DIR)")
    if link and (to in ("nanogpt", "llmc") or one_file or output is None):
        raise InvalidInput(
            "nothing there to link: link (--link) goes with a file a shard and an output"
        )
    if one_file and to != "megatron":
        raise InvalidInput("one_file (--one-file) is for Megatron's files")
    if validation is not None and to not in ("nanogpt", "llmc"):
        raise InvalidInput("validation is for nanoGPT's and llm.c's files")
    directory = opened.path if output is None else Path(output)
    split = _Split.of(opened, validation)
    files: list[_File] = {
        "megatron": lambda: list(_megatron(opened, output is None, link, one_file)),
        "datatrove": lambda: list(_datatrove(opened, link)),
        "nanogpt": lambda: list(_nanogpt(split)),
        "llmc": lambda: list(_llmc(split, shard_tokens)),
    }[to]()
    if not files:
        raise InvalidInput(f"{opened.path}: the store holds no ids, so there is nothing to export")
    return _write(directory, files, overwrite, report)


class _File(NamedTuple):
    """A file to write: its content by a function of a path and of `report`, or a file to link to."""

    name: str
    write: Callable[[Path, Callable[[int], object]], object] | None = None
    same_as: Path | None = None


def _write(
    directory: Path, files: list[_File], overwrite: bool, report: Callable[[int], object]
) -> list[Path]:
    if directory.exists() and not directory.is_dir():
        raise StoreExists(f"{directory}: a file of that name is in the way; choose another output")
    paths = [directory / file.name for file in files]
    there = [path for path in paths if path.is_symlink() or path.exists()]
    if there and not overwrite:
        raise StoreExists(
            f"{there[0]}: there already; pass overwrite=True (--overwrite) to replace it, or choose "
            "another output"
        )
    for path, file in zip(paths, files, strict=True):
        if file.same_as is not None and path.exists() and path.samefile(file.same_as):
            raise StoreExists(f"{path}: is the store's own file; choose another output")
    directory.mkdir(parents=True, exist_ok=True)
    for path, file in zip(paths, files, strict=True):
        if file.write is not None:
            file.write(path, report)
        elif file.same_as is not None:
            link_file(file.same_as, path)
    return paths


# -- a file a shard --------------------------------------------------------------------------------


def _ends_of(store: TokenStore, index: int) -> Callable[[], Iterator[Ends]]:
    return lambda: read_blocks(store, index, "ends")


def _full_shards(store: TokenStore) -> list[int]:
    # A shard without ids is of no use to anyone, and none of the others' readers can map it.
    return [index for index, size in enumerate(store.shard_sizes) if size]


def _copy_of(store: TokenStore, index: int, kind: Literal["bin", "ends"]) -> Callable[..., object]:
    return partial(_pour, arrays=partial(read_blocks, store, index, kind))


def _pour(
    path: Path,
    report: Callable[[int], object],
    *,
    arrays: Callable[[], Iterator[npt.NDArray[Any]]],
    head: bytes = b"",
) -> None:
    """Write what some bytes and the arrays that a function gives are."""
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
    largest = max((shard.max_id or 0 for shard in store.manifest.shards), default=0)
    if largest >> 31:
        raise IdOutOfRange(
            f"{store.path}: its largest id is {largest}, and Megatron's ids are int32: below 2**31"
        )
    dtype, shards = store.manifest.dtype, _full_shards(store)
    if one_file:
        if not shards:
            return
        whole = partial(read_tokens, store, 0, store.num_tokens)
        yield _File("tokens.bin", partial(_pour, arrays=whole))
        # The index last: Megatron takes a .bin without one for no data set.
        every = [_ends_of(store, index) for index in shards]
        yield _File("tokens.idx", partial(_write_index, dtype=dtype, shards=every))
        return
    for index in shards:
        if not beside:
            name = f"shard-{index:05d}.bin"
            yield (
                _File(name, same_as=store.shard_files[index])
                if link
                else _File(name, _copy_of(store, index, "bin"))
            )
        yield _File(
            f"shard-{index:05d}.idx",
            partial(_write_index, dtype=dtype, shards=[_ends_of(store, index)]),
        )


def _datatrove(store: TokenStore, link: bool) -> Iterator[_File]:
    for index in _full_shards(store):
        record, name = store.manifest.shards[index], f"{index:05d}_tokens.ds"
        kinds: tuple[tuple[str, Literal["bin", "ends"]], ...] = (("", "bin"), (".index", "ends"))
        for suffix, kind in kinds:
            source = store.shard_files[index].with_suffix(f".{kind}")
            yield (
                _File(name + suffix, same_as=source)
                if link
                else _File(name + suffix, _copy_of(store, index, kind))
            )
        text = datatrove.metadata(store.encoding_name, store.dtype.itemsize, record.tokens)
        yield _File(f"{name}.metadata", partial(_pour, arrays=lambda: iter(()), head=text))


# -- one stream, cut at will -----------------------------------------------------------------------


class _Split(NamedTuple):
    """The ids of training and of validation: a store and a range of its tokens each."""

    training: tuple[TokenStore, int, int]
    validation: tuple[TokenStore, int, int] | None

    @classmethod
    def of(
        cls, store: TokenStore, validation: int | TokenStore | str | PathLike[str] | None
    ) -> _Split:
        """The split that was asked for; the stores must have been made with one encoding."""
        if validation is None:
            return cls((store, 0, store.num_tokens), None)
        if isinstance(validation, int):
            if not 1 <= validation < store.num_documents:
                raise InvalidInput(
                    f"validation is {validation} documents, and {store.path} has "
                    f"{store.num_documents}; it must be at least 1, and leave some to train on"
                )
            middle = token_start(store, validation)
            return cls((store, middle, store.num_tokens), (store, 0, middle))
        other = validation if isinstance(validation, TokenStore) else TokenStore(validation)
        ours, theirs = ((one.manifest.encoding, one.eot_token, one.eot) for one in (store, other))
        if ours != theirs:
            raise InvalidInput(
                f"{other.path}: made with {other.encoding_name!r}, end token {other.eot_token} "
                f"({other.eot}), but {store.path} with {store.encoding_name!r}, {store.eot_token} "
                f"({store.eot}); both must be alike"
            )
        return cls((store, 0, store.num_tokens), (other, 0, other.num_tokens))

    @property
    def stores(self) -> list[TokenStore]:
        """One or two."""
        return [part[0] for part in (self.training, self.validation) if part is not None]


def _nanogpt(split: _Split) -> Iterator[_File]:
    for store in split.stores:
        largest = max((shard.max_id or 0 for shard in store.manifest.shards), default=0)
        if largest >> 16:
            raise IdOutOfRange(
                f"{store.path}: its largest id is {largest}, and nanoGPT's files are uint16; use an "
                "encoding of at most 65536 ids, such as gpt2"
            )
    for name, part in (("train.bin", split.training), ("val.bin", split.validation)):
        if part is not None and part[2] > part[1]:
            yield _File(name, partial(_pour, arrays=partial(_narrow, *part)))


def _narrow(store: TokenStore, start: int, stop: int) -> Iterator[npt.NDArray[Any]]:
    return (ids.astype("<u2", copy=False) for ids in read_tokens(store, start, stop))


def _llmc(split: _Split, shard_tokens: int) -> Iterator[_File]:
    if not 1 <= shard_tokens <= llmc.MOST_TOKENS:
        raise InvalidInput(
            f"shard_tokens is {shard_tokens}; llm.c counts from 1 to {llmc.MOST_TOKENS} ids a file"
        )
    itemsize = max(store.dtype.itemsize for store in split.stores)
    for name, first, part in (("val", 0, split.validation), ("train", 1, split.training)):
        if part is None:
            continue
        store, start, stop = part
        for number, begin in enumerate(range(start, stop, shard_tokens), first):
            end = min(begin + shard_tokens, stop)
            yield _File(
                f"tokens_{name}_{number:06d}.bin",
                partial(
                    _pour,
                    arrays=partial(_prepended, store, start, begin, end, itemsize),
                    head=llmc.header(itemsize, end - begin),
                ),
            )


def _prepended(
    store: TokenStore, start: int, begin: int, end: int, itemsize: int
) -> Iterator[npt.NDArray[Any]]:
    """Ids ``[begin, end)`` of a range that begins at `start`, end tokens before the documents.

    The one behind the last document is moved to before the first, and all between go back by one.
    """
    dtype = np.dtype(f"<u{itemsize}")
    if store.eot == "append":
        if begin == start:
            yield np.array([store.eot_token], dtype)
            begin += 1
        begin, end = begin - 1, end - 1
    for ids in read_tokens(store, begin, end):
        yield ids.astype(dtype, copy=False)
