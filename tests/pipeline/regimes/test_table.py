"""The table of regimes is complete, and every place that names regimes asks it."""

import importlib

import pytest

from synthcl.pipeline.comparison.svg import COLORS
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.regimes.table import BASELINE, DRAWN, JOINT, REGIMES, SYNTHETIC, meaning, regime_order

COMMON = {"data": "digits", "out": "run", "steps": 1}


@pytest.mark.parametrize("name", REGIMES)
def test_each_regime_is_whole(choosing, name):
    entry = REGIMES[name]
    module, _, function = entry.builder.partition(":")
    assert callable(getattr(importlib.import_module(module, "synthcl.pipeline.regimes"), function))
    assert name in COLORS
    assert set(entry.differences) <= set(REGIMES) - {name}
    assert BASELINE in entry.differences or name == BASELINE
    assert TrainConfig(**COMMON, **choosing[name]).regime == name


def test_colours_and_markers_tell_regimes_apart():
    for attribute in ("color", "dark_color", "marker"):
        values = [getattr(entry, attribute) for entry in REGIMES.values()]
        assert len(set(values)) == len(values)


def test_differences_have_words_where_the_table_has_some():
    assert "jointness" in meaning("online", "fresh") and "freshness" in meaning("fresh", "offline")
    assert meaning("real", "online") is None and meaning("untrained", "real") is None
    assert sorted(REGIMES, key=regime_order) == list(REGIMES)


def test_the_groups_of_regimes():
    assert set(JOINT) < set(DRAWN) < set(SYNTHETIC) and BASELINE not in SYNTHETIC
