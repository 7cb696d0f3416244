"""The colour jitter of a batch in which every view has its own order: against one view at a time."""

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from synthcl.pipeline.views import jitter as jitter_module
from synthcl.pipeline.views import selection
from synthcl.pipeline.views.jitter import apply_jitter
from synthcl.pipeline.views.sampling import Jitter

N = 16
BRIGHTNESS, SATURATION, CONTRAST = range(3)


@pytest.fixture(params=[True, False], ids=["host", "device"])
def path(request, monkeypatch):
    """What runs where values can be looked at, and what runs where they cannot."""
    for module in (jitter_module, selection):
        monkeypatch.setattr(module, "on_host", lambda tensor: request.param)


@pytest.fixture
def images():
    return torch.rand(N, 3, 6, 5, generator=torch.Generator().manual_seed(0))


def weights(kind, factor):
    """Of `color.blend`."""
    return [factor, (1 - factor) * (kind == SATURATION), (1 - factor) * (kind == CONTRAST)]


def make(selected, with_hue=True):
    """The jitter, and of each view its blends in order, as (kind, factor)."""
    random = torch.Generator().manual_seed(1)
    orders = [torch.randperm(3, generator=random).tolist() for _ in range(N)]
    factors = (torch.rand(N, 3, generator=random) * 0.8 + 0.6).tolist()
    steps = [list(zip(orders[i], factors[i], strict=True)) for i in range(N)]
    blends = torch.tensor([[weights(kind, factor) for kind, factor in own] for own in steps])
    hue = torch.rand(N, generator=random) * 0.2 - 0.1 if with_hue else None
    slot = torch.arange(N) % 4 if with_hue else None
    return Jitter(selected, blends, hue, slot), steps


def one_view(image, jitter, steps, i):
    if not jitter.selected[i]:
        return image
    for slot in range(4):
        if jitter.hue is not None and slot == jitter.hue_slot[i]:
            image = tv.adjust_hue(image, float(jitter.hue[i]))
        if slot < 3:
            kind, factor = steps[i][slot]
            image = (tv.adjust_brightness, tv.adjust_saturation, tv.adjust_contrast)[kind](image, factor)
    return image


SELECTED = {"some": torch.arange(N) % 3 > 0, "none": torch.zeros(N).bool(), "all": torch.ones(N).bool()}


@pytest.mark.parametrize("with_hue", [True, False])
@pytest.mark.parametrize("selected", SELECTED.values(), ids=SELECTED)
def test_each_view_has_its_own_operations_in_its_own_order(path, images, selected, with_hue):
    jitter, steps = make(selected, with_hue)
    before = images.clone()
    result = apply_jitter(images, jitter)
    for i in range(N):
        torch.testing.assert_close(result[i], one_view(before[i], jitter, steps, i), rtol=0, atol=1e-5)
    assert torch.equal(images, before)


def test_the_order_shows(images):
    """The same blends and the same hue, with the hue before them and after."""
    jitter, _ = make(SELECTED["all"])
    first, last = (
        apply_jitter(images, Jitter(jitter.selected, jitter.blends, jitter.hue, torch.full((N,), slot)))
        for slot in (0, 3)
    )
    assert (first - last).abs().amax() > 1e-3


def test_a_blend_of_other_samples_leaves_an_image_to_the_bit():
    """What lets all orders share one hue: passes that are not a view's own."""
    jitter, _ = make(torch.ones(N, dtype=torch.bool))
    images, own = torch.rand(N, 3, 4, 4), torch.arange(N) % 2 == 0
    images[:, :, 0, 0], images[:, :, 0, 1] = 0, 1
    blended = jitter_module._blend(images, jitter, 1, own)
    assert torch.equal(blended[~own], images[~own]) and not torch.equal(blended[own], images[own])
    assert torch.equal(blended[own], jitter_module._blend(images, jitter, 1)[own])
