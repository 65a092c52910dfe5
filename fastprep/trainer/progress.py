"""Progress of training: one bar for the bytes that are counted, one for the merges."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fastprep.system.bars import is_watched, tqdm_class

if TYPE_CHECKING:
    from tqdm import tqdm

_UPDATE_SECONDS = 0.2
_BAR = "{desc} {percentage:3.0f}%{bar} {n_fmt} of {total_fmt}{unit}, {rate_fmt}, {remaining} left"


class Bar:
    """A progress bar on stderr, which appears once the work has taken a moment.

    `show` says whether to show it, None to show it in a terminal or a notebook.

    >>> with Bar("merging", 100, " merges", show=False) as bar:
    ...     bar.update(50)
    """

    def __init__(self, title: str, total: int, unit: str, *, show: bool | None) -> None:
        self._show = is_watched() if show is None else show
        self._title, self._total, self._unit = title, total, unit
        self._bar: tqdm[Any] | None = None
        self._done = 0
        self._start = time.time()
        self._updated = time.monotonic()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._bar is not None:
            if kind is None:
                self._draw(self._bar)
            self._bar.close()

    def update(self, done: int) -> None:
        """Show how much is done, if the last update is old enough; to be called often."""
        self._done = done
        now = time.monotonic()
        if not self._show or now < self._updated + _UPDATE_SECONDS:
            return
        self._updated = now
        if self._bar is None:
            self._bar = tqdm_class()(
                desc=self._title,
                total=self._total,
                unit=self._unit,
                unit_scale=True,
                bar_format=_BAR,
            )
            # It appears later than the work began, and its rates are since then.
            self._bar.start_t = self._start
        self._draw(self._bar)

    def _draw(self, bar: tqdm[Any]) -> None:
        bar.n = min(self._done, self._total)
        bar.refresh()
