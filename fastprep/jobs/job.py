"""What a job is: the settings and inputs that its store's bytes depend on, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import msgspec

from fastprep.corpus.documents import Format, OnError
from fastprep.errors import InvalidInput
from fastprep.store.manifest import Count, EncodingRecord, Eot, TokenId, part_directories
from fastprep.store.validation import ValidationDraw
from fastprep.vocabulary.published import ENDOFTEXT

if TYPE_CHECKING:
    from fastprep.store.encodings import StoreEncoding


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that the job reads, and how many bytes it had when the job was planned."""

    path: str
    size: Count


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings, inputs and plan of one call to :func:`fastprep.prepare`.

    Two equal jobs make the same bytes. ``shards`` says how many tasks the plan has; which spans each
    of them has follows from the inputs, the form and ``shard_bytes``.
    """

    format: Literal["fastprep job"] = "fastprep job"
    version: Literal[1] = 1
    encoding: EncodingRecord
    n_vocab: Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]
    end_token: TokenId | None
    end_token_first: bool
    separator: str | None
    field: str
    on_error: OnError
    validation: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    shard_bytes: Annotated[int, msgspec.Meta(ge=1)]
    shards: Annotated[int, msgspec.Meta(ge=1)]
    inputs: list[Input]

    @property
    def eot(self) -> Eot:
        """Where the end token stands."""
        if self.end_token is None:
            return "none"
        return "prepend" if self.end_token_first else "append"

    @property
    def form(self) -> Format:
        """How documents lie in the inputs."""
        return Format(separator=self.separator, field=self.field, on_error=self.on_error)

    @property
    def draw(self) -> ValidationDraw | None:
        """What draws documents for validation, if any are drawn."""
        return ValidationDraw(self.validation) if self.validation else None

    def directories(self, output: Path) -> list[Path]:
        """Where the job's stores lie: in the output itself, or in one directory for each part."""
        return part_directories(output) if self.validation else [output]


def encoding_record(encoding: StoreEncoding) -> EncodingRecord:
    """What a manifest says of an encoding.

    Examples
    --------
    >>> from fastprep import get_encoding
    >>> encoding_record(get_encoding("gpt2")).special_tokens
    {'<|endoftext|>': 50256}
    """
    return EncodingRecord(
        name=encoding.name,
        rank_table_sha256=encoding.rank_table_sha256,
        pattern=encoding.pat_str,
        special_tokens=dict(encoding.special_tokens),
        kind=encoding.kind,
    )


def end_token(encoding: StoreEncoding, eot: Eot, eot_token: str | None) -> int | None:
    """The id that stands at one end of each document, if one does.

    Examples
    --------
    >>> from fastprep import get_encoding
    >>> end_token(get_encoding("gpt2"), "append", None)
    50256

    Raises
    ------
    InvalidInput
        when the encoding has no such token.
    """
    if eot not in get_args(Eot):
        raise InvalidInput(f"eot is {eot!r}; it is one of {', '.join(get_args(Eot))}")
    if eot == "none":
        if eot_token is not None:
            raise InvalidInput(f"eot is 'none', so no {eot_token!r} is put anywhere; leave one out")
        return None
    token = ENDOFTEXT if eot_token is None else eot_token
    found = encoding.special_tokens.get(token)
    if found is None:
        there = ", ".join(sorted(encoding.special_tokens_set)[:10]) or "none"
        raise InvalidInput(
            f"the encoding {encoding.name!r} has no {token} to {eot} to documents; pass eot='none' "
            f"(--eot none), or another of its special tokens as eot_token (--eot-token): {there}"
        )
    return found


def differences(then: Job, now: Job) -> list[str]:
    """In what two jobs differ, in the words of their user.

    What becomes of bad documents is no difference between jobs: it matters to the shards that have
    some, and to no others.

    Examples
    --------
    >>> record = EncodingRecord(
    ...     name="gpt2", rank_table_sha256="0" * 64, pattern=".", special_tokens={}
    ... )
    >>> job = Job(
    ...     encoding=record, n_vocab=9, end_token=None, end_token_first=False, separator=None,
    ...     field="text", on_error="raise", validation=0.0, shard_bytes=9, shards=1,
    ...     inputs=[Input("a.txt", 5)],
    ... )
    >>> differences(job, msgspec.structs.replace(job, field="body", inputs=[Input("a.txt", 6)]))
    ["field was 'text' and is 'body'", 'a.txt had 5 bytes and has 6']
    """
    found = []
    names = ["eot", "separator", "field", "validation", "shard_bytes"]
    if then.encoding.name != now.encoding.name:
        found.append(f"encoding was {then.encoding.name!r} and is {now.encoding.name!r}")
    elif (then.encoding, then.n_vocab) != (now.encoding, now.n_vocab):
        found.append(f"the encoding {now.encoding.name!r} has other tables, pattern or tokens")
    elif then.eot == now.eot:
        names.append("end_token")  # of the same tables another one: it was asked for
    for name in names:
        before, after = getattr(then, name), getattr(now, name)
        if before != after:
            found.append(f"{name} was {before!r} and is {after!r}")
    found += _input_differences(then.inputs, now.inputs)
    if not found and then.shards != now.shards:
        found.append(f"the plan had {then.shards} shards and has {now.shards}")
    return found


def _input_differences(then: list[Input], now: list[Input]) -> list[str]:
    if then == now:
        return []
    before = {entry.path: entry.size for entry in then}
    after = {entry.path: entry.size for entry in now}
    found = [
        f"{path} had {size} bytes and has {after[path]}"
        for path, size in before.items()
        if path in after and after[path] != size
    ]
    found += [f"{path} is no longer an input" for path in before if path not in after]
    found += [f"{path} was no input" for path in after if path not in before]
    return found or ["the inputs stand in another order"]
