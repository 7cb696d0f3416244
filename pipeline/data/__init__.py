"""Images in: every source as one image store, its cache, and the order in which training reads it.

Names are imported when they are first used, so that the command line can import this package without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
