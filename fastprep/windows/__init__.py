"""Windows: slices of a token sequence, as index arithmetic and as views."""
