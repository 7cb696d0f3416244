"""Corruptions of images, against loops, SciPy and Pillow."""

import colorsys
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from scipy.stats import poisson

from synthcl.pipeline.configs.evaluate import CORRUPTIONS, SEVERITIES
from synthcl.pipeline.data.memory import MemoryStore
from synthcl.pipeline.evaluation.corruptions import CORRUPTION_FUNCTIONS, CorruptedStore, images_to_bytes, size_factor
from synthcl.pipeline.randomness import Key

KEY = Key.from_seed(3)
CPU = torch.device("cpu")
ALL = pytest.mark.parametrize("severity", range(SEVERITIES))
RANDOM = {"gaussian-noise", "shot-noise", "impulse-noise", "motion-blur", "fog"}


def pictures(num_images=6, size=32):
    """Smooth pictures with some texture, (N, 3, S, S) uint8."""
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.uniform(20, 235, (num_images, 3, 5, 5)))
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return (smooth + torch.from_numpy(random.normal(0, 12, smooth.shape))).clamp(0, 255).to(torch.uint8)


def corrupt(name, severity, images, numbers=None):
    """Float images in, float images out; `severity` from 0."""
    numbers = torch.arange(len(images)) if numbers is None else numbers
    return CORRUPTION_FUNCTIONS[name](images, severity, KEY.at(numbers))


@pytest.fixture(scope="module")
def images():
    return pictures().float() / 255


def test_the_table_is_that_of_the_options():
    assert tuple(CORRUPTION_FUNCTIONS) == CORRUPTIONS


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_is_further_from_the_image(images, name):
    away = [
        (images_to_bytes(corrupt(name, s, images)).float() / 255 - images).abs().mean().item()
        for s in range(SEVERITIES)
    ]
    assert away == sorted(away) and away[0] > 0.002 and away[-1] > 1.1 * away[0]


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("size", [8, 17, 48])
def test_a_store_of_any_size_gives_the_same_images_in_any_batch(name, size):
    store = MemoryStore(pictures(5, size), "made", np.arange(5))
    corrupted = CorruptedStore(store, name, 3, KEY, CPU)
    whole = corrupted.read(range(5))
    assert whole.shape == (5, 3, size, size) and whole.dtype == torch.uint8 and not torch.equal(whole, store.images)
    # A sum over a batch of another size may differ in its last bit, and a level in its rounding.
    assert (corrupted.read([4, 1]).int() - whole[[4, 1]].int()).abs().max() <= (name == "pixelate" or "blur" in name)
    other = CorruptedStore(store, name, 3, Key.from_seed(4), CPU).read(range(5))
    assert torch.equal(other, whole) == (name not in RANDOM)
    assert corrupted.labels is store.labels and corrupted.keys([2]) == ["2"] and name in corrupted.name


@ALL
def test_gaussian_noise(images, severity):
    scale = [0.04, 0.06, 0.08, 0.09, 0.1][severity]
    noise = (corrupt("gaussian-noise", severity, images) - images).flatten()
    assert noise.std().item() == pytest.approx(scale, rel=0.03) and abs(noise.mean().item()) < 0.03 * scale


@ALL
def test_shot_noise_is_the_inverse_of_poissons_distribution(images, severity):
    photons = [500, 250, 100, 75, 50][severity]
    uniform = KEY.at(torch.arange(2)).uniform("noise", 3, 32, 32).numpy().astype(float)
    expected = poisson.ppf(uniform, images[:2].numpy().astype(float) * photons)
    found = corrupt("shot-noise", severity, images[:2]).numpy()
    np.testing.assert_allclose(found, expected.clip(0) / photons, atol=1e-6)  # ppf is -1 where a uniform number is 0


def test_shot_noise_leaves_black_and_has_the_variance_of_its_mean():
    levels = torch.tensor([0, 51, 255]).div(255)[:, None, None, None].expand(3, 3, 64, 64)
    found = corrupt("shot-noise", 4, levels)
    assert found[0].abs().max() == 0
    for level, image in zip((0.2, 1.0), found[1:], strict=True):
        assert image.mean().item() == pytest.approx(level, rel=0.01)
        assert image.var().item() == pytest.approx(level / 50, rel=0.05)


@ALL
def test_impulse_noise_makes_as_much_salt_as_pepper(severity):
    part = [0.01, 0.02, 0.03, 0.05, 0.07][severity]
    gray = torch.full((8, 3, 64, 64), 0.5)
    found = corrupt("impulse-noise", severity, gray)
    for value in (0.0, 1.0):
        assert (found == value).float().mean().item() == pytest.approx(part / 2, rel=0.1)
    assert set(found.unique().tolist()) == {0.0, 0.5, 1.0}


@ALL
@pytest.mark.parametrize("size", [32, 64])
def test_gaussian_blur_is_scipys(severity, size):
    images = pictures(2, size).float() / 255
    sigma = [0.4, 0.6, 0.7, 0.8, 1.0][severity] * size / 32
    expected = ndimage.gaussian_filter(images.numpy(), sigma, axes=(2, 3), mode="nearest", truncate=4)
    np.testing.assert_allclose(corrupt("gaussian-blur", severity, images).numpy(), expected, atol=1e-5)


@ALL
def test_defocus_blur_is_a_disk_with_a_smooth_edge(images, severity):
    radius, sigma = [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)][severity]
    disk = np.array([[float(x * x + y * y <= radius**2) for x in range(-2, 3)] for y in range(-2, 3)])
    for one, found in zip(images[:2].numpy(), corrupt("defocus-blur", severity, images[:2]).numpy(), strict=True):
        for colour in range(3):
            blurred = ndimage.convolve(one[colour].astype(float), disk / disk.sum(), mode="nearest")
            expected = ndimage.gaussian_filter(blurred, sigma, mode="nearest", radius=1)
            np.testing.assert_allclose(found[colour], expected, atol=1e-5)


@ALL
def test_motion_blur_is_a_weighted_trail(images, severity):
    sigma = [1, 1.5, 2, 2, 2.5][severity]
    angles = (KEY.at(torch.arange(6)).uniform("angle") * math.pi / 2 - math.pi / 4).tolist()
    assert max(map(abs, angles)) <= math.pi / 4
    found = corrupt("motion-blur", severity, images)
    weights = [math.exp(-((i / sigma) ** 2) / 2) for i in range(math.ceil(4 * sigma) + 1)]
    for n, y, x in ((0, 0, 0), (1, 31, 31), (2, 10, 17), (5, 30, 3)):
        expected = 0.0
        for i, weight in enumerate(weights):
            row, column = y + round(i * math.sin(angles[n])), x + round(i * math.cos(angles[n]))
            expected += weight * images[n, 1, min(max(row, 0), 31), min(max(column, 0), 31)].item()
        assert found[n, 1, y, x].item() == pytest.approx(expected / sum(weights), abs=1e-5)


@ALL
def test_brightness_is_a_larger_value_of_hsv(images, severity):
    more = [0.05, 0.1, 0.15, 0.2, 0.3][severity]
    pixels = torch.cat((images[0, :, 5], torch.tensor([[0.0, 1, 1], [0, 1, 0.5], [0, 1, 0.25]])), dim=1)
    found = corrupt("brightness", severity, pixels[None, :, None])[0, :, 0]
    for before, after in zip(pixels.T.tolist(), found.T.tolist(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        assert after == pytest.approx(colorsys.hsv_to_rgb(hue, saturation, min(1, value + more)), abs=1e-5)


@ALL
def test_contrast_is_a_part_of_the_distance_to_the_mean(images, severity):
    part = [0.75, 0.5, 0.4, 0.3, 0.15][severity]
    for one, found in zip(images, corrupt("contrast", severity, images), strict=True):
        for colour in range(3):
            mean = one[colour].mean()
            torch.testing.assert_close(found[colour], mean + part * (one[colour] - mean))


@ALL
def test_fog_is_a_gray_layer_that_keeps_the_brightest_value(images, severity):
    amount = [0.2, 0.5, 0.75, 1.0, 1.5][severity]
    found = corrupt("fog", severity, images)
    top = images.amax(dim=(1, 2, 3), keepdim=True)
    layer = (found * (top + amount) / top - images) / amount
    torch.testing.assert_close(layer[:, 0], layer[:, 2], atol=1e-4, rtol=0)
    assert layer.amin(dim=(1, 2, 3)).abs().max() < 1e-4 and (layer.amax(dim=(1, 2, 3)) - 1).abs().max() < 1e-4
    assert found.min() >= 0 and found.max() <= 1


def test_fog_is_rougher_where_it_is_strong():
    gray = torch.full((8, 3, 64, 64), 0.5)
    layers = [corrupt("fog", severity, gray)[:, 0] for severity in (0, 4)]
    bends = [layer.diff(n=2, dim=1).abs().mean() / layer.diff(dim=1).abs().mean() for layer in layers]
    assert bends[1] > 1.5 * bends[0]


@ALL
def test_jpeg_is_pillows(images, severity):
    quality = [80, 65, 58, 50, 40][severity]
    found = images_to_bytes(corrupt("jpeg", severity, images))
    for one, image in zip(images_to_bytes(images), found, strict=True):
        file = io.BytesIO()
        Image.fromarray(one.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        expected = torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1)
        assert (expected.int() - image.int()).abs().max() <= 2


@ALL
@pytest.mark.parametrize("size", [8, 32, 50])
def test_pixelate_is_pillows_box_filter(severity, size):
    images = pictures(2, size)
    fewer = int(size * [0.95, 0.9, 0.85, 0.75, 0.65][severity])
    for one, found in zip(images, images_to_bytes(corrupt("pixelate", severity, images.float() / 255)), strict=True):
        image = Image.fromarray(one.permute(1, 2, 0).numpy())
        image = image.resize((fewer, fewer), Image.Resampling.BOX).resize((size, size), Image.Resampling.BOX)
        expected = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)
        assert (expected.int() - found.int()).abs().max() <= 1  # Pillow rounds between rows and columns


@pytest.mark.parametrize(("size", "factor"), [(8, 1), (32, 1), (48, 1.5), (224, 7)])
def test_lengths_grow_with_images_above_32_pixels(size, factor):
    assert size_factor(torch.zeros(1, 3, size, size)) == factor
