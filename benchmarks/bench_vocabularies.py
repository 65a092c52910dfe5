"""How fast are published vocabulary files, next to gigatoken and tokenizers, in CPU time on one thread?

    python benchmarks/bench_vocabularies.py --corpus prose.jsonl.zst --vocabularies FOLDER

The folder holds the files, packed by zstd or not: NAME.json or NAME.json.zst. Each side loads the same
file, and encodes the documents in a batch to the type of result that is fastest for it. Ids are compared
before anything is timed: a side with others is left out, as is a file or a library that is not there,
and the result says why. The first of the times is of new text, the others are of text that was seen.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

os.environ["RAYON_NUM_THREADS"] = "1"

from _run import ROOT, argument_parser, choose_documents, describe_corpus, write_result
from peers import digest, flat_awkward, flat_objects, flat_offsets, version_of

import fastprep

#: The families by their file; Llama 2's vocabulary is that of Phi-3.
FAMILIES = {
    "Qwen 3": "qwen3",
    "DeepSeek V3": "deepseek_v3",
    "DeepSeek V4": "deepseek_v4",
    "Phi-2": "phi2",
    "Llama 2": "phi3_mini",
    "Gemma 3": "gemma3",
    "Pythia": "pythia",
}
Encode = Callable[[list[str]], Any]


def of_fastprep(file: Path) -> Encode:
    """Use encode_batch_to_numpy, with all special tokens, as the others find them."""
    ours = fastprep.Encoding.from_file(file)
    return lambda documents: ours.encode_batch_to_numpy(
        documents, num_threads=1, allowed_special="all"
    )


def of_gigatoken(file: Path) -> Encode:
    """Use encode_batch, to an awkward array."""
    import gigatoken

    theirs = gigatoken.Tokenizer(file)
    return lambda documents: theirs.encode_batch(documents, parallel=False)


def of_tokenizers(file: Path) -> Encode:
    """Use encode_batch_fast."""
    import tokenizers

    theirs = tokenizers.Tokenizer.from_file(str(file))
    return lambda documents: theirs.encode_batch_fast(documents, add_special_tokens=False)


SIDES = {
    "fastprep": (of_fastprep, flat_offsets),
    "gigatoken": (of_gigatoken, flat_awkward),
    "tokenizers": (of_tokenizers, flat_objects),
}


def unpacked(folder: Path, name: str, target: Path) -> Path | None:
    """Return the file of a vocabulary, unpacked into `target` if need be; None if it is not there."""
    plain, packed = folder / f"{name}.json", folder / f"{name}.json.zst"
    if plain.is_file() or not packed.is_file():
        return plain if plain.is_file() else None
    import zstandard

    path = target / plain.name
    with packed.open("rb") as source, path.open("wb") as file:
        zstandard.ZstdDecompressor().copy_stream(source, file)
    return path


def measure(file: Path, documents: list[str], megabytes: float, repeats: int) -> dict[str, Any]:
    """Compare the ids of a file, then measure the CPU time of all sides in turns."""
    encoders: dict[str, Encode] = {}
    seconds: dict[str, list[float]] = {}
    left_out: dict[str, str] = {}
    expected = ""
    for name, (load, flat) in SIDES.items():
        if version_of(name) is None:
            left_out[name] = "is not installed"
            continue
        try:
            encode = load(file)
            start = time.process_time()
            result = encode(documents)
            spent = time.process_time() - start
        except Exception as error:  # of any library
            if name == "fastprep":
                raise
            left_out[name] = f"{type(error).__name__}: {str(error)[:200]}"
            continue
        found = digest(flat(result))
        expected = expected or found
        if found != expected:
            left_out[name] = "other ids"
            continue
        encoders[name], seconds[name] = encode, [spent]
    for turn in range(repeats):
        for name in list(encoders)[:: -1 if turn % 2 else 1]:
            start = time.process_time()
            encoders[name](documents)
            seconds[name].append(time.process_time() - start)
    best = {name: median(times[1:]) for name, times in seconds.items()}
    return {
        "megabytes_per_second_of_cpu": {
            name: {"cold": round(megabytes / times[0], 2), "warm": round(megabytes / best[name], 2)}
            for name, times in seconds.items()
        },
        "times_of_others": {
            name: round(value / best["fastprep"], 2)
            for name, value in best.items()
            if name != "fastprep"
        },
        "left_out": left_out,
    }


def main() -> None:
    """Measure all families whose file is there, and print the result."""
    question = __doc__.splitlines()[0]
    parser = argument_parser(question, megabytes=2, repeats=3)
    parser.add_argument(
        "--vocabularies",
        type=Path,
        default=ROOT.parent / "shared" / "vocabularies",
        help="folder of the vocabulary files (default: %(default)s)",
    )
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    arguments = parser.parse_args()
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    documents = [text.encode("utf-8", "replace").decode() for text in documents]
    corpus = describe_corpus(arguments.corpus, documents, arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for family in arguments.families:
            file = unpacked(arguments.vocabularies, FAMILIES[family], Path(directory))
            if file is None:
                print(
                    f"{family}: no {FAMILIES[family]}.json in {arguments.vocabularies}; left out",
                    file=sys.stderr,
                )
                rows.append({"family": family, "left_out": "the file is not there"})
                continue
            found = measure(file, documents, corpus["bytes"] / 1e6, arguments.repeats)
            rows.append({"family": family, "file": FAMILIES[family], **found})
    times = [row["times_of_others"] for row in rows if "times_of_others" in row]
    means = {
        name: round(float(geometric_mean([one[name] for one in times if name in one])), 2)
        for name in list(SIDES)[1:]
        if any(name in one for one in times)
    }
    write_result(
        {
            "question": question,
            "corpus": corpus,
            "repeats": arguments.repeats,
            "versions": {name: version_of(name) for name in SIDES},
            "rows": rows,
            "geometric_means": means,
        },
        arguments.output,
    )


if __name__ == "__main__":
    main()
