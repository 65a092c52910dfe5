"""fastprep: raw text to training batches, exactly as tiktoken and at the speed of the hardware.

text -> tokens -> memory-mapped token store -> sliding windows -> batches -> embeddings

Names are imported at their first use: a process that only encodes does not import numpy, and only the
names that need torch import it.
"""

import sys

# Read by pyproject.toml. importlib.metadata would take longer than most commands do.
__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastprep import core as core
    from fastprep import errors as errors
    from fastprep import load as load
    from fastprep import model as model
    from fastprep import registry as registry
    from fastprep.checks.verification import Verified, verify
    from fastprep.encoding.encoding import Encoding
    from fastprep.encoding.shown import ShownTokens
    from fastprep.errors import FastprepError
    from fastprep.exchange.exports import export_store
    from fastprep.exchange.hugging_face import as_hf
    from fastprep.exchange.imports import import_tokens
    from fastprep.jobs.prepare import merge_tasks, prepare
    from fastprep.model import encoding_for_model, encoding_name_for_model
    from fastprep.registry import get_encoding, list_encoding_names
    from fastprep.report.page import write_report
    from fastprep.store.encodings import StoreEncoding
    from fastprep.store.manifest import Manifest
    from fastprep.store.reader import TokenStore
    from fastprep.store.views import Documents
    from fastprep.trainer.counting import count_pieces
    from fastprep.trainer.counts import PieceCounts
    from fastprep.trainer.training import TrainedEncoding, train_bpe
    from fastprep.training.batch import WindowBatch, collate_windows
    from fastprep.training.dataset import WindowDataset
    from fastprep.training.embedding import (
        InputEmbedding,
        PositionalEmbedding,
        SinusoidalEmbedding,
        TokenEmbedding,
    )
    from fastprep.training.loader import WindowLoader, create_dataloader
    from fastprep.training.notebook import GPTDatasetV1, create_dataloader_v1
    from fastprep.training.sampler import WindowSampler
    from fastprep.vocabulary import patterns
    from fastprep.windows.mixture import Mixture
    from fastprep.windows.packing import PackedRows
    from fastprep.windows.sliding import sliding_windows
    from fastprep.words.encoding import WordEncoding
    from fastprep.words.tokenizers import SimpleTokenizerV1, SimpleTokenizerV2, build_vocab

    __all__ = [
        "Documents",
        "Encoding",
        "FastprepError",
        "GPTDatasetV1",
        "InputEmbedding",
        "Manifest",
        "Mixture",
        "PackedRows",
        "PieceCounts",
        "PositionalEmbedding",
        "ShownTokens",
        "SimpleTokenizerV1",
        "SimpleTokenizerV2",
        "SinusoidalEmbedding",
        "StoreEncoding",
        "TokenEmbedding",
        "TokenStore",
        "TrainedEncoding",
        "Verified",
        "WindowBatch",
        "WindowDataset",
        "WindowLoader",
        "WindowSampler",
        "WordEncoding",
        "as_hf",
        "build_vocab",
        "collate_windows",
        "count_pieces",
        "create_dataloader",
        "create_dataloader_v1",
        "encoding_for_model",
        "encoding_name_for_model",
        "errors",
        "export_store",
        "get_encoding",
        "import_tokens",
        "list_encoding_names",
        "merge_tasks",
        "patterns",
        "prepare",
        "sliding_windows",
        "train_bpe",
        "verify",
        "write_report",
    ]

# The module that defines each name.
_MODULE_OF = {
    "Documents": "store.views",
    "Encoding": "encoding.encoding",
    "FastprepError": "errors",
    "GPTDatasetV1": "training.notebook",
    "InputEmbedding": "training.embedding",
    "Manifest": "store.manifest",
    "Mixture": "windows.mixture",
    "PackedRows": "windows.packing",
    "PieceCounts": "trainer.counts",
    "PositionalEmbedding": "training.embedding",
    "ShownTokens": "encoding.shown",
    "SimpleTokenizerV1": "words.tokenizers",
    "SimpleTokenizerV2": "words.tokenizers",
    "SinusoidalEmbedding": "training.embedding",
    "StoreEncoding": "store.encodings",
    "TokenEmbedding": "training.embedding",
    "TokenStore": "store.reader",
    "Verified": "checks.verification",
    "WindowBatch": "training.batch",
    "TrainedEncoding": "trainer.training",
    "WindowDataset": "training.dataset",
    "WindowLoader": "training.loader",
    "WindowSampler": "training.sampler",
    "WordEncoding": "words.encoding",
    "as_hf": "exchange.hugging_face",
    "build_vocab": "words.tokenizers",
    "collate_windows": "training.batch",
    "count_pieces": "trainer.counting",
    "create_dataloader": "training.loader",
    "create_dataloader_v1": "training.notebook",
    "encoding_for_model": "model",
    "encoding_name_for_model": "model",
    "export_store": "exchange.exports",
    "get_encoding": "registry",
    "import_tokens": "exchange.imports",
    "list_encoding_names": "registry",
    "merge_tasks": "jobs.prepare",
    "prepare": "jobs.prepare",
    "sliding_windows": "windows.sliding",
    "train_bpe": "trainer.training",
    "verify": "checks.verification",
    "write_report": "report.page",
}
# Names of modules; those that `import *` and dir() do not show are there for code written for tiktoken.
_MODULES = {"errors": "errors", "patterns": "vocabulary.patterns"}
_HIDDEN = {"core": "core", "load": "load", "model": "model", "registry": "registry"}


def __getattr__(name: str) -> object:
    if name == "__all__":
        # Without torch `from fastprep import *` imports the other names.
        return sorted(public for public in (*_MODULES, *_MODULE_OF) if _find(public) is not None)
    if name not in _MODULES and name not in _MODULE_OF and name not in _HIDDEN:
        raise AttributeError(f"module 'fastprep' has no attribute {name!r}")
    found = _find(name)
    if found is None:
        if _NeedsTorch not in sys.meta_path:
            sys.meta_path.append(_NeedsTorch)
        # The only error that means to hasattr(), inspect and pydoc that a name is not there.
        raise AttributeError(_needs_torch(name))
    globals()[name] = found  # later uses do not call this function
    return found


def _find(name: str) -> object | None:
    """Return what a public name stands for, or None if it needs torch and torch is missing."""
    module_name = _MODULES.get(name) or _HIDDEN.get(name)
    path = f"fastprep.{module_name or _MODULE_OF[name]}"
    try:
        from fastprep.system.interrupts import deferred

        with deferred():  # an interrupt must not leave C extensions half imported
            # As importlib.import_module, without its import.
            module = __import__(path, fromlist=[name])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return None
    found: object = module if module_name else getattr(module, name)
    return found


def _needs_torch(name: str) -> str:
    return f"fastprep.{name} needs torch: pip install 'fastprep[torch]'"


class _NeedsTorch:
    """Finder without modules: the last step of `from fastprep import WindowDataset` without torch.

    The statement looks for a submodule if the package has no such attribute. If none is found it
    would raise an ImportError that does not name torch.
    """

    @staticmethod
    def find_spec(path: str, *rest: object) -> None:
        package, _, name = path.rpartition(".")
        if package == "fastprep" and name in _MODULE_OF:
            from fastprep.errors import MissingExtra

            raise MissingExtra(_needs_torch(name), name="torch")


def __dir__() -> list[str]:
    return sorted({*_MODULES, *_MODULE_OF, "__version__"})
