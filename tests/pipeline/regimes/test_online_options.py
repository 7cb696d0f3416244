"""The switches of the online regime are what the options say."""

import pytest

from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.regimes.online_options import OnlineOptions, online_options

GIVEN = {"data": "digits", "out": "run", "steps": 10, "online": True, "generator": "gan"}


def test_the_ramp_rises_linearly_from_zero():
    options = OnlineOptions(bound=2.0, ramp_steps=4)
    assert [options.bound_at(step) for step in range(6)] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]


def test_hardness_ends_where_it_is_frozen():
    assert [OnlineOptions(last_hard_step=2).is_hard(step) for step in range(4)] == [True, True, False, False]
    assert not OnlineOptions(hard=False).is_hard(0)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ({}, "ramp_steps", 20),
        ({"hard_ramp": 0.25}, "ramp_steps", 50),
        ({}, "last_hard_step", None),
        ({"hard_freeze": 0.2}, "last_hard_step", 160),
        ({}, "pair_strength", 0.0),
        ({"pair_strength": 0.3}, "pair_strength", 0.3),
        ({"hardness_clip": 0.7}, "bound", 0.7),
        ({"hard_on": "latents", "latent_radius": 0.1}, "latent_radius", 0.1),
        ({"pairs": False}, "pairs", False),
        ({"hard": False}, "hard", False),
    ],
)
def test_an_option_of_train_sets_its_switch(given, name, value):
    assert getattr(online_options(TrainConfig(**GIVEN, **given), 200), name) == value


def test_a_target_of_similarity_goes_over_the_whole_training():
    assert online_options(TrainConfig(**GIVEN), 200).similarity is None
    target = online_options(TrainConfig(**GIVEN, pair_similarity="0.8:0.4"), 200).similarity
    assert [target.target(step) for step in (0, 199)] == pytest.approx([0.8, 0.4], abs=0.01)
