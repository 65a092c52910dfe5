"""nanoGPT's ``train.bin`` and ``val.bin``: uint16 ids back to back, and nothing else.

An end token stands behind each document where the file was made from documents; there is no other
mark of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastprep.exchange.layouts import Source, whole_ids


def read(path: Path) -> Source:
    """The ids of a file.

    Raises
    ------
    InvalidInput
        when it is missing or has an odd number of bytes.
    """
    return Source((whole_ids(path, np.dtype("<u2"), "nanoGPT's files hold uint16 ids"),))
