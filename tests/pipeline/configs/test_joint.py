"""Options of joint training: the target of the pairs, and what each switch takes away."""

import pytest

from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError

ONLINE = {"data": "digits", "out": "x", "steps": 1, "online": True, "generator": "g"}


@pytest.mark.parametrize(
    ("text", "expected"), [("0.95:0.7", (0.95, 0.7)), ("1:-1", (1.0, -1.0)), (" 0.5 : 0.5 ", (0.5, 0.5)), (None, None)]
)
def test_the_target_of_a_pairs_similarity(text, expected):
    assert TrainConfig(**ONLINE, pair_similarity=text).pair_similarity_range() == expected


@pytest.mark.parametrize("text", ["0.9", "0.9:", "0.9:0.7:0.5", "1.1:0.7", "0.9:-1.1", "a:b", "nan:0.5", ""])
def test_what_are_no_two_cosines(text):
    with pytest.raises(UsageError, match=f"takes two cosines, such as 0.95:0.7, each in .*, not '{text}'"):
        TrainConfig(**ONLINE, pair_similarity=text)


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("online", {}, 2),
        ("online", {"pairs": False}, 1),
        ("fresh", {}, 2),
        ("fresh", {"pairs": False}, 1),
        ("fresh", {"images_per_sample": 5}, 5),
    ],
)
def test_the_images_of_a_latent(choosing, name, options, size):
    assert TrainConfig(**(ONLINE | {"online": False} | choosing[name] | options)).group_size == size


WRONG = {
    "moved latents have no weight": ({"hard_on": "latents", "hard_weight": 0.5}, "--hard-weight is for --hard-on weig"),
    "nor a bound": ({"hard_on": "latents", "hardness_clip": 1.0}, "--hardness-clip is for --hard-on weights"),
    "weights have no radius": ({"latent_radius": 0.1}, "--latent-radius is for --hard-on latents"),
    "a floor of no pairs": ({"pairs": False, "pair_floor": 0.5}, "--pair-floor is for --pairs"),
    "a target of no pairs": ({"pairs": False, "pair_similarity": "0.9:0.7"}, "--pair-similarity is for --pairs"),
    "an objective of nothing hard": ({"hard": False, "hard_objective": "alignment"}, "--hard-objective is for --hard"),
    "a guard that is off": (
        {"hard_guard": False, "eval_encoder": "run", "guard_goes_back": False},
        "--guard-goes-back is for --hard-guard; it cannot be given with --no-hard-guard",
    ),
    "a guard that cannot see": ({"guard_every": 5}, "--guard-every means nothing without --eval-encoder RUN"),
    "a decay of 1": ({"pair_ema_decay": 1.0}, "--pair-ema-decay must be below 1, not 1"),
    "no bound at all": ({"hardness_clip": 0.0}, "--hardness-clip must be above 0, not 0"),
    "a floor that is no cosine": ({"pair_floor": 1.5}, "--pair-floor must be at most 1, not 1.5"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_options_without_a_meaning_beside_the_others_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        TrainConfig(**ONLINE, **options)
