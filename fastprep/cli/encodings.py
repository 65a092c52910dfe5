"""``fastprep encodings``: the encodings that come with fastprep."""

from __future__ import annotations

import sys
from typing import NamedTuple

from fastprep.cli.options import as_json
from fastprep.terminal import BOLD, CYAN, DIM, Pen, columns_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from fastprep.cli.parser import Parser


def add_encodings(command: Parser) -> None:
    """Add the options of ``encodings``."""
    command.description = (
        "List the encodings that come with fastprep: the size of the vocabulary, the models that use "
        "it, and its special tokens. `--encoding` takes their names and those of the models; it also "
        "takes files, whose encodings are not listed here."
    )
    command.examples = ("fastprep encodings", "fastprep encodings --json")
    command.add_argument(
        "--json", action="store_true", help="print one JSON object per encoding, with all names"
    )
    command.set_defaults(run=_encodings)


def _encodings(options: argparse.Namespace) -> None:
    from fastprep.vocabulary.published import PUBLISHED

    if options.json:
        print(as_json({"encodings": [facts_of(name)._asdict() for name in PUBLISHED]}))
        return
    pen = Pen(sys.stdout)
    for name in PUBLISHED:
        facts = facts_of(name)
        named = [token for token in facts.special_tokens if not token.startswith("<|reserved_")]
        reserved = len(facts.special_tokens) - len(named)
        pen.print(f"{pen(name, BOLD)}  {facts.vocab_size:,} tokens")
        _print_list("models", facts.models, CYAN, pen)
        _print_list("special", named, DIM, pen, f" and {reserved:,} reserved" if reserved else "")


class Facts(NamedTuple):
    """The facts about a published encoding; ``gpt-4o-*`` are all models whose names begin so."""

    name: str
    vocab_size: int
    models: list[str]
    special_tokens: dict[str, int]


def facts_of(name: str) -> Facts:
    """Return the facts about a published encoding.

    >>> facts_of("gpt2").models
    ['gpt2', 'gpt-2']
    """
    from fastprep.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING
    from fastprep.registry import get_encoding

    encoding = get_encoding(name)
    models = [model for model, its in MODEL_TO_ENCODING.items() if its == name]
    models += [f"{prefix}*" for prefix, its in MODEL_PREFIX_TO_ENCODING.items() if its == name]
    return Facts(name, encoding.n_vocab, models, encoding.special_tokens)


def _print_list(label: str, names: list[str], style: str, pen: Pen, more: str = "") -> None:
    """Print names on one line, as many as the terminal has room for."""
    room = columns_of(sys.stdout) - len(f"  {label:<8} {more}")
    shown = list(names)
    while len(", ".join([*shown, "..."])) > room and len(shown) > 1:
        shown.pop()
    text = ", ".join(shown if len(shown) == len(names) else [*shown, "..."])
    pen.print(f"  {label:<8} {pen(text or 'none', style)}{more}")
