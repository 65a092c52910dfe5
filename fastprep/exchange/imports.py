"""import_tokens: ids that another program made, to a token store, a shard a source.

How a source becomes a shard is in :mod:`fastprep.exchange.copies`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from tqdm import tqdm

from fastprep.errors import InvalidInput, StoreExists
from fastprep.exchange import datatrove, llmc, megatron, nanogpt
from fastprep.exchange.copies import Copy
from fastprep.exchange.layouts import Source
from fastprep.jobs.job import Eot
from fastprep.jobs.job import end_token as end_token_of
from fastprep.jobs.journal import JOB, Journal
from fastprep.jobs.output import check_ours, clear, stores_in, unlock
from fastprep.store import manifest as manifests
from fastprep.store.encodings import StoreEncoding, as_encoding, keep_vocabulary
from fastprep.store.reader import TokenStore
from fastprep.system.atomic import replacing
from fastprep.words.tokenizers import SimpleTokenizerV2

FormatName = Literal["megatron", "datatrove", "nanogpt", "llmc"]
FORMATS: tuple[str, ...] = get_args(FormatName)


def import_tokens(
    inputs: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    format: FormatName,
    encoding: str | StoreEncoding | SimpleTokenizerV2,
    eot: Eot = "append",
    eot_token: str | None = None,
    link: bool = False,
    overwrite: bool = False,
    progress: bool | None = None,
) -> TokenStore:
    """Make a token store of the files of another program.

    Parameters
    ----------
    inputs
        a path or some: of Megatron-LM the ``.idx`` or ``.bin`` of each pair, of datatrove each
        ``.ds``, of nanoGPT and llm.c each ``.bin``. The ids come in that order, a shard a file.
    output
        the directory to make, as of :func:`fastprep.prepare`.
    format
        ``"megatron"``, ``"datatrove"``, ``"nanogpt"`` or ``"llmc"``.
    encoding
        what the ids were made with: no file says. Every id must be in its vocabulary.
    eot
        where the end token of each document stands: ``"append"``, ``"prepend"``, or ``"none"`` does.
        Megatron's and datatrove's files say where documents end, and are refused if it is not there
        or stands elsewhere, too. In nanoGPT's and llm.c's it is all there is to tell documents apart:
        with ``"none"`` each of their files is one document. A document at the end, or at the
        beginning, whose end token is missing gets it; llm.c's, which stand before documents, become
        end tokens behind them unless this is ``"prepend"``.
    eot_token
        which of the encoding's special tokens that is; by default its ``<|endoftext|>``.
    link
        do not copy ids whose bytes are a shard's already: make a hard link, or on another file
        system a symbolic one. They are read and checked all the same. What is later written into the
        file is then in the store, too, and :func:`fastprep.verify` will find it.
    overwrite
        whether to replace a store.
    progress
        whether to show a progress bar on stderr; by default when it is a terminal.

    Returns
    -------
    TokenStore
        the new store, open.

    Raises
    ------
    InvalidInput
        for a file that is missing, cut or of another format, for document ends that contradict the
        ids, and where a link was asked for and the bytes differ.
    IdOutOfRange
        for an id that the encoding does not have, naming file and place.
    StoreExists
        as :func:`fastprep.prepare`.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> directory = Path(tempfile.mkdtemp())
    >>> np.array([3198, 13, 50256, 7571, 13, 50256], np.uint16).tofile(directory / "train.bin")
    >>> store = import_tokens(
    ...     directory / "train.bin", directory / "store", format="nanogpt", encoding="gpt2"
    ... )
    >>> store.document(1).tolist()
    [7571, 13, 50256]
    """
    if format not in FORMATS:
        raise InvalidInput(f"format is {format!r}; the known ones are {', '.join(FORMATS)}")
    chosen = as_encoding(encoding)
    end_token = end_token_of(chosen, eot, eot_token)
    paths = [Path(inputs)] if isinstance(inputs, (str, PathLike)) else list(map(Path, inputs))
    if not paths:
        raise InvalidInput("no inputs; pass at least one file")
    copy = Copy(Path(output), chosen, end_token, eot == "prepend", link)
    sources = _sources(paths, format, copy)
    for source in sources:
        copy.check(source)
    with _alone_in(copy.output, overwrite):
        with tqdm(
            total=sum(
                part.size * part.dtype.itemsize for source in sources for part in source.parts
            ),
            desc="import",
            unit="B",
            unit_scale=True,
            disable=not (sys.stderr.isatty() if progress is None else progress),
        ) as bar:
            records = [copy.run(index, source, bar.update) for index, source in enumerate(sources)]
        if not any(record.documents for record in records):
            raise InvalidInput(f"no documents found in {paths[0]}; every input is empty")
        keep_vocabulary(chosen, [copy.output])
        with replacing(copy.output / manifests.MANIFEST) as file:
            file.write(manifests.encode(copy.manifest(records)))
    return TokenStore(copy.output)


@contextlib.contextmanager
def _alone_in(output: Path, overwrite: bool) -> Iterator[None]:
    """Have an empty directory to oneself; if the block raises it is empty again."""
    check_ours(output)
    if not overwrite and (stores_in(output) or (output / JOB).exists()):
        what = "unfinished work" if (output / JOB).exists() else "a token store already"
        raise StoreExists(
            f"{output}: {what}; pass overwrite=True (--overwrite) to replace it, or choose another "
            "output"
        )
    output.mkdir(parents=True, exist_ok=True)
    with Journal(output).running(shared=False):
        try:
            clear(output)
            yield
        except BaseException:
            clear(output)
            raise
        finally:
            unlock(output)


def _sources(paths: list[Path], form: str, copy: Copy) -> list[Source]:
    if form == "llmc":
        return llmc.read(paths, copy.end_token, to_front=copy.first)
    read = {"megatron": megatron.read, "datatrove": datatrove.read, "nanogpt": nanogpt.read}[form]
    return [read(path) for path in paths]
