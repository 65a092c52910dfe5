"""Stores made with encodings from files hold the ids of whole documents, and are verified as such."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tokenizer_styles import FOREIGN, STYLES, bloom_style, both, llama3_style, qwen2_style, texts
from tokenizers import Tokenizer

from fastprep import Encoding, get_encoding, prepare
from fastprep.checks.verification import verify
from fastprep.cli.main import main
from fastprep.encoding.cutting import cut
from fastprep.errors import BadVocabulary, InvalidInput
from fastprep_ext.bpe import PATTERNS, split_pieces

#: Every class that a pattern distinguishes, and every kind of whitespace that it treats differently.
ALPHABET = (
    "aB'sſ 1٣漢ー・。.!/-\u0301\u00a0\u3000\u2028\u0085\t\n\r\x0b\x1c\u200b€😀ǅ" + "    \n\n\nab"
)

END_TOKENS = ("</s>", "<|endoftext|>")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokenizers")


@pytest.mark.parametrize("family", PATTERNS)
def test_parts_have_the_pieces_of_the_whole_under_every_splitter(family):
    rnd = random.Random(family)
    cuts = 0
    for _ in range(12_000):
        text = "".join(rnd.choices(ALPHABET, k=rnd.randrange(30))).encode()
        parts = cut(text, rnd.randrange(1, 12))
        cuts += len(parts) - 1
        at, ends = 0, []
        for part in parts:
            ends += [at + end for end in split_pieces(part, PATTERNS[family])]
            at += len(part)
        assert ends == split_pieces(text, PATTERNS[family]), repr(text)
    assert cuts > 10_000


def documents() -> list[str]:
    """Return long documents with added tokens, marks and whitespace of all kinds."""
    rnd = random.Random(21)
    parts = [
        text for text in texts(seed=22, count=1_500) if "\x1e" not in text and "\0" not in text
    ]
    parts += [
        " <tool_call> ",
        "e",
        "\u0301",
        " <s>",
        "  <mask>",
        "x <mask>  y",
        "\n",
        "   \n  ",
        "//",
    ]
    return ["a" + "".join(rnd.choices(parts, k=rnd.choice([1, 3, 40, 200]))) for _ in range(60)]


def corpus(directory: Path) -> tuple[list[Path], list[str]]:
    found = documents()
    lines, plain = directory / "first.jsonl", directory / "second.txt"
    lines.write_text("".join(json.dumps({"text": text}) + "\n" for text in found[:40]))
    plain.write_bytes("\0".join(found[40:]).encode())
    return [lines, plain], found


@pytest.mark.parametrize("style", [*STYLES, *FOREIGN])
def test_a_store_has_the_ids_of_whole_documents(style, directory, tmp_path):
    ours = both(style, directory)[1]
    inputs, found = corpus(tmp_path)
    assert ours.recipe.merge_list is not None
    assert ours.may_be_cut == (ours.recipe.may_be_cut and style not in FOREIGN)
    ends = [token for token in END_TOKENS if token in ours.special_tokens_set]
    for name, block_bytes in (("fine", 50), ("coarse", 1 << 20)):
        store = prepare(
            inputs,
            tmp_path / name,
            encoding=ours,
            separator="\0",
            eot="append" if ends else "none",
            eot_token=ends[0] if ends else None,
            workers=1,
            block_bytes=block_bytes,
        )
        assert store.num_documents == len(found)
        for number, text in enumerate(found):
            expected = ours.encode_ordinary(text)
            expected += [] if store.manifest.end_token is None else [store.manifest.end_token]
            assert store.document(number).tolist() == expected, repr(text)
    # The bytes do not depend on the blocks, and agree with the library for all documents.
    assert (tmp_path / "fine/shard-00000.bin").read_bytes() == (
        tmp_path / "coarse/shard-00000.bin"
    ).read_bytes()
    assert verify(tmp_path / "fine", against="tokenizers", encoding=ours).compared == len(found)


def test_buffer_fits_a_text_that_grows_when_normalized(directory, tmp_path):
    # Each of these is three characters in normal form C.
    (tmp_path / "notes.txt").write_text("\U0001d160" * 5_000)
    store = prepare(
        tmp_path / "notes.txt", tmp_path / "store", encoding=both(qwen2_style, directory)[1]
    )
    assert len(store) > 4 * 5_000


# -- verify ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama_store(directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("llama") / "two.txt"
    path.write_text("One, two.<|endoftext|>Three 4567.")
    encoding = both(llama3_style, directory)[1]
    prepare(path, path.with_name("store"), encoding=encoding, eot_token="<|end_of_text|>")
    return path.with_name("store")


def test_the_wrong_file_is_refused_by_name(directory, llama_store):
    right, wrong = both(llama3_style, directory)[1], both(qwen2_style, directory)[1]
    assert verify(llama_store, encoding=right).compared == 0
    assert verify(llama_store, encoding=right, against="tokenizers").compared == 2
    for against in (None, "tokenizers"):
        with pytest.raises(
            InvalidInput, match=r"another encoding \('llama3_style'\).*'qwen2_style'"
        ):
            verify(llama_store, encoding=wrong, against=against)
    with pytest.raises(InvalidInput, match=r"another encoding.*'gpt2'"):
        verify(llama_store, encoding=get_encoding("gpt2"))


def test_a_pattern_and_special_tokens_are_part_of_what_is_compared(tmp_path):
    (tmp_path / "one.txt").write_text("One.")
    gpt2 = get_encoding("gpt2")
    settings = {"mergeable_ranks": gpt2._mergeable_ranks, "special_tokens": gpt2._special_tokens}
    store = prepare(tmp_path / "one.txt", tmp_path / "store", encoding="gpt2")
    other = Encoding("other", pat_str=get_encoding("o200k_base")._pat_str, **settings)
    with pytest.raises(InvalidInput, match="pattern"):
        verify(store, encoding=other)
    settings["special_tokens"] = {"<|endoftext|>": 60_000}
    with pytest.raises(InvalidInput, match="special tokens"):
        verify(store, encoding=Encoding("other", pat_str=gpt2._pat_str, **settings))
    assert verify(store, against="tokenizers").compared == 1


def test_comparison_that_is_impossible_is_an_error(directory, llama_store):
    assert verify(llama_store, against="tokenizers").compared  # the store holds its vocabulary
    with pytest.raises(InvalidInput, match="--against tokenizers"):
        verify(llama_store, against="tiktoken", encoding=both(llama3_style, directory)[1])


def test_unknown_end_token_is_refused(directory, tmp_path):
    (tmp_path / "one.txt").write_text("One.")
    encoding = both(llama3_style, directory)[1]
    with pytest.raises(InvalidInput, match=r"no </s> .*<\|end_of_text\|>"):
        prepare(tmp_path / "one.txt", tmp_path / "store", encoding=encoding, eot_token="</s>")


# -- the command line ------------------------------------------------------------------------------


def test_the_command_line_takes_encodings_from_files(directory, tmp_path, capsys):
    both(llama3_style, directory)
    file = str(directory / "llama3_style.json")
    (tmp_path / "two.txt").write_text("One, two.<|endoftext|>Three 4567.")
    store = str(tmp_path / "store")
    command = ["prepare", str(tmp_path / "two.txt"), "-o", store, "--encoding-file", file]
    with pytest.raises(SystemExit) as exit:
        main([*command, "--eot-token", "</s>"])
    assert exit.value.code == 2
    assert "<|end_of_text|>" in capsys.readouterr().err
    assert main([*command, "--eot-token", "<|end_of_text|>"]) == 0
    assert main(["verify", store, "--against", "tokenizers", "--encoding-file", file]) == 0
    assert "2 compared with tokenizers" in capsys.readouterr().out
    assert main(["verify", store, "--against", "tokenizers"]) == 0
    assert "2 compared with tokenizers" in capsys.readouterr().out
    assert main(["encode", "--encoding-file", file, "One, two."]) == 0
    ids = capsys.readouterr().out.split()
    assert main(["decode", "--encoding-file", file, *ids]) == 0
    assert capsys.readouterr().out == "One, two."


def test_command_line_takes_pattern_and_special_tokens(tmp_path, capsys):
    get_encoding("gpt2").save(tmp_path / "ranks.tiktoken")
    ranks = (tmp_path / "ranks.tiktoken").read_bytes().splitlines(keepends=True)
    (tmp_path / "ranks.tiktoken").write_bytes(b"".join(ranks[:-1]))
    file = ["--encoding-file", str(tmp_path / "ranks.tiktoken")]
    assert main(["encode", "a", *file]) == 1
    assert "pat_str" in capsys.readouterr().err
    command = ["encode", "2024<|endoftext|>", "--allow-special", *file]
    assert main([*command, "--pattern", "qwen2", "--special", "<|endoftext|>=50400"]) == 0
    assert capsys.readouterr().out == "17 15 17 19 50400\n"
    assert main([*command, "--pattern", r"\d|\D+"]) == 0
    assert capsys.readouterr().out.startswith("17 15 17 19 ")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--allow-pattern"],
        ["--pattern", "r50k"],
        ["--special", "<s>=1"],
        ["--encoding-file", "x", "--encoding", "gpt2"],
        ["--encoding-file", "x", "--special", "<s>"],
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_wrong_usage(wrong, capsys):
    with pytest.raises(SystemExit) as exit:
        main(["encode", "text", *wrong])
    assert exit.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_any_pattern_is_run_with_and_without_an_option(directory, tmp_path, capsys):
    both(bloom_style, directory)
    file = ["--encoding-file", str(directory / "bloom_style.json")]
    assert main(["encode", "a b", *file]) == 0
    assert main(["encode", "a b", *file, "--allow-pattern"]) == 0


def test_tokenizer_json_needs_no_pattern(directory):
    both(llama3_style, directory)
    with pytest.raises(BadVocabulary, match="says itself"):
        Encoding.from_file(directory / "llama3_style.json", pat_str="a")
    assert isinstance(Tokenizer.from_file(str(directory / "llama3_style.json")), Tokenizer)
