"""import_tokens: ids that another program made, to a token store.

The ids are copied as they are, in order; each is held against the vocabulary, each document end
against the ids, and all of it is checksummed on the way. Memory is a few MiB, whatever the files hold.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from fastprep import datatrove, llmc, megatron, nanogpt
from fastprep import manifest as manifests
from fastprep.atomic import replacing
from fastprep.encoding import Encoding
from fastprep.errors import IdOutOfRange, InvalidInput
from fastprep.foreign import Ends, Part, Source, link_or_symlink, read_ids
from fastprep.manifest import BlockChecksum, ShardRecord, shard_path
from fastprep.preparing import Job, _as_paths, _end_token, _make_room, _manifest, _remove_ours
from fastprep.registry import get_encoding
from fastprep.spans import BLOCK_BYTES, Format, Span
from fastprep.store import TokenStore

FormatName = Literal["megatron", "datatrove", "nanogpt", "llmc"]
FORMATS: tuple[str, ...] = get_args(FormatName)
_NO_EOT = "pass append_eot=False (--no-eot) to import the ids without that promise"


def import_tokens(
    inputs: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    format: FormatName,
    encoding: str | Encoding,
    append_eot: bool | str = True,
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
    append_eot
        the end token that stands at the end of each document and nowhere else: the encoding's
        ``eot_token``, another special token, or none. Megatron's and datatrove's files say where
        documents end, and are refused if it is not there. In nanoGPT's and llm.c's it is all there is
        to tell documents apart: with False each of their files is one document. A last document that
        nothing closes gets its end token; so do llm.c's, where the tokens stand before documents.
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
    chosen = get_encoding(encoding) if isinstance(encoding, str) else encoding
    end_token = _end_token(chosen, append_eot)
    sources = _sources([Path(path) for path in _as_paths(inputs)], format, end_token)
    copy = _Copy(Path(output), chosen, end_token, link)
    for source in sources:
        copy.check(source)
        for part in source.parts:
            if part.path.resolve().parent == copy.output.resolve():
                raise InvalidInput(
                    f"{part.path}: an input inside the output would be replaced; choose another output"
                )
    _make_room(copy.output, overwrite)
    with tqdm(
        total=sum(part.size * part.dtype.itemsize for source in sources for part in source.parts),
        desc="import",
        unit="B",
        unit_scale=True,
        disable=not (sys.stderr.isatty() if progress is None else progress),
    ) as bar:
        try:
            records = [copy.run(index, source, bar.update) for index, source in enumerate(sources)]
            if not any(record.documents for record in records):
                raise InvalidInput(f"no documents found in {inputs}; every input is empty")
        except BaseException:
            _remove_ours(copy.output)
            raise
    job = Job(copy.output, chosen, Format(separator=None), end_token, BLOCK_BYTES)
    with replacing(copy.output / manifests.MANIFEST) as file:
        file.write(manifests.encode(_manifest(job, records)))
    return TokenStore(copy.output)


def _sources(paths: list[Path], form: str, end_token: int | None) -> list[Source]:
    if form == "llmc":
        return llmc.read(paths, end_token)
    read = {"megatron": megatron.read, "datatrove": datatrove.read, "nanogpt": nanogpt.read}[form]
    return [read(path) for path in paths]


class _Copy(NamedTuple):
    """What the shards of one import have in common."""

    output: Path
    encoding: Encoding
    end_token: int | None
    link: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(manifests.dtype_for(self.encoding.n_vocab)).newbyteorder("<")

    def check(self, source: Source) -> None:
        """Refuse what can be seen to be wrong before any id is read."""
        for part in source.parts:
            if part.size and part.dtype.itemsize < 4 and self.encoding.n_vocab > 1 << 16:
                raise InvalidInput(
                    f"{part.path}: ids of {8 * part.dtype.itemsize} bits cannot be those of "
                    f"{self.encoding.name!r}, which has {self.encoding.n_vocab}: another encoding made "
                    "them, or they overflowed; name the right encoding, or make them again"
                )
        if self.link:
            for part in source.parts:
                if part.offset or len(source.parts) > 1 or source.opens:
                    raise InvalidInput(
                        f"{part.path}: a header or an end token would have to be taken off, so its "
                        "bytes are no shard's; import without link (--link)"
                    )
                if part.dtype.itemsize != self.dtype.itemsize:
                    raise InvalidInput(
                        f"{part.path}: ids of {part.dtype.itemsize} bytes, and a store of "
                        f"{self.encoding.name!r} has {self.dtype.itemsize}; import without link (--link)"
                    )

    def run(self, index: int, source: Source, report: Callable[[int], object]) -> ShardRecord:
        """Copy and check what becomes one shard."""
        ids_path, ends_path = (shard_path(self.output, index, kind) for kind in ("bin", "ends"))
        if source.ends is not None:
            with replacing(ends_path) as file:
                ends = _write_told_ends(source, _Checked(file), strict=self.end_token is not None)
        with contextlib.ExitStack() as stack:
            target = None if self.link else stack.enter_context(replacing(ids_path))
            ids_out = _Checked(target)
            if source.ends is not None:
                told = _mapped_ends(ends_path, ends.items)
                max_id = self._copy_told(source, told, ids_out, report)
            else:
                ends = _Checked(stack.enter_context(replacing(ends_path)))
                max_id = self._copy_found(source, ids_out, ends, report)
        if self.link:
            link_or_symlink(source.parts[0].path, ids_path)
        return ShardRecord(
            tokens=ids_out.items,
            documents=ends.items,
            max_id=max_id if ids_out.items else None,
            bin_crc32=ids_out.checksum.values(),
            ends_crc32=ends.checksum.values(),
            inputs=_spans(source),
        )

    def _copy_told(
        self, source: Source, ends: Ends, out: _Checked, report: Callable[[int], object]
    ) -> int:
        """Copy ids whose documents end where `ends` says; the largest of them."""
        largest = -1
        for part, ids in self._checked_ids(source):
            if self.end_token is not None:
                low, high = np.searchsorted(
                    ends, np.array([out.items, out.items + len(ids)], np.uint64), "right"
                )
                closing = ids[(ends[low:high] - np.uint64(out.items + 1)).astype(np.int64)]
                wrong = closing != self.end_token
                if wrong.any():
                    document = int(low) + int(wrong.argmax())
                    raise InvalidInput(
                        f"{part.path}: document {document} ends in {closing[wrong.argmax()]}, not in "
                        f"the end token {self.end_token}; {_NO_EOT}"
                    )
                if np.count_nonzero(ids == self.end_token) != high - low:
                    at = np.setdiff1d(
                        np.flatnonzero(ids == self.end_token) + out.items + 1, ends[low:high]
                    )
                    raise InvalidInput(
                        f"{part.path}: the end token {self.end_token} stands inside a document, at id "
                        f"{int(at[0]) - 1}; {_NO_EOT}"
                    )
            largest = max(largest, int(ids.max()))
            out.write(ids)
            report(ids.nbytes)
        return largest

    def _copy_found(
        self, source: Source, out: _Checked, ends: _Checked, report: Callable[[int], object]
    ) -> int:
        """Copy ids whose documents end behind each end token; the largest of them."""
        largest, last = -1, None
        for _, ids in self._checked_ids(source):
            if self.end_token is not None:
                found = np.flatnonzero(ids == self.end_token).astype("<u8")
                ends.write(found + np.uint64(out.items + 1))
            largest = max(largest, int(ids.max()))
            last = int(ids[-1])
            out.write(ids)
            report(ids.nbytes)
        if self.end_token is None:
            if out.items:
                ends.write(np.array([out.items], "<u8"))
        elif source.opens or last not in (None, self.end_token):
            if self.link:
                raise InvalidInput(
                    f"{source.parts[0].path}: its last document is not closed by the end token "
                    f"{self.end_token}, which would have to be added; import without link (--link)"
                )
            out.write(np.array([self.end_token], self.dtype))
            ends.write(np.array([out.items], "<u8"))
            largest = max(largest, self.end_token)
        return largest

    def _checked_ids(self, source: Source) -> Iterator[tuple[Part, npt.NDArray[Any]]]:
        """The ids of all parts in the store's dtype, each inside the vocabulary."""
        for part in source.parts:
            start = 0
            for ids in read_ids(part):
                wrong = ids >= self.encoding.n_vocab
                if part.dtype.kind == "i":
                    wrong |= ids < 0
                if wrong.any():
                    at = int(wrong.argmax())
                    raise IdOutOfRange(
                        f"{part.path}: id {start + at} from its start is {ids[at]}, outside the "
                        f"vocabulary of {self.encoding.name!r}, which has {self.encoding.n_vocab}; "
                        "name the encoding that made it, or check what the file is"
                    )
                yield part, ids.astype(self.dtype, copy=False)
                start += len(ids)


class _Checked:
    """Arrays to a file, or nowhere, with their checksums and how many items there were."""

    def __init__(self, file: BinaryIO | None) -> None:
        self._file = file
        self.checksum = BlockChecksum()
        self.items = 0

    def write(self, array: npt.NDArray[Any]) -> None:
        if len(array):
            content = memoryview(np.ascontiguousarray(array)).cast("B")
            self.checksum.update(content)
            if self._file is not None:
                self._file.write(content)
            self.items += len(array)


def _write_told_ends(source: Source, out: _Checked, *, strict: bool) -> _Checked:
    """Write the document ends that a format tells; with `strict` no document may be empty."""
    path, before = source.parts[0].path, 0
    for ends in source.ends() if source.ends else ():
        if not len(ends):
            continue
        previous = np.concatenate([np.array([before], np.uint64), ends[:-1]])
        wrong = (ends <= previous) if strict else (ends < previous)
        if wrong.any():
            at = int(wrong.argmax())
            raise InvalidInput(
                f"{path}: document {out.items + at} ends at id {ends[at]}, and the one before it at "
                f"{previous[at]}; "
                + (
                    f"a document without ids has no end token; {_NO_EOT}"
                    if ends[at] == previous[at]
                    else "the index is damaged: copy it again"
                )
            )
        before = int(ends[-1])
        out.write(ends.astype("<u8", copy=False))
    if before != source.size:
        raise InvalidInput(
            f"{path}: {source.size} ids, but the last document ends at {before}; the index belongs to "
            "another file, or one of them is cut"
        )
    return out


def _mapped_ends(path: Path, count: int) -> Ends:
    if not count:  # the system maps no empty file
        return np.empty(0, "<u8")
    return np.memmap(path, "<u8", "r", 0, (count,)).view(np.ndarray)


def _spans(source: Source) -> list[Span]:
    spans = []
    for part in source.parts:
        stop = part.offset + part.size * part.dtype.itemsize
        spans.append(Span(part.path.as_posix(), part.offset, stop, part.path.stat().st_size))
    return spans
