"""How much CPU time and memory does training a vocabulary take, next to other trainers?

    python benchmarks/bench_train.py --corpus prose.jsonl.zst --megabytes 40 --vocab-size 32000

Each trainer runs in a process of its own, in turns, with GPT-2's pattern; its start and its imports
count. Those that are not installed are left out. By documents each document is a text, by lines
each line of a file is one. The merges of a contract are compared before a time counts; what differs
is said beside the figures.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Trainers by contract: the package that each needs.
TRAINERS = {
    "fastprep, documents": "fastprep",
    "gigatoken, documents": "gigatoken",
    "tokenizers, documents": "tokenizers",
    "rustbpe, documents, ties by bytes": "rustbpe",
    "fastprep, documents, ties by bytes": "fastprep",
    "fastprep, lines": "fastprep",
    "gigabpe, lines": "gigabpe",
    "tokenizers, lines": "tokenizers",
}
#: The trainer that others of the same contract are compared with.
_OURS = ("fastprep, documents", "fastprep, documents, ties by bytes", "fastprep, lines")


def texts_of(folder: Path) -> list[str]:
    """Return the documents, which each trainer reads from the same file."""
    with (folder / "documents.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


def train(name: str, folder: Path, size: int, threads: int) -> list[bytes]:
    """Train by one of the trainers; return the bytes of the merged tokens in order."""
    if name.startswith("fastprep"):
        import fastprep

        lines = name.endswith("lines")
        enc = fastprep.train_bpe(
            folder / ("lines.txt" if lines else "documents.jsonl"),
            size,
            special_tokens=[],
            separator=None,
            documents="lines" if lines else "whole",
            ties="bytes" if name.endswith("bytes") else "huggingface",
            workers=threads,
            log=lambda event: None,
        )
        return [left + right for left, right in enc.merges]
    if name.startswith("tokenizers"):
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=alphabet, show_progress=False
        )
        if name.endswith("lines"):
            tokenizer.train([str(folder / "lines.txt")], trainer)
        else:
            tokenizer.train_from_iterator(texts_of(folder), trainer)
        return in_bytes(json.loads(tokenizer.to_str())["model"]["merges"])
    if name.startswith("gigabpe"):
        import gigabpe

        path = str(folder / "lines.txt")
        _, merges = gigabpe.train_bpe([path], size, threads=threads, pretokenizer="bytelevel")
        return in_bytes(merges)
    if name.startswith("gigatoken"):
        import gigatoken

        special = "<|endoftext|>"
        path = str(folder / "documents.txt")
        _, merges = gigatoken.train_bpe(path, size + 1, [special], separator=special.encode())
        return [left + right for left, right in merges]
    import rustbpe

    from fastprep.vocabulary.patterns import BYTE_LEVEL_PATTERN

    tokenizer = rustbpe.Tokenizer()
    tokenizer.train_from_iterator(iter(texts_of(folder)), size, pattern=BYTE_LEVEL_PATTERN)
    return [bytes(token) for token, id in tokenizer.get_mergeable_ranks() if id >= 256]


def in_bytes(merges: Any) -> list[bytes]:
    """Return the merged tokens of pairs in the byte alphabet."""
    from fastprep.vocabulary.byte_alphabet import to_bytes

    return [to_bytes(left + right) for left, right in merges]


def child(name: str, folder: Path, size: int, threads: int) -> None:
    """Train in this process, and print what it took and what was made."""
    start = time.perf_counter()
    tokens = train(name, folder, size, threads)
    wall = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    (folder / "tokens.json").write_text(json.dumps([token.hex() for token in tokens]))
    # Not ru_maxrss, which begins with the memory of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    facts = {"cpu": used.ru_utime + used.ru_stime, "wall": wall, "peak_mib": peak}
    print(json.dumps(facts))


def measure(name: str, folder: Path, size: int, threads: int) -> tuple[dict[str, float], list[str]]:
    """Run one trainer in a process; return what it took, and its tokens."""
    command = [sys.executable, __file__, "--child", name, str(folder), str(size), str(threads)]
    parallel = "true" if threads > 1 else "false"
    env = {**os.environ, "RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": parallel}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), json.loads(
        (folder / "tokens.json").read_text()
    )


def common(one: list[str], other: list[str]) -> int:
    """Return how many tokens both made in the same order before the first difference."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def main() -> None:
    """Measure, and print the result."""
    # Not by the processes that are measured: it imports numpy and all of fastprep.
    from _run import argument_parser, choose_documents, describe_corpus, write_result

    parser = argument_parser(__doc__.splitlines()[0], megabytes=10, repeats=3)
    parser.add_argument("--vocab-size", type=int, default=32_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], metavar="N")
    parser.add_argument("--only", nargs="*", default=list(TRAINERS), metavar="TRAINER")
    options = parser.parse_args()
    documents = choose_documents(options.corpus, options.megabytes, options.seed)
    names = [name for name in TRAINERS if name in options.only and find_spec(TRAINERS[name])]
    sides = [(name, threads) for threads in options.threads for name in names]
    times: dict[tuple[str, int], list[dict[str, float]]] = {side: [] for side in sides}
    made: dict[tuple[str, int], list[str]] = {}
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        with (folder / "documents.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in documents)
        text = "<|endoftext|>".join(documents)
        (folder / "documents.txt").write_text(text, encoding="utf-8", newline="")
        (folder / "lines.txt").write_text("\n".join(documents), encoding="utf-8", newline="")
        for _ in range(options.repeats):
            for side in sides:
                facts, made[side] = measure(side[0], folder, options.vocab_size, side[1])
                times[side].append(facts)
    rows = []
    for name, threads in sides:
        side = name, threads
        ours = (
            next(each for each in reversed(_OURS) if name.endswith(each.removeprefix("fastprep"))),
            threads,
        )
        row: dict[str, Any] = {"trainer": name, "threads": threads, "merges": len(made[side])}
        for fact in ("cpu", "wall", "peak_mib"):
            row[fact] = round(statistics.median(each[fact] for each in times[side]), 3)
        if ours in made:
            row["same_merges"] = common(made[ours], made[side])
            for fact in ("cpu", "wall", "peak_mib"):
                # Both sides of a round ran one after the other.
                rounds = zip(times[side], times[ours], strict=True)
                row[f"{fact}_of_fastprep"] = round(
                    statistics.median(theirs[fact] / mine[fact] for theirs, mine in rounds), 2
                )
        rows.append(row)
    write_result(
        {
            "question": __doc__.splitlines()[0],
            "corpus": describe_corpus(options.corpus, documents, options.seed),
            "vocab_size": options.vocab_size,
            "repeats": options.repeats,
            "rows": rows,
        },
        options.output,
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
