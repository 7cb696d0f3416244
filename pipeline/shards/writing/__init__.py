"""Writing shard sets: images are encoded in processes, packed into tars and published shard by shard; a recorder does
the same with what a training draws, and tars of others are taken in as they are."""
