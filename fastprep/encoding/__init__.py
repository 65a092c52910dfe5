"""Encodings: text to token ids and back."""


def __getattr__(name: str) -> object:
    # Pickles of earlier versions have this path for the class.
    if name == "Encoding":
        from fastprep.encoding.encoding import Encoding

        return Encoding
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
