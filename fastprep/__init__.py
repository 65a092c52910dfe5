"""fastprep: raw text to training batches, exactly as tiktoken and at the speed of the hardware.

text -> tokens -> memory-mapped token store -> sliding windows -> batches -> embeddings

Names are imported at their first use: a process that only encodes does not import numpy, and only the
names that need torch import it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastprep import errors, load, model, registry
    from fastprep.checks.verification import verify
    from fastprep.encoding import encoding as core
    from fastprep.encoding.encoding import Encoding
    from fastprep.errors import FastprepError
    from fastprep.exchange.exports import export_store
    from fastprep.exchange.imports import import_tokens
    from fastprep.jobs.prepare import merge_tasks, prepare
    from fastprep.model import encoding_for_model, encoding_name_for_model
    from fastprep.registry import get_encoding, list_encoding_names
    from fastprep.report.page import write_report
    from fastprep.store.reader import TokenStore
    from fastprep.training.batch import collate_windows
    from fastprep.training.dataset import WindowDataset
    from fastprep.training.embedding import (
        InputEmbedding,
        PositionalEmbedding,
        SinusoidalEmbedding,
        TokenEmbedding,
    )
    from fastprep.training.loader import create_dataloader
    from fastprep.training.notebook import GPTDatasetV1, create_dataloader_v1
    from fastprep.training.sampler import WindowSampler
    from fastprep.windows.mixture import Mixture
    from fastprep.windows.sliding import sliding_windows
    from fastprep.words.tokenizers import SimpleTokenizerV1, SimpleTokenizerV2, build_vocab

    __version__: str

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
    "errors",
    "export_store",
    "get_encoding",
    "import_tokens",
    "list_encoding_names",
    "load",
    "merge_tasks",
    "model",
    "prepare",
    "registry",
    "sliding_windows",
    "verify",
    "write_report",
]

# The module that defines each name.
_MODULE_OF = {
    "Encoding": "encoding.encoding",
    "FastprepError": "errors",
    "GPTDatasetV1": "training.notebook",
    "InputEmbedding": "training.embedding",
    "Mixture": "windows.mixture",
    "PositionalEmbedding": "training.embedding",
    "SimpleTokenizerV1": "words.tokenizers",
    "SimpleTokenizerV2": "words.tokenizers",
    "SinusoidalEmbedding": "training.embedding",
    "TokenEmbedding": "training.embedding",
    "TokenStore": "store.reader",
    "WindowDataset": "training.dataset",
    "WindowSampler": "training.sampler",
    "build_vocab": "words.tokenizers",
    "collate_windows": "training.batch",
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
    "verify": "checks.verification",
    "write_report": "report.page",
}
# Names of modules.
_MODULES = {
    **{"core": "encoding.encoding", "errors": "errors", "load": "load"},
    **{"model": "model", "patterns": "vocabulary.patterns", "registry": "registry"},
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        found: object = version("fastprep")
    elif name in _MODULES or name in _MODULE_OF:
        path = f"fastprep.{_MODULES.get(name) or _MODULE_OF[name]}"
        try:
            from fastprep.system.interrupts import deferred

            with deferred():  # an interrupt must not leave C extensions half imported
                # As importlib.import_module, without its import.
                module = __import__(path, fromlist=[name])
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise ModuleNotFoundError(
                f"fastprep.{name} needs torch: pip install 'fastprep[torch]'", name="torch"
            ) from None
        found = module if name in _MODULES else getattr(module, name)
    else:
        raise AttributeError(f"module 'fastprep' has no attribute {name!r}")
    globals()[name] = found  # later uses do not call this function
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
