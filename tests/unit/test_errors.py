"""The errors: each is a FastprepError, and its message is what str() returns."""

from __future__ import annotations

import pickle

import pytest

import fastprep
from fastprep import errors

ALL = sorted(
    (value for value in vars(errors).values() if isinstance(value, type)), key=lambda c: c.__name__
)


@pytest.mark.parametrize("kind", ALL)
def test_message_is_shown_as_it_is(kind):
    message = "a name's message: 'quoted'\nand a second line, \u4e2d\u6587"
    error = kind(message)
    assert isinstance(error, fastprep.FastprepError)
    assert str(error) == message
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, message)


def test_message_of_an_unknown_model_has_no_quotes():
    with pytest.raises(KeyError) as caught:
        fastprep.encoding_for_model("no-such")
    assert str(caught.value).startswith("Could not automatically map no-such to a tokeniser. ")
    assert isinstance(caught.value, errors.UnknownModel)
