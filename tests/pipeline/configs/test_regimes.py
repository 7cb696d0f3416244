"""The table of regimes is complete, and every place that names regimes asks it."""

import importlib

import pytest

from synthcl.pipeline.configs.regimes import BASELINE, DRAWN, JOINT, REGIMES, RESIZABLE, SYNTHETIC
from synthcl.pipeline.configs.train import TrainConfig

COMMON = {"data": "digits", "out": "run", "steps": 1}


@pytest.mark.parametrize("name", REGIMES)
def test_each_regime_is_whole(choosing, name):
    entry = REGIMES[name]
    assert callable(importlib.import_module(f"synthcl.pipeline.regimes.{name}").build)
    assert set(entry.differences) <= set(REGIMES) - {name}
    assert BASELINE in entry.differences or name == BASELINE
    assert TrainConfig(**COMMON, **choosing[name]).regime == name


def test_the_groups_of_regimes():
    assert set(JOINT) < set(DRAWN) < set(SYNTHETIC) and BASELINE not in SYNTHETIC
    assert set(DRAWN) < set(RESIZABLE) <= set(SYNTHETIC)
    assert not [name for name in RESIZABLE if REGIMES[name].source == "recording"]
