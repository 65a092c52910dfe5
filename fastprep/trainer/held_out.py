"""Held-out texts, measured in tokens of a new vocabulary and of published ones."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from fastprep.corpus import reader as corpus
from fastprep.corpus.batches import readable
from fastprep.corpus.plan import task_bytes
from fastprep.errors import InvalidInput
from fastprep.registry import get_encoding
from fastprep.system.interrupts import deferred
from fastprep.system.threads import StopFlag
from fastprep.trainer.counting import plan_of, report_passed_over
from fastprep.trainer.progress import Bar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastprep.corpus.documents import Format
    from fastprep.corpus.inputs import Inputs
    from fastprep.encoding.encoding import Encoding
    from fastprep.jobs.progress import Log

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
    inputs: Inputs | Iterable[str],
    form: Format,
    progress: bool | None = False,
    log: Log | None = None,
) -> HeldOut:
    """Encode texts with a new vocabulary and with published ones, and return their sizes.

    Special tokens in a text are ordinary text. Raises InvalidInput for inputs without text, and as
    :func:`fastprep.count_pieces`.
    """
    names = [trained.name, *(name for name in COMPARED if name != trained.name)]
    encodings = [trained, *map(get_encoding, names[1:])]
    found = plan_of(inputs, form)
    report_passed_over(found.passed, log)
    documents = size = done = 0
    tokens = [0] * len(names)
    total = sum(map(task_bytes, found.tasks))
    with deferred() as signals, Bar("held out", total, "B", show=progress) as bar:
        for task in found.tasks:
            with contextlib.closing(corpus.read(task, form, cut=False, stop=StopFlag())) as batches:
                for batch in batches:
                    signals.deliver()
                    texts, _ = readable(batch, form.on_error)
                    documents += len(texts)
                    size += texts.size
                    for at, encoding in enumerate(encodings):
                        tokens[at] += int(encoding.count_batch(texts, disallowed_special=()).sum())
            done += task_bytes(task)
            bar.update(done)
    if not size:
        raise InvalidInput("held_out has no text; pass documents that are not empty")
    return HeldOut(documents, size, dict(zip(names, tokens, strict=True)))
