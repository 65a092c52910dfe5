"""``fastprep train``: text files, or counts of their pieces, to a vocabulary."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time

from fastprep.cli import signals
from fastprep.cli.events import EventLines
from fastprep.cli.messages import in_command_words
from fastprep.cli.options import (
    add_format_options,
    add_message_options,
    add_separator_options,
    at_least_one,
    counted,
    duration,
    in_units,
    share,
    size,
)
from fastprep.errors import FastprepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from fastprep.cli.parser import Parser
    from fastprep.corpus.documents import Format
    from fastprep.errors import StoreExists
    from fastprep.jobs.events import Event
    from fastprep.trainer.counting import Settings
    from fastprep.trainer.counts import PieceCounts
    from fastprep.trainer.training import TrainedEncoding, Wanted
    from fastprep.vocabulary.recipe import Recipe

_COUNTS = ".counts"


def add_train(command: Parser) -> None:
    """Add the options of ``train``."""
    command.description = (
        "Count the pieces of text files, and merge the most frequent pairs of tokens, exactly as "
        "Hugging Face's trainer of byte-level BPE. The result depends on inputs and settings alone. "
        "After any interruption the same command resumes counting."
    )
    command.examples = (
        "fastprep train 'corpus/*.jsonl' -o out.json --vocab-size 32000 --pattern o200k",
        "fastprep train 'corpus/*.jsonl' -o corpus.counts",
        "fastprep train corpus.counts -o tokenizer.json --vocab-size 32000",
    )
    command.common = (
        *("output", "vocab_size", "pattern", "special", "field", "format", "documents", "on_error"),
        *("held_out", "workers", "memory", "overwrite", "quiet", "help"),
    )
    command.variables = (
        *(
            "pattern",
            "workers",
            "memory",
            "field",
            "format",
            "on_error",
            "zstd_window",
            "quiet",
            "log",
        ),
    )
    command.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="a file, folder, pattern or URL, as of prepare; or files of counts, named .counts, which "
        "are added",
    )
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="the vocabulary: NAME.tiktoken, tokenizer.json, or vocab.bpe (written with encoder.json); "
        "or NAME.counts, to save the counts and train later",
    )
    command.add_argument("--vocab-size", type=at_least_one, metavar="N", help="number of tokens")
    command.add_argument(
        "--pattern",
        metavar="P",
        help="how text is split: the name of an encoding or of a family of patterns, or a regular "
        "expression (default: that of --base, or gpt2)",
    )
    command.add_argument(
        "--base",
        metavar="ENC",
        help="continue from an encoding: its name or its file; its ids do not change",
    )
    command.add_argument(
        "--no-pattern",
        action="store_true",
        help="with --base: do not split documents, so that tokens span words",
    )
    command.add_argument(
        "--special",
        action="append",
        metavar="TOKEN",
        help="a special token; may be repeated (default: <|endoftext|>)",
    )
    command.add_argument(
        "--no-special", action="store_true", help="a vocabulary without special tokens"
    )
    command.add_argument(
        "--specials",
        choices=["last", "first"],
        default="last",
        help="where their ids are (default: last)",
    )
    command.add_argument(
        "--ties",
        choices=["huggingface", "bytes"],
        default="huggingface",
        help="which of several pairs with equal counts is merged (default: huggingface)",
    )
    command.add_argument(
        "--min-frequency", type=int, default=0, metavar="N", help="least count of a pair"
    )
    command.add_argument(
        "--max-token-length", type=at_least_one, metavar="N", help="tokens have fewer bytes"
    )
    command.add_argument(
        "--held-out",
        action="append",
        metavar="INPUT",
        help="texts that are not trained on: their bytes per token are reported, beside those of gpt2, "
        "cl100k_base and o200k_base; may be repeated",
    )
    command.add_argument(
        "--report",
        metavar="FILE",
        help="also write a page of HTML about the vocabulary, with plots",
    )
    command.add_argument("--overwrite", action="store_true", help="replace another output")
    texts = command.add_argument_group("inputs")
    texts.add_argument(
        "--documents",
        choices=["whole", "lines"],
        default="whole",
        help="split each document as one text, or each of its lines (default: whole)",
    )
    add_separator_options(texts)
    texts.add_argument(
        "--field", default="text", metavar="F", help="key or column of the text (default: text)"
    )
    add_format_options(texts)
    texts.add_argument(
        "--on-error",
        choices=["raise", "skip", "replace"],
        default="raise",
        help="documents that cannot be read: stop at the first, skip them, or replace the invalid "
        "bytes (default: raise)",
    )
    work = command.add_argument_group("work")
    work.add_argument(
        "--workers", type=at_least_one, metavar="N", help="cores to use (default: all)"
    )
    work.add_argument(
        "--memory", type=size, metavar="SIZE", help="memory for counting (default: 1GiB)"
    )
    work.add_argument(
        "--task",
        type=share,
        metavar="I/N",
        help="count only the I-th of N shares of the inputs, counted from 0, into OUT.work",
    )
    work.add_argument(
        "--merge", action="store_true", help="train on what all --task runs counted; needs no INPUT"
    )
    work.add_argument(
        "--part-bytes",
        type=size,
        metavar="SIZE",
        help="approximate bytes of input whose counts are saved together (default: 64 to 256 MiB)",
    )
    add_message_options(command)
    command.set_defaults(run=_train, resumable="; the same command resumes")


def _train(options: argparse.Namespace) -> None:
    _check(options)
    messages = _Messages(options)
    try:
        # Imported before signals are raised: an exception could end the import of an extension half way.
        from fastprep.trainer import parts, training

        del parts, training
        with signals.raising():
            _run(options, messages)
    except (Exception, KeyboardInterrupt) as error:
        messages.failed(error)
        raise


def _check(options: argparse.Namespace) -> None:
    """End with a usage error for options that contradict each other, before anything is read."""
    if options.merge and (options.inputs or options.task):
        options.usage("--merge takes no INPUT and no --task: the work of the tasks is in OUT.work")
    if not options.merge and not options.inputs:
        options.usage("the following arguments are required: INPUT")
    if options.no_special and options.special:
        options.usage("--special and --no-special exclude each other")
    pattern = options.pattern if "pattern" not in options.from_environment else None
    if options.no_pattern and (pattern or not (options.base or _only_counts(options))):
        options.usage("--no-pattern needs --base, and excludes --pattern")
    if _only_counts(options) and (options.held_out or options.report):
        options.usage(
            "--held-out and --report are about a vocabulary; pass them to the command that trains it"
        )
    if options.vocab_size is None and not options.task and not options.output.endswith(_COUNTS):
        options.usage("the following arguments are required: --vocab-size")


def _only_counts(options: argparse.Namespace) -> bool:
    return bool(options.task) or options.output.endswith(_COUNTS)


def _run(options: argparse.Namespace, messages: _Messages) -> None:
    from fastprep.jobs.events import send
    from fastprep.jobs.output import check_parent
    from fastprep.system.arguments import local_path
    from fastprep.system.threads import available_cores
    from fastprep.trainer.counting import plan_of
    from fastprep.trainer.parts import remove_parts
    from fastprep.trainer.training import event_of, train_counts, wanted

    output = local_path(options.output, "the output")
    work = output.with_name(output.name + ".work")
    settings = None
    if options.vocab_size is not None:
        specials = [] if options.no_special else options.special or ["<|endoftext|>"]
        settings = wanted(
            options.vocab_size,
            specials,
            options.specials,
            options.ties,
            options.min_frequency,
            options.max_token_length,
            None,
            options.base,
        )
    _check_name(options, output)
    check_parent(output)
    # Held-out inputs that are not there are an error before anything is counted.
    held_out = plan_of(options.held_out, _form(options)) if options.held_out else None
    base = None if settings is None or settings.base is None else settings.base.recipe
    _check_existing(output, options, settings, base)
    counts = _counts(options, work, messages, base)
    if counts is None:
        number, total = options.task
        if not options.quiet:
            print(f"{work}: task {number}/{total} is done; others are not")
        return
    if options.task:
        if not options.quiet:
            print(f"{work}: all tasks are done; --merge trains")
        return
    if options.output.endswith(_COUNTS):
        if options.overwrite or not os.path.lexists(output):
            counts.save(output)
        elif counts.is_in(output):
            messages.same()
        else:
            raise _exists(options, "is not what these inputs and settings give")
        if not options.quiet:
            print(f"{options.output}: {counts.total:,} pieces, {len(counts):,} distinct")
    else:
        assert settings is not None
        progress = False if options.quiet or options.log else None
        trained = train_counts(counts, settings, output.stem, progress, messages.event)
        # Saved first: a fault in held-out text loses no vocabulary.
        if _is_made(output, options, trained):
            messages.same()
        else:
            trained.save(output)
        if held_out is not None:
            from fastprep.trainer.held_out import measure

            cores = options.workers or available_cores()
            found = measure(trained, held_out, _form(options), cores, progress, messages.event)
            trained.report = trained.report._replace(held_out=found)
        send(messages.event, "trained", **event_of(trained.report))
        if options.report is not None:
            from fastprep.report.page import write_report

            write_report(trained, options.report)
        messages.trained(trained)
    remove_parts(work)


def _check_existing(
    output: Path, options: argparse.Namespace, settings: Wanted | None, base: Recipe | None
) -> None:
    """Raise StoreExists, before anything is counted, for an output that is known to be another one."""
    from fastprep.trainer.existing import counts_differ, vocabulary_differs

    if options.overwrite or options.task or not os.path.lexists(output):
        return
    try:
        if not options.output.endswith(_COUNTS):
            assert settings is not None
            reason = vocabulary_differs(output, settings)
        elif options.merge or options.inputs[0].endswith(_COUNTS):
            return
        else:
            reason = counts_differ(output, _settings(options, base))
    except OSError:
        reason = "cannot be read"
    if reason is not None:
        raise _exists(options, reason)


def _is_made(output: Path, options: argparse.Namespace, trained: TrainedEncoding) -> bool:
    """Return whether the files of a vocabulary are there already. Raises StoreExists for others."""
    from tempfile import TemporaryDirectory

    from fastprep.trainer.existing import is_same_content

    if options.overwrite or not os.path.lexists(output):
        return False
    with TemporaryDirectory() as folder:
        made = output.__class__(folder) / output.name
        trained.save(made)
        files = [*made.parent.iterdir()]
        same = all(is_same_content(output.with_name(path.name), path) for path in files)
    if not same:
        raise _exists(options, "is not what these inputs and settings give")
    return True


def _exists(options: argparse.Namespace, reason: str) -> StoreExists:
    from fastprep.errors import StoreExists

    return StoreExists(
        f"{options.output}: it exists, and {reason}; choose another output, or pass --overwrite to "
        f"replace it (a count of these inputs may be kept in {options.output}.work: delete it to train "
        "this output from other inputs)"
    )


def _check_name(options: argparse.Namespace, output: Path) -> None:
    names = (".tiktoken", ".json", "vocab.bpe", "merges.txt", _COUNTS)
    if not output.name.endswith(names):
        options.usage(
            f"{options.output}: name it .tiktoken, tokenizer.json, vocab.bpe or .counts, to choose the "
            "format"
        )


def _counts(
    options: argparse.Namespace, work: Path, messages: _Messages, base: Recipe | None
) -> PieceCounts | None:
    from fastprep.trainer.counts import PieceCounts, add_up
    from fastprep.trainer.parts import count_in_parts, counts_of_parts

    if options.merge:
        return counts_of_parts(work)
    counts = [name for name in options.inputs if name.endswith(_COUNTS)]
    if 0 < len(counts) < len(options.inputs):
        options.usage(
            f"{counts[0]} is a file of counts, and other inputs are texts; count the texts first, with "
            "-o NAME.counts, and train on the counts"
        )
    if counts:
        return add_up([PieceCounts.load(name) for name in options.inputs])
    return count_in_parts(
        work,
        options.inputs,
        _settings(options, base),
        part_bytes=options.part_bytes,
        share=options.task,
        progress=False if options.quiet or options.log else None,
        log=messages.event,
    )


def _form(options: argparse.Namespace) -> Format:
    from fastprep.corpus.documents import Format

    return Format(
        options.separator, options.field, options.on_error, options.format, options.zstd_window
    )


def _settings(options: argparse.Namespace, base: Recipe | None) -> Settings:
    """Return the settings of counting; `base` is the recipe of --base where that is known already."""
    from fastprep.trainer.counting import settings_of
    from fastprep.trainer.splitting import splitting_of, splitting_of_base

    if options.no_pattern:
        splitting = splitting_of(None)
    elif options.base is None:
        splitting = splitting_of(options.pattern or "gpt2")
    else:
        if base is None:
            from fastprep.trainer.base import base_of

            base = base_of(options.base).recipe
        splitting = splitting_of_base(options.pattern or "default", base)
    return settings_of(
        splitting, options.documents, _form(options), options.workers, options.memory
    )


class _Messages(EventLines):
    """Messages of the work on stderr: lines for people, or with ``--log`` JSON for machines."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self._kept = False
        self._start = time.monotonic()
        self._bytes = 0

    def event(self, event: Event) -> None:
        """Print a log event."""
        kind = event["event"]
        self.print_json(event)
        if kind == "counting":
            self._bytes = int(str(event["bytes"]))
        elif kind == "task done":
            self._kept = True
        elif kind == "resumed":
            self._kept = True
            self.print(f"resuming: {counted(int(str(event['parts_finished'])), 'part')} counted")
        elif kind == "redone":
            self.print(f"part {event['part']} is counted again: {event['reason']}")
        else:
            self.print_shared(event)

    def failed(self, error: BaseException) -> None:
        """Print how the work failed, and how to resume it."""
        if self._json:
            message = in_command_words(str(error), self._options.parser)
            self.print_json({"event": "failed", "error": type(error).__name__, "message": message})
            self._options.error_is_logged = True
        elif self._kept and isinstance(error, (FastprepError, KeyboardInterrupt, OSError)):
            self.print("the parts that are counted are kept; the same command resumes")

    def same(self) -> None:
        """Print that the output is the one that was made before."""
        made = "made before from the same inputs and settings, and left as it is"
        self.print(f"{self._options.output}: {made}")

    def trained(self, trained: TrainedEncoding) -> None:
        """Print what was trained; on a terminal also the time, and what to do next."""
        options = self._options
        if options.quiet:
            return
        print(f"{options.output}: {trained.report}")
        if sys.stdout.isatty():
            seconds = time.monotonic() - self._start
            read = f"{in_units(self._bytes, 'B')} of input counted, and " if self._bytes else ""
            print(f"{read}{trained.report.merges:,} merges made, in {duration(seconds)}")
            text = next((name for name in options.inputs if not name.endswith(_COUNTS)), "FILE")
            words = ["fastprep", "prepare", text, "-o", "store", "--encoding", options.output]
            print(f"next: {shlex.join(words)}")
