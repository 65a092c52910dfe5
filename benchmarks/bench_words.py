"""How much faster are the notebook's word tokenizers here than in the notebook?

    python benchmarks/bench_words.py --corpus prose.jsonl.zst

The notebook's own classes (fastprep.checks.plain_words) run in turns with the compiled ones.
Documents are encoded one by one, and their ids dropped, with two vocabularies: one of all their
words, and one of the first twentieth of the documents, so that unknown words occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from _run import argument_parser, choose_documents, compare, describe_corpus, write_result

from fastprep.checks import plain_words as reference
from fastprep.words import tokenizers as words


def over(function: Callable[[Any], object], items: Iterable[Any]) -> Callable[[], None]:
    """Return a call of the function on each item that keeps nothing."""

    def run() -> None:
        for item in items:
            function(item)

    return run


def both(
    name: str,
    notebook: Callable[[Any], object],
    compiled: Callable[[Any], object],
    items: list[Any],
    **how: Any,
) -> dict[str, Any]:
    """Return one row: check that both sides agree on every item, then measure their speed."""
    for item in items:
        if notebook(item) != compiled(item):
            raise SystemExit(f"{name}: the notebook gives another result; nothing was timed")
    sides = {"notebook": over(notebook, items), "fastprep": over(compiled, items)}
    return {"what": name, **compare(sides, **how)}


def main() -> None:
    """Measure, and print the result."""
    parser = argument_parser(__doc__.splitlines()[0], megabytes=8, repeats=5)
    arguments = parser.parse_args()
    documents = choose_documents(arguments.corpus, arguments.megabytes, arguments.seed)
    corpus = describe_corpus(arguments.corpus, documents, arguments.seed)
    how = {"megabytes": corpus["bytes"] / 1e6, "repeats": arguments.repeats}

    rows = [
        both("build_vocab", reference.build_vocab, words.build_vocab, [documents], **how),
        both("split_words", reference.split_words, words.split_words, documents, **how),
    ]
    few = max(1, len(documents) // 20)
    for known, texts in (("all words known", documents), ("unknown words", documents[:few])):
        vocab = words.build_vocab(texts)
        notebook, compiled = reference.SimpleTokenizerV2(vocab), words.SimpleTokenizerV2(vocab)
        what = f"{{}}, {known}, vocabulary of {len(vocab)}"
        rows.append(both(what.format("encode"), notebook.encode, compiled.encode, documents, **how))
        ids = [compiled.encode(document) for document in documents]
        rows.append(both(what.format("decode"), notebook.decode, compiled.decode, ids, **how))
    write_result(
        {"question": __doc__.splitlines()[0], "corpus": corpus, **how, "rows": rows},
        arguments.output,
    )


if __name__ == "__main__":
    main()
