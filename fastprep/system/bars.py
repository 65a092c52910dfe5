"""Progress bars, where someone can see them: in a terminal or a notebook."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from fastprep.errors import InvalidArgument

#: Whether to show a bar, None for where someone can see it; or a function that is called with each
#: number of bytes that is done.
Progress: TypeAlias = Callable[[int], object] | bool | None

# Shorter work has no bar.
_DELAY = 0.5


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return type(shell).__name__ in ("ZMQInteractiveShell", "Shell")  # Jupyter's; Colab's


def is_watched() -> bool:
    """Return whether stderr is a terminal, or this is a notebook."""
    return (sys.stderr is not None and sys.stderr.isatty()) or in_notebook()


def tqdm_class() -> Any:
    """Return tqdm's class: in a notebook that has widgets the one that is a widget."""
    if in_notebook():
        from importlib.util import find_spec

        if find_spec("ipywidgets") is not None:
            from tqdm.notebook import tqdm as widget  # type: ignore[import-untyped, unused-ignore]

            return widget
    from tqdm import tqdm

    return tqdm


@contextlib.contextmanager
def bar_of(progress: Progress, total: int, what: str) -> Iterator[Callable[[int], object]]:
    """Yield the function to call with each number of bytes that is done, as `progress` says.

    >>> done = []
    >>> with bar_of(done.append, 10, "verify") as update:
    ...     _ = update(10)
    >>> done
    [10]

    Raises InvalidArgument for a `progress` of another type.
    """
    if callable(progress):
        yield progress
        return
    if not isinstance(progress, (bool, type(None))):
        raise InvalidArgument(
            f"progress is {progress!r}; pass True, False, None, or a function that takes a number of "
            "bytes"
        )
    if not (is_watched() if progress is None else progress):
        yield lambda _: None
        return
    with tqdm_class()(
        total=total,
        desc=what,
        unit="B",
        unit_scale=True,
        leave=False,
        delay=0 if progress else _DELAY,
    ) as bar:
        yield bar.update
