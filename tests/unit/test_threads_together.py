"""Sixteen threads in every part of the interface at once get what one thread gets.

Objects are shared where users share them: encodings, stores, data sets, word tokenizers. On a
Python with a GIL this checks what compiled code does without it; on a free-threaded one everything.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import fastprep

THREADS = 16
TEXTS = [
    "Hello, do you like tea? <|endoftext|>",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n\n  x = 1234567",
    "東京は日本の首都です。 🙂🙂 naïve café ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbb",
]
LINES = '{"text": "One caf\\u00e9."}\n{"text": "Two."}\n{"text": NaN, "text": "Three, four."}\n'


def run_together(actions: list[Callable[[], Any]]) -> list[list[Any]]:
    """Return the results of all actions per thread, each of which begins with another one."""
    found: list[list[Any]] = [[None] * len(actions) for _ in range(THREADS)]
    barrier = threading.Barrier(THREADS, timeout=60)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            barrier.wait()
            for step in range(len(actions)):
                at = (number + step) % len(actions)
                found[number][at] = actions[at]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return found


def check(actions: list[Callable[[], Any]]) -> None:
    expected = [action() for action in actions]
    for results in run_together(actions):
        assert results == expected


def streamed(encoding: fastprep.Encoding, ids: list[int]) -> str:
    stream = encoding.decode_stream()
    return "".join([*map(stream.push, ids), stream.finish()])


def of_encoding(encoding: fastprep.Encoding) -> list[Callable[[], Any]]:
    ids = encoding.encode_ordinary(TEXTS[1])
    every = [encoding.encode_ordinary(text) for text in TEXTS]
    return [
        *(partial(encoding.encode, text, allowed_special="all") for text in TEXTS),
        *(partial(encoding.encode_ordinary, text) for text in TEXTS),
        partial(encoding.encode_ordinary_batch, TEXTS, num_threads=2),
        partial(encoding.encode_batch, TEXTS, num_threads=2, disallowed_special=()),
        lambda: encoding.encode_to_numpy(TEXTS[2]).tolist(),
        partial(encoding.count, TEXTS[1]),
        lambda: [*map(int, encoding.encode_bytes(TEXTS[2].encode()))],
        partial(encoding.encode_with_offsets, TEXTS[1]),
        lambda: encoding.encode_with_unstable("hello fanta"),
        partial(encoding.decode, ids),
        partial(encoding.decode_bytes, ids),
        partial(encoding.decode_batch, every),
        partial(encoding.decode_with_offsets, ids),
        partial(encoding.decode_tokens_bytes, ids),
        partial(streamed, encoding, ids),
        lambda: str(encoding.show(TEXTS[0])),
        lambda: [encoding.n_vocab, encoding.special_tokens, encoding.eot_token],
        lambda: encoding.encode_single_token("e"),
    ]


def test_an_encoding_serves_many_threads():
    check(of_encoding(fastprep.get_encoding("gpt2")))


@pytest.fixture
def small(tmp_path):
    """Return a vocabulary file that is read in no time."""
    made = fastprep.train_bpe(iter(TEXTS * 3), vocab_size=300, progress=False)
    made.save(tmp_path / "tokenizer.json")
    return tmp_path / "tokenizer.json"


def test_the_first_use_of_an_encoding_may_be_made_by_many_threads(small):
    expected = [action() for action in of_encoding(fastprep.Encoding.from_file(small))]
    new = fastprep.Encoding.from_file(small)
    for results in run_together(of_encoding(new)):
        assert results == expected


def test_files_of_encodings_are_read_and_written_by_many_threads(small, tmp_path):
    encoding = fastprep.Encoding.from_file(small)
    (tmp_path / "text.txt").write_text(TEXTS[1] * 3, encoding="utf-8")

    def read(name: str) -> list[int]:
        return fastprep.Encoding.from_file(tmp_path / name).encode_ordinary(TEXTS[1])

    def written() -> bytes:
        path = tmp_path / f"{threading.get_ident()}.json"
        encoding.save(path)
        return path.read_bytes()

    def encoded() -> bytes:
        path = tmp_path / f"{threading.get_ident()}.bin"
        encoding.encode_file(tmp_path / "text.txt", path)
        return path.read_bytes()

    check([partial(read, "tokenizer.json"), written, encoded])


def test_vocabularies_are_trained_by_many_threads():
    texts = ["ab ab abc abcd"] * 5 + ["the then there"] * 3

    def trained() -> list[Any]:
        made = fastprep.train_bpe(iter(texts), vocab_size=262, progress=False)
        return [made.merges, made.encode("abcd the")]

    counts = fastprep.count_pieces(iter(texts), progress=False)
    check(
        [
            trained,
            lambda: fastprep.count_pieces(iter(texts), progress=False) == counts,
            lambda: fastprep.train_bpe(counts, vocab_size=260, progress=False).merges,
        ]
    )


def test_words_are_encoded_by_many_threads():
    vocab = fastprep.build_vocab(TEXTS[1])
    one, two = fastprep.SimpleTokenizerV1(vocab), fastprep.SimpleTokenizerV2(vocab)
    text = "Zwölf Boxkämpfer jagen"
    check(
        [
            partial(one.encode, text),
            partial(two.encode, f"{text} unknown"),
            lambda: two.decode(two.encode(text)),
            lambda: fastprep.build_vocab(TEXTS[1]) == vocab,
        ]
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "lines.jsonl").write_text(LINES, encoding="utf-8")
    (folder / "text.txt").write_text("<|endoftext|>".join(TEXTS), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def store(corpus, tmp_path_factory):
    output = tmp_path_factory.mktemp("store") / "store"
    return fastprep.prepare(corpus, output, shard_bytes=60, progress=False)


def test_stores_are_made_checked_and_exported_by_many_threads(corpus, store, tmp_path):
    def own(name: str) -> Path:
        return tmp_path / f"{name}-{threading.get_ident()}"

    def made() -> str:
        output = own("store")
        found = fastprep.prepare(corpus, output, workers=2, shard_bytes=60, progress=False)
        # The same call again, as another thread may have made it.
        assert fastprep.prepare(corpus, output, shard_bytes=60, progress=False) == found
        return found.fingerprint

    def exported() -> list[int]:
        output = own("export")
        output.mkdir(exist_ok=True)
        paths = fastprep.export_store(
            store, output=output / "all.bin", format="nanogpt", overwrite=True, progress=False
        )
        imported = fastprep.import_tokens(
            paths, own("import"), format="nanogpt", encoding="gpt2", overwrite=True, progress=False
        )
        return imported[:].tolist()

    check(
        [
            made,
            exported,
            lambda: fastprep.verify(store, progress=False),
            lambda: fastprep.TokenStore(store.path).fingerprint,
        ]
    )


def test_one_output_is_made_by_many_threads(corpus, store, tmp_path):
    # They wait for each other: one makes it, the others find it finished.
    def made() -> str:
        return fastprep.prepare(
            corpus, tmp_path / "store", shard_bytes=60, progress=False
        ).fingerprint

    assert {result for (result,) in run_together([made])} == {store.fingerprint}


def test_a_store_is_read_by_many_threads(store):
    shared = fastprep.TokenStore(store.path)
    check(
        [
            lambda: shared[:].tolist(),
            lambda: shared[3:9].tolist(),
            lambda: [*shared.texts()],
            lambda: [ids.tolist() for ids in shared.documents()],
            lambda: shared.text(1),
            lambda: shared.document(2).tolist(),
            lambda: [shared.num_tokens, len(shared.documents()), shared.fingerprint],
            lambda: shared.encoding.name,
            lambda: fastprep.sliding_windows(shared.document(0), 4, 2).tolist(),
            lambda: str(shared),
            lambda: hash(shared) == hash(shared),
        ]
    )


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_batches_are_made_by_many_threads(store):
    import torch

    windows = fastprep.WindowDataset(store, max_length=4, stride=2)
    mixture = fastprep.Mixture([(store, 2), (store, 1)])
    embed = fastprep.InputEmbedding(50257, embedding_dim=4, max_length=4)

    def batches(**options: Any) -> list[Any]:
        loader = fastprep.create_dataloader(
            store, batch_size=2, max_length=4, stride=2, drop_last=False, **options
        )
        return [[inputs.tolist(), targets.tolist()] for inputs, targets in loader]

    def resumed() -> list[Any]:
        def new() -> fastprep.WindowLoader[Any]:
            return fastprep.create_dataloader(
                store, batch_size=2, max_length=4, stride=2, shuffle=True, seed=5
            )

        loader = new()
        iterator = iter(loader)
        next(iterator)
        later = new()
        later.load_state_dict(loader.state_dict())
        return [inputs.tolist() for inputs, _ in later]

    def embedded() -> list[int]:
        with torch.no_grad():
            return [*embed(torch.zeros(1, 4, dtype=torch.int64)).shape]

    check(
        [
            partial(batches, shuffle=True, seed=1),
            partial(batches, shuffle=False),
            partial(batches, shuffle=True, seed=1, mmap=False),
            resumed,
            lambda: [tensor.tolist() for tensor in windows[1]],
            lambda: len(windows),
            lambda: [
                inputs.tolist()
                for inputs, _ in fastprep.create_dataloader(
                    mixture, batch_size=2, max_length=4, stride=4, seed=3
                )
            ],
            embedded,
        ]
    )


def test_no_module_turns_the_gil_on():
    """On a free-threaded Python none of fastprep's modules turns the GIL on."""
    enabled = getattr(sys, "_is_gil_enabled", None)
    if enabled is None or sys.version_info < (3, 13) or "free-threading" not in sys.version:
        pytest.skip("this Python has a GIL")
    import fastprep_ext.base
    import fastprep_ext.corpus  # noqa: F401

    assert not enabled()
