"""A generator is opened to learn along, with what the options change; one that cannot is refused in a sentence."""

import pytest

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.types import flag
from synthcl.pipeline.regimes import joint_trainer
from synthcl.pipeline.regimes.joint_trainer import open_trainer

SIZE = 8


@pytest.fixture
def setup_with(setup_of, save_gan):
    """What an online regime is built from, with a generator of a kind and size, and options of `train`."""

    def make(kind="gan", size=SIZE, **options):
        return setup_of(online=True, generator=str(save_gan(kind, size)), **options)

    return make


def test_options_change_what_it_was_pretrained_with(setup_with):
    before = open_trainer(setup_with())
    after = open_trainer(setup_with(generator_learning_rate=1e-5, pair_ema_decay=0.5))
    rate = "generator_learning_rate"
    assert after.options[rate] == 1e-5 != before.options[rate]
    assert after.ema_decay == 0.5 != before.ema_decay


@pytest.mark.parametrize(
    ("passes", "asked", "used"),
    [
        (1.01, "auto", "colour,translation,cutout"),
        (0.99, "auto", "none"),
        (1.01, "pretrained", "none"),
        (0.99, "cutout", "cutout"),
        (1.01, "none", "none"),
    ],
)
def test_what_a_discriminator_sees_often_is_augmented(setup_with, monkeypatch, passes, asked, used):
    setup = setup_with(discriminator_augment=asked)
    seen = setup.total_steps * setup.synthetic_share().total
    monkeypatch.setattr(joint_trainer, "MANY_PASSES", seen / len(setup.real.store) / passes)
    assert open_trainer(setup).options["augment"] == used


def test_a_generator_without_a_discriminator_is_asked_for_nothing_of_it(setup_with):
    assert "augment" not in open_trainer(setup_with("diffusion")).options


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("diffusion", "discriminator_augment", "colour"),
        ("diffusion", "discriminator_learning_rate", 0.1),
        ("gan", "lora_rank", 4),
    ],
)
def test_an_option_that_its_trainer_lacks_is_named_as_it_was_typed(setup_with, kind, option, value):
    with pytest.raises(UsageError) as told:
        open_trainer(setup_with(kind, **{option: value}))
    assert str(told.value).startswith(f"{flag(option)} cannot be given here: a {kind} trainer takes no such option")


@pytest.mark.parametrize(
    ("kind", "size", "options", "message"),
    [
        ("gan", 16, {}, "16"),
        ("diffusion", SIZE, {"hard_on": "latents"}, "--hard-on latents needs a gradient at the latents"),
        ("gan", SIZE, {"lora_rank": 4}, "lora"),
    ],
)
def test_one_that_cannot_learn_along_is_refused(setup_with, kind, size, options, message):
    with pytest.raises(UsageError, match=message):
        open_trainer(setup_with(kind, size, **options))
