"""What a preset chooses, and what overrides it."""

import pytest

from synthcl.generators.gan import GANTrainer
from synthcl.generators.gan.presets import PRESETS, choose_preset, default_learning_rate

RATES = ("generator_learning_rate", "discriminator_learning_rate")
TINY, BASE = (PRESETS[name].training for name in ("tiny", "base"))


@pytest.mark.parametrize("name", PRESETS)
def test_every_value_of_a_preset_reaches_the_trainer(name):
    trainer = GANTrainer.create(8, preset=name)
    chosen = PRESETS[name]
    assert trainer.options == vars(chosen.training)
    for network, shape in (
        (trainer.generator, chosen.generator_shape(8)),
        (trainer.discriminator, chosen.discriminator_shape(8)),
    ):
        assert {key: network.config[key] for key in shape} == shape


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"learning_rate": 1e-4}, (1e-4, 1e-4)),
        ({"learning_rate": 1e-4, "discriminator_learning_rate": 3e-4}, (1e-4, 3e-4)),
        ({"generator_learning_rate": 3e-4}, (3e-4, TINY.discriminator_learning_rate)),
        ({"discriminator_preset": "base"}, (TINY.generator_learning_rate, BASE.discriminator_learning_rate)),
        ({"discriminator_preset": "base", "learning_rate": 1e-4}, (1e-4, 1e-4)),
    ],
)
def test_learning_rates_are_those_given_then_those_of_the_preset(given, expected):
    options = GANTrainer.create(8, preset="tiny", **given).options
    assert tuple(options[rate] for rate in RATES) == expected


def test_the_discriminator_may_have_the_size_of_another_preset():
    trainer = GANTrainer.create(8, preset="tiny", discriminator_preset="small")
    assert trainer.generator.config.widths == [32, 32] and trainer.discriminator.config.widths == [96, 96]
    trainer = GANTrainer.create(8, preset="small", discriminator_preset="plain")
    assert trainer.discriminator.config.blocks_per_stage == [1, 0]
    with pytest.raises(ValueError, match=r"'huge'.*tiny"):
        GANTrainer.create(8, preset="tiny", discriminator_preset="huge")


@pytest.mark.parametrize(
    ("image_size", "on_cpu", "name"),
    [(16, False, "plain"), (16, True, "plain"), (32, False, "base"), (32, True, "plain"), (128, True, "plain")],
)
def test_auto_goes_by_size_and_is_small_on_a_cpu(image_size, on_cpu, name):
    assert choose_preset(image_size, on_cpu=on_cpu) is PRESETS[name]
    if on_cpu:
        assert GANTrainer.create(image_size, device="cpu").preset == name


def test_the_default_learning_rate_falls_with_width():
    assert default_learning_rate([32, 16]) == pytest.approx(2e-3)
    assert default_learning_rate([256, 64]) == pytest.approx(2.5e-4)
