"""Training: datasets, samplers, loaders and embeddings; torch is needed from here on."""
