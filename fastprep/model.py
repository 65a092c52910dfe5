"""The encoding of each model, by its exact name or by a prefix of it."""

from __future__ import annotations

import os

from fastprep.encoding.encoding import Encoding
from fastprep.errors import UnknownModel, WrongType
from fastprep.registry import get_encoding
from fastprep.vocabulary.published import PUBLISHED

# The ends of names of vocabulary files.
_SUFFIXES = (".json", ".tiktoken", "vocab.bpe", "merges.txt")

_O200K = ("o1", "o3", "o4-mini", "gpt-5", "gpt-4.1", "gpt-4o")
_CL100K = (
    *("gpt-4", "gpt-3.5-turbo", "gpt-3.5", "gpt-35-turbo", "davinci-002", "babbage-002"),
    *("text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large"),
)
_P50K = (
    *("text-davinci-003", "text-davinci-002", "davinci-codex", "cushman-codex"),
    *("code-davinci-002", "code-davinci-001", "code-cushman-002", "code-cushman-001"),
)
_P50K_EDIT = ("text-davinci-edit-001", "code-davinci-edit-001")
_SIZES = ("davinci", "curie", "babbage", "ada")
_R50K = (
    *_SIZES,
    *("text-davinci-001", "text-curie-001", "text-babbage-001", "text-ada-001"),
    *(f"text-similarity-{size}-001" for size in _SIZES),
    *(f"text-search-{size}-doc-001" for size in _SIZES),
    *("code-search-babbage-code-001", "code-search-ada-code-001"),
)

#: From a model's exact name to the name of its encoding.
MODEL_TO_ENCODING: dict[str, str] = {
    **dict.fromkeys(_O200K, "o200k_base"),
    **dict.fromkeys(_CL100K, "cl100k_base"),
    **dict.fromkeys(_P50K, "p50k_base"),
    **dict.fromkeys(_P50K_EDIT, "p50k_edit"),
    **dict.fromkeys(_R50K, "r50k_base"),
    **dict.fromkeys(("gpt2", "gpt-2"), "gpt2"),
}

#: From a prefix of a model's name to the name of its encoding; the first that matches counts.
MODEL_PREFIX_TO_ENCODING: dict[str, str] = {
    **dict.fromkeys(
        (
            *("o1-", "o3-", "o4-mini-", "gpt-5", "gpt-4.5-", "gpt-4.1-", "chatgpt-4o-", "gpt-4o-"),
            "ft:gpt-4o",
        ),
        "o200k_base",
    ),
    **dict.fromkeys(
        (
            *("gpt-4-", "gpt-3.5-turbo-", "gpt-35-turbo-"),
            *("ft:gpt-4", "ft:gpt-3.5-turbo", "ft:davinci-002", "ft:babbage-002"),
        ),
        "cl100k_base",
    ),
    "gpt-oss-": "o200k_harmony",
}


def encoding_name_for_model(model_name: str) -> str:
    """Return the name of the encoding that a model uses.

    >>> encoding_name_for_model("gpt-4o-2024-08-06")
    'o200k_base'

    A name is looked up as it is, then by its prefixes, so a model that does not exist may have an
    encoding. Raises UnknownModel, a KeyError, if neither is found.
    """
    if not isinstance(model_name, str):
        raise WrongType(f"model_name is {model_name!r:.80}; pass a str")
    if model_name in MODEL_TO_ENCODING:
        return MODEL_TO_ENCODING[model_name]
    for prefix, encoding_name in MODEL_PREFIX_TO_ENCODING.items():
        if model_name.startswith(prefix):
            return encoding_name
    raise UnknownModel(
        f"Could not automatically map {model_name} to a tokeniser. "
        "Name the encoding instead: `get_encoding` takes the names that `list_encoding_names` returns."
    )


def encoding_for_model(model_name: str) -> Encoding:
    """Return the encoding that a model uses.

    >>> encoding_for_model("gpt2")
    <Encoding 'gpt2'>

    Raises UnknownModel like :func:`encoding_name_for_model`.
    """
    return get_encoding(encoding_name_for_model(model_name))


def is_vocabulary_file(name: str) -> bool:
    """Return whether a name that may be of an encoding, a model or a vocabulary file is of a file.

    >>> is_vocabulary_file("gpt-4o"), is_vocabulary_file("out/tokenizer.json")
    (False, True)
    """
    if name in PUBLISHED:
        return False
    if os.sep in name or name.endswith(_SUFFIXES):
        return True
    try:
        encoding_name_for_model(name)
    except UnknownModel:
        return os.path.exists(name)  # noqa: PTH110
    return False
