"""The study of joint training: each of its arms is a training that `train` takes."""

import importlib
from pathlib import Path

import pytest

from synthcl.pipeline.configs.train import TrainConfig

ONLINE = Path(__file__).parents[2] / "benchmarks" / "online"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ONLINE))
    return importlib.import_module("study")


def test_train_takes_the_options_of_each_arm_in_each_setting(study):
    for name, chosen in study.ARMS.items():
        source = {"shards": ["set"]} if "shards" in chosen else {}
        if chosen.get("online") or chosen.get("fresh"):
            source = {"generator": "gan"}
        for setting in study.SETTINGS.values():
            options = {**study.COMMON, "data": "cifar10" + setting["part"], "epochs": setting["epochs"], "out": "run"}
            config = TrainConfig.from_values({**options, **chosen, **source})
            assert {key: getattr(config, key) for key in chosen if key != "shards"} == {
                key: value for key, value in chosen.items() if key != "shards"
            }, name


def test_values_of_options_are_read_as_json_where_they_are_some(study):
    assert study.parsed("hardness_clip=0.5") == ("hardness_clip", 0.5)
    assert study.parsed("hard=false") == ("hard", False)
    assert study.parsed("eval_encoder=random:resnet10-w16") == ("eval_encoder", "random:resnet10-w16")
