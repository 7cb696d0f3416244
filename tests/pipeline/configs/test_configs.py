"""The options of every command: defaults keep their values, so that "not given" stays that."""

import dataclasses
import importlib
import pkgutil

import pytest

import synthcl.pipeline.configs as package
from synthcl.pipeline.options.config import Config
from synthcl.pipeline.options.types import default_of, option_types

REQUIRED = {"data": "digits", "encoder": "e", "out": "x", "generator": "g", "num_samples": 1, "to": "me/x"}
"""A value for each option that has no default."""
NEEDED = {
    "CompareConfig": {"data": "digits", "generator": "g", "steps": 1},
    "EmbedConfig": {"data": ["digits"]},
    "GenerateConfig": {"num_samples": 4},
    "TrainConfig": {"steps": 1},
    "TransferConfig": {"data": ["digits"]},
}
"""What else a command cannot do without."""


def config_classes():
    modules = [importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, type)}
    return sorted((c for c in found if issubclass(c, Config) and c is not Config), key=lambda c: c.__name__)


@pytest.mark.parametrize("config", config_classes(), ids=lambda config: config.__name__)
def test_what_is_not_given_keeps_its_default(config):
    fields = dataclasses.fields(config)
    required = [f for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    given = {f.name: REQUIRED[f.name] for f in required}
    given |= {f.name: f"x{ending}" for f in required if (ending := f.metadata["option"].ending) is not None}
    given |= NEEDED.get(config.__name__, {})
    resolved = config.from_values(given).to_dict()
    assert resolved == {f.name: given.get(f.name, default_of(f)) for f in fields}


@pytest.mark.parametrize("config", config_classes(), ids=lambda config: config.__name__)
def test_only_an_option_that_may_be_none_has_no_value_by_default(config):
    kinds = option_types(config)
    with_none = {f.name for f in dataclasses.fields(config) if f.default is None}
    assert with_none <= {name for name, kind in kinds.items() if kind.optional}


def test_all_commands_are_looked_at():
    assert {"LinearConfig", "QualityConfig", "TrainConfig", "DemoConfig"} <= {c.__name__ for c in config_classes()}
