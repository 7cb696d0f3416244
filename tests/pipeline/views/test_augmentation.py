"""The whole augmentation: torchvision's views for the same parameters, in any batch, on either path, with gradients."""

import functools

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from synthcl.pipeline.randomness import Key
from synthcl.pipeline.views import Augmentation, AugmentationParameters, multi_view
from synthcl.pipeline.views import augmentation as augmentation_module
from synthcl.pipeline.views import jitter as jitter_module
from synthcl.pipeline.views import selection as selection_module
from synthcl.pipeline.views.presets import PRESETS
from synthcl.pipeline.views.sampling import sample_views

KEY = Key.from_seed(7)
EVERYTHING = AugmentationParameters(
    crop_scale=(0.2, 1.0),
    flip=0.5,
    jitter=0.8,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    grayscale=0.2,
    blur=(0.5,),
    solarize=(0.3,),
)


def random_images(n, size=20, dtype=torch.float32):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(n), dtype=dtype)


def reference(image, p, augmentation):
    """One view by torchvision's functional operations, `p` being the parameters of this view alone."""
    size = [augmentation.size] * 2
    if p.crop is not None:
        box = (int(value) for value in (p.crop.top, p.crop.left, p.crop.height, p.crop.width))
        image = tv.resized_crop(image, *box, size, antialias=True)
    else:
        image = tv.resize(image, size, antialias=True)
    if p.flip is not None and p.flip:
        image = tv.horizontal_flip(image)
    if p.jitter is not None and p.jitter.selected:
        for slot in range(4):
            if slot == p.jitter.hue_slot:
                image = tv.adjust_hue(image, float(p.jitter.hue))
            if slot < 3:
                factor, to_pixel, to_mean = p.jitter.blends[slot].tolist()
                adjust = tv.adjust_saturation if to_pixel else tv.adjust_contrast if to_mean else tv.adjust_brightness
                image = adjust(image, factor)
    if p.grayscale is not None and p.grayscale:
        image = tv.rgb_to_grayscale(image, num_output_channels=3)
    if p.blur is not None and p.blur:
        image = tv.gaussian_blur(image, [2 * augmentation.blur_radius + 1] * 2, [float(p.sigma)] * 2)
    if p.solarize is not None and p.solarize:
        image = tv.solarize(image, augmentation.parameters.solarize_threshold)
    return image


@pytest.mark.parametrize("size", [12, 20, 32])
@pytest.mark.parametrize("name", PRESETS)
def test_views_are_torchvisions_for_the_same_parameters(name, size):
    images, draws = random_images(48), KEY.at(torch.arange(48))
    numbers = torch.arange(48) % 2
    augmentation = Augmentation(name, size)
    views = augmentation(images, draws, numbers)
    assert views.shape == (48, 3, size, size)
    assert views.min() >= 0 and views.max() <= 1
    parameters = sample_views(draws, augmentation.parameters, 20, 20, numbers)
    for i, image in enumerate(images):
        expected = reference(image, parameters[torch.tensor(i)], augmentation)
        # Solarization is a step: a value within rounding of the threshold may fall on either side.
        differs = (views[i] - expected).abs() > 2e-5
        assert differs.sum() <= (2 if parameters.solarize is not None else 0)


@pytest.mark.parametrize("preset", [EVERYTHING, "simclr", "digits", "none"])
def test_a_view_is_the_same_alone_and_in_any_batch_and_order(preset):
    images, indices = random_images(40), torch.arange(100, 140)
    augmentation = Augmentation(preset, 16)
    together = augmentation(images, KEY.at(indices))
    shuffled = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    again = augmentation(images[shuffled], KEY.at(indices[shuffled]))
    torch.testing.assert_close(again, together[shuffled], rtol=0, atol=1e-5)
    for i in (0, 17, 39):
        alone = augmentation(images[i : i + 1], KEY.at(indices[i : i + 1]))
        torch.testing.assert_close(alone, together[i : i + 1], rtol=0, atol=1e-5)


def test_chunks_do_not_show(monkeypatch):
    images, draws = random_images(60), KEY.at(torch.arange(120))
    views = Augmentation(EVERYTHING, 16)(images, draws)
    monkeypatch.setattr(augmentation_module, "_CHUNK_VALUES", 7 * 3 * 16**2)
    torch.testing.assert_close(Augmentation(EVERYTHING, 16)(images, draws), views, rtol=0, atol=1e-5)


@pytest.fixture
def accelerator_path(monkeypatch):
    """What runs where a mask cannot be looked at without waiting for the device."""
    for module in (augmentation_module, jitter_module, selection_module):
        monkeypatch.setattr(module, "on_host", lambda tensor: False)


@pytest.mark.parametrize("preset", [EVERYTHING, *PRESETS])
def test_masks_and_groups_give_the_same_views_and_gradients(preset, request):
    augmentation, draws = Augmentation(preset, 16), KEY.at(torch.arange(64))
    images = random_images(32, dtype=torch.float64).requires_grad_()
    weight = torch.rand(64, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    grouped = augmentation(images, draws)
    (grouped_gradient,) = torch.autograd.grad((grouped * weight).sum(), images)
    request.getfixturevalue("accelerator_path")
    masked = augmentation(images, draws)
    (masked_gradient,) = torch.autograd.grad((masked * weight).sum(), images)
    torch.testing.assert_close(masked, grouped)
    torch.testing.assert_close(masked_gradient, grouped_gradient)


def test_gradient_of_the_whole_chain_is_that_of_finite_differences():
    augmentation, draws = Augmentation(EVERYTHING, 6), KEY.at(torch.arange(24))
    images = random_images(24, size=7, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: augmentation(x, draws), images, fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_black_and_white_pixels_take_their_part_of_the_gradient_of_crop_and_blur(dtype):
    """Both are linear, so that the gradient is the same at all images."""
    plain = AugmentationParameters(crop_scale=(0.2, 1.0), flip=0.5, blur=(0.5,))
    augmentation, draws = Augmentation(plain, 12), KEY.at(torch.arange(16))
    weight = torch.rand(16, 3, 12, 12, generator=torch.Generator().manual_seed(1)).to(dtype)

    def gradient(images):
        images = images.to(dtype).requires_grad_()
        return torch.autograd.grad((augmentation(images, draws) * weight).sum(), images)[0]

    black_and_white = random_images(16).round()
    black_and_white[:4], black_and_white[4:8] = 0, 1
    torch.testing.assert_close(gradient(black_and_white), gradient(0.25 + random_images(16) / 2))


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_gradient_is_finite_for_constant_images(name, value):
    images = torch.full((16, 3, 12, 12), value, requires_grad=True)
    views = Augmentation(name, 12)(images, KEY.at(torch.arange(16)))
    (gradient,) = torch.autograd.grad((views**2).sum() + views.sum(), images)
    assert torch.isfinite(gradient).all()


def test_gradient_reaches_each_image_through_each_of_its_views():
    images = random_images(4).requires_grad_()
    views = Augmentation("mocov2", 16)(images, KEY.at(torch.arange(8)))
    for v in range(8):
        (gradient,) = torch.autograd.grad(views[v].sum(), images, retain_graph=True)
        touched = gradient.abs().sum((1, 2, 3)) > 0
        assert touched.nonzero().flatten().tolist() == [v // 2]


def test_presets_whose_views_differ():
    images, draws = random_images(64), KEY.at(torch.arange(64))
    augmentation = Augmentation("byol", 20)
    first, second = augmentation(images, draws, 0), augmentation(images, draws, 1)
    mixed = augmentation(images, draws, torch.arange(64) % 2)
    torch.testing.assert_close(mixed[0::2], first[0::2])
    torch.testing.assert_close(mixed[1::2], second[1::2])
    assert (first - second).abs().amax((1, 2, 3)).gt(1e-3).float().mean() > 0.8


def test_none_is_the_identity():
    images = random_images(5)
    assert torch.equal(Augmentation("none", 20)(images, KEY.at(torch.arange(5))), images)


def test_what_is_computed_in_which_precision():
    draws = KEY.at(torch.arange(4))
    augmentation, images = Augmentation("mocov2", 16), random_images(4)
    single = augmentation(images, draws)
    assert augmentation(images.double(), draws).dtype == torch.float64
    torch.testing.assert_close(augmentation(images.double(), draws).float(), single, rtol=0, atol=1e-5)
    halved = images.bfloat16()
    assert torch.equal(augmentation(halved, draws), augmentation(halved.float(), draws))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(augmentation(images, draws), single)


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    Augmentation(EVERYTHING, 16)(random_images(4), KEY.at(torch.arange(4)))
    assert torch.equal(torch.get_rng_state(), state)


def test_no_images_give_no_views():
    assert Augmentation("mocov2", 16)(torch.rand(0, 3, 20, 20), KEY.at(torch.arange(0))).shape == (0, 3, 16, 16)


def test_wrong_input_is_named():
    augmentation, draws = Augmentation("mocov2", 16), KEY.at(torch.arange(4))
    with pytest.raises(ValueError, match=r"uint8.*to_float"):
        augmentation(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), draws)
    with pytest.raises(ValueError, match=r"\(4, 1, 8, 8\)"):
        augmentation(torch.zeros(4, 1, 8, 8), draws)
    with pytest.raises(ValueError, match=r"3 images.*not 4"):
        augmentation(torch.zeros(3, 3, 8, 8), draws)
    with pytest.raises(ValueError, match=r"draws are on cpu and the images on meta"):
        augmentation(torch.zeros(4, 3, 8, 8, device="meta"), draws)
    with pytest.raises(ValueError, match="0 pixels"):
        Augmentation("mocov2", 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("preset", [EVERYTHING, *PRESETS])
def test_a_device_makes_the_same_views_without_being_waited_for(preset):
    augmentation, images, indices = Augmentation(preset, 16), random_images(32), torch.arange(64)
    expected = augmentation(images, KEY.at(indices), indices % 2)
    images, indices = images.cuda(), indices.cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        views = augmentation(images, KEY.at(indices), indices % 2)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    differs = (views.cpu() - expected).abs() > 1e-4
    assert differs.float().mean() < 1e-4  # solarization is a step


@pytest.fixture
def traced(monkeypatch):
    """`torch.compile` without the minute that the compiler takes: the graph that it gets is run as it is. How often it
    got one."""
    graphs = []

    def run(graph, inputs):
        graphs.append(graph)
        return graph

    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=run))
    yield graphs
    torch.compiler.reset()


@pytest.mark.parametrize("preset", ["byol", "none", EVERYTHING], ids=["views that differ", "none", "everything"])
def test_compiled_views_are_the_same(traced, preset):
    images, numbers = random_images(6), torch.arange(6)
    plain, compiled = Augmentation(preset, 16), Augmentation(preset, 16, compiled=True)
    for step in range(3):
        key = KEY.child(step)
        views = multi_view(images, numbers, 2, compiled, key)
        assert torch.allclose(views, multi_view(images, numbers, 2, plain, key), atol=1e-5)
        assert views.is_contiguous(memory_format=torch.channels_last)
    assert len(traced) == 1  # one for all keys


def test_compiled_views_have_the_same_gradient(traced):
    images, weights = random_images(6).requires_grad_(), torch.rand(12, 3, 16, 16)
    gradients = [
        torch.autograd.grad(multi_view(images, torch.arange(6), 2, augmentation, KEY), images, weights)[0]
        for augmentation in (Augmentation(EVERYTHING, 16), Augmentation(EVERYTHING, 16, compiled=True))
    ]
    assert gradients[0].abs().max() > 0.1 and torch.allclose(*gradients, atol=1e-4)
