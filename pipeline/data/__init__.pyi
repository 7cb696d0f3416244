from .caching import cached as cached
from .order import EvenOrder as EvenOrder
from .order import GlobalOrder as GlobalOrder
from .order import Permutation as Permutation
from .sources import open_images as open_images
from .sources import splits_of as splits_of
from .sources import test_spec as test_spec
from .specs import DATASETS as DATASETS
from .store import ImageStore as ImageStore

__all__ = [
    "DATASETS",
    "EvenOrder",
    "GlobalOrder",
    "ImageStore",
    "Permutation",
    "cached",
    "open_images",
    "splits_of",
    "test_spec",
]
