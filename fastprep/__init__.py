"""fastprep: raw text to training batches, exactly as tiktoken and at the speed of the hardware."""

from importlib.metadata import version as _version

__version__ = _version("fastprep")
