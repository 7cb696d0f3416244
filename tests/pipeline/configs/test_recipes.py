"""--recipe: what it resolves to, by regime, and what cannot be given with it, wherever it is given."""

import dataclasses

import pytest
import yaml

from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.concerns import concerns
from synthcl.pipeline.configs.recipes import RECIPES
from synthcl.pipeline.configs.regimes import SYNTHETIC
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.config import write_yaml

COMMON = {"data": "digits", "out": "run", "steps": 1}
FRESH = {**COMMON, "fresh": True, "generator": "gan", "recipe": "adainf"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_sets_options_that_there_are(recipe):
    assert set(RECIPES[recipe]) <= {f.name for f in dataclasses.fields(TrainConfig)}


@pytest.mark.parametrize("regime", SYNTHETIC)
def test_it_sets_what_means_something_in_the_regime_and_reads_back(choosing, regime):
    config = TrainConfig.from_values({**COMMON, **choosing[regime], "recipe": "adainf"})
    assert (config.views, config.synthetic_ratio) == ("adainf", 2.0)
    pairs = next(f for f in dataclasses.fields(config) if f.name == "pairs")
    assert config.pairs == (not concerns(pairs, [regime]))
    assert TrainConfig.from_values(yaml.safe_load(write_yaml(config.to_dict()))) == config
    assert TrainConfig.of_run(config.to_dict()) == config


CONTRADICTIONS = {
    "views": ("simclr", "--views adainf; --views simclr"),
    "synthetic_ratio": (1.0, "--synthetic-ratio 2; --synthetic-ratio 1"),
    "synthetic_loss": ("clsp", "--synthetic-loss ppcl; --synthetic-loss clsp"),
    "synthetic_weight": (0.5, "no --synthetic-weight; --synthetic-weight 0.5"),
    "synthetic_negatives": (False, "--synthetic-negatives; --no-synthetic-negatives"),
    "separate_batchnorm": (True, "--no-separate-batchnorm; --separate-batchnorm"),
    "pair_strength": (0.2, "cannot be given with --no-pairs"),
}
DEFAULTS = {
    "pairs": (True, "--no-pairs; --pairs"),
    "synthetic_ratio": (0.5, "--synthetic-ratio 2; --synthetic-ratio 0.5"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_other_values_are_refused(name):
    value, message = CONTRADICTIONS[name]
    for make in (lambda values: TrainConfig(**values), TrainConfig.from_values):
        with pytest.raises(UsageError, match=message):
            make({**FRESH, name: value})


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_default_that_is_given_is_refused_too(name):
    value, message = DEFAULTS[name]
    with pytest.raises(UsageError, match=message):
        TrainConfig.from_values({**FRESH, name: value})
    with pytest.raises(UsageError, match=message):
        CompareConfig.from_values(
            {**COMMON, "generator": "gan", "regimes": "real,fresh", "recipe": "adainf", name: value}
        )


def test_its_own_values_may_be_given():
    assert TrainConfig.from_values({**FRESH, **RECIPES["adainf"]}) == TrainConfig.from_values(FRESH)


def test_real_images_alone_have_no_recipe_and_a_comparison_gives_them_its_views():
    with pytest.raises(UsageError, match="--recipe means nothing in the regime real"):
        TrainConfig(**COMMON, recipe="adainf")
    config = CompareConfig(**COMMON, generator="gan", regimes="real,offline,online", recipe="adainf")
    assert (config.views, config.synthetic_ratio, config.pairs) == ("adainf", 2.0, False)
