"""Options of pretrain: former names, measurements that need an encoder, and bounds."""

import pytest

from synthcl.pipeline.configs.pretrain import PretrainConfig
from synthcl.pipeline.errors import UsageError

GIVEN = {"data": "digits", "out": "run"}


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_a_former_name_is_the_option_of_now(precision):
    assert PretrainConfig(**GIVEN, bf16=True, generator_precision=precision).generator_precision == "bf16"
    assert PretrainConfig(**GIVEN, generator_precision=precision).generator_precision == precision


WRONG = {
    "two precisions": ({"bf16": True, "generator_precision": "fp32"}, "--bf16 is the former name .* with .* fp32"),
    "measurements without an encoder": ({"eval_every": 5}, "give --eval-encoder RUN. To make one: .* --data digits"),
    "samples without an encoder": ({"eval_samples": 50}, "--eval-samples means nothing without --eval-encoder RUN"),
    "a kind": ({"generator": "vae"}, "--generator 'vae' is not known; choose one of gan, diffusion"),
    "a decay of 1": ({"ema_decay": 1.0}, "--ema-decay must be below 1, not 1"),
    "a last part of more than all": ({"decay": 1.5}, "--decay must be at most 1, not 1.5"),
    "no penalty to come to": ({"final_gamma": 0.0}, "--final-gamma must be above 0, not 0"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        PretrainConfig(**GIVEN, **options)


def test_with_an_encoder_samples_are_measured():
    config = PretrainConfig(**GIVEN, eval_encoder="runs/real", eval_every=5, eval_samples=50)
    assert (config.eval_every, config.eval_samples) == (5, 50)
