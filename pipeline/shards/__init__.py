"""Shard sets: generated or recorded samples on disk, as WebDataset tars with checksums, to be used again and again.

`write_shard_set` writes a set, `ShardRecorder` records one, `open_shard_set` reads one. For code of your own,
`as_torch_dataset(SET)` is a `torch.utils.data.Dataset` and `as_webdataset(SET)` a `webdataset.WebDataset`.

Names are imported when they are first used: what reads images imports torch, and the encoder processes, which import
this package too, must start quickly.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
