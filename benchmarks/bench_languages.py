"""How much faster than gigatoken is encoding many languages: first, unseen and repeated text?

    python benchmarks/bench_languages.py --corpus languages.jsonl.zst

The corpus has a `language` for each text. A new process per language, encoding and side encodes three
times: half of the texts ("first"), the other half ("unseen"), and the first half once more ("again").
CPU seconds on one thread, texts to arrays of ids; the ids of both sides are compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
from _run import plain_parser, read_rows, utf8_size, write_result
from encode_child import VOCABULARIES
from tqdm import tqdm

SIDES = ("gigatoken", "fastprep")
PASSES = ("first", "unseen", "again")


def encoder_of(side: str, encoding: str) -> Any:
    """Return a function from a list of texts to one array of their ids."""
    if side == "fastprep":
        import fastprep

        ours = fastprep.get_encoding(encoding)
        return lambda texts: ours.encode_batch_to_numpy(texts, num_threads=1)[0]
    import gigatoken

    theirs = gigatoken.Tokenizer.from_tiktoken(VOCABULARIES / f"{encoding}.tiktoken")
    return lambda texts: np.asarray(
        theirs.encode_batch(texts, parallel=False).layout.content.data, np.uint32
    )


def child(side: str, encoding: str, source: Path) -> None:
    """Encode the texts of a file three times, and print CPU seconds and checksums."""
    texts = json.loads(source.read_text(encoding="utf-8"))
    encode = encoder_of(side, encoding)
    encode(["a"])
    seconds, sums = [], []
    for part in (texts[::2], texts[1::2], texts[::2]):
        start = time.process_time()
        ids = encode(part)
        seconds.append(time.process_time() - start)
        sums.append(zlib.crc32(ids.astype(np.uint32).tobytes()))
    print(json.dumps({"seconds": seconds, "sums": sums}))


def run_child(side: str, encoding: str, source: Path) -> dict[str, Any]:
    """Return what `child` prints in a new process."""
    command = [sys.executable, __file__, "--child", side, encoding, str(source)]
    found: dict[str, Any] = json.loads(subprocess.check_output(command, text=True))
    return found


def texts_by_language(path: Path) -> dict[str, list[str]]:
    """Return the texts of each language of a corpus file."""
    found: dict[str, list[str]] = {}
    for row in read_rows(path):
        found.setdefault(row["language"], []).append(row["text"])
    return found


def measure(encoding: str, source: Path, repeats: int) -> dict[str, Any]:
    """Return MB/s of both sides in each pass, and their ratio, after comparing their ids."""
    texts = json.loads(source.read_text(encoding="utf-8"))
    sizes = [utf8_size(texts[half::2]) / 1e6 for half in (0, 1, 0)]
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for turn in range(repeats):
        for side in SIDES[:: -1 if turn % 2 else 1]:
            runs[side].append(run_child(side, encoding, source))
    sums = {tuple(run["sums"]) for side in SIDES for run in runs[side]}
    took = {
        side: [median(run["seconds"][k] for run in runs[side]) for k in range(len(PASSES))]
        for side in SIDES
    }
    return {
        "megabytes": round(sizes[0] + sizes[1], 2),
        "same_ids": len(sums) == 1,
        "megabytes_per_cpu_second": {
            side: {name: round(sizes[k] / took[side][k], 1) for k, name in enumerate(PASSES)}
            for side in SIDES
        },
        "times_faster": {
            name: round(took["gigatoken"][k] / took["fastprep"][k], 2)
            for k, name in enumerate(PASSES)
        },
    }


def main() -> None:
    """Measure all languages, and print the result."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
        return
    question = __doc__.splitlines()[0]
    parser = plain_parser(question, repeats=3)
    parser.add_argument("--corpus", type=Path, required=True, help="FILE.jsonl.zst with languages")
    parser.add_argument(
        "--encodings", nargs="+", default=["cl100k_base", "o200k_base"], help="(default: both)"
    )
    parser.add_argument("--languages", nargs="+", help="(default: all of the corpus)")
    arguments: argparse.Namespace = parser.parse_args()
    languages = texts_by_language(arguments.corpus)
    chosen = arguments.languages or sorted(languages)
    rows, means = [], {}
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "texts.json")
        for language in tqdm(chosen, unit="language", disable=None):
            source.write_text(json.dumps(languages[language]), encoding="utf-8")
            for encoding in arguments.encodings:
                row = measure(encoding, source, arguments.repeats)
                rows.append({"language": language, "encoding": encoding, **row})
    for encoding in arguments.encodings:
        means[encoding] = {
            name: round(
                geometric_mean(
                    row["times_faster"][name] for row in rows if row["encoding"] == encoding
                ),
                2,
            )
            for name in PASSES
        }
    result = {
        "question": question,
        "corpus": arguments.corpus.name,
        "repeats": arguments.repeats,
        "times_faster_on_average": means,
        "rows": rows,
    }
    write_result(result, arguments.output)


if __name__ == "__main__":
    main()
