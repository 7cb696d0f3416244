"""The table of regimes is complete, and every place that names regimes asks it."""

import dataclasses
import importlib

import pytest

from synthcl.pipeline.comparison.svg import COLORS
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options import default_of
from synthcl.pipeline.regimes.table import BASELINE, DRAWN, JOINT, REGIMES, SYNTHETIC, meaning, regime_order

GIVEN = {
    "real": {},
    "offline": {"shards": ["set"]},
    "fresh": {"fresh": True, "generator": "gan"},
    "online": {"online": True, "generator": "gan"},
    "replay": {"replay": "recording"},
}
COMMON = {"data": "digits", "out": "run", "steps": 1}


@pytest.mark.parametrize("name", REGIMES)
def test_each_regime_is_whole(name):
    entry = REGIMES[name]
    module, _, function = entry.builder.partition(":")
    assert callable(getattr(importlib.import_module(module, "synthcl.pipeline.regimes"), function))
    assert name in COLORS
    assert set(entry.differences) <= set(REGIMES) - {name}
    assert BASELINE in entry.differences or name == BASELINE
    assert TrainConfig(**COMMON, **GIVEN[name]).regime == name


def test_colours_and_markers_tell_regimes_apart():
    for attribute in ("color", "dark_color", "marker"):
        values = [getattr(entry, attribute) for entry in REGIMES.values()]
        assert len(set(values)) == len(values)


def test_differences_have_words_where_the_table_has_some():
    assert "jointness" in meaning("online", "fresh") and "freshness" in meaning("fresh", "offline")
    assert meaning("real", "online") is None and meaning("untrained", "real") is None
    assert sorted(REGIMES, key=regime_order) == list(REGIMES)


CHOOSING = {"shards", "generator", "where", "shards_per_window"}
"""Options that choose the regime, or go with one that does: `test_commands.py` has what is refused of them."""
OPTIONS = [f for f in dataclasses.fields(TrainConfig) if f.metadata["option"].concerns]


def another(f):
    """A value of an option that is not its default."""
    info, default = f.metadata["option"], default_of(f)
    if isinstance(default, bool):
        return not default
    if info.choices is not None:
        return next(choice for choice in info.choices if choice != default)
    special = {"shards": ["x"], "pair_similarity": "0.9:0.5", "generator": "gan", "where": "step > 1"}
    if f.name in special:
        return special[f.name]
    return type(default)(default / 2) if default else 1 if "int" in str(f.type) else 0.5


def needs_of(f):
    needs = f.metadata["option"].needs
    return [needs] if isinstance(needs, str) else list(needs)


def with_needs(f):
    """Values of the options that an option needs, where they are not the defaults."""
    values = {"hard_on=latents": {"hard_on": "latents"}, "eval_encoder": {"eval_encoder": "x"}}
    return {name: value for need in needs_of(f) for name, value in values.get(need, {}).items()}


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("f", [f for f in OPTIONS if f.name not in CHOOSING], ids=lambda f: f.name)
def test_an_option_is_refused_where_it_means_nothing(regime, f):
    options = {**COMMON, **GIVEN[regime], f.name: another(f)}
    if regime in f.metadata["option"].concerns:
        TrainConfig(**options, **with_needs(f))
        TrainConfig(**COMMON, **GIVEN[regime], **with_needs(f)).check_given([f.name])
        return
    with pytest.raises(UsageError, match="means nothing in the regime"):
        TrainConfig(**options)
    with pytest.raises(UsageError, match="means nothing in the regime"):
        TrainConfig(**COMMON, **GIVEN[regime]).check_given([f.name])


NEEDING = [f for f in OPTIONS if {"hard", "pairs"} & set(needs_of(f))]


@pytest.mark.parametrize("f", NEEDING, ids=lambda f: f.name)
def test_an_option_is_refused_beside_the_switch_that_takes_its_meaning(f):
    assert {f.name for f in NEEDING} >= {"hard_weight", "hardness_clip", "pair_strength", "pair_similarity"}
    switch = needs_of(f)[0]
    with pytest.raises(UsageError, match=f"it cannot be given with --no-{switch}"):
        TrainConfig(**COMMON, **GIVEN["online"], **{switch: False, f.name: another(f)})


def test_runs_of_before_read_as_what_they_were():
    """Options without a meaning in their regime stood in the records of earlier runs."""
    values = TrainConfig(**COMMON, **GIVEN["real"]).to_dict() | {"hard_weight": 0.3, "pair_ema_decay": 0.5}
    assert TrainConfig.of_run(values) == TrainConfig(**COMMON)
    values = TrainConfig(**COMMON, **GIVEN["online"], hard=False).to_dict() | {"hardness_clip": 1.0}
    assert TrainConfig.of_run(values) == TrainConfig(**COMMON, **GIVEN["online"], hard=False)
    values = TrainConfig(**COMMON, **GIVEN["online"], hard_weight=0.3).to_dict()
    assert TrainConfig.of_run(values).hard_weight == 0.3


def test_the_groups_of_regimes():
    assert set(JOINT) < set(DRAWN) < set(SYNTHETIC) and BASELINE not in SYNTHETIC
