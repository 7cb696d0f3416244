"""What a trial of a few steps says of a long training, by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from synthcl.pipeline.comparison.trial import CYCLE, ArmTrial, EvaluationTrial, looks_of, usual_step
from synthcl.pipeline.configs.train import TrainConfig

TRIAL = ArmTrial(
    steps=20,
    seconds_per_step=0.5,
    seconds_around=4.0,
    seconds_per_look=3.0,
    checkpoint_bytes=1000,
    fixed_bytes=300,
    bytes_per_row=80,
    bytes_per_step=2,
    path=Path("run"),
)


def options(**given):
    return TrainConfig(data="digits", out="o", steps=1000, **given)


def test_a_long_training_is_its_steps_what_is_around_them_and_its_measurements():
    assert TRIAL.seconds(options(), 100) == 4 + 50
    assert TRIAL.seconds(options(eval_every=25), 100) == 4 + 50 + 4 * 3
    assert TRIAL.seconds(options(eval_every=25), 10) == 4 + 5


def test_joint_training_is_measured_by_its_guard():
    joint = options(online=True, generator="g", eval_encoder="r")
    assert looks_of(joint, 1000) == [50]
    assert looks_of(replace(joint, guard_every=10, eval_every=100), 1000) == [100, 10]


@pytest.mark.parametrize(
    ("took", "usual"),
    [
        ([2.0], 2.0),
        ([1.0, 3.0], 2.0),
        ([1.0, 1.0, 1.0, 5.0] * 5, 2.0),  # penalties on one step in four
        ([1.0] * 11 + [50.0] + [1.0] * 12, 1.0),  # something held one step up
    ],
)
def test_a_step_takes_what_steps_in_a_row_take_in_the_mean_but_for_odd_ones(took, usual):
    assert usual_step(took) == pytest.approx(usual)
    assert CYCLE == 4


@pytest.mark.parametrize(
    ("given", "steps", "checkpoints"),
    [({}, 1000, 1), ({}, 1001, 2), ({}, 5000, 2), ({"keep": 4}, 5000, 4), ({"checkpoint_every": 100}, 150, 2)],
)
def test_disk_is_the_checkpoints_that_are_kept_and_what_grows(given, steps, checkpoints):
    assert TRIAL.bytes(options(log_every=4, **given), steps) == checkpoints * 1000 + 300 + steps * (20 + 2)


def test_a_probe_on_few_images_chooses_its_penalty_on_five_folds():
    trial = EvaluationTrial(seconds_per_image=1, bytes_per_image=4, fit_seconds=0.1, vote_seconds=1)
    assert trial.linear_seconds(5000) == pytest.approx(5000 * 0.1 * (5 * 0.8 + 1))
    assert trial.linear_seconds(5001) == pytest.approx(5001 * 0.1 * (0.8 + 1))
