"""Generators of synthetic images: the contract (`base`), the kinds (`registry`) and what trains them.

Names load on first use, so that the list of kinds costs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
