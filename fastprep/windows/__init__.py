"""Windows: slices of a token sequence, as arithmetic and as views."""
