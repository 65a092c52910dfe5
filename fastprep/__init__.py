"""fastprep: raw text to training batches, exactly as tiktoken and at the speed of the hardware.

text -> tokens -> memory-mapped token store -> sliding windows -> batches -> embeddings

Names that need torch import it when they are first used; nothing else does.
"""

from importlib import import_module as _import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING
from typing import Any as _Any

from fastprep import encoding as core
from fastprep import encoding as registry
from fastprep import model
from fastprep.encoding import Encoding, get_encoding, list_encoding_names
from fastprep.errors import FastprepError
from fastprep.mixture import Mixture
from fastprep.model import encoding_for_model, encoding_name_for_model
from fastprep.preparing import prepare
from fastprep.store import TokenStore
from fastprep.verifying import verify
from fastprep.windows import sliding_windows
from fastprep.words import SimpleTokenizerV1, SimpleTokenizerV2, build_vocab

if TYPE_CHECKING:
    from fastprep.batch import collate_windows
    from fastprep.dataset import WindowDataset
    from fastprep.embedding import (
        InputEmbedding,
        PositionalEmbedding,
        SinusoidalEmbedding,
        TokenEmbedding,
    )
    from fastprep.loader import create_dataloader
    from fastprep.notebook import GPTDatasetV1, create_dataloader_v1
    from fastprep.sampler import WindowSampler

__version__ = _version("fastprep")
__all__ = [
    "Encoding",
    "FastprepError",
    "GPTDatasetV1",
    "InputEmbedding",
    "Mixture",
    "PositionalEmbedding",
    "SimpleTokenizerV1",
    "SimpleTokenizerV2",
    "SinusoidalEmbedding",
    "TokenEmbedding",
    "TokenStore",
    "WindowDataset",
    "WindowSampler",
    "build_vocab",
    "collate_windows",
    "core",
    "create_dataloader",
    "create_dataloader_v1",
    "encoding_for_model",
    "encoding_name_for_model",
    "get_encoding",
    "list_encoding_names",
    "model",
    "prepare",
    "registry",
    "sliding_windows",
    "verify",
]

_NEEDS_TORCH = {
    "GPTDatasetV1": "notebook",
    "WindowDataset": "dataset",
    "WindowSampler": "sampler",
    "InputEmbedding": "embedding",
    "PositionalEmbedding": "embedding",
    "SinusoidalEmbedding": "embedding",
    "TokenEmbedding": "embedding",
    "collate_windows": "batch",
    "create_dataloader": "loader",
    "create_dataloader_v1": "notebook",
}


def __getattr__(name: str) -> _Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module 'fastprep' has no attribute {name!r}")
    try:
        module = _import_module(f"fastprep.{_NEEDS_TORCH[name]}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            f"fastprep.{name} needs torch: pip install 'fastprep[torch]'", name="torch"
        ) from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
