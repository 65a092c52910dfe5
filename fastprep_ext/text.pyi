from typing_extensions import Buffer

from fastprep_ext.rows import Rows

def split_documents(
    rows: Rows, separator: Buffer | None, limit: int, begun: bool, final: bool, base: int
) -> tuple[int, bool, bool]: ...
