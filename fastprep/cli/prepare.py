"""``fastprep prepare``: text files to a token store."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys

from fastprep.cli import signals
from fastprep.cli.events import EventLines
from fastprep.cli.messages import in_command_words
from fastprep.cli.options import (
    add_encoding_options,
    add_eot_options,
    add_format_options,
    add_message_options,
    add_separator_options,
    as_json,
    at_least_one,
    contents,
    counted,
    duration,
    encoding_of,
    in_units,
    part_of_documents,
    seed,
    share,
    size,
    size_of,
)
from fastprep.errors import FastprepError, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastprep.cli.parser import Parser
    from fastprep.encoding.encoding import Encoding
    from fastprep.jobs.estimate import Estimate
    from fastprep.jobs.events import Event
    from fastprep.jobs.journal import Journal
    from fastprep.store.reader import TokenStore
    from fastprep.words.encoding import WordEncoding


def add_prepare(command: Parser) -> None:
    """Add the options of ``prepare``."""
    command.description = (
        "Encode text, JSON, CSV, Parquet and Arrow files into a token store, in the order given. The "
        "store's bytes depend on the inputs and settings alone, not on the number of workers. After any "
        "interruption, the same command resumes from the finished shards; on a finished store it does "
        "nothing."
    )
    command.examples = (
        r"fastprep prepare 'books/*.txt' -o books.store --separator '\n\n\n'",
        "fastprep prepare 'corpus/*.jsonl' -o store --encoding gpt-4o --workers 8",
        "fastprep prepare 'corpus/*.jsonl' -o parts --validation 1%",
        "fastprep prepare a.jsonl -o chats --messages messages --encoding-file model",
        "fastprep prepare 'corpus/*.jsonl' -o shares --task 0/2",
    )
    command.common = (
        *("output", "field", "format", "encoding", "workers", "validation", "shuffle", "on_error"),
        *("overwrite", "append", "dry_run", "quiet", "help"),
    )
    command.variables = (
        *("encoding", "workers", "engine", "shard_bytes", "field", "format", "on_error"),
        *("zstd_window", "quiet", "log"),
    )
    command.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="a file, folder, pattern or URL: .txt, .jsonl, .csv or .tsv, also as .gz, .zst, .xz or "
        ".bz2; .parquet or .arrow; .tar or .zip of these; - is standard input",
    )
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="directory to create, or a URL such as s3://bucket/store",
    )
    _add_inputs(command)
    add_encoding_options(command, words=True)
    _add_documents(command)
    _add_conversations(command)
    _add_infill(command)
    _add_work(command)
    add_message_options(command)
    command.set_defaults(run=_prepare, resumable="; the same command resumes")


def _add_inputs(command: Parser) -> None:
    group = command.add_argument_group("inputs")
    group.add_argument(
        "--field",
        default="text",
        metavar="F",
        help="key or column of the text; a.b is b inside a, a\\.b a name with a dot (default: text)",
    )
    add_format_options(group)
    add_separator_options(group)
    group.add_argument(
        "--on-error",
        choices=["raise", "skip", "replace"],
        default="raise",
        metavar="DO",
        help="what to do with a document that cannot be read: raise, skip, or replace its invalid "
        "bytes by U+FFFD; the manifest lists them (default: raise)",
    )


def _add_documents(command: Parser) -> None:
    group = command.add_argument_group("documents")
    add_eot_options(group)
    for name, place in ("bos", "before"), ("eos", "after"):
        group.add_argument(
            f"--{name}",
            nargs="?",
            const=True,
            type=_token,
            metavar="[TOKEN]",
            help=f"token {place} each document, as a name or an id; without TOKEN the encoding's own"
            + ("" if name == "bos" else ", in place of --eot and --eot-token"),
        )
    parts = group.add_mutually_exclusive_group()
    parts.add_argument(
        "--validation",
        type=part_of_documents,
        default=0.0,
        metavar="F",
        help="fraction for validation, as 0.01 or 1%%; makes OUT/train and OUT/validation",
    )
    parts.add_argument(
        "--validation-documents",
        type=at_least_one,
        metavar="N",
        help="exactly N documents for validation",
    )
    group.add_argument(
        "--shuffle",
        type=seed,
        metavar="SEED",
        help="write the documents in an order drawn by SEED; needs twice the space",
    )


def _token(text: str) -> str | int:
    """Return a special token as `prepare` takes it: its id, or its name."""
    return int(text) if text.isascii() and text.isdigit() else text


def _add_conversations(command: Parser) -> None:
    group = command.add_argument_group("conversations")
    group.add_argument(
        "--messages",
        metavar="F",
        help="key or column of the messages of conversations; the store gets a mask of the tokens that "
        "the assistant wrote",
    )
    group.add_argument(
        "--template",
        metavar="T",
        help="the chat template: a file, a directory, or the text of one of Jinja (default: the one "
        "beside the vocabulary)",
    )
    group.add_argument(
        "--template-variables",
        type=_variables,
        metavar="JSON",
        help="values for the template, as '{\"enable_thinking\": false}'",
    )
    group.add_argument(
        "--special-text",
        action="store_true",
        help="make special tokens of text in messages that spells them",
    )


def _add_infill(command: Parser) -> None:
    group = command.add_argument_group("fill-in-the-middle")
    group.add_argument(
        "--fim-rate",
        default=0.0,
        metavar="F",
        help="fraction of the documents to rearrange, as 0.5 or 50%%",
    )
    group.add_argument(
        "--fim-spm-rate",
        default=0.5,
        metavar="F",
        help="of these, the fraction with the suffix first (default: 0.5)",
    )
    group.add_argument(
        "--fim-seed", type=seed, default=0, metavar="SEED", help="seed of the draw (default: 0)"
    )
    group.add_argument(
        "--fim-tokens",
        nargs=3,
        metavar=("PREFIX", "SUFFIX", "MIDDLE"),
        help="the special tokens before each part (default: those of the encoding, if they are known)",
    )


def _variables(text: str) -> dict[str, object]:
    """Parse an object of JSON; raise argparse.ArgumentTypeError if it is not one."""
    import json

    try:
        found = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r:.80}: no JSON: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r:.80}: write an object of JSON")
    return found


def _add_work(command: Parser) -> None:
    work = command.add_argument_group("work")
    work.add_argument(
        "--workers", type=at_least_one, metavar="N", help="cores to use (default: all)"
    )
    work.add_argument(
        "--engine",
        choices=["threads", "ray", "processes"],
        default="threads",
        metavar="E",
        help="threads of this process, or a cluster of ray (default: threads)",
    )
    work.add_argument(
        "--task",
        type=share,
        metavar="I/N",
        help="do only the I-th of N shares of the work, counted from 0; the last makes the store",
    )
    work.add_argument(
        "--merge",
        action="store_true",
        help="make the store after all --task runs, or list unfinished shards; needs no INPUT",
    )
    work.add_argument(
        "--shard-bytes",
        type=size,
        metavar="SIZE",
        help="bytes of input per shard, as 10MB or 256MiB (default: 8 to 256 MiB)",
    )
    existing = work.add_mutually_exclusive_group()
    existing.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a store at OUT once the new one is whole, or other unfinished work",
    )
    existing.add_argument(
        "--append",
        action="store_true",
        help="add the inputs that the store at OUT does not have; same settings only",
    )
    work.add_argument(
        "--dry-run", action="store_true", help="print an estimate, and create nothing"
    )


def _prepare(options: argparse.Namespace) -> None:
    messages = _Messages(options)
    if options.log:
        signals.set_last_line(_interrupted_event)
    try:
        _run(options, messages)
    except (Exception, KeyboardInterrupt) as error:
        messages.failed(error)
        raise
    finally:
        signals.set_last_line(None)


def _interrupted_event(terminated: bool) -> str:
    """Return the log event for a signal before the work began; without an import."""
    name = "Terminated" if terminated else "KeyboardInterrupt"
    return f'{{"event":"failed","error":"{name}","message":"","shards_finished":0}}'


def _run(options: argparse.Namespace, messages: _Messages) -> None:
    if options.merge:
        if options.inputs:
            options.usage("--merge takes no INPUT: the work of the tasks is in OUT")
        from fastprep.jobs.prepare import merge_tasks

        with signals.raising():
            store = merge_tasks(options.output)
        _summarize(options, store, None)
        return
    if not options.inputs:
        taken = next(
            (name for name in ("bos", "eos") if isinstance(getattr(options, name), str)), ""
        )
        options.usage(f"INPUT is missing{taken and f'; write INPUT before --{taken}'}")
    from fastprep.jobs.job import Settings
    from fastprep.jobs.prepare import prepare

    encoding = _encoding_of(options)
    settings = {name: getattr(options, name) for name in Settings._fields}
    if options.dry_run:
        from fastprep.jobs.estimate import estimate

        _print_estimate(options, estimate(options.inputs, encoding=encoding, **settings))
        return
    with signals.raising():
        store = prepare(
            options.inputs,
            options.output,
            encoding=encoding,
            **settings,
            workers=options.workers,
            engine=options.engine,
            task=options.task,
            overwrite=options.overwrite,
            append=options.append,
            progress=False if options.quiet or options.log else None,
            log=messages.event,
        )
    _summarize(options, store, messages.finished)


def _encoding_of(options: argparse.Namespace) -> Encoding | WordEncoding:
    if not options.words:
        return encoding_of(options)
    from fastprep.corpus.documents import Format
    from fastprep.system.threads import available_cores
    from fastprep.words.corpus import words_of_inputs

    if "-" in options.inputs:
        raise InvalidInput(
            "-: --words reads the inputs twice, and standard input can be read only once; write it to "
            "a file, and pass that"
        )
    form = Format(
        options.separator, options.field, options.on_error, options.format, options.zstd_window
    )
    return words_of_inputs(options.inputs, form, options.workers or available_cores())


def _summarize(options: argparse.Namespace, store: TokenStore | None, run: Event | None) -> None:
    """Print what the store holds; on a terminal also what the run did, and what to do next.

    `run` is the event of its end, None if this run made nothing.
    """
    if options.quiet:
        return
    if store is None:
        number, total = options.task
        print(f"{options.output}: task {number}/{total} is done; others are not")
        if sys.stdout.isatty():
            _print_run(run, ())
            print(f"next: the other tasks; the last makes {options.output}")
        return
    stores = {options.output: store}
    if store.head.part is not None:
        from fastprep.corpus.remote import url_of
        from fastprep.store.reader import TokenStore

        output = url_of(options.output)
        output = str(store.path.parent) if output is None else output.rstrip("/")
        stores = {f"{output}/train": store}
        stores[f"{output}/validation"] = TokenStore(f"{output}/validation")
    for name, each in stores.items():
        print(f"{name}: {contents(each)}")
    # Of two parts, the first lists all bad documents.
    shards = store.manifest.shards
    if bad := sum(shard.bad_documents for shard in shards):
        listed = sum(len(shard.bad) for shard in shards)
        done = "skipped" if store.manifest.on_error == "skip" else "replaced or skipped"
        which = "all" if listed == bad else f"{listed:,}"
        print(
            f"{options.output}: {counted(bad, 'bad document')} {done}; the manifest lists {which}"
        )
    if sys.stdout.isatty():
        _print_run(run, stores.values())
        print(f"next: fastprep info {shlex.quote(next(iter(stores)))}")


def _print_run(run: Event | None, stores: Iterable[TokenStore]) -> None:
    """Print time, speed and sizes of a run that made something, for people."""
    if run is None or not run["bytes"]:
        return
    size, tokens, seconds = (float(str(run[name])) for name in ("bytes", "tokens", "seconds"))
    seconds = max(seconds, 1e-3)
    made = ""
    if stores:
        made = f"; {in_units(sum(map(size_of, stores)), 'B')} on disk"
    print(
        f"{in_units(size, 'B')} of input in {duration(seconds)}: {in_units(size / seconds, 'B/s')}, "
        f"{in_units(tokens / seconds, ' tokens/s')}{made}"
    )


def _print_estimate(options: argparse.Namespace, found: Estimate) -> None:
    if options.log:
        print(as_json(found._asdict()))
        return
    print(
        f"{counted(found.inputs, 'input')}, {found.input_bytes:,} bytes: "
        f"{counted(found.tasks, 'task')}, as many shards, the largest of "
        f"{found.largest_task_bytes:,} bytes\n"
        f"about {counted(found.documents, 'document')}, {counted(found.tokens, 'token')} of "
        f"{found.dtype}, a store of {found.store_bytes:,} bytes"
        + (
            f", and {found.draft_bytes:,} bytes of drafts until it is made"
            if found.draft_bytes
            else ""
        )
    )
    if found.passed_over:
        from fastprep.corpus.passed_over import in_words

        print(in_words(found.passed_over))


class _Messages(EventLines):
    """Messages of a running job on stderr: lines for people, or with ``--log`` JSON for machines."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self._output = options.output
        self._shards = self._tasks = 0
        self._ordering = self._uploading = False
        self.finished: Event | None = None

    def event(self, event: Event) -> None:
        """Print a log event."""
        kind = event["event"]
        if kind == "started":
            self._shards, self._tasks = int(str(event["shards"])), int(str(event["tasks"]))
        elif kind == "finished":
            self.finished = event
        elif kind == "resumed":
            finished = int(str(event["shards_finished"]))
            self.print(f"resuming: {finished} of {finished + self._tasks} shards are finished")
        elif kind == "reused":
            self.print(f"{self._output}: these inputs and settings made it already; nothing to do")
        elif kind == "waiting":
            self.print(f"{self._output}: another run works here; waiting until it ends")
        elif kind == "changed":
            self.print_some("changed", str(event["change"]), "changed inputs")
        elif kind == "redone":
            self.print(f"shard {event['shard']} is made again: {event['reason']}")
        elif kind == "uploading":
            self._uploading = True
            files, size = int(str(event["files"])), int(str(event["bytes"]))
            self.print(
                f"uploading {counted(files, 'file')}, {size:,} bytes, from {event['directory']}"
            )
        elif kind == "ordering" and not self._ordering:
            self._ordering = True
            self.print(f"putting the documents of {counted(self._shards, 'shard')} in order")
        else:
            self.print_shared(event)
        self.print_json(event)

    def failed(self, error: BaseException) -> None:
        """Print how the job failed, and how to resume it."""
        if isinstance(error, MemoryError) and not self._json:
            # The last line says all. An import without memory can make CPython 3.11 loop forever.
            return
        journal = self._journal()
        if self._json:
            import time

            self.event(
                {
                    "event": "failed",
                    "time": round(time.time(), 3),
                    "error": type(error).__name__,
                    "message": in_command_words(str(error), self._options.parser),
                    "shards_finished": journal.count_done() if journal else 0,
                }
            )
            self._options.error_is_logged = True
        elif journal and self._shards:
            from fastprep.jobs.run import resume_hint

            self.print(in_command_words(resume_hint(journal, self._shards)))
        elif self._uploading and isinstance(error, KeyboardInterrupt):
            self.print("the store is made; the same command uploads the rest")

    def _journal(self) -> Journal | None:
        """Return the journal of the job in the output, or None if there is none."""
        from fastprep.corpus.remote import from_file_url, url_of
        from fastprep.jobs.journal import JOB, Journal
        from fastprep.store.manifest import REPLACEMENT
        from fastprep.system.arguments import local_path

        with contextlib.suppress(FastprepError):  # the error is about the output's name
            if url_of(self._output) is None:
                output = local_path(from_file_url(self._output), "the output")
            else:
                from fastprep.jobs.upload import work_directory

                output = work_directory(self._output)
            for directory in (output / REPLACEMENT, output):
                if (directory / JOB).exists():
                    return Journal(directory)
        return None
