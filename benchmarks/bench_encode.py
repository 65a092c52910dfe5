"""How much faster than tiktoken is encoding, documents one by one and in batches on two threads?

    python benchmarks/bench_encode.py --corpus prose.jsonl.zst

tiktoken's encode_ordinary runs in turns with fastprep's, as lists and as arrays. "cold" is a first
pass of a new encoding, whose piece cache is empty: the cost of a corpus that is tokenized once.
"warm" is a later pass over the same text. "batch" is encode_ordinary_batch of all documents with two
threads on both sides; all ids of a batch are in lists at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from _run import (
    argument_parser,
    choose_documents,
    compare,
    describe_corpus,
    tiktokens,
    write_result,
)

from fastprep.encoding.encoding import Encoding
from fastprep.registry import get_encoding
from fastprep.vocabulary.published import PUBLISHED
from fastprep.vocabulary.ranks import bundled
from fastprep.vocabulary.recipe import Recipe

BATCH_THREADS = 2


def over(encode: Callable[[str], Sequence[int]], documents: list[str]) -> None:
    """Encode each document, and keep nothing."""
    for document in documents:
        encode(document)


def array(encoding: Encoding) -> Callable[[str], npt.NDArray[np.uint32]]:
    """Encode as encode_ordinary, but into an array."""
    return functools.partial(encoding.encode_to_numpy, disallowed_special=())


def main() -> None:
    """Compare all ids, measure, and print the result."""
    question = __doc__.splitlines()[0]
    parser = argument_parser(question, megabytes=40, repeats=5)
    parser.add_argument("--encoding", default="gpt2", help="its name (default: %(default)s)")
    arguments = parser.parse_args()
    name = arguments.encoding
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    corpus = describe_corpus(arguments.corpus, documents, arguments.seed)
    warm = get_encoding(name)
    peer = tiktokens(warm)
    for document in documents:
        ids = peer.encode_ordinary(document)
        if warm.encode_ordinary(document) != ids or array(warm)(document).tolist() != ids:
            raise SystemExit("tiktoken gives other ids; nothing was timed")
    threads = {"num_threads": BATCH_THREADS}
    if warm.encode_ordinary_batch(documents, **threads) != peer.encode_ordinary_batch(
        documents, **threads
    ):
        raise SystemExit("tiktoken gives other ids in batches; nothing was timed")
    # Made in advance, because building a table is not encoding.
    table = bundled(PUBLISHED[name].table)  # a copy, which does not share the cache
    recipe = Recipe(name, (warm.pat_str,), warm.special_tokens, ranks=table)
    cold = [Encoding._from_recipe(recipe) for _ in range(3 * arguments.repeats)]
    for encoding in cold:
        encoding.encode_ordinary("")
    sides: dict[str, Callable[[], None]] = {
        "tiktoken": lambda: over(peer.encode_ordinary, documents),
        "fastprep list, cold": lambda: over(cold.pop().encode_ordinary, documents),
        "fastprep list, warm": lambda: over(warm.encode_ordinary, documents),
        "fastprep array, cold": lambda: over(array(cold.pop()), documents),
        "fastprep array, warm": lambda: over(array(warm), documents),
    }
    batches: dict[str, Callable[[], object]] = {
        "tiktoken": lambda: peer.encode_ordinary_batch(documents, **threads),
        "fastprep, cold": lambda: cold.pop().encode_ordinary_batch(documents, **threads),
        "fastprep, warm": lambda: warm.encode_ordinary_batch(documents, **threads),
    }
    how = {"megabytes": corpus["bytes"] / 1e6, "repeats": arguments.repeats}
    result = {"question": question, "encoding": name, "corpus": corpus, **how}
    result |= compare(sides, **how)
    result["batch"] = {"threads": BATCH_THREADS, **compare(batches, **how)}
    write_result(result, arguments.output)


if __name__ == "__main__":
    main()
