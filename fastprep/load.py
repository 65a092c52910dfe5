"""Readers and writers of rank files as plain dicts, with the names of tiktoken's module.

Code that makes its own encoding starts with ``load_tiktoken_bpe``; :meth:`fastprep.Encoding.from_file`
makes the encoding as well, and checks more.
"""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import chain

from fastprep.errors import BadVocabulary
from fastprep.system.arguments import local_path
from fastprep.system.atomic import replacing
from fastprep.vocabulary.byte_alphabet import ALPHABET, to_bytes
from fastprep.vocabulary.ranks import SHA256, published_table

_NOT_RANKS = ("<|endoftext|>", "<|startoftext|>")


def load_tiktoken_bpe(tiktoken_bpe_file: str, expected_hash: str | None = None) -> dict[bytes, int]:
    """Read a ``.tiktoken`` file into a dict from each token's bytes to its rank.

    Parameters
    ----------
    tiktoken_bpe_file
        its path; or the URL of a published one, which is bundled. Nothing is downloaded.
    expected_hash
        the sha256 of the file in hexadecimal; if given, it is checked.

    >>> path = tmp / "three.tiktoken"
    >>> dump_tiktoken_bpe({b"a": 0, b"b": 1, b"ab": 2}, str(path))
    >>> load_tiktoken_bpe(str(path))
    {b'a': 0, b'b': 1, b'ab': 2}

    Raises :class:`~fastprep.errors.BadVocabulary` for another hash, a line that is not
    ``base64 rank``, or the URL of a file that is not bundled; OSError from the system.
    """
    if "://" in str(tiktoken_bpe_file):
        return _published(str(tiktoken_bpe_file), expected_hash)
    ranks = {}
    for line in _read(tiktoken_bpe_file, expected_hash).splitlines():
        if not line:
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)
        except ValueError:
            raise BadVocabulary(
                f"Error parsing line {line[:100]!r} in {tiktoken_bpe_file}: it is not a token in "
                "base64, a space and its rank"
            ) from None
    return ranks


def dump_tiktoken_bpe(bpe_ranks: dict[bytes, int], tiktoken_bpe_file: str) -> None:
    """Write ranks to a ``.tiktoken`` file, in their order; the file appears once it is complete.

    Raises OSError from the system.
    """
    with replacing(local_path(tiktoken_bpe_file, "a vocabulary file")) as file:
        for token in sorted(bpe_ranks, key=bpe_ranks.__getitem__):
            file.write(base64.b64encode(token) + b" %d\n" % bpe_ranks[token])


def data_gym_to_mergeable_bpe_ranks(
    vocab_bpe_file: str,
    encoder_json_file: str,
    vocab_bpe_hash: str | None = None,
    encoder_json_hash: str | None = None,
    clobber_one_byte_tokens: bool = False,
) -> dict[bytes, int]:
    """Read the ranks of a pair of files like GPT-2's: merges, and ids that must agree with them.

    Parameters
    ----------
    vocab_bpe_file, encoder_json_file
        their paths.
    vocab_bpe_hash, encoder_json_hash
        the sha256 of each in hexadecimal; if given, they are checked.
    clobber_one_byte_tokens
        whether single bytes get their ids as ranks.

    Raises :class:`~fastprep.errors.BadVocabulary` for another hash, and if the two files contradict
    each other; OSError from the system.
    """
    lines = _read(vocab_bpe_file, vocab_bpe_hash).decode("utf-8").split("\n")[1:-1]
    spelled = json.loads(_read(encoder_json_file, encoder_json_hash))
    try:
        merged = [to_bytes("".join(line.split())) for line in lines]
        ids = {to_bytes(key): id for key, id in spelled.items() if key not in _NOT_RANKS}
    except UnicodeEncodeError as error:
        raise BadVocabulary(
            f"{vocab_bpe_file} and {encoder_json_file}: {error.object[:80]!r} has a character that "
            "stands for no byte; they are not a byte-level vocabulary"
        ) from None
    # Visible bytes come first, then those that are written as later characters.
    single = [bytes([ALPHABET.index(letter)]) for letter in sorted(ALPHABET)]
    ranks = {token: rank for rank, token in enumerate(chain(single, merged))}
    if clobber_one_byte_tokens:
        ranks.update({token: id for token, id in ids.items() if len(token) == 1})
    if ranks != ids:
        raise BadVocabulary(
            f"{vocab_bpe_file} has merges for {len(ranks)} tokens and {encoder_json_file} "
            f"{len(ids)} ids, which are not their ranks; give two files of one vocabulary"
        )
    return ranks


def _read(path: str, expected_hash: str | None) -> bytes:
    if "://" in str(path):
        raise BadVocabulary(f"{path}: fastprep downloads nothing; fetch the file and give its path")
    data = local_path(path, "a vocabulary file").read_bytes()
    _check_hash(path, hashlib.sha256(data).hexdigest(), expected_hash)
    return data


def _published(address: str, expected_hash: str | None) -> dict[bytes, int]:
    name = address.rsplit("/", 1)[1].removesuffix(".tiktoken")
    if name not in SHA256:
        raise BadVocabulary(
            f"{address}: fastprep downloads nothing, and has these published files: "
            f"{', '.join(SHA256)}; fetch the file and give its path"
        )
    _check_hash(address, SHA256[name], expected_hash)
    return published_table(name).mergeable_ranks()


def _check_hash(path: str, found: str, expected: str | None) -> None:
    if expected and found != expected:
        raise BadVocabulary(
            f"Hash mismatch for {path}: its sha256 is {found}, expected {expected}; it is another "
            "file, or damaged"
        )
