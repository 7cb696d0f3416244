"""Which options mean something in which regimes, and what is said of those that do not."""

import dataclasses

import pytest

from synthcl.pipeline.configs.concerns import concerns, meaningless
from synthcl.pipeline.configs.regimes import REGIMES
from synthcl.pipeline.configs.train import TrainConfig

FIELDS = {f.name: f for f in dataclasses.fields(TrainConfig)}


@pytest.mark.parametrize(
    ("name", "regimes", "expected"),
    [
        ("batch_size", ["real"], True),  # of every training
        ("hard", ["online"], True),
        ("hard", ["real", "offline"], False),
        ("hard", ["real", "online"], True),  # of one of them
        ("pairs", ["fresh"], True),
        ("where", ["online"], False),
    ],
)
def test_an_option_concerns_the_regimes_that_it_names(name, regimes, expected):
    assert concerns(FIELDS[name], regimes) is expected


def test_every_regime_that_an_option_names_is_one():
    for f in FIELDS.values():
        assert set(f.metadata["option"].concerns) <= set(REGIMES), f.name


def test_what_is_said_names_the_option_the_regime_and_where_it_belongs():
    said = meaningless(FIELDS["pairs"], True, ["real"])
    assert "--pairs means nothing in the regime real" in said and "fresh and online" in said
    assert meaningless(FIELDS["pairs"], False, ["real"]).startswith("--no-pairs means nothing")
    assert meaningless(FIELDS["where"], "a > 1", ["real"]).startswith("--where means nothing")
