"""The distributions that the parameters of views are drawn from."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torchvision.transforms import v2

from synthcl.pipeline.randomness import Key
from synthcl.pipeline.views.presets import PRESETS, AugmentationParameters
from synthcl.pipeline.views.sampling import ViewParameters, sample_views

N = 12_000
FIVE_ERRORS = 5 / math.sqrt(N)
"""Five standard errors of a mean, times the standard deviation of one draw."""


def sample(parameters: AugmentationParameters, height=32, width=32, views=0) -> ViewParameters:
    return sample_views(Key.from_seed(0).at(torch.arange(N)), parameters, height, width, views)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 50), (50, 20), (3, 3), (8, 100)])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.2, 1.0)])
def test_crops_lie_inside_the_image(height, width, scale):
    crop = sample(AugmentationParameters(crop_scale=scale), height, width).crop
    for start, length, whole in ((crop.top, crop.height, height), (crop.left, crop.width, width)):
        assert torch.equal(start, start.round()) and torch.equal(length, length.round())
        assert (start >= 0).all() and (length >= 1).all() and (start + length <= whole).all()


def test_crops_are_distributed_as_torchvisions():
    """Two samples of each statistic differ by less than five standard errors."""
    parameters = AugmentationParameters(crop_scale=(0.08, 1.0))
    crop = sample(parameters, 40, 60).crop
    ours = torch.stack([crop.top, crop.left, crop.height, crop.width], dim=1)
    image = torch.zeros(3, 40, 60)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = [v2.RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(N)]
    theirs = torch.tensor(made, dtype=torch.float32)

    def statistics(boxes):
        top, left, height, width = boxes.unbind(1)
        area, ratio = height * width / 2400, (width / height).log()
        return torch.stack([top, left, area, ratio, area**2, ratio**2, (top + height / 2), left + width / 2], dim=1)

    ours, theirs = statistics(ours), statistics(theirs)
    spread = (ours.std(0) ** 2 + theirs.std(0) ** 2).sqrt()
    assert ((ours.mean(0) - theirs.mean(0)).abs() < FIVE_ERRORS * spread).all()


def test_area_is_uniform_and_aspect_log_uniform():
    # Small crops always fit, so that no try is rejected; of many pixels, so that rounding is small.
    crop = sample(AugmentationParameters(crop_scale=(0.1, 0.5)), 2000, 2000).crop
    area = (crop.height * crop.width / 2000**2 - 0.1) / 0.4
    aspect = ((crop.width / crop.height).log() / math.log(4 / 3) + 1) / 2
    for u in (area, aspect, crop.top / (2000 - crop.height), crop.left / (2000 - crop.width)):
        assert -0.01 < u.min() < 0.01 and 0.99 < u.max() < 1.01
        assert abs(u.mean() - 0.5) < FIVE_ERRORS * 12**-0.5
        assert abs(u.var() - 1 / 12) < FIVE_ERRORS * 180**-0.5


def test_factors_and_shifts_fill_their_ranges():
    strengths = AugmentationParameters(jitter=1.0, brightness=0.4, contrast=0.8, saturation=1.5, hue=0.1)
    jitter = sample(strengths).jitter
    factors, to_pixel, to_mean = jitter.blends.unbind(2)
    is_saturation, is_contrast = to_pixel != 0, to_mean != 0
    kinds = {"saturation": is_saturation, "contrast": is_contrast, "brightness": ~is_saturation & ~is_contrast}
    ranges = {"brightness": (0.6, 1.4), "contrast": (0.2, 1.8), "saturation": (0.0, 2.5)}
    for name, chosen in kinds.items():
        assert (chosen.sum(1) == 1).all(), name
        u = (factors[chosen] - ranges[name][0]) / (ranges[name][1] - ranges[name][0])
        assert -1e-5 <= u.min() < 0.01 and 0.99 < u.max() <= 1 + 1e-5
        assert abs(u.mean() - 0.5) < FIVE_ERRORS * 12**-0.5
    assert torch.allclose(to_pixel[is_saturation], 1 - factors[is_saturation])
    assert torch.allclose(to_mean[is_contrast], 1 - factors[is_contrast])
    assert jitter.hue.abs().max() <= 0.1 + 1e-6 and abs(jitter.hue.mean()) < FIVE_ERRORS * 0.2 * 12**-0.5


def test_all_orders_are_equally_probable():
    jitter = sample(PRESETS["simclr"]).jitter
    kind = (jitter.blends[:, :, 1] != 0) * 2 + (jitter.blends[:, :, 2] != 0) * 1  # 0, 1, 2: the operation
    orders = [
        (*blends[:slot], 3, *blends[slot:])
        for blends, slot in zip(kind.tolist(), jitter.hue_slot.tolist(), strict=True)
    ]
    counts = torch.tensor([orders.count(order) for order in itertools.permutations(range(4))])
    assert counts.sum() == N
    assert ((counts - N / 24).abs() < 5 * (N / 24) ** 0.5).all()


def test_probabilities_and_their_independence():
    parameters = AugmentationParameters(flip=0.5, jitter=0.8, grayscale=0.2, blur=(0.5,), solarize=(0.1,))
    p = sample(parameters)
    chosen = torch.stack([p.flip, p.jitter.selected, p.grayscale, p.blur, p.solarize]).double()
    expected = torch.tensor([0.5, 0.8, 0.2, 0.5, 0.1])
    assert ((chosen.mean(1) - expected).abs() < FIVE_ERRORS * (expected * (1 - expected)).sqrt()).all()
    assert (torch.corrcoef(chosen) - torch.eye(5)).abs().max() < FIVE_ERRORS
    assert 0.1 <= p.sigma.min() < 0.11 and 1.99 < p.sigma.max() <= 2.0


def test_probabilities_of_zero_and_one_are_certain():
    everything = AugmentationParameters(flip=1.0, jitter=1.0, grayscale=1.0, blur=(1.0, 0.0), solarize=(0.0, 1.0))
    p = sample(everything, views=torch.arange(N) % 2)
    assert p.flip.all() and p.jitter.selected.all() and p.grayscale.all()
    assert p.blur[0::2].all() and not p.blur[1::2].any()
    assert p.solarize[1::2].all() and not p.solarize[0::2].any()
    assert all(value is None for value in vars(sample(PRESETS["none"])).values())


def test_switching_an_operation_on_leaves_the_others_draws_alone():
    plain = sample(replace(PRESETS["mocov2"], blur=(0.0,), hue=0.0))
    full = sample(PRESETS["mocov2"])
    assert torch.equal(plain.crop.top, full.crop.top) and torch.equal(plain.jitter.blends, full.jitter.blends)
    assert plain.blur is None and plain.jitter.hue is None
