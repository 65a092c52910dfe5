"""The notebook's chapter with fastprep, cell by cell, with the same output.

    python examples/notebook.py the-verdict.txt

The differences are the imports, and that vocabulary, dataset and embeddings come from the package.
data/README.md says where to get the text.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

import fastprep
import fastprep as tiktoken
from fastprep import GPTDatasetV1, SimpleTokenizerV1, SimpleTokenizerV2, create_dataloader_v1
from fastprep.words.tokenizers import split_words

if len(sys.argv) != 2:
    sys.exit("usage: python examples/notebook.py the-verdict.txt")

# -- the text --------------------------------------------------------------------------------------
raw_text = Path(sys.argv[1]).read_text(encoding="utf-8")
print("Total number of character:", len(raw_text))
print(raw_text[:99])

# -- 1. tokenization -------------------------------------------------------------------------------
preprocessed = split_words(raw_text)
print(preprocessed[:30])
print(len(preprocessed))

# -- 2. token ids and the vocabulary ---------------------------------------------------------------
vocab = fastprep.build_vocab(raw_text, special_tokens=())
print(len(vocab))
for i, item in enumerate(vocab.items()):
    print(item)
    if i >= 50:
        break

words = SimpleTokenizerV1(vocab)
text = """"It's the last he painted, you know,"
           Mrs. Gisburn said with pardonable pride."""
ids = words.encode(text)
print(ids)
print(words.decode(ids))

try:
    words.encode("Hello, do you like tea. Is this-- a test?")
except KeyError as error:
    print("KeyError:", error)

vocab = fastprep.build_vocab(raw_text)  # with <|endoftext|> and <|unk|>
print(len(vocab.items()))
words = SimpleTokenizerV2(vocab)
text1 = "Hello, do you like tea. Is this-- a test?"
text2 = "In the sunlit terraces of the palace."
text = " <|endoftext|> ".join((text1, text2))
print(text)
ids = words.encode(text)
print(ids)
print(words.decode(ids))

# -- 3. byte pair encoding -------------------------------------------------------------------------
tokenizer = tiktoken.get_encoding("gpt2")
text = "Hello, do you like tea? <|endoftext|> In the sunlit terracesof someunknownPlace."
integers = tokenizer.encode(text, allowed_special={"<|endoftext|>"})
print(integers)
print(tokenizer.decode(integers))

# -- 4. sampling with a sliding window -------------------------------------------------------------
max_length = 4
dataloader = create_dataloader_v1(
    raw_text, batch_size=2, max_length=max_length, stride=1, shuffle=False
)
assert isinstance(dataloader.dataset, GPTDatasetV1)
data_iter = iter(dataloader)
for name in ("First", "Second"):
    inputs, targets = next(data_iter)
    print(f"{name} Batch:")
    for kind, tensor in (("Input Tensor:", inputs), ("Expected Output Tensor:", targets)):
        print(kind, tensor)
        for row in tensor:
            print("Decoded Tensor:", tokenizer.decode(row.tolist()))

# -- 5. token embeddings ---------------------------------------------------------------------------
embedding_dim = 128
embedding_layer = fastprep.TokenEmbedding(tokenizer.n_vocab, embedding_dim)
print(embedding_layer(torch.tensor([15496, 11, 703, 389])).shape)

# -- 6. positional encoding ------------------------------------------------------------------------
positional = fastprep.PositionalEmbedding(max_length, embedding_dim)
input_embeddings = embedding_layer(inputs) + positional(torch.arange(max_length))
print(input_embeddings.shape)
both = fastprep.InputEmbedding(tokenizer.n_vocab, embedding_dim, max_length)  # the two in one
print(both(inputs).shape)
