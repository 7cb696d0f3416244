"""Views: batched, differentiable augmentation on the device of the images, each sample with its own parameters.

    augmentation = Augmentation("mocov2-cifar", size=32)
    views = multi_view(to_float(images), numbers, 2, augmentation, key)  # (2N, 3, 32, 32) in [0, 1]
    encoder(normalize(views))

The names below are imported when first used, so that `presets` can be read (for `--help`) without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
