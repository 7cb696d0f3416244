"""An arm looks alike everywhere and unlike the others."""

import pytest

from synthcl.pipeline.comparison.looks import ALL, looks
from synthcl.pipeline.configs.arms import UNTRAINED, Arm
from synthcl.pipeline.configs.regimes import REGIMES

OTHERS = [Arm(f"arm{i}", "online", free=True) for i in range(6)]


def test_a_regime_has_a_look_of_its_name_whatever_stands_beside_it():
    found, alone = looks([Arm("online", "online"), *OTHERS]), looks([Arm("online", "online")])
    for name in REGIMES:
        assert found[name] == alone[name] and found[name].variable == name


@pytest.mark.parametrize("attribute", ["variable", "color", "dark_color", "marker"])
def test_six_arms_beside_all_regimes_and_fresh_weights_are_told_apart(attribute):
    found = looks(OTHERS)
    values = [getattr(look, attribute) for look in found.values()]
    assert len(set(values)) == len(values) == len(REGIMES) + 6 + 1
    assert set(found.values()) == set(ALL)


def test_more_arms_share_looks_in_turn():
    found = looks([*OTHERS, Arm("seventh", "online", free=True)])
    assert found["seventh"] == found["arm0"]
    assert found[UNTRAINED] not in [found[arm.name] for arm in OTHERS]
