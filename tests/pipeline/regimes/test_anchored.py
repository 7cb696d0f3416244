"""Variations of real images: which a step has, and what they are positives of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.anchored import AnchoredOrder, anchors_of, are_anchored
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share
from synthcl.pipeline.regimes.offline import OfflineRegime, ShardImages
from synthcl.pipeline.shards import open_shard_set, write_shard_set
from synthcl.pipeline.views import Augmentation

SIZE, CPU = 8, torch.device("cpu")
SPEC = "digits:train[:60]"


@pytest.fixture
def variations(tmp_path):
    """A set of variations of the first images of digits: each is its image, one level brighter each time round."""

    def make(name="set", spec=SPEC, number=150):
        store = open_images(spec, image_size=SIZE)
        whole, positions = store.origin()

        def render(indices):
            images = (
                store.read(indices % len(store)).int() + 1 + torch.from_numpy(indices // len(store)).view(-1, 1, 1, 1)
            )
            return images.clamp(max=255).to(torch.uint8)[:, None]

        write_shard_set(
            tmp_path / name,
            {"anchors": {"images": whole}, "name": name},
            number,
            40,
            render,
            describe=lambda indices: {"anchor_index": positions[indices % len(store)].tolist()},
            workers=0,
        )
        return open_shard_set(tmp_path / name)

    return make


def real_images(spec=SPEC, batch_size=8, rank=0, num_processes=1) -> RealImages:
    store = open_images(spec, image_size=SIZE)
    return RealImages.create(store, Share(batch_size, rank, num_processes), Key.from_seed(0), CPU)


def share(total=4, rank=0, num_processes=1) -> Share:
    return Share(total, rank, num_processes)


def test_each_sample_is_a_variation_of_its_real_image(variations):
    shards, real = variations(), real_images()
    order = AnchoredOrder(real, share(), [shards], Key.from_seed(1))
    seen = set()
    for step in range(30):
        images = real.order.indices(step)[anchors_of(share(), real.share)]
        samples = order.indices(step)
        positions = real.store.origin()[1][images]
        assert shards.column("anchor_index")[samples].tolist() == positions.tolist()
        seen |= set((samples // 60).tolist())
    assert seen == {0, 1, 2}  # each of the several variations comes


@pytest.mark.parametrize("num_processes", [2, 4])
def test_processes_together_have_the_samples_of_one(variations, num_processes):
    shards = variations()
    whole = AnchoredOrder(real_images(), share(), [shards], Key.from_seed(1)).indices(5)
    parts = [
        AnchoredOrder(
            real_images(rank=rank, num_processes=num_processes),
            share(rank=rank, num_processes=num_processes),
            [shards],
            Key.from_seed(1),
        ).indices(5, rank, num_processes)
        for rank in range(num_processes)
    ]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_a_part_of_the_images_has_its_own_variations(variations):
    shards, real = variations(), real_images("digits:train[20:40]")
    samples = AnchoredOrder(real, share(), [shards], Key.from_seed(1)).indices(0)
    assert set(shards.column("anchor_index")[samples].tolist()) <= set(range(20, 40))


def test_a_batch_has_them_in_the_groups_of_their_images(variations):
    shards, real = variations(), real_images()
    images = ShardImages([shards], SIZE)
    key = Key.from_seed(1)
    anchors = torch.from_numpy(anchors_of(share(), real.share))
    order = AnchoredOrder(real, share(), [shards], key)
    views = ViewMaker(Augmentation("none", SIZE), key)
    regime = OfflineRegime(real, views, images, 1, share(), order, 10, anchors=anchors)
    batch = regime.batch(0, None)
    assert batch.num_real == 16 and len(batch.views) == 24
    assert batch.groups.tolist() == [*np.arange(8).repeat(2).tolist(), 0, 0, 2, 2, 4, 4, 6, 6]
    # Without augmentation a variation differs from its image by the few levels that it was made brighter by.
    for number, group in enumerate(batch.groups[16:].tolist()):
        difference = batch.views[16 + number] - batch.views[2 * group]
        assert 0 < difference.abs().mean() < 0.1
    assert regime.facts["anchored"] is True


def test_what_does_not_belong_together_is_refused(variations, make_set):
    real, key = real_images(), Key.from_seed(0)
    with pytest.raises(UsageError, match=r"has no variation of 20 of the 60 images of .*--num-samples 60"):
        AnchoredOrder(real, share(), [variations("few", number=40)], key)
    with pytest.raises(UsageError, match="holds variations of other images than"):
        AnchoredOrder(real_images("digits:test"), share(), [variations("other")], key)
    with pytest.raises(UsageError, match="16 variations and 8 real images; lower --synthetic-ratio to 1"):
        anchors_of(share(16), Share(8))
    sets = [variations("one"), open_shard_set(make_set("plain"))]
    with pytest.raises(UsageError, match="give one kind, or --no-anchored"):
        are_anchored(sets)
    assert are_anchored(sets[:1]) and not are_anchored(sets[1:])
