"""The fresh regime: new samples at each step from a generator that nothing moves."""

import copy

import pytest
import torch

from synthcl.generators import create_trainer
from synthcl.pipeline.data import open_images
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share, synthetic_share
from synthcl.pipeline.regimes.fresh import FreshRegime
from synthcl.pipeline.views import Augmentation

CPU = torch.device("cpu")
SIZE = 8


def regime(pair_strength=0.3, rank=0, num_processes=1, seed=0, group_size=2) -> FreshRegime:
    key = Key.from_seed(seed)
    torch.manual_seed(0)
    generator = create_trainer("gan", SIZE, preset="tiny").ema
    real = RealImages.create(open_images("digits", image_size=SIZE), Share(8, rank, num_processes), key, CPU)
    views = ViewMaker(Augmentation("none", SIZE), key)
    share = synthetic_share(8, 0.5, rank, num_processes)
    return FreshRegime(real, views, generator, share, key, group_size, pair_strength)


def test_each_step_has_new_samples_and_the_generator_stays():
    one = regime()
    before = copy.deepcopy(one.generator.state_dict())
    first, second = one.batch(0, None), one.batch(1, None)
    assert first.num_real == 16 and len(first.views) == 16 + 16
    assert not torch.equal(first.views[16:], second.views[16:])
    assert torch.equal(first.views, regime().batch(0, None).views)
    assert all(torch.equal(value, before[name]) for name, value in one.generator.state_dict().items())
    assert one.state_dict() == {} and one.samples_per_step == 4


def test_pairs_are_near_and_single_images_are_one():
    views = regime(0.3).batch(0, None).views[16:].unflatten(0, (4, 4))
    # Without augmentation the two views of an image are the image.
    assert torch.equal(views[:, 0], views[:, 1]) and not torch.equal(views[:, 0], views[:, 2])
    alone = regime(None, group_size=1).batch(0, None)
    assert len(alone.views) == 16 + 8 and torch.equal(alone.views[16::2], views[:, 0])
    group = regime(0.3, group_size=4).batch(0, None).views[16:].unflatten(0, (4, 8))
    assert torch.equal(group[:, :4], views) and not torch.equal(group[:, 4], group[:, 6])
    far = regime(1.0).batch(0, None).views[16:].unflatten(0, (4, 4))
    assert (views[:, 0] - views[:, 2]).norm() < (far[:, 0] - far[:, 2]).norm()


@pytest.mark.parametrize("num_processes", [2, 4])
def test_processes_together_see_the_batch_of_one(num_processes):
    whole = regime().batch(3, None)
    parts = [regime(rank=rank, num_processes=num_processes).batch(3, None) for rank in range(num_processes)]
    groups = torch.cat([part.groups for part in parts])
    order = torch.argsort(groups, stable=True)
    assert torch.equal(groups[order], whole.groups)
    views = torch.cat([part.views for part in parts])[order]
    torch.testing.assert_close(views, whole.views, rtol=1e-4, atol=2e-2)  # one level of 255, in units of views
