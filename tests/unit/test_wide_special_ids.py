"""Special tokens whose ids need more bits than all others."""

import pytest

from fastprep import Encoding, get_encoding


@pytest.mark.parametrize("name", ["r50k_base", "cl100k_base"])
@pytest.mark.parametrize("number", [70_000, 300_000, 5_000_000, 300_000_000, (1 << 31) - 1])
def test_ids_of_any_width_are_kept(name: str, number: int) -> None:
    base = get_encoding(name)
    if name == "cl100k_base" and number == 70_000:
        number = 150_000
    made = Encoding(
        "made",
        pat_str=base._pat_str,
        mergeable_ranks=base._mergeable_ranks,
        special_tokens={"<x>": number},
    )
    expected = [*base.encode("ab"), number, *base.encode("cd")]
    assert made.encode("ab<x>cd", allowed_special="all") == expected
    assert made.encode_batch(["ab<x>cd"], allowed_special="all") == [expected]
    assert made.encode_to_numpy("ab<x>cd", allowed_special="all").tolist() == expected
    assert base.encode("ab cd") == made.encode("ab cd")
