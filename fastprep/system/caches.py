"""The directory of fastprep's caches on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """Return the directory of all caches: ``$FASTPREP_CACHE``, or the user's cache directory.

    ``FASTPREP_CACHE=0`` turns off what can be made again (:func:`is_cache_off`), and names none.
    """
    chosen = os.environ.get("FASTPREP_CACHE")
    if chosen and chosen != "0":
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fastprep"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastprep"


def is_cache_off() -> bool:
    """Return whether ``FASTPREP_CACHE=0`` is set."""
    return os.environ.get("FASTPREP_CACHE") == "0"
