"""fastprep: raw text to training batches, exactly as tiktoken and at the speed of the hardware."""

from importlib.metadata import version as _version

from fastprep.encoding import Encoding, get_encoding, list_encoding_names

__version__ = _version("fastprep")
__all__ = ["Encoding", "get_encoding", "list_encoding_names"]
