"""Names of the formats of other programs, in a module that needs no numpy."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

FormatName: TypeAlias = Literal["megatron", "datatrove", "nanogpt", "llmc"]
FORMATS: tuple[str, ...] = get_args(FormatName)
