"""A generator is opened to learn along, with what the options change; one that cannot is refused in a sentence."""

import pytest
import torch
from accelerate import Accelerator

from synthcl.generators import create_trainer
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.generation import save_generator
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages, ViewMaker
from synthcl.pipeline.regimes.base import Share
from synthcl.pipeline.regimes.joint_trainer import open_trainer
from synthcl.pipeline.regimes.setup import RegimeSetup
from synthcl.pipeline.views import Augmentation

SIZE = 8


@pytest.fixture
def setup_with(tmp_path):
    """What a regime is built from, with a saved generator of a kind and size, and options of `train`."""

    def make(kind="gan", size=SIZE, **options):
        torch.manual_seed(0)
        save_generator(create_trainer(kind, size, preset="tiny"), tmp_path / "generator")
        config = TrainConfig(
            data="digits", out="run", steps=2, online=True, generator=str(tmp_path / "generator"), **options
        )
        key, device = Key.from_seed(0), torch.device("cpu")
        real = RealImages.create(open_images("digits", image_size=SIZE), Share(8, 0, 1), key, device)
        views = ViewMaker(Augmentation("digits", SIZE), key)
        return RegimeSetup(
            config=config, real=real, views=views, key=key, accelerator=Accelerator(cpu=True), total_steps=2
        )

    return make


def test_options_change_what_it_was_pretrained_with(setup_with):
    before = open_trainer(setup_with())
    after = open_trainer(setup_with(generator_learning_rate=1e-5, pair_ema_decay=0.5))
    rate = "generator_learning_rate"
    assert after.options[rate] == 1e-5 != before.options[rate]
    assert after.ema_decay == 0.5 != before.ema_decay


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
