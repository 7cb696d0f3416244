"""The guard falls outside the band, comes back inside it, and says so once."""

import copy
from pathlib import Path

import pytest
import torch

from synthcl.generators.gan import GANTrainer
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.guard import (
    COLOUR_BAND,
    CUT,
    DISTANCE_BAND,
    FALL,
    FLOOR,
    MIN_MARGIN,
    RISE,
    GuardNotice,
    HardGuard,
    LastGood,
    furthest_distance,
)
from synthcl.pipeline.runs.metrics import MetricsLog

CPU = torch.device("cpu")
NO_ROWS = MetricsLog(Path("nowhere"))
GOOD = (10 * MIN_MARGIN, 1.0)


def after(steps, guard=None):
    guard = guard or HardGuard(torch.device("cpu"))
    for margin, colours in steps:
        numbers = guard.observe(*(None if sign is None else torch.tensor(sign) for sign in (margin, colours)))
    return guard, numbers["hard_guard"].item()


@pytest.mark.parametrize(
    ("margin", "colours", "falls"),
    [
        (*GOOD, False),
        (0.0, 1.0, True),
        (-0.1, 1.0, True),
        (GOOD[0], COLOUR_BAND[0] - 0.1, True),
        (GOOD[0], COLOUR_BAND[1] + 0.1, True),
        (None, 1.0, False),
        (None, 0.1, True),
        (GOOD[0], None, False),
        (0.0, None, True),
        (None, None, False),
    ],
)
def test_it_falls_where_the_generator_leaves_its_band(margin, colours, falls):
    _, factor = after([(margin, colours)] * 10)
    assert factor == pytest.approx(FALL**10 if falls else 1.0, rel=1e-5)


def test_it_comes_back_and_never_ends():
    guard, low = after([(0.0, 1.0)] * 500)
    assert low == pytest.approx(FLOOR)
    _, higher = after([GOOD] * 400, guard)
    assert low * RISE**300 < higher < 1
    _, whole = after([GOOD] * 1200, guard)
    assert whole == 1.0


@pytest.mark.parametrize(
    ("margins", "colours"),
    [((0.0, 4 * MIN_MARGIN), (1.0, 1.0)), ((-0.1, 4 * MIN_MARGIN), (1.0, 1.0)), (GOOD[:1] * 2, (0.1, 1.2))],
)
def test_two_processes_go_by_the_signs_of_both(in_ranks, margins, colours):
    one = after([(sum(margins) / 2, sum(colours) / 2)] * 3)[1]
    assert in_ranks(2, lambda rank: after([(margins[rank], colours[rank])] * 3)[1]) == [one, one]


def test_one_bad_step_is_no_drift():
    _, factor = after([GOOD] * 30 + [(-0.05, 1.0)] + [GOOD])
    assert factor == 1.0


def test_its_state_continues_exactly():
    steps = [(0.02 * (i % 7) - 0.04, 1.0 - 0.03 * i) for i in range(30)]
    _, expected = after(steps)
    first, _ = after(steps[:13])
    second = HardGuard(torch.device("cpu"))
    second.load_state_dict(first.state_dict())
    assert after(steps[13:], second)[1] == expected


def test_a_guard_that_has_seen_nothing_can_be_saved():
    assert all(value.isfinite() for value in HardGuard(torch.device("cpu")).state_dict().values())


def test_it_is_said_once_with_the_sign():
    said = []
    notice = GuardNotice(NO_ROWS, said.append)
    rows = [{"step": 10}, {"step": 20, "hard_guard": 0.9, "margin": 0.0, "colour_spread": 1.0}]
    rows += [{"step": s, "hard_guard": 0.4, "margin": 0.001, "colour_spread": 0.2} for s in (30, 40)]
    for row in rows:
        notice.append(row)
    (sentence,) = said
    assert "step 30" in sentence and "0.001" in sentence and "0.2 times" in sentence and "--hardness-clip" in sentence


def test_a_step_of_one_sample_has_no_colours_to_tell_of():
    said = []
    notice = GuardNotice(NO_ROWS, said.append)
    notice.append({"step": 10, "hard_guard": 0.4, "margin": 0.001})
    assert "0.001" in said[0] and "colours" not in said[0]


def test_it_is_said_once_whatever_interrupts_the_run(tmp_path):
    metrics = MetricsLog(tmp_path / "metrics.jsonl")
    history = [{"step": 10, "hard_guard": 0.9, "frechet_distance": 6.3, "generator_went_back": 1.0}]
    history += [{"step": step, "hard_guard": 0.4, "margin": 0.1, "colour_spread": 1.0} for step in (20, 30, 40)]

    def see(rows, resume):
        said = []
        notice = GuardNotice(metrics, said.append)
        metrics.rewind(resume)
        notice.rewind(resume)
        for each in rows:
            metrics.append(each)
            notice.append(each)
        return said

    whole = see(history, 0)
    assert len(whole) == 1 and "step 20" in whole[0] and "back to its last good weights" in whole[0]
    assert see(history[2:], 20) == []  # it was said before
    assert see(history[1:], 10) == whole  # with what an earlier process measured


@pytest.mark.parametrize(
    ("distances", "falls"),
    [
        ([], False),
        ([5.0], False),
        ([5.0, 3.0, 3.0 * DISTANCE_BAND - 0.1], False),
        ([5.0, 3.0, 3.0 * DISTANCE_BAND + 0.1], True),
        ([3.0, 9.0, 3.1], False),
    ],
)
def test_it_falls_while_samples_are_further_from_real_images_than_they_were(distances, falls):
    guard = HardGuard(torch.device("cpu"))
    for at, distance in enumerate(distances):
        least = min(distances[: at + 1])
        assert guard.measured(distance) == pytest.approx({"least_frechet_distance": least})
    again = HardGuard(torch.device("cpu"))
    again.load_state_dict(guard.state_dict())
    for one in (guard, again):
        assert after([GOOD] * 3, one)[1] == pytest.approx(FALL**3 if falls else 1.0, rel=1e-5)


@pytest.mark.parametrize(
    ("distances", "real", "falls"),
    [
        # As measured with 500 images, 250 to a side: 14.1 is six times as far beyond 7.7 as 8.7 is.
        ([8.7, 8.7, 14.1], 7.7, True),
        ([8.7, 8.7, 11.0], 7.7, False),
        # With 5,000 the band is where it was by the whole distance.
        ([2.17, 6.0], 0.87, False),
        ([2.17, 6.6], 0.87, True),
        # As near as real images, and by chance nearer.
        ([0.5, 0.65], 0.5, False),
        ([0.4, 0.75], 0.5, True),
    ],
)
def test_what_real_images_have_among_themselves_is_no_distance(distances, real, falls):
    guard = HardGuard(CPU)
    for distance in distances:
        guard.measured(distance, real)
    assert guard.is_near is not falls
    assert after([GOOD], guard)[1] == pytest.approx(FALL if falls else 1.0)


def test_a_state_without_a_band_goes_by_the_distance_until_it_is_measured():
    guard = HardGuard(CPU)
    guard.measured(8.7, 7.7)
    state = {name: value for name, value in guard.state_dict().items() if name != "furthest"}
    guard = HardGuard(CPU)
    guard.load_state_dict(state)
    assert guard.furthest.item() == pytest.approx(furthest_distance(8.7, 0.0))
    guard.measured(14.1, 7.7)
    assert not guard.is_near


def test_a_distance_that_has_grown_is_said():
    said = []
    notice = GuardNotice(NO_ROWS, said.append)
    notice.append({"step": 10, "hard_guard": 1.0, "frechet_distance": 2.0})
    notice.append(
        {"step": 20, "hard_guard": 0.9, "margin": 0.1, "colour_spread": 1.0, "frechet_distance": 2.1 * DISTANCE_BAND}
    )
    notice.append({"step": 30, "hard_guard": 0.4, "margin": 0.1, "colour_spread": 1.0})
    assert "Fréchet distance to real images is 8.4, after 2" in said[0] and "step 30" in said[0]
    # What the generator had before the first step is in no row of its own.
    notice = GuardNotice(NO_ROWS, said.append)
    notice.append({"step": 10, "hard_guard": 1.0, "frechet_distance": 6.3, "least_frechet_distance": 1.5})
    notice.append({"step": 20, "hard_guard": 0.4, "margin": 0.1, "colour_spread": 1.0})
    assert "Fréchet distance to real images is 6.3, after 1.5" in said[1]
    # Nor that it went back.
    notice = GuardNotice(NO_ROWS, said.append)
    notice.append({"step": 10, "hard_guard": 1.0, "frechet_distance": 6.3, "generator_went_back": 1.0})
    notice.append({"step": 20, "hard_guard": 0.1, "margin": 0.1, "colour_spread": 1.0})
    assert "back to its last good weights" in said[2] and "back to its" not in said[1]


def moved(trainer, by):
    """Move the trainer a step, as far as `by`."""
    with torch.no_grad():
        for parameter in trainer.generator.parameters():
            parameter += by
    trainer.num_steps += 1


def test_the_generator_goes_back_to_the_last_measurement_inside_the_band():
    torch.manual_seed(0)
    trainer = GANTrainer.create(8, preset="tiny")
    guard, last_good = HardGuard(CPU), LastGood(trainer, CPU)
    near, far = 2.0, 2.1 * DISTANCE_BAND

    def measured(distance):
        guard.measured(distance)
        return last_good.after_measurement(guard)["generator_went_back"]

    assert measured(near) == 0
    moved(trainer, 0.1)
    kept = copy.deepcopy(trainer.state_dict())
    assert measured(near + 1) == 0
    moved(trainer, 0.5)
    # A run that stops here goes on with what it kept.
    states = copy.deepcopy((guard.state_dict(), last_good.state_dict()))
    guard, last_good = HardGuard(CPU), LastGood(trainer, CPU)
    guard.load_state_dict(states[0])
    last_good.load_state_dict(states[1])
    assert measured(far) == 1
    now = trainer.state_dict()
    assert now["num_steps"] == 2  # schedules go on
    for name in ("generator", "ema", "discriminator"):
        assert all(torch.equal(now[name][key], kept[name][key]) for key in kept[name])
    assert guard.factor.item() == pytest.approx(CUT) and guard.distance.item() == near + 1
    # The kept weights are not those that go on to be trained: a second time leads to the same.
    moved(trainer, 0.5)
    assert measured(far) == 1
    now = trainer.state_dict()["generator"]
    assert all(torch.equal(now[key], kept["generator"][key]) for key in now)
    assert guard.factor.item() == pytest.approx(CUT**2)


def test_training_on_does_not_reach_what_is_kept():
    """With Adam, which takes the moments that it is given for its own and changes them in place."""
    torch.manual_seed(0)
    trainer, states = GANTrainer.create(8, preset="tiny"), []
    guard, last_good = HardGuard(CPU), LastGood(trainer, CPU)
    for distance in (2.0, 2.1 * DISTANCE_BAND, 2.1 * DISTANCE_BAND):
        for _ in range(2):
            trainer.step(torch.zeros(4, 3, 8, 8), Key.from_seed(trainer.num_steps).at(torch.arange(4)))
        guard.measured(distance)
        last_good.after_measurement(guard)
        weights = {name: module.state_dict() for name, module in trainer.modules().items()}
        moments = {name: optimizer.state_dict()["state"] for name, optimizer in trainer.optimizers.items()}
        states.append(copy.deepcopy((weights, moments)))
    for again in states[1:]:
        torch.testing.assert_close(again, states[0], rtol=0, atol=0)


def test_a_generator_that_was_never_good_stays():
    trainer = GANTrainer.create(8, preset="tiny")
    guard, last_good = HardGuard(CPU), LastGood(trainer, CPU)
    guard.load_state_dict(guard.state_dict() | {"least_distance": torch.tensor(1.0)})
    guard.measured(2 * DISTANCE_BAND)
    assert last_good.after_measurement(guard) == {"generator_went_back": 0.0} and guard.factor == 1
