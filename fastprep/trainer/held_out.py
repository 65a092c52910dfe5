"""Held-out texts, measured in tokens of a new vocabulary and of published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastprep.corpus.plan import task_bytes
from fastprep.errors import InvalidInput
from fastprep.registry import get_encoding
from fastprep.system.interrupts import deferred
from fastprep.system.threads import StopFlag
from fastprep.trainer.counting import Run, report_passed_over

if TYPE_CHECKING:
    from fastprep.corpus.documents import Format
    from fastprep.encoding.encoding import Encoding
    from fastprep.jobs.events import Log
    from fastprep.trainer.counting import Plan
    from fastprep_ext.base import Rows

#: The published encodings that a new vocabulary is compared with.
COMPARED = ("gpt2", "cl100k_base", "o200k_base")


class HeldOut(NamedTuple):
    """Texts that were held out, and their size in tokens of several vocabularies.

    Attributes
    ----------
    documents
        their number.
    bytes
        their bytes of UTF-8.
    tokens
        by the name of a vocabulary, of which the first is the new one, the number of tokens.
    """

    documents: int
    bytes: int
    tokens: dict[str, int]

    @property
    def bytes_per_token(self) -> dict[str, float]:
        """The bytes per token of each vocabulary."""
        return {name: self.bytes / count for name, count in self.tokens.items()}

    def __str__(self) -> str:
        rates = [f"{name} {rate:.3f}" for name, rate in self.bytes_per_token.items()]
        return f"bytes per token of held-out text: {', '.join(rates)}"


def measure(
    trained: Encoding,
    found: Plan,
    form: Format,
    workers: int,
    progress: bool | None = False,
    log: Log | None = None,
) -> HeldOut:
    """Encode texts with a new vocabulary and with published ones, and return their sizes.

    `found` is what :func:`fastprep.trainer.counting.plan_of` found, so that inputs that are not there
    are an error before anything is counted. Special tokens in a text are ordinary text. Raises
    InvalidInput for inputs without text, and as :func:`fastprep.count_pieces`.
    """
    names = [trained.name, *(name for name in COMPARED if name != trained.name)]
    encodings = [trained, *map(get_encoding, names[1:])]
    report_passed_over(found.passed, log)
    size = 0
    tokens = [0] * len(names)

    def use(texts: Rows) -> None:
        nonlocal size
        signals.deliver()
        size += texts.size
        for at, encoding in enumerate(encodings):
            counts = encoding.count_batch(texts, num_threads=workers, disallowed_special=())
            tokens[at] += int(counts.sum())
        run.tick()

    total = sum(map(task_bytes, found.tasks))
    with deferred() as signals, Run(form, total, progress, log, "held out") as run:
        for task in found.tasks:
            run.read(task, use, 1, StopFlag())
    if not size:
        raise InvalidInput("held_out has no text; pass documents that are not empty")
    return HeldOut(run.documents, size, dict(zip(names, tokens, strict=True)))
