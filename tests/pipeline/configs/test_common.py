"""Options that several commands share take the same values in each of them."""

import dataclasses

import pytest

from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.evaluate import QualityConfig
from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.configs.pretrain import PretrainConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError

GIVEN = {
    TrainConfig: {"data": "digits", "out": "x", "steps": 1},
    CompareConfig: {"data": "digits", "out": "x", "steps": 1, "generator": "g"},
    PretrainConfig: {"data": "digits", "out": "x"},
    GenerateConfig: {"generator": "g", "num_samples": 1, "out": "x"},
    QualityConfig: {"data": "digits"},
}
WRONG = {
    "seed": [(-1, "at least 0, not -1"), (2**63, "at most")],
    "image_size": [(7, "at least 8, not 7")],
    "cache": [("floppy", "'floppy' is not known; choose one of auto, device, ram, disk, none")],
    "log_every": [(0, "at least 1, not 0")],
    "checkpoint_every": [(0, "at least 1, not 0")],
    "keep": [(0, "at least 1, not 0")],
    "tracker": [(["mlflow"], "'mlflow' is not known; choose one of tensorboard, wandb")],
    "generator_precision": [("fp8", "'fp8' is not known; choose one of auto, fp32, bf16, fp16")],
}
CASES = [
    (config, name, value, message)
    for config in GIVEN
    for name, wrong in WRONG.items()
    if name in {f.name for f in dataclasses.fields(config)}
    for value, message in wrong
]


@pytest.mark.parametrize(("config", "name", "value", "message"), CASES)
def test_wrong_values_are_refused_wherever_the_option_is(config, name, value, message):
    config(**GIVEN[config])
    with pytest.raises(UsageError, match=f"^--{name.replace('_', '-')} .*{message}"):
        config(**GIVEN[config], **{name: value})


@pytest.mark.parametrize("config", [TrainConfig, CompareConfig, PretrainConfig])
def test_a_run_goes_on_with_another_cache_tracker_or_number_of_checkpoints_but_not_with_another_seed(config):
    changing = {f.name for f in dataclasses.fields(config) if f.metadata["option"].may_change}
    assert changing >= {"cache", "data_root", "tracker", "checkpoint_every", "keep", "out"}
    assert not changing & {"seed", "image_size", "data", "batch_size", "log_every"}
