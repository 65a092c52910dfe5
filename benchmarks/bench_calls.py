"""How long does one call take on a prompt of 100 bytes, and how fast are a million ids decoded?

    python benchmarks/bench_calls.py

Each time is the mean of a few thousand calls in a row, tiktoken's and fastprep's in turns. The million
ids are uniform over the vocabulary, which is harder than text, where a few tokens are most of it.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from _run import plain_parser, tiktokens, time_in_turns, write_result

from fastprep import get_encoding, list_encoding_names

PROMPT = (
    "Summarize the following article in two sentences, and keep all of its 3 numbers.\n\n"
    "The city's 12 fair"
)
CALLS = 2_000
MILLION = 1_000_000


def repeated(call: Callable[[], object]) -> Callable[[], None]:
    """Return a function that makes the call CALLS times."""

    def run() -> None:
        for _ in itertools.repeat(None, CALLS):
            call()

    return run


def measure(name: str, repeats: int) -> dict[str, Any]:
    """Check that all results of one encoding are tiktoken's, then measure the times."""
    ours = get_encoding(name)
    peer = tiktokens(ours)
    ids = peer.encode(PROMPT)
    many = random.Random(1).choices(range(len(ours._mergeable_ranks)), k=MILLION)
    array = np.array(many, np.uint32)
    calls: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "encode": (lambda: peer.encode(PROMPT), lambda: ours.encode(PROMPT)),
        "encode_ordinary": (
            lambda: peer.encode_ordinary(PROMPT),
            lambda: ours.encode_ordinary(PROMPT),
        ),
        "count": (lambda: len(peer.encode(PROMPT)), lambda: ours.count(PROMPT)),
        "encode_to_numpy": (
            lambda: peer.encode_to_numpy(PROMPT),
            lambda: ours.encode_to_numpy(PROMPT),
        ),
        "decode": (lambda: peer.decode(ids), lambda: ours.decode(ids)),
    }
    row: dict[str, Any] = {"encoding": name, "ids": len(ids), "microseconds": {}}
    for what, (theirs, own) in calls.items():
        if not np.array_equal(theirs(), own()):
            raise SystemExit(f"{name}, {what}: tiktoken gives another result; nothing was timed")
        sides = {"tiktoken": repeated(theirs), "fastprep": repeated(own)}
        seconds = time_in_turns(sides, repeats)
        row["microseconds"][what] = {
            side: round(1e6 * median(times) / CALLS, 3) for side, times in seconds.items()
        }
    if not peer.decode_bytes(many) == ours.decode_bytes(many) == ours.decode_bytes(array):
        raise SystemExit(f"{name}: tiktoken decodes otherwise; nothing was timed")
    seconds = time_in_turns(
        {
            "tiktoken": lambda: peer.decode_bytes(many),
            "fastprep list": lambda: ours.decode_bytes(many),
            "fastprep array": lambda: ours.decode_bytes(array),
        },
        repeats,
    )
    row["million_ids_milliseconds"] = {
        side: round(1e3 * median(times), 2) for side, times in seconds.items()
    }
    return row


def main() -> None:
    """Measure all encodings, and print the result."""
    question = __doc__.splitlines()[0]
    arguments = plain_parser(question, repeats=15).parse_args()
    rows = [measure(name, arguments.repeats) for name in list_encoding_names()]
    write_result(
        {"question": question, "prompt": PROMPT, "repeats": arguments.repeats, "rows": rows},
        arguments.output,
    )


if __name__ == "__main__":
    main()
