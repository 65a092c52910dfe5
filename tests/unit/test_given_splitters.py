"""The numbers of splitters whose rules are data."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from fastprep.vocabulary.regex_program import compile_tiktoken
from fastprep_ext.bpe import CharacterBorders, RunSplitter, count_pieces, split_pieces


def digits_apart() -> RunSplitter:
    classes = np.zeros(0x110000, np.uint8)
    classes[ord("0") : ord("9") + 1] = 1
    return RunSplitter(classes, np.array([2, 1], np.uint32), np.zeros(2, np.uint32), False)


def letter_borders() -> CharacterBorders:
    """Return the borders of a vocabulary in which only b and c are next to each other."""
    return CharacterBorders(
        b"abcbc", np.array([1, 2, 3, 5], np.uint64), np.array([3], np.uint32), "", False
    )


def test_splitters_of_all_kinds_have_numbers_of_their_own():
    kinds = [digits_apart(), compile_tiktoken("[a-z]+|."), letter_borders(), digits_apart()]
    assert len({kind.number for kind in kinds}) == len(kinds)
    assert split_pieces(b"ab12c", kinds[0]) == [2, 4, 5]
    assert split_pieces(b"ab12c", kinds[1]) == [2, 3, 4, 5]
    assert split_pieces(b"abca", kinds[2]) == [1, 3, 4]
    assert [count_pieces(b"", kind) for kind in kinds] == [0, 0, 0, 0]


def test_the_number_of_a_splitter_that_is_gone_is_used_again():
    kept, gone = digits_apart(), digits_apart()
    number = gone.number
    del gone
    gc.collect()
    after = letter_borders()
    assert after.number == number != kept.number
    assert split_pieces(b"ab12c", kept) == [2, 4, 5]


def test_rules_that_are_refused_take_no_number():
    number = digits_apart().number
    with pytest.raises(ValueError, match="5 code points"):
        RunSplitter(np.zeros(5, np.uint8), np.zeros(1, np.uint32), np.zeros(1, np.uint32), False)
    gc.collect()
    assert digits_apart().number == number
