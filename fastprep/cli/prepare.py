"""``fastprep prepare``: text files to a token store."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from pathlib import Path

from fastprep.cli.encoding import add_encoding_options, encoding_of
from fastprep.cli.options import as_json, at_least_one, contents, counted, separator, terminate

TYPE_CHECKING = False  # typing.TYPE_CHECKING without typing, which takes long to import
if TYPE_CHECKING:
    from typing import Any

    from fastprep.cli.options import Commands
    from fastprep.encoding.encoding import Encoding
    from fastprep.jobs.estimate import Estimate
    from fastprep.jobs.progress import Event
    from fastprep.store.reader import TokenStore
    from fastprep.words.encoding import WordEncoding


def add(commands: Commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "prepare",
        help="encode text files into a token store",
        description="Encode text files, JSON lines and Parquet files into a token store, in the "
        "order given. The store's bytes depend on the inputs and settings alone, not on the number of "
        "workers. Whatever ends the work, the same command goes on from what is finished.",
        epilog=r"example: fastprep prepare books/*.txt -o store --separator '\n\n\n' --workers 8",
    )
    command.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="a file, a folder, a pattern or a URL: .txt, .jsonl, each also .gz or .zst, .parquet",
    )
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="directory to make")
    between = command.add_mutually_exclusive_group()
    between.add_argument(
        "--separator",
        type=separator,
        default="<|endoftext|>",
        metavar="S",
        help=r"between the documents of a .txt file; \n, \r, \t, \0 and \\ are understood "
        "(default: %(default)s)",
    )
    between.add_argument(
        "--whole-files", action="store_true", help="each .txt file is one document"
    )
    command.add_argument(
        "--field",
        default="text",
        metavar="F",
        help="key of the text in .jsonl, column in .parquet; a.b is b inside of a (default: text)",
    )
    command.add_argument(
        "--on-error",
        choices=["raise", "skip", "replace"],
        default="raise",
        help="documents that cannot be read: stop at the first, leave them out, or put U+FFFD for what "
        "is wrong; the manifest lists them (default: raise)",
    )
    command.add_argument(
        "--eot",
        choices=["append", "prepend", "none"],
        default="append",
        help="where the end token of each document stands (default: append)",
    )
    command.add_argument(
        "--eot-token",
        metavar="TOKEN",
        help="which special token that is (default: <|endoftext|>)",
    )
    command.add_argument(
        "--validation",
        type=float,
        default=0.0,
        metavar="F",
        help="keep this fraction of the documents apart: OUT/train and OUT/validation are made",
    )
    work = command.add_argument_group("work")
    work.add_argument(
        "--workers", type=at_least_one, metavar="N", help="cores to use (default: all)"
    )
    work.add_argument(
        "--engine",
        choices=["threads", "ray", "processes"],
        default="threads",
        help="on threads of this process, or in a Ray cluster; 'processes' is an old name of threads",
    )
    work.add_argument(
        "--task",
        type=_task,
        metavar="I/N",
        help="do only the I-th of N parts of the work, counted from 0; the last to end makes the store",
    )
    work.add_argument(
        "--merge",
        action="store_true",
        help="make the store of the parts that --task did, or say what is missing; needs no INPUT",
    )
    work.add_argument(
        "--shard-bytes",
        type=at_least_one,
        metavar="N",
        help="about how many bytes of input go into a shard (default: 8 to 256 MiB)",
    )
    work.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a store at OUT, or unfinished work with other inputs or settings",
    )
    work.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and make nothing"
    )
    told = command.add_argument_group("what is told")
    told.add_argument("--quiet", action="store_true", help="no progress bar, no summary")
    told.add_argument(
        "--log",
        choices=["json"],
        help="one JSON object a line on stderr for each thing that happens",
    )
    add_encoding_options(command, words=True)
    command.set_defaults(run=_prepare, usage=command.error)


def _prepare(options: argparse.Namespace) -> None:
    told = _Told(options)
    signal.signal(signal.SIGTERM, terminate)
    try:
        _work(options, told)
    except (Exception, KeyboardInterrupt) as error:
        told.failed(error)
        raise


def _work(options: argparse.Namespace, told: _Told) -> None:
    # Before numpy is imported, if it is: nothing here is linear algebra, and its threads cost time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if options.merge:
        if options.inputs:
            options.usage("--merge takes no INPUT: the work of the tasks is in OUT")
        from fastprep.jobs.prepare import merge_tasks

        _summarize(options, merge_tasks(options.output))
        return
    if not options.inputs:
        options.usage("the following arguments are required: INPUT")
    from fastprep.jobs.prepare import prepare

    settings: dict[str, Any] = {
        "encoding": _encoding_of(options),
        "separator": None if options.whole_files else options.separator,
        "field": options.field,
        "on_error": options.on_error,
        "eot": options.eot,
        "eot_token": options.eot_token,
        "validation": options.validation,
        "shard_bytes": options.shard_bytes,
    }
    if options.dry_run:
        from fastprep.jobs.estimate import estimate

        _tell_estimate(options, estimate(options.inputs, **settings))
        return
    store = prepare(
        options.inputs,
        options.output,
        **settings,
        workers=options.workers,
        engine=options.engine,
        task=options.task,
        overwrite=options.overwrite,
        progress=False if options.quiet or options.log else None,
        log=told.event,
    )
    _summarize(options, store)


def _encoding_of(options: argparse.Namespace) -> Encoding | WordEncoding:
    if not options.words:
        return encoding_of(options)
    from fastprep.corpus.documents import Format
    from fastprep.system.threads import available_cores
    from fastprep.words.corpus import words_of_inputs

    separator = None if options.whole_files else options.separator
    form = Format(separator, options.field, options.on_error)
    return words_of_inputs(options.inputs, form, options.workers or available_cores())


def _summarize(options: argparse.Namespace, store: TokenStore | None) -> None:
    if options.quiet:
        return
    if store is None:
        number, of = options.task
        print(f"{options.output}: task {number}/{of} is done; others are not")
        return
    stores = [store]
    if store.manifest.part is not None:
        from fastprep.store.reader import TokenStore

        stores.append(TokenStore(store.path.with_name("validation")))
    for each in stores:
        print(f"{each.path if len(stores) > 1 else options.output}: {contents(each)}")
    # The first of two parts has them all.
    shards = store.manifest.shards
    if bad := sum(shard.bad_documents for shard in shards):
        listed = sum(len(shard.bad) for shard in shards)
        done = "left out" if store.manifest.on_error == "skip" else "mended or left out"
        which = "all" if listed == bad else f"{listed:,}"
        told = counted(bad, "bad document")
        print(f"{options.output}: {told} {done}; the manifest lists {which}")


def _tell_estimate(options: argparse.Namespace, found: Estimate) -> None:
    if options.log:
        print(as_json(found._asdict()))
        return
    print(
        f"{counted(found.inputs, 'input')}, {found.input_bytes:,} bytes: "
        f"{counted(found.tasks, 'task')}, as many shards, the largest of "
        f"{found.largest_task_bytes:,} bytes\n"
        f"about {counted(found.documents, 'document')}, {counted(found.tokens, 'token')} of "
        f"{found.dtype}, a store of {found.store_bytes:,} bytes"
    )


class _Told:
    """What people and machines are told on stderr while the work goes on."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._json = options.log == "json"
        self._quiet = options.quiet
        self._output = Path(options.output)
        self._shards = self._tasks = self._bad = 0

    def event(self, event: Event) -> None:
        """One thing that happened."""
        what = event["event"]
        if what == "started":
            self._shards, self._tasks = int(str(event["shards"])), int(str(event["tasks"]))
        elif what == "resumed":
            finished = int(str(event["shards_finished"]))
            self._say(f"going on: {finished} of {finished + self._tasks} shards are finished")
        elif what == "redone":
            self._say(f"shard {event['shard']} is made again: {event['reason']}")
        elif what == "bad document":
            self._bad += 1
            if self._bad <= 10:
                self._say(f"{event['place']}: {event['reason']}")
            if self._bad == 11:
                self._say("... and more bad documents")
        if self._json:
            print(as_json(event), file=sys.stderr, flush=True)

    def failed(self, error: BaseException) -> None:
        """The work ended early."""
        from fastprep.jobs.journal import JOB, Journal

        journal = Journal(self._output)
        begun = (self._output / JOB).exists()
        if self._json:
            import time

            self.event(
                {
                    "event": "failed",
                    "time": round(time.time(), 3),
                    "error": type(error).__name__,
                    "message": str(error),
                    "shards_finished": journal.count_done() if begun else 0,
                }
            )
        elif begun and self._shards:
            from fastprep.jobs.run import resume_hint

            self._say(resume_hint(journal, self._shards))

    def _say(self, line: str) -> None:
        if not self._quiet and not self._json:
            print(f"fastprep: {line}", file=sys.stderr)


def _task(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if found is None or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(
            f"{text!r}: write I/N, as in 0/4 for the first of four parts; I goes from 0 to N - 1"
        )
    return int(found[1]), int(found[2])
