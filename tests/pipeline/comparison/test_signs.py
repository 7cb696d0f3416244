"""Signs that a run has gone wrong: each at its bound, with the option to turn, and none of a run that went well."""

import math
import re
from types import SimpleNamespace

import pytest

from synthcl.pipeline.comparison.signs import CHANCE, HELD_BACK, UNRELATED, signs
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.regimes.guard import COLOUR_BAND, DISTANCE_BAND, MIN_MARGIN

CHANCE_LEVEL = math.log((16 + 8 * 2) * 2 - 1)
"""16 real images a step and 8 latents of two images, in two views each, but for the view itself."""


def a_run(rows, seed=0, name="online", **options):
    given = {"data": "digits", "out": "run", "steps": 100, "batch_size": 16, "seed": seed}
    config = TrainConfig(online=True, generator="gan", **given, **options)
    return SimpleNamespace(name=name, seed=seed, config=config, metrics=lambda: rows)


def late(**values):
    """Rows in which quantities are bad early and as given over the last tenth."""
    early = [{"step": step, **dict.fromkeys(values, math.nan)} for step in (10, 50, 89)]
    return [*early, *({"step": step, **values} for step in (90, 95, 100))]


SIGNS = {
    "chance": ({"hardness_synthetic": CHANCE * CHANCE_LEVEL * 1.001}, "at chance .log of 63 other views: 4.14"),
    "pairs": ({"pair_similarity": UNRELATED * 0.9}, r"hardly more alike \(0\.09\).*--pair-floor"),
    "margin": ({"margin": MIN_MARGIN * 0.99}, "discriminator tells nothing.*--discriminator-learning-rate"),
    "pale": ({"colour_spread": COLOUR_BAND[0] * 0.99}, "mean colours.*--generator-learning-rate"),
    "gaudy": ({"colour_spread": COLOUR_BAND[1] * 1.01}, "mean colours.*--generator-learning-rate"),
}
WELL = {
    "hardness_synthetic": CHANCE * CHANCE_LEVEL * 0.999,
    "pair_similarity": UNRELATED,
    "margin": MIN_MARGIN,
    "colour_spread": COLOUR_BAND[1],
}


@pytest.mark.parametrize(("values", "words"), SIGNS.values(), ids=SIGNS.keys())
def test_a_sign_is_read_over_the_last_part(values, words):
    (found,) = signs([a_run(late(**{**WELL, **values}))])
    assert re.search(f"^online: .*{words}", found), found


def test_a_run_that_went_well_has_none():
    distances = [{"step": 10, "frechet_distance": 2.0}, {"step": 20, "frechet_distance": 2.0 * DISTANCE_BAND}]
    guard = [{"step": 30, "hard_guard": HELD_BACK}]
    assert signs([a_run([*distances, *guard, *late(**WELL)]), a_run([])]) == []


def test_samples_that_left_the_real_images_are_told_by_their_last_distance():
    rows = [
        {"step": step, "frechet_distance": value} for step, value in ((1, 5.0), (2, 2.0), (3, 2.01 * DISTANCE_BAND))
    ]
    (found,) = signs([a_run(rows)])
    assert "rose from 2 to" in found
    assert signs([a_run([*rows, {"step": 4, "frechet_distance": 2.0}])]) == []
    # A generator that was better before the first step.
    before = {"step": 1, "frechet_distance": 7.0, "least_frechet_distance": 1.5}
    assert "rose from 1.5 to 7" in signs([a_run([before])])[0]
    # So few real images that most of a distance is theirs.
    few = {"step": 1, "frechet_distance": 14.1, "least_frechet_distance": 8.7, "frechet_distance_real": 7.7}
    assert "rose from 8.7 to 14.1" in signs([a_run([few])])[0]
    assert signs([a_run([few | {"frechet_distance": 11.0}])]) == []


def test_the_guard_is_quoted_where_it_held_back_most():
    rows = [{"step": 1000 * i, "hard_guard": value} for i, value in enumerate((1.0, 0.4, 0.25, 1.0))]
    (found,) = signs([a_run(rows)])
    assert "to 25% of its weight at step 2,000, because" in found
    rows += [{"step": 4000, "generator_went_back": 1.0, "hard_guard": 0.3}] * 2
    assert "at step 2,000, and brought the generator back 2 times, because" in signs([a_run(rows)])[0]


@pytest.mark.parametrize(
    "options",
    [{"learner": "moco"}, {"synthetic_loss": "clsp"}, {"synthetic_negatives": False}, {"adversarial": 0.01}],
)
def test_chance_is_not_known_of_other_losses(options):
    assert signs([a_run(late(hardness_synthetic=100.0), **options)]) == []


def test_chance_is_not_known_of_a_set_that_is_gone(tmp_path):
    gone = TrainConfig(data="digits", out="run", steps=100, batch_size=16, shards=[str(tmp_path / "gone")])
    run = SimpleNamespace(name="offline", seed=0, config=gone, metrics=lambda: late(hardness_synthetic=100.0))
    assert signs([run]) == []


def test_seeds_are_named_where_not_all_have_the_sign():
    bad, well = late(**{**WELL, "margin": 0.0}), late(**WELL)
    runs = [a_run(bad, 0), a_run(well, 1), a_run(bad, 2), a_run(bad, 0, "other"), a_run(bad, 1, "other")]
    found = [line.partition(": ")[0] for line in signs(runs)]
    assert found == ["online (seed 0, 2)", "other"]
