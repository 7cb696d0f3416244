from .interop import as_torch_dataset as as_torch_dataset
from .interop import as_webdataset as as_webdataset
from .manifest import Recipe as Recipe
from .reader import ShardSet as ShardSet
from .reader import ShardStore as ShardStore
from .reader import open_shard_set as open_shard_set
from .reader import open_shard_store as open_shard_store
from .status import ShardSetInfo as ShardSetInfo
from .writing.recorder import ShardRecorder as ShardRecorder
from .writing.set_writer import write_shard_set as write_shard_set

__all__ = [
    "Recipe",
    "ShardRecorder",
    "ShardSet",
    "ShardSetInfo",
    "ShardStore",
    "as_torch_dataset",
    "as_webdataset",
    "open_shard_set",
    "open_shard_store",
    "write_shard_set",
]
