"""Patterns that are refused, texts that a pattern loses, and programs in use."""

from __future__ import annotations

import gc
import threading

import pytest

from fastprep import Encoding
from fastprep.errors import BadVocabulary, InvalidUtf8
from fastprep.vocabulary.regex_program import compile_tiktoken, compile_tokenizers
from fastprep_ext.bpe import split_pieces

RANKS = {bytes([i]): i for i in range(256)}


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(", r"'\(' without"),
        ("a)", r"'\)' without"),
        ("[a", "its end"),
        ("a{3,1}", "0 to 1000"),
        ("a{1001}", "0 to 1000"),
        ("a{,3}", r"repetition \{,3\}"),
        ("*a", "nothing to repeat"),
        ("a**", "repetition of a repetition"),
        (r"(a)\1", r"escape \\1"),
        (r"\G", r"escape \\G"),
        (r"\Ka", r"escape \\K"),
        (r"\q", r"escape \\q"),
        (r"\p{Nonsense}", "property 'Nonsense'"),
        (r"\p{folds}", "property 'folds'"),
        (r"\x{110000}", "code point '110000'"),
        (r"\x{D800}", "code point 'D800'"),
        ("[b-a]", "ends before it starts"),
        (r"[\d-z]", "'-' after a class"),
        ("[a-b-c]", "'-' within a class"),
        ("[[:nonsense:]]", ":nonsense:"),
        ("(?U)a", "begins with"),
        ("(?P=a)", "begins with|without|no '>'"),
        ("(?R)", "begins with"),
        ("(a*)*", "repeats what can be empty"),
        ("(?<=a*)b", "looks behind for text of any length"),
        ("(" * 200 + ")" * 200, "nested groups"),
        ("(?:(?:ab){1000}){1000}", "too long"),
        ("x" * 20_000, "20000 characters"),
    ],
)
def test_what_cannot_be_read_exactly_is_refused_with_the_reason(pattern, complaint):
    with pytest.raises(BadVocabulary, match=complaint):
        compile_tiktoken(pattern)


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("(?s).", "begins with"),
        ("(?m)^a", "begins with"),
        ("a(?i)b|c", "a flag within a group"),
        (r"\pL", "without braces"),
        ("a{2}?", "after an exact number"),
        ("[]a]", "an empty class|its end"),
        ("(?i:ss)", "ligature"),
        ("(?i:é)", "outside of ASCII"),
        (r"(?i:\p{Lu})", "the property"),
        ("a{1,2}+*", "repetition|can be empty|nothing"),
    ],
)
def test_what_oniguruma_reads_otherwise_is_refused(pattern, complaint):
    if pattern == "a{1,2}+*":
        assert split_pieces(b"aab", compile_tokenizers([pattern])) == [2, 3]
        return
    with pytest.raises(BadVocabulary, match=complaint):
        compile_tokenizers([pattern])


def test_text_that_a_pattern_does_not_match_is_an_error_that_names_the_byte():
    made = Encoding("words", pat_str=r"\w+", mergeable_ranks=RANKS, special_tokens={})
    assert made.encode("word") == list(b"word")
    for call in (
        lambda: made.encode("two words"),
        lambda: made.count("two words"),
        lambda: made.encode_to_numpy("two words"),
    ):
        with pytest.raises(BadVocabulary, match="matches nothing at byte 3"):
            call()
    with pytest.raises(BadVocabulary, match="matches nothing at byte 0"):
        made.encode_batch(["fine", "!"])
    assert made.encode("word") == list(b"word")


def test_text_that_is_not_utf8_is_an_error_that_names_the_byte():
    with pytest.raises(InvalidUtf8, match="byte 3"):
        split_pieces(b"abc\xff", compile_tiktoken("(?s:.)"))


@pytest.mark.parametrize("pattern", ["(?:(?:a|a)+)+b|.", r"\w*+\d|.", r"\w*\d|."])
def test_a_pattern_that_never_ends_is_stopped(pattern):
    with pytest.raises(BadVocabulary, match="too many steps"):
        split_pieces(b"a" * 20_000, compile_tiktoken(pattern))


def test_a_long_match_that_can_be_given_back_takes_no_deep_stack():
    text = b"a" * 300_000
    ends: list[list[int]] = []
    program = compile_tiktoken("(?:a|b)+|.")

    def split() -> None:
        ends.append(split_pieces(text, program))

    threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=split)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    assert ends == [[300_000]]


def test_numbers_of_programs_are_used_again():
    numbers = set()
    for _ in range(50):
        program = compile_tiktoken("a|(?s:.)")
        numbers.add(program.number)
        del program
    gc.collect()
    assert len(numbers) < 50


def test_encodings_with_other_patterns_live_side_by_side():
    single = Encoding(
        "a", pat_str="(?s:.)", mergeable_ranks=RANKS | {b"ab": 256}, special_tokens={}
    )
    double = Encoding(
        "b", pat_str="(?s:..?)", mergeable_ranks=RANKS | {b"ab": 256}, special_tokens={}
    )
    assert single.encode("abab") == [97, 98, 97, 98]
    assert double.encode("abab") == [256, 256]
    del single
    gc.collect()
    assert double.encode("abab") == [256, 256]
