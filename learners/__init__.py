"""Learners: a backbone and what trains it on a multi-viewed batch. Importing this does not import torch.

backbone = create_backbone("resnet18", image_size=32)
learner = create_learner("simclr", backbone, temperature=0.2)
loss, hardness, embeddings = learner(views, groups)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
