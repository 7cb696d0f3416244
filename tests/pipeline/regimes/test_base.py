"""Shares of a step, and what a regime tells of a batch."""

import dataclasses

import pytest
import torch
from torchvision.transforms.functional import resize

from synthcl.learners import create_backbone, create_learner
from synthcl.learners.base import LearnerOutput
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.regimes.base import (
    MultiViewedBatch,
    Share,
    as_samples,
    check_generator_size,
    hardness_metrics,
    resized,
    synthetic_share,
    unit_interval,
)
from synthcl.pipeline.regimes.setup import build_regime

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_processes", [1, 2, 3])
def test_shares_are_numbered_without_gap(num_processes):
    shares = [Share(12, rank, num_processes) for rank in range(num_processes)]
    assert torch.cat([share.numbers(CPU) for share in shares]).tolist() == list(range(12))
    assert {share.slice.stop - share.slice.start for share in shares} == {12 // num_processes}


@pytest.mark.parametrize(("batch_size", "ratio", "total"), [(8, 0.5, 4), (8, 2.0, 16), (10, 0.25, 2), (3, 0.3, 1)])
def test_a_step_has_the_whole_number_of_latents_next_to_the_ratio(batch_size, ratio, total):
    assert synthetic_share(batch_size, ratio, 0, 1).total == total


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: synthetic_share(8, 0.05, 0, 1), r"--synthetic-ratio 0\.05 of --batch-size 8 is less than one latent"),
        (
            lambda: synthetic_share(10, 0.5, 0, 2).slice,
            r"--batch-size times --synthetic-ratio \(5\) cannot be shared evenly by 2 processes; give a multiple",
        ),
        (
            lambda: Share(12).check_parts(5),
            r"--batch-size \(12\) cannot be shared evenly by --accumulate 5 parts; give a multiple of 5$",
        ),
        (
            lambda: Share(12, 1, 2).check_parts(4),
            r"by --accumulate 4 parts in each of 2 processes; give a multiple of 8$",
        ),
        (lambda: check_generator_size("gan", 16, 8), "--generator gan makes images of 16 pixels, .* --image-size 16"),
    ],
)
def test_what_cannot_be_shared_or_fed_is_refused_with_what_to_give(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_what_can_be_shared_passes(parts):
    Share(12, 1, 2).check_parts(parts)
    check_generator_size("gan", 8, 8)


def test_hardness_is_told_apart_for_real_and_synthetic_views():
    hardness = torch.tensor([1.0, 3.0, 5.0, 10.0])
    output = LearnerOutput(hardness.mean(), hardness, torch.zeros(4, 2))

    def metrics(num_real):
        batch = MultiViewedBatch(torch.zeros(4, 3, 2, 2), torch.arange(4), num_real)
        return {name: value.item() for name, value in hardness_metrics(batch, output).items()}

    assert metrics(2) == {"hardness_real": 2.0, "hardness_synthetic": 7.5}
    assert metrics(4) == {"hardness_real": 4.75}


def test_the_range_of_generators_becomes_that_of_views():
    assert unit_interval(torch.tensor([-1.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(("height", "size"), [(8, 8), (16, 8), (8, 12)])
def test_images_are_resized_as_pictures_are(height, size):
    """Bilinear with antialiasing, as torchvision resizes."""
    images = torch.rand(2, 3, 3, height, height, generator=torch.Generator().manual_seed(0))
    found = resized(images, size)
    expected = resize(images.flatten(0, 1), [size, size], antialias=True).unflatten(0, (2, 3))
    assert found.shape == (2, 3, 3, size, size)
    torch.testing.assert_close(found, expected)
    if height == size:
        assert torch.equal(found, images)


def test_the_gradient_of_samples_goes_back_through_the_resizing():
    images = torch.rand(2, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    (found,) = torch.autograd.grad((as_samples(images, 8) * weights).sum(), images)
    (expected,) = torch.autograd.grad((resized(images, 8) * 0.5 * weights).sum(), images)
    torch.testing.assert_close(found, expected)  # rounding to 8 bits passes it on


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"fresh": True}, 16),
        ({"fresh": True, "pairs": False}, 16),
        ({"online": True, "batch_size": 4}, 8),
        ({"online": True}, 16),
    ],
)
def test_a_generator_of_another_size_is_resized_where_asked(setup_of, save_gan, parts, options, size):
    """The generator's size is not that of training, which is 8 for a generator of 16 pixels, and 16 for one of 8."""
    setup = setup_of(generator=str(save_gan("gan", size)), **options)
    if size == 8:
        setup = dataclasses.replace(setup, real=parts(size=16).real, views=parts(size=16).views)
    with pytest.raises(UsageError, match="--resize-samples"):
        build_regime(setup)
    setup.config.resize_samples = True
    regime, wanted = build_regime(setup), setup.real.store.image_size
    learner = create_learner("simclr", create_backbone("resnet10-w8", image_size=wanted))
    batch = regime.batch(0, learner)
    assert batch.views.shape[-2:] == (wanted, wanted) != (size, size)
    output = learner(batch.views, batch.groups, batch.num_real)
    output.loss.backward()
    if "online" in options:  # and the generator learns from it
        assert batch.leaf.grad.shape[-1] == size and (batch.leaf.grad.abs().sum(dim=(1, 2, 3)) > 0).all()
        before = [parameter.detach().clone() for parameter in regime.trainer.generator.parameters()]
        regime.feedback(0, batch, output, learner)
        after = list(regime.trainer.generator.parameters())
        assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_a_set_of_another_size_is_resized_where_asked(setup_of, shards, parts):
    made = parts(size=16)
    setup = dataclasses.replace(setup_of(shards=[str(shards)]), real=made.real, views=made.views)
    with pytest.raises(UsageError, match="or --resize-samples"):
        build_regime(setup)
    setup.config.resize_samples = True
    batch = build_regime(setup).batch(0, None)
    assert batch.views.shape[-2:] == (16, 16)
