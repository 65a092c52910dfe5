"""Sizes and fractions as people write them: ``"256MiB"``, ``"10 MB"``, ``"1%"``."""

from __future__ import annotations

import re

from fastprep.errors import InvalidArgument
from fastprep.system.arguments import whole_number

# Decimal and binary units, by their names in lower case.
_UNITS = {
    "": 1,
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)},
}
_NUMBER = r"([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)"
_SIZE = re.compile(rf"\s*{_NUMBER}\s*([A-Za-z]*)\s*", re.ASCII)
_FRACTION = re.compile(rf"\s*{_NUMBER}\s*%\s*", re.ASCII)


def number_of_bytes(value: object, name: str, least: int = 1) -> int:
    """Return a size in bytes, given as a whole number or as a str with a unit.

    The units are B, kB, MB, GB and TB, powers of 1000, and KiB, MiB, GiB and TiB, powers of 1024; upper
    and lower case are the same. Raises InvalidArgument, with the argument's name, for anything else, for
    a part of a byte, and for a size below `least`.

    >>> number_of_bytes("256MiB", "shard_bytes"), number_of_bytes("1.5 kB", "shard_bytes")
    (268435456, 1500)
    >>> number_of_bytes("10M", "shard_bytes")
    Traceback (most recent call last):
    fastprep.errors.InvalidArgument: shard_bytes is '10M'; write a number of bytes, as in 10MB or 10MiB
    """
    if not isinstance(value, str):
        return whole_number(value, name, least)
    found = _SIZE.fullmatch(value)
    factor = None if found is None else _UNITS.get(found[2].lower())
    if found is None or factor is None:
        # "10M" is 10,000,000 to some programs and 10,485,760 to others.
        raise InvalidArgument(f"{name} is {value!r}; write a number of bytes, as in 10MB or 10MiB")
    size = _exactly(found[1], factor)
    if size is None:
        raise InvalidArgument(f"{name} is {value!r}, which is not a whole number of bytes")
    if size < least:
        raise InvalidArgument(f"{name} is {value!r}; it must be at least {least}")
    return size


def fraction(value: object, name: str, hint: str = "") -> float:
    """Return a fraction from 0 to below 1, given as a number or as a str, also in per cent.

    Raises InvalidArgument, with the argument's name and the hint, for anything else.

    >>> fraction(0.25, "validation"), fraction("1%", "validation"), fraction("0.01", "validation")
    (0.25, 0.01, 0.01)
    >>> fraction(2, "validation")
    Traceback (most recent call last):
    fastprep.errors.InvalidArgument: validation is 2; it is a fraction, from 0 to below 1, ...
    """
    found: float | None = None
    try:
        if isinstance(value, str):
            percent = _FRACTION.fullmatch(value)
            # Not divided by 100, so that 1% is the very number 0.01.
            found = float(f"{percent[1].replace(',', '')}e-2" if percent is not None else value)
        elif not isinstance(value, (bool, bytes)):
            found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = None
    if found is None or not 0 <= found < 1:
        raise InvalidArgument(
            f"{name} is {value!r}; it is a fraction, from 0 to below 1, as in 0.01 or 1%{hint}"
        )
    return found


def _exactly(number: str, factor: int) -> int | None:
    """Return a decimal number times a factor if the product is whole, else None."""
    whole, _, decimals = number.replace("_", "").replace(",", "").partition(".")
    product = int((whole or "0") + decimals) * factor
    return None if product % 10 ** len(decimals) else product // 10 ** len(decimals)
