"""Encoding by the name of tiktoken's module, for code with `from tiktoken.core import Encoding`."""

from __future__ import annotations

from fastprep.encoding.encoding import Encoding as Encoding
