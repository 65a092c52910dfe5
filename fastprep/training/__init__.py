"""Training batches of token windows for torch, and the embeddings that take them."""
