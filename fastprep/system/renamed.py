"""Old names of options and attributes, which work with a DeprecationWarning until version 0.4."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

#: The version that has the old names no more.
REMOVED_IN = "0.4"

Function = TypeVar("Function", bound=Callable[..., Any])


def renamed(**names: str) -> Callable[[Function], Function]:
    """Let a function take options by their old names, with a DeprecationWarning.

    >>> import warnings
    >>> @renamed(to="format")
    ... def export(*, format): return format
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     print(export(to="megatron"), found[0].message)
    megatron export: the option 'to' is now 'format'; the old name works until fastprep 0.4

    Both names at once are a TypeError, as any option that is given twice.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def wrapper(*args: Any, **options: Any) -> Any:
            for old, new in names.items():
                if old in options:
                    warn(f"{function.__name__}: the option {old!r} is now {new!r}", 2)
                    if new in options:
                        raise TypeError(
                            f"{function.__name__}() got {old!r} and {new!r}, two names of one option"
                        )
                    options[new] = options.pop(old)
            return function(*args, **options)

        return wrapper  # type: ignore[return-value]

    return decorate


def warn(what: str, level: int) -> None:
    """Warn that an old name was used; `level` is that of the caller's frame, as for `warnings.warn`."""
    warnings.warn(
        f"{what}; the old name works until fastprep {REMOVED_IN}",
        DeprecationWarning,
        stacklevel=level + 1,
    )
