"""A GPT that is small enough to read in a few minutes and to train on a CPU."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

import fastprep


class Block(nn.Module):
    """Causal attention, then a feed-forward layer, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_layer = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.layer = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, L, D] to [B, L, D]."""
        parts = self.query_key_value(self.before_attention(x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.layer(self.before_layer(x))


class GPT(nn.Module):
    """A GPT: embedding, blocks, and the weight of the embedding as the output layer."""

    def __init__(self, vocab_size: int, max_length: int, width: int, heads: int, blocks: int):
        super().__init__()
        self.embedding = fastprep.InputEmbedding(vocab_size, width, max_length)
        nn.init.normal_(self.embedding.wte.weight, std=0.02)
        nn.init.normal_(self.embedding.wpe.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of predicting `targets` from `ids`, both int64 [B, L]."""
        logits = self.embedding.wte.logits(self.norm(self.blocks(self.embedding(ids))))
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
