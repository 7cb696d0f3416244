"""`shards score`: what an encoder says of each sample of a shard set, from this process or on a Ray cluster."""
