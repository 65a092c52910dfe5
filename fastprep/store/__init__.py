"""Token stores: the manifest, the shards, their writer and their reader."""
