"""Presets: complete, valid, readable without torch, and chosen by learner and image size."""

import dataclasses
import subprocess
import sys

import pytest

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.views.presets import (
    PRESETS,
    AugmentationParameters,
    default_preset,
    find_preset,
    local_parameters,
    local_size,
)


def test_presets_are_read_without_torch():
    code = "import sys, synthcl.pipeline.views.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_unknown_name_lists_the_choices():
    with pytest.raises(UsageError, match=r"'moco'.*simclr, simclr-cifar, mocov2"):
        find_preset("moco")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flip", 1.5),
        ("blur", ()),
        ("solarize", (0.1, -0.1)),
        ("brightness", -0.1),
        ("hue", 0.6),
        ("crop_scale", (0.0, 1.0)),
        ("crop_scale", (0.9, 0.2)),
        ("crop_scale", (0.2, 1.2)),
        ("local_scale", (0.4, 0.05)),
        ("crop_ratio", (0.0, 1.0)),
        ("blur_sigma", (0.0, 2.0)),
        ("blur_kernel", 0.0),
    ],
)
def test_values_out_of_range_are_named(name, value):
    with pytest.raises(UsageError, match=name):
        AugmentationParameters(**{name: value})


@pytest.mark.parametrize("image_size", [16, 64, 65, 224])
@pytest.mark.parametrize("learner", ["simclr", "moco", "byol", "dino", "another"])
def test_default_is_a_preset_without_blur_for_small_images(learner, image_size):
    preset = PRESETS[default_preset(learner, image_size)]
    assert any(preset.blur) == (image_size > 64)
    assert preset.flip == 0.5


def test_defaults_of_the_learners():
    assert [default_preset(n, 32) for n in ("simclr", "moco")] == ["simclr-cifar", "mocov2-cifar"]
    assert [default_preset(n, 96) for n in ("simclr", "moco", "byol")] == ["simclr", "mocov2", "byol"]
    assert [default_preset(n, 96) for n in ("mocov3", "barlow", "vicreg")] == ["byol"] * 3
    assert [default_preset(n, 96) for n in ("nnclr", "simsiam")] == ["mocov2"] * 2
    for source in ("digits", "digits:train", "digits[:10%]", "digits:train[:10%,balanced]"):
        assert default_preset("simclr", 32, source=source) == "digits"
    assert default_preset("simclr", 32, source="cifar10[:10%]") == "simclr-cifar"


def test_published_values():
    """What the recipes are known by."""
    simclr, moco, adainf = PRESETS["simclr"], PRESETS["mocov2-cifar"], PRESETS["adainf"]
    assert (simclr.crop_scale[0], simclr.brightness, simclr.saturation, simclr.hue) == (0.08, 0.8, 0.8, 0.2)
    assert (moco.crop_scale[0], moco.jitter, moco.brightness, moco.hue, moco.grayscale) == (0.2, 0.8, 0.4, 0.1, 0.2)
    assert (adainf.crop_scale[0], adainf.jitter, adainf.brightness, adainf.hue) == (0.2, 0.4, 0.4, 0.1)
    assert PRESETS["byol"].blur == (1.0, 0.1) and PRESETS["byol"].solarize == (0.0, 0.2)
    assert PRESETS["digits"].flip == 0
    dino = PRESETS["dino"]
    assert (dino.crop_scale, dino.local_scale, dino.saturation) == ((0.4, 1.0), (0.05, 0.4), 0.2)
    assert dino.blur == PRESETS["byol"].blur and dino.solarize == PRESETS["byol"].solarize


@pytest.mark.parametrize(
    ("image_size", "size"),
    [(8, 5), (12, 6), (16, 8), (28, 14), (32, 16), (64, 24), (96, 40), (128, 56), (224, 96), (448, 192)],
)
def test_local_views_are_as_dinos_in_proportion(image_size, size):
    assert local_size(image_size) == size


@pytest.mark.parametrize("name", PRESETS)
def test_local_views_differ_in_their_crop_blur_and_solarization_alone(name):
    preset, local = PRESETS[name], local_parameters(PRESETS[name])
    assert local.crop_scale == preset.local_scale and local.crop_scale[1] <= 0.4
    assert (any(local.blur), local.solarize) == (any(preset.blur), (0.0,))
    assert len(local.blur) == 1  # the same of all local views
    own = {"crop_scale": None, "blur": (0.0,), "solarize": (0.0,)}
    assert dataclasses.replace(local, **own) == dataclasses.replace(preset, **own)
