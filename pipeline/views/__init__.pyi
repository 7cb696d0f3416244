from .augmentation import Augmentation as Augmentation
from .multiview import MAX_VIEWS as MAX_VIEWS
from .multiview import multi_view as multi_view
from .normalization import IMAGENET_MEAN as IMAGENET_MEAN
from .normalization import IMAGENET_STD as IMAGENET_STD
from .normalization import denormalize as denormalize
from .normalization import normalize as normalize
from .normalization import to_float as to_float
from .presets import PRESETS as PRESETS
from .presets import AugmentationParameters as AugmentationParameters
from .presets import default_preset as default_preset
from .presets import find_preset as find_preset

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MAX_VIEWS",
    "PRESETS",
    "Augmentation",
    "AugmentationParameters",
    "default_preset",
    "denormalize",
    "find_preset",
    "multi_view",
    "normalize",
    "to_float",
]
