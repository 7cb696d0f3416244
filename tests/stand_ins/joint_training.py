"""A stand-in of a joint training: digits of 8 pixels, the smallest generator and a smooth encoder."""

import torch
from torch import nn

from synthcl.generators import create_trainer
from synthcl.learners import create_learner
from synthcl.pipeline.data import open_images
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share, synthetic_share
from synthcl.pipeline.regimes.online import OnlineRegime
from synthcl.pipeline.regimes.online_options import OnlineOptions
from synthcl.pipeline.views import Augmentation

CPU = torch.device("cpu")
SIZE = 8


class SmoothBackbone(nn.Module):
    """A smooth encoder without batch statistics, so that finite differences are exact enough."""

    num_features = 16

    def __init__(self):
        super().__init__()
        layers = nn.Conv2d(3, 8, 3, 2, 1), nn.Softplus(), nn.Flatten(), nn.Linear(8 * 16, 16), nn.Tanh()
        self.net = nn.Sequential(*layers)

    def forward(self, images):
        return self.net(images)


def regime(batch_size=8, ratio=0.5, rank=0, num_processes=1, seed=0, views="simclr-cifar", **options) -> OnlineRegime:
    key = Key.from_seed(seed)
    torch.manual_seed(seed)
    trainer = create_trainer("gan", SIZE, preset="tiny", ema_decay=0.9)
    real = RealImages.create(open_images("digits", image_size=SIZE), Share(batch_size, rank, num_processes), key, CPU)
    maker = ViewMaker(Augmentation(views, SIZE), key)
    share = synthetic_share(batch_size, ratio, rank, num_processes)
    return OnlineRegime(real, maker, trainer, share, key, OnlineOptions(**options))


def a_learner(seed=1):
    torch.manual_seed(seed)
    return create_learner("simclr", SmoothBackbone(), hidden_dim=16, embedding_dim=8, temperature=0.5)


def run_steps(one: OnlineRegime, learner, steps: int, learning_rate=0.0, first=0, loss_scale=None):
    """Steps from `first` on; the rows that they log."""
    optimizer = torch.optim.SGD(learner.parameters(), lr=learning_rate)
    rows = []
    for step in range(first, first + steps):
        batch = one.batch(step, learner)
        output = learner(batch.views, batch.groups, batch.num_real)
        (output.loss if loss_scale is None else output.loss * loss_scale).backward()
        optimizer.step()
        optimizer.zero_grad()
        told = one.feedback(step, batch, output, learner, loss_scale=loss_scale)
        rows.append({name: float(value) for name, value in told.items()})
    return rows
