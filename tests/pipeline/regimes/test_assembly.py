"""From images to a batch: groups, labels, which views stand where, and that each image's views are its own."""

import numpy as np
import pytest
import torch

from synthcl.pipeline.data.store import ImageStore
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import UNKNOWN, RealImages, ViewMaker, assemble
from synthcl.pipeline.regimes.base import Share
from synthcl.pipeline.views import Augmentation, denormalize, normalize, to_float
from synthcl.pipeline.views.presets import find_preset, local_parameters

RANDOM = "simclr-cifar"
STEP = 5


def samples(num_images: int, count: int = 4) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(count, 3, 8, 8, generator=generator) for _ in range(num_images)]


@pytest.mark.parametrize("num_views", [2, 3])
@pytest.mark.parametrize("num_images", [0, 1, 2])
def test_a_group_is_an_image_or_a_latent_with_all_its_views(parts, num_views, num_images):
    one, made = parts(num_views=num_views), samples(num_images)
    real = one.real.images(STEP)
    batch = assemble(one.real, one.views, Share(4), STEP, real, made)
    assert batch.num_real == 8 * num_views
    latents = range(8, 12) if num_images else ()
    sizes = {**dict.fromkeys(range(8), num_views), **dict.fromkeys(latents, num_views * num_images)}
    assert batch.groups.tolist() == [group for group, size in sizes.items() for _ in range(size)]
    # Without augmentation a view is its image, and those of a sample's first image come before those of its second.
    shown = [*real, *(images[j] for j in range(4) for images in made)]
    expected = normalize(torch.stack(shown)).repeat_interleave(num_views, dim=0)
    torch.testing.assert_close(batch.views, expected)


def test_the_views_of_an_image_are_drawn_from_its_number_alone(parts):
    """Real images are numbered first, then the first images of samples, then their second ones."""
    one, made = parts(augmentation=RANDOM), samples(2)
    real = one.real.images(STEP)
    batch = assemble(one.real, one.views, Share(4), STEP, real, made)
    in_order = torch.cat((batch.views[:16], batch.views[16:].unflatten(0, (4, 2, 2)).transpose(0, 1).flatten(0, 2)))
    for number, image in enumerate(torch.cat((real, *made))):
        alone = one.views(image[None], torch.tensor([number]), STEP)[0]
        torch.testing.assert_close(in_order[2 * number :][:2], alone, msg=str(number))
    later = assemble(one.real, one.views, Share(4), STEP + 1, real, made)
    assert not torch.equal(later.views, batch.views)


@pytest.mark.parametrize("num_processes", [2, 4])
def test_processes_together_have_the_batch_of_one(parts, joined, num_processes):
    def batch_of(rank: int, num_processes: int):
        one, share = parts(rank, num_processes, augmentation=RANDOM), Share(4, rank, num_processes)
        mine = [images[share.slice] for images in samples(2)]
        return assemble(one.real, one.views, share, STEP, one.real.images(STEP), mine)

    whole = batch_of(0, 1)
    groups, views = joined([batch_of(rank, num_processes) for rank in range(num_processes)])
    assert torch.equal(groups, whole.groups)
    torch.testing.assert_close(views, whole.views)


def with_local(parts, rank=0, num_processes=1):
    local = Augmentation(local_parameters(find_preset(RANDOM)), 4)
    return parts(rank, num_processes, augmentation=RANDOM, local_augmentation=local, num_local=3)


@pytest.mark.parametrize("num_images", [0, 1, 2])
def test_local_views_are_of_the_groups_of_the_others_which_stay_as_they_are(parts, num_images):
    one, made = with_local(parts), samples(num_images)
    real = one.real.images(STEP)
    batch = assemble(one.real, one.views, Share(4), STEP, real, made)
    assert batch.local.views.shape == (3 * (8 + 4 * num_images), 3, 4, 4) and batch.local.num_real == 24
    assert torch.equal(batch.local.groups.unique_consecutive(), batch.groups.unique_consecutive())
    sizes = torch.bincount(batch.local.groups).tolist()
    assert sizes == [3] * 8 + [3 * num_images] * (4 if num_images else 0)
    plain = parts(augmentation=RANDOM)
    without = assemble(plain.real, plain.views, Share(4), STEP, real, made)
    assert without.local is None and torch.equal(batch.views, without.views)
    # Each is a function of the number of its image in the step, and of its own among the local views.
    alone = one.views.local(real[5:6], torch.tensor([5]), STEP)[0]
    torch.testing.assert_close(batch.local.views[15:18], alone)
    assert (alone[0] - alone[1]).abs().max() > 1e-2
    later = assemble(one.real, one.views, Share(4), STEP + 1, real, made)
    assert not torch.equal(later.local.views, batch.local.views)


def test_processes_together_have_the_local_views_of_one(parts):
    def batch_of(rank: int, num_processes: int):
        one, share = with_local(parts, rank, num_processes), Share(4, rank, num_processes)
        mine = [images[share.slice] for images in samples(2)]
        return assemble(one.real, one.views, share, STEP, one.real.images(STEP), mine).local

    whole, found = batch_of(0, 1), [batch_of(rank, 2) for rank in range(2)]
    groups = torch.cat([one.groups for one in found])
    order = groups.argsort(stable=True)
    assert torch.equal(groups[order], whole.groups)
    torch.testing.assert_close(torch.cat([one.views for one in found])[order], whole.views)


def test_local_views_are_drawn_apart_from_the_others(parts):
    """Of one size and augmentation with them, none is one of them."""
    one = parts(augmentation=RANDOM, local_augmentation=Augmentation(RANDOM, 8), num_local=2)
    images, numbers = one.real.images(STEP), torch.arange(8)
    difference = one.views.local(images, numbers, STEP) - one.views(images, numbers, STEP)
    assert (difference.abs().amax(dim=(2, 3, 4)) > 1e-2).all()


def test_local_views_carry_the_gradient_to_the_samples(parts):
    one, made = with_local(parts), [images.requires_grad_() for images in samples(2)]
    batch = assemble(one.real, one.views, Share(4), STEP, one.real.images(STEP), made)
    batch.local.views[batch.local.num_real :].square().sum().backward()
    assert all((images.grad.abs().sum(dim=(1, 2, 3)) > 0).all() for images in made)


class Numbers(ImageStore):
    """Images that show their own number, on a disk that is slow; each has a label of its own."""

    name, image_size = "numbers", 8
    labels = 7 * np.arange(20) % 20

    def __init__(self):
        self.reads = 0

    def __len__(self):
        return 20

    def read(self, indices):
        self.reads += 1
        return torch.as_tensor(indices, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)

    def keys(self, indices):
        raise NotImplementedError


def test_reading_ahead_gives_the_same_images():
    store, key, cpu = Numbers(), Key.from_seed(0), torch.device("cpu")
    real, ahead = (RealImages.create(store, Share(8), key, cpu) for _ in range(2))
    expected = [real.images(step) for step in range(6)]
    with ahead.reading_ahead(6):
        found = [ahead.images(step) for step in range(6)]
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
    assert store.reads == 12  # none twice, and none after the last
    assert real.steps_per_epoch == 2
    epoch = torch.cat(expected[:2])[:, 0, 0, 0].mul(255).round().tolist()
    assert len(set(epoch)) == 16 and set(epoch) <= set(range(20))


@pytest.mark.parametrize("kind", ["unknown", "of classes", "anchored"])
@pytest.mark.parametrize("num_images", [1, 2])
@pytest.mark.parametrize(("rank", "num_processes"), [(0, 1), (0, 2), (1, 2)])
def test_each_view_has_the_label_of_the_image_that_it_shows(kind, num_images, rank, num_processes):
    """A view tells by its pixels which image it is of."""
    store, key, cpu = Numbers(), Key.from_seed(0), torch.device("cpu")
    real = RealImages.create(store, Share(8, rank, num_processes), key, cpu, with_labels=True)
    share, images, labels = Share(4, rank, num_processes), real.images(STEP), torch.from_numpy(store.labels)
    if kind == "anchored":
        anchors = torch.tensor([3, 1, 6, 0])[: 4 // num_processes]
        sample, given = images[anchors], {"anchors": anchors}
    else:  # an image beyond those of the store has no label
        numbers = torch.tensor([17, 2, 9, 5])[share.slice] + (20 if kind == "unknown" else 0)
        sample, given = to_float(store.read(numbers)), {} if kind == "unknown" else {"classes": labels[numbers]}
    views = ViewMaker(Augmentation("none", 8), key)
    batch = assemble(real, views, share, STEP, images, [sample] * num_images, **given)
    shown = denormalize(batch.views)[:, 0, 0, 0].mul(255).round().long()
    expected = torch.cat((labels, torch.full((20,), UNKNOWN)))[shown]
    assert batch.labels.tolist() == expected.tolist() and len(expected) == (16 + 8 * num_images) // num_processes
    assert (expected[batch.num_real :] == UNKNOWN).all() == (kind == "unknown") and UNKNOWN < 0
