"""import_tokens: a token store from the ids of another program, one shard per source.

:mod:`fastprep.exchange.copies` copies the shards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

from fastprep.errors import InvalidArgument, InvalidInput, StoreExists, WrongType
from fastprep.exchange import datatrove, llmc, megatron
from fastprep.exchange.copies import ShardCopier
from fastprep.exchange.formats import FORMATS, FormatName
from fastprep.exchange.layouts import ShardSource, read_nanogpt
from fastprep.jobs.job import end_token as end_token_of
from fastprep.jobs.journal import JOB, Journal
from fastprep.jobs.output import check_output, check_parent, clear, find_manifests, remove_locks
from fastprep.store.encodings import EncodingLike, as_encoding, keep_vocabulary
from fastprep.store.index import write_manifest
from fastprep.store.manifest import Eot
from fastprep.store.reader import TokenStore
from fastprep.system.arguments import local_path
from fastprep.system.bars import Progress, bar_of


def import_tokens(
    inputs: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    format: FormatName,
    encoding: EncodingLike,
    eot: Eot = "append",
    eot_token: str | None = None,
    link: bool = False,
    overwrite: bool = False,
    progress: Progress = None,
) -> TokenStore:
    """Create a token store from the files of another program.

    Parameters
    ----------
    inputs
        one path or several: for Megatron-LM the ``.idx`` or ``.bin`` of each pair, for datatrove
        each ``.ds``, for nanoGPT and llm.c each ``.bin``. The ids come in that order, one shard
        per file.
    output
        the directory to create, as for :func:`fastprep.prepare`.
    format
        ``"megatron"``, ``"datatrove"``, ``"nanogpt"`` or ``"llmc"``.
    encoding
        the encoding that made the ids, which no file records. Every id must be in its vocabulary.
    eot
        where each document has its end token: ``"append"``, ``"prepend"``, or ``"none"`` for none.
        Megatron's and datatrove's files record document ends, and are refused if an end token is
        missing or is anywhere else. In nanoGPT's and llm.c's only end tokens separate documents:
        with ``"none"`` each of their files is one document. If the end token of a document at the
        end, or at the start, of a file is missing, it is added; those of llm.c, which precede
        documents, are moved to their ends unless this is ``"prepend"``.
    eot_token
        the special token of the encoding to use as the end token; by default ``<|endoftext|>``.
    link
        if the bytes of the ids are those of a shard, create a hard link, or across file systems a
        symbolic one, instead of a copy. The ids are read and checked all the same. A later write
        to the file then changes the store, and :func:`fastprep.verify` will find it.
    overwrite
        whether to replace a store.
    progress
        whether to show a progress bar on stderr; by default if that is a terminal.

    Returns
    -------
    TokenStore
        the new store: ids uint16 or uint32, by the size of the vocabulary.

    Raises
    ------
    InvalidInput
        for a file that is missing, truncated or of another format, for document ends that
        contradict the ids, and if a link is requested and the bytes differ.
    IdOutOfRange
        for an id that the encoding does not have, with its file and index.
    StoreExists
        as for :func:`fastprep.prepare`.

    Examples
    --------
    >>> import numpy as np
    >>> np.array([3198, 13, 50256, 7571, 13, 50256], np.uint16).tofile(tmp / "train.bin")
    >>> store = import_tokens(
    ...     tmp / "train.bin", tmp / "store", format="nanogpt", encoding="gpt2"
    ... )
    >>> store.document(1).tolist()
    [7571, 13, 50256]
    """
    if format not in FORMATS:
        raise InvalidArgument(f"format is {format!r}; the known formats are {', '.join(FORMATS)}")
    chosen = as_encoding(encoding)
    end_token = end_token_of(chosen, eot, eot_token)
    if isinstance(inputs, (bytes, type)) or not isinstance(inputs, (str, PathLike, Iterable)):
        raise WrongType(f"inputs is {inputs!r:.80}; pass a path, or a list of paths")
    given = [inputs] if isinstance(inputs, (str, PathLike)) else inputs
    paths = [local_path(path, "an input") for path in given]
    if not paths:
        raise InvalidInput("no inputs; pass at least one file")
    where = local_path(output, "the output")
    check_parent(where)
    copier = ShardCopier(where, chosen, end_token, eot == "prepend", link)
    sources = _sources(paths, format, copier)
    for source in sources:
        copier.check(source)
    with _exclusive(copier.output, overwrite):
        size = sum(
            part.num_ids * part.dtype.itemsize for source in sources for part in source.ranges
        )
        with bar_of(progress, size, "import") as update:
            records = [copier.copy(index, source, update) for index, source in enumerate(sources)]
        if not any(record.documents for record in records):
            raise InvalidInput(f"no documents found in {paths[0]}; every input is empty")
        keep_vocabulary(chosen, [copier.output])
        write_manifest(copier.output, copier.manifest(records))
    return TokenStore(copier.output)


@contextlib.contextmanager
def _exclusive(output: Path, overwrite: bool) -> Iterator[None]:
    """Lock an empty output directory during the block, and clear it again if the block raises."""
    check_output(output)
    if not overwrite and (find_manifests(output) or (output / JOB).exists()):
        what = "unfinished work" if (output / JOB).exists() else "a token store already"
        raise StoreExists(
            f"{output}: {what}; pass overwrite=True (--overwrite) to replace it, or choose another "
            "output"
        )
    output.mkdir(parents=True, exist_ok=True)
    with Journal(output).lock_run(shared=False):
        try:
            clear(output)
            yield
        except BaseException:
            clear(output)
            raise
        finally:
            remove_locks(output)


def _sources(paths: list[Path], format: str, copier: ShardCopier) -> list[ShardSource]:
    if format == "llmc":
        return llmc.read(paths, copier.end_token, prepend=copier.prepend)
    read = {"megatron": megatron.read, "datatrove": datatrove.read, "nanogpt": read_nanogpt}[format]
    return [read(path) for path in paths]
