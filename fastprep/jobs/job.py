"""A job: the settings and inputs that determine the bytes of its store, and the plan that follows."""

from __future__ import annotations

from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeAlias,
    cast,
    get_args,
)

import msgspec
from msgspec import UNSET

from fastprep.chat.encoder import ChatEncoder
from fastprep.corpus.documents import Format, OnError
from fastprep.corpus.in_memory import TableSpan
from fastprep.corpus.inputs import Inputs, find
from fastprep.corpus.passed_over import PassedOver, Tally
from fastprep.corpus.plan import Task, default_shard_bytes, plan
from fastprep.corpus.reader import import_readers
from fastprep.corpus.sources import empty
from fastprep.errors import InvalidArgument
from fastprep.jobs.shares import Input
from fastprep.store.infill import infill_of
from fastprep.store.manifest import (
    MASK_BIT,
    MAX_SEED,
    ConfigurationRecord,
    Count,
    EncodingRecord,
    Eot,
    InfillRecord,
    Manifest,
    MessagesRecord,
    Seed,
    TokenId,
    part_directories,
)
from fastprep.store.validation import ValidationDraw
from fastprep.system.arguments import whole_number
from fastprep.system.sizes import fraction, number_of_bytes
from fastprep.vocabulary.published import ENDOFTEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastprep.chat.templates import TemplateFunction
    from fastprep.store.encodings import StoreEncoding

#: A special token by its name or id, True for the encoding's own, False for none; None is the default.
SpecialLike: TypeAlias = str | int | bool | None
# Settings whose name in a job is another one.
_OPTIONS = {"input_format": "format", "begin_token": "bos", "infill": "fim_rate"}


class Settings(NamedTuple):
    """The settings of :func:`fastprep.prepare` that the store's bytes depend on, with its defaults."""

    separator: str | None = ENDOFTEXT
    field: str = "text"
    on_error: OnError = "raise"
    eot: Eot = "append"
    eot_token: str | None = None
    validation: float | str = 0.0
    shard_bytes: int | str | None = None
    format: str | None = None
    zstd_window: int | None = None
    validation_documents: int | None = None
    shuffle: int | None = None
    bos: SpecialLike = None
    eos: SpecialLike = None
    messages: str | None = None
    template: str | Path | TemplateFunction | ChatEncoder | None = None
    template_variables: Mapping[str, Any] | None = None
    special_text: bool = False
    fim_rate: float | str = 0.0
    fim_spm_rate: float | str = 0.5
    fim_seed: int = 0
    fim_tokens: Sequence[str] | None = None

    @property
    def form(self) -> Format:
        """How documents are stored in the inputs."""
        return Format(
            self.separator,
            self.field if self.messages is None else self.messages,
            self.on_error,
            self.format,
            self.zstd_window,
            self.messages is not None,
        )


class Base(NamedTuple):
    """A store to append to: its inputs, its number of shards, and the sha256 of each manifest."""

    paths: frozenset[str]
    shards: int
    sha256: list[str]


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings, inputs and plan of one call to :func:`fastprep.prepare`.

    Equal jobs make equal bytes. `shards` is the number of tasks in the plan; the spans of each follow
    from the inputs, the form and `shard_bytes`. A job that appends to a store numbers its shards from
    `first_shard` on, and `base` has the sha256 of the manifest of each part before. `moves` are the old
    and new numbers of finished shards, which are being renumbered unless the `phase` is ``"run"``; see
    :mod:`fastprep.jobs.replan`. `passed_over` is what folders and patterns among the inputs passed over;
    it is recorded, and jobs that differ only in it, or in `configuration`, are the same.
    """

    format: Literal["fastprep job"] = "fastprep job"
    version: Literal[1, 2] = 2  # version 1 divided small files in another way
    encoding: EncodingRecord
    n_vocab: Annotated[int, msgspec.Meta(ge=1, le=1 << 32)]
    end_token: TokenId | None
    end_token_first: bool
    begin_token: TokenId | None = None
    separator: str | None
    field: str
    on_error: OnError
    validation: Annotated[float, msgspec.Meta(ge=0, lt=1)]
    shard_bytes: Annotated[int, msgspec.Meta(ge=1)]
    shards: Annotated[int, msgspec.Meta(ge=1)]
    inputs: list[Input]
    validation_documents: Annotated[int, msgspec.Meta(ge=1)] | None = None
    shuffle: Seed | None = None
    messages: MessagesRecord | None = None
    infill: InfillRecord | None = None
    input_format: str | None = None
    zstd_window: int | None = None
    configuration: ConfigurationRecord | None = None
    passed_over: list[PassedOver] = []
    first_shard: Count = 0
    base: list[str] = []
    moves: list[tuple[Count, Count]] = []
    phase: Literal["run", "move", "moved"] = "run"

    @property
    def numbers(self) -> range:
        """The numbers of the job's shards."""
        return range(self.first_shard, self.first_shard + self.shards)

    @property
    def eot(self) -> Eot:
        """Where the end token of a document is."""
        if self.end_token is None:
            return "none"
        return "prepend" if self.end_token_first else "append"

    @property
    def form(self) -> Format:
        """How documents are stored in the inputs."""
        return Format(
            self.separator,
            self.field,
            self.on_error,
            self.input_format,
            self.zstd_window,
            self.messages is not None,
        )

    @property
    def draw(self) -> ValidationDraw | None:
        """The rule that draws documents for validation, or None if none are, or a number of them."""
        return ValidationDraw(self.validation) if self.validation else None

    @property
    def has_parts(self) -> bool:
        """Whether the job makes a store for training and one for validation."""
        return bool(self.validation or self.validation_documents)

    @property
    def has_drafts(self) -> bool:
        """Whether tasks write drafts, whose documents a second step puts in order."""
        return self.shuffle is not None or self.validation_documents is not None

    def directories(self, output: Path) -> list[Path]:
        """Return the directories of the job's stores: the output, or one in it for each part."""
        return part_directories(output) if self.has_parts else [output]


def make_job(
    inputs: Inputs,
    encoding: StoreEncoding,
    settings: Settings,
    *,
    shard_bytes: int | None = None,
    base: Base | None = None,
) -> tuple[Job, list[Task]]:
    """Return the job of a call to :func:`fastprep.prepare`, and its tasks, one per shard.

    `shard_bytes` is the default of that setting; None computes it from the inputs. With `base` it is
    the job that appends the inputs which that store does not have yet.

    Raises InvalidInput if a setting is out of range, or an input is missing, empty or of an unknown
    kind, and MissingExtra, with the name of the input, for a package that is needed to read it.
    """
    if settings.shard_bytes is not None:
        shard_bytes = number_of_bytes(settings.shard_bytes, "shard_bytes")
    shuffle = settings.shuffle
    if shuffle is not None:
        shuffle = whole_number(shuffle, "shuffle", 0, MAX_SEED)
    validation, validation_documents = validation_of(settings)
    chats = chats_of(settings, encoding)
    infill = infill_of(
        settings.fim_rate,
        settings.fim_spm_rate,
        settings.fim_seed,
        settings.fim_tokens,
        encoding,
    )
    if chats is not None and infill is not None:
        raise InvalidArgument(
            "fim_rate (--fim-rate) rearranges documents of text, not conversations; omit it, or messages"
        )
    form = settings.form
    ends = DocumentTokens(None, None, False)
    if chats is None:
        ends = document_tokens(encoding, settings)
    passed = Tally()
    spans = find(inputs, form, passed)
    if base is not None:
        spans = [span for span in spans if span.path not in base.paths]
    import_readers(spans, form)
    if settings.on_error == "raise":
        # At the start, not in the last hour of the work.
        for span in spans:
            if not span.size and not isinstance(span, TableSpan):
                raise empty(span)
    if shard_bytes is None:
        shard_bytes = default_shard_bytes(spans)
    tasks = plan(spans, form, shard_bytes=shard_bytes)
    job = Job(
        encoding=encoding_record(encoding),
        n_vocab=encoding.n_vocab,
        end_token=ends.end,
        end_token_first=ends.end_first,
        begin_token=ends.begin,
        separator=settings.separator,
        field=form.field,
        on_error=settings.on_error,
        validation=validation,
        validation_documents=validation_documents,
        shuffle=shuffle,
        messages=None if chats is None else messages_record(chats),
        infill=infill,
        shard_bytes=shard_bytes,
        shards=len(tasks),
        inputs=[Input(span.path, span.size) for span in spans],
        input_format=form.format,
        zstd_window=form.zstd_window,
        configuration=configuration_record(encoding),
        passed_over=passed.records(),
        first_shard=0 if base is None else base.shards,
        base=[] if base is None else base.sha256,
    )
    return job, tasks


def job_of(manifest: Manifest) -> Job:
    """Return the job that made a store, or would make it at once if it was appended to.

    The manifest of another version may lack `shard_bytes`, which is then 1.
    """
    sizes = {span.path: span.size for shard in manifest.shards for span in shard.inputs}
    part = manifest.part
    return Job(
        encoding=manifest.encoding,
        n_vocab=manifest.n_vocab,
        end_token=manifest.end_token,
        end_token_first=manifest.end_token_first,
        begin_token=None if manifest.begin_token is UNSET else manifest.begin_token,
        separator=manifest.separator,
        field=manifest.field,
        on_error=manifest.on_error,
        validation=part.validation if part else 0.0,
        validation_documents=(part.validation_documents or None) if part else None,
        shuffle=None if manifest.shuffle is UNSET else manifest.shuffle,
        messages=manifest.messages or None,
        infill=manifest.infill or None,
        shard_bytes=manifest.shard_bytes or 1,
        shards=max(len(manifest.shards), 1),
        inputs=[Input(path, size) for path, size in sizes.items()],
        input_format=manifest.input_format,
        zstd_window=manifest.zstd_window,
    )


def chats_of(settings: Settings, encoding: StoreEncoding) -> ChatEncoder | None:
    """Return the encoder of conversations of a job, None if its documents are texts.

    Raises InvalidArgument for settings that exclude each other, and for a template that cannot be used.
    """
    if isinstance(settings.template, ChatEncoder):
        return settings.template
    if settings.messages is None:
        for name in ("template", "template_variables", "special_text"):
            if getattr(settings, name):
                raise InvalidArgument(
                    f"{name} is for conversations; name the field of the messages with messages "
                    "(--messages)"
                )
        return None
    given = [name for name in ("eot_token", "bos", "eos") if getattr(settings, name) is not None]
    if settings.eot != "append":
        given.append("eot")
    if given:
        raise InvalidArgument(
            "a chat template writes the tokens at the ends of a conversation; omit "
            f"{' and '.join(given)} (--eot, --eot-token, --bos, --eos)"
        )
    if settings.on_error == "replace":
        raise InvalidArgument(
            "on_error='replace' has nothing to replace a conversation by; pass 'skip' (--on-error skip)"
        )
    if settings.field != "text":
        raise InvalidArgument(
            "field (--field) is for documents of text; messages (--messages) names the field of messages"
        )
    if (settings.shuffle is not None or settings.validation_documents) and (
        encoding.n_vocab > 1 << MASK_BIT
    ):
        raise InvalidArgument(
            "conversations are shuffled with ids below 2**31; omit shuffle and validation_documents"
        )
    return ChatEncoder(
        cast(Any, encoding),
        settings.template,
        settings.template_variables,
        bool(settings.special_text),
    )


def with_chats(
    settings: Settings, given: object, encoding: StoreEncoding
) -> tuple[Settings, ChatEncoder | None]:
    """Return settings with the encoder of conversations in place of its template, and that encoder.

    `given` is what the caller passed as the encoding. Raises as :func:`chats_of`.
    """
    settings = _with_own_template(settings, given)
    chats = chats_of(settings, encoding)
    return (settings if chats is None else settings._replace(template=chats)), chats


def _with_own_template(settings: Settings, encoding: object) -> Settings:
    """Return settings with the chat template of a tokenizer of transformers, unless one is given."""
    text = getattr(encoding, "chat_template", None)
    if settings.messages is None or settings.template is not None or not isinstance(text, str):
        return settings
    named = getattr(encoding, "special_tokens_map", {})
    tokens = {key: str(value) for key, value in named.items() if key.endswith("_token")}
    variables = {**tokens, **(settings.template_variables or {})}
    return settings._replace(template=text, template_variables=variables)


def messages_record(chats: ChatEncoder) -> MessagesRecord:
    """Return the record of an encoder of conversations for a manifest."""
    template = chats.template
    return MessagesRecord(
        template=template.name,
        kind=template.kind,
        sha256=template.sha256,
        variables=template.variables,
        special_text=chats.special_text,
    )


def validation_of(settings: Settings) -> tuple[float, int | None]:
    """Return the fraction of the documents for validation, and the number of them, if it is exact.

    >>> validation_of(Settings(validation="1%")), validation_of(Settings(validation_documents=5))
    ((0.01, None), (0.0, 5))

    Raises InvalidArgument if one is out of range, or both are given.
    """
    hint = "; for a number of documents pass validation_documents (--validation-documents)"
    share = fraction(settings.validation, "validation", hint)
    if settings.validation_documents is None:
        return share, None
    if share:
        raise InvalidArgument(
            "validation and validation_documents are both given; pass one of them"
        )
    return share, whole_number(settings.validation_documents, "validation_documents")


def encoding_record(encoding: StoreEncoding) -> EncodingRecord:
    """Return the record of an encoding for a manifest.

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


def configuration_record(encoding: StoreEncoding) -> ConfigurationRecord | None:
    """Return the record of what the files beside a vocabulary say, or None if they say nothing."""
    recipe = getattr(encoding, "recipe", None)
    if recipe is None or not (recipe.roles or any(recipe.template)):
        return None
    before, after = map(list, recipe.template)
    return ConfigurationRecord(dict(recipe.roles), before, after)


class DocumentTokens(NamedTuple):
    """The ids at the ends of each document: `end` after it, or before it with `end_first`.

    `begin` is before it, if there is one at each end.
    """

    begin: int | None
    end: int | None
    end_first: bool


def document_tokens(encoding: StoreEncoding, settings: Settings) -> DocumentTokens:
    """Return the tokens that settings put at the ends of documents.

    >>> from fastprep import get_encoding
    >>> document_tokens(get_encoding("gpt2"), Settings(bos="<|endoftext|>"))
    DocumentTokens(begin=50256, end=50256, end_first=False)
    >>> document_tokens(get_encoding("gpt2"), Settings(bos=50256, eos=False))
    DocumentTokens(begin=None, end=50256, end_first=True)

    Raises InvalidArgument for a token that the encoding does not have, and for settings that exclude
    each other.
    """
    bos, eos, eot = settings.bos, settings.eos, settings.eot
    if eos is not None and (eot != "append" or settings.eot_token is not None):
        raise InvalidArgument(
            "eos is the end token, so it cannot be used with eot or eot_token; pass eos alone"
        )
    begin = None if bos is None or bos is False else _special_id(encoding, "bos", bos)
    if begin is not None and eot == "prepend":
        raise InvalidArgument(
            "bos begins each document, so it cannot be used with eot='prepend'; pass one of the two"
        )
    if eos is None:
        end = end_token(encoding, eot, settings.eot_token)
    else:
        end = None if eos is False else _special_id(encoding, "eos", eos)
    if end is None and begin is not None:
        return DocumentTokens(None, begin, True)
    return DocumentTokens(begin, end, eot == "prepend")


def _special_id(encoding: StoreEncoding, role: str, token: str | int) -> int:
    """Return the id of the token for `bos` or `eos`."""
    special = encoding.special_tokens
    known = ", ".join(sorted(encoding.special_tokens_set)[:10]) or "none"
    hint = f"pass one of its special tokens as {role} (--{role}): {known}"
    if token is True:
        found = own_token(encoding, role)
        if found is None:
            raise InvalidArgument(
                f"the files of the encoding {encoding.name!r} do not say which token is its {role}; "
                f"{hint}"
            )
    elif isinstance(token, str):
        found = special.get(token)
    else:
        found = whole_number(token, role, 0, encoding.n_vocab - 1)
    if found is None or found not in special.values():
        which = found if token is True else token
        raise InvalidArgument(
            f"{role} is {which!r}, and the encoding {encoding.name!r} has no such special token; "
            f"{hint}"
        )
    return found


def own_token(encoding: StoreEncoding, role: str) -> int | None:
    """Return the id of the token that an encoding has for a role, as far as it is known."""
    found: int | None = getattr(encoding, f"{role}_token_id", None)
    if found is None and role == "eos":
        return encoding.special_tokens.get(ENDOFTEXT)
    return found


def end_token(encoding: StoreEncoding, eot: Eot, eot_token: str | None) -> int | None:
    """Return the id of the token that ends or begins each document, or None if there is none.

    Raises InvalidInput if the encoding does not have such a token.

    >>> from fastprep import get_encoding
    >>> end_token(get_encoding("gpt2"), "append", None)
    50256
    """
    if eot not in get_args(Eot):
        raise InvalidArgument(f"eot is {eot!r}; it must be one of {', '.join(get_args(Eot))}")
    if eot == "none":
        if eot_token is not None:
            raise InvalidArgument(f"eot is 'none', so eot_token={eot_token!r} has no use; omit one")
        return None
    token = ENDOFTEXT if eot_token is None else eot_token
    found = encoding.special_tokens.get(token) if isinstance(token, str) else None
    if eot_token is None and found is None:
        found = own_token(encoding, "eos")
    if found is None or found not in encoding.special_tokens.values():
        known = ", ".join(sorted(encoding.special_tokens_set)[:10]) or "none"
        raise InvalidArgument(
            f"the encoding {encoding.name!r} has no {token} to {eot} to documents; pass eot='none' "
            f"(--eot none), or another of its special tokens as eot_token (--eot-token): {known}"
        )
    return found


def differences(old: Job, new: Job) -> list[str]:
    """Return the differences between two jobs, in their user's words.

    A change of `on_error` is not one: it matters only to shards with bad documents, which are made
    again. Nor is one of `passed_over`, nor one of `zstd_window` if a file with a larger window was
    an error.

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
    found = setting_differences(old, new) + input_differences(old, new)
    if not found and old.shards != new.shards:
        found.append(f"the plan had {old.shards} shards and has {new.shards}")
    return found


def setting_differences(old: Job, new: Job) -> list[str]:
    """Return the differences between the settings of two jobs, as :func:`differences` does."""
    found = []
    names = ["eot", "separator", "field", "validation", "validation_documents", "shuffle"]
    names += ["shard_bytes", "input_format", "infill"]
    if old.on_error != "raise":
        names.append("zstd_window")
    if old.encoding.name != new.encoding.name:
        found.append(f"encoding was {old.encoding.name!r} and is {new.encoding.name!r}")
    elif (old.encoding, old.n_vocab) != (new.encoding, new.n_vocab):
        found.append(f"the encoding {new.encoding.name!r} has other tables, pattern or tokens")
    elif old.eot == new.eot:
        names.append("end_token")  # in the same tables, so another eot_token was given
        names.append("begin_token")
    found += _message_differences(old.messages, new.messages)
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            option = _OPTIONS.get(name, name)
            found.append(f"{option} was {before!r} and is {after!r}")
    return found


def _message_differences(old: MessagesRecord | None, new: MessagesRecord | None) -> list[str]:
    """Return the differences in how conversations become documents; templates are long."""
    if old == new:
        return []
    if old is None or new is None:
        kinds = ["texts" if each is None else "conversations" for each in (old, new)]
        return [f"documents were {kinds[0]} and are {kinds[1]} (messages)"]
    found = []
    if (old.kind, old.sha256) != (new.kind, new.sha256):
        found.append(f"the template had the sha256 {old.sha256[:16]} and has {new.sha256[:16]}")
    elif old.template != new.template:
        found.append(f"template was {old.template} and is {new.template}")
    for name in sorted(old.variables.keys() | new.variables.keys()):
        before, after = old.variables.get(name), new.variables.get(name)
        if before != after:
            found.append(f"the template's variable {name} was {before!r:.80} and is {after!r:.80}")
    if old.special_text != new.special_text:
        found.append(f"special_text was {old.special_text} and is {new.special_text}")
    return found


def input_differences(old: Job, new: Job) -> list[str]:
    """Return the differences between the inputs of two jobs, as :func:`differences` does."""
    if old.inputs == new.inputs:
        return []
    before = {entry.path: entry.size for entry in old.inputs}
    after = {entry.path: entry.size for entry in new.inputs}
    found = [
        f"{path} had {size} bytes and has {after[path]}"
        for path, size in before.items()
        if path in after and after[path] != size
    ]
    found += [f"{path} is no longer an input" for path in before if path not in after]
    found += [f"{path} is a new input" for path in after if path not in before]
    return found or ["the inputs are in another order"]
