"""The README's lines on an installed fastprep, without torch; with --bare also without a compiler."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Encode, prepare, verify and slice; then report what ran."""
    import fastprep
    import fastprep_ext
    from fastprep_ext.base import simd

    folder = Path(fastprep_ext.__file__).parent
    assert folder.parent != Path(__file__).resolve().parents[1], f"{folder} is not installed"
    if "--bare" in sys.argv:
        for compiler in ("cc", "gcc", "clang", "c99"):
            assert shutil.which(compiler) is None, f"{compiler} is on PATH"
    for name in fastprep.list_encoding_names():
        encoding = fastprep.get_encoding(name)
        text = "Hello, do you like tea? <|endoftext|> Zwölf Öfen, 東京 🙂\n\n  x1234567"
        assert encoding.decode(encoding.encode_ordinary(text)) == text, name
    encoding = fastprep.get_encoding("gpt2")
    assert encoding.encode("Hello, do you like tea?") == [15496, 11, 466, 345, 588, 8887, 30]
    with tempfile.TemporaryDirectory() as directory:
        lines = Path(directory) / "lines.jsonl"
        lines.write_text('{"text": "One \\u00e9."}\n{"text": "Two."}\n', encoding="utf-8")
        store = fastprep.prepare(lines, Path(directory) / "store", progress=False)
        assert fastprep.prepare(lines, Path(directory) / "store", progress=False) == store
        assert [*store.texts()] == ["One é.", "Two."]
        assert fastprep.verify(store, progress=False).documents == 2
        assert fastprep.sliding_windows(store, 2, 1).shape[1] == 3
        trained = fastprep.train_bpe(iter(["ab ab ab abc"] * 3), vocab_size=258, progress=False)
        assert trained.decode(trained.encode("ab abc")) == "ab abc"
        del store
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]}, {simd}, GIL {'on' if locked else 'off'}: works")


if __name__ == "__main__":
    main()
