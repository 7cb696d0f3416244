"""Options of any training: what is refused beside what, in `train` and in `compare`, and how long it is."""

import pytest

from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError

COMMON = {"data": "digits", "out": "run", "steps": 1}
ONLINE = {"online": True, "generator": "g"}
CLSP = {**ONLINE, "synthetic_loss": "clsp"}

WRONG = {
    "parts that are compiled": ({"compile": True, "accumulate": 2}, "--compile cannot be given with --accumulate"),
    "two compiled passes": ({"compile": True, "adversarial": 0.1}, "--compile cannot be given with --adversarial"),
    "a backbone that is not there": ({"backbone": "resnet81"}, "Unknown backbone .resnet81..*resnet10, resnet18"),
    "a class that is not there": ({"learner": "nowhere:Class"}, "nowhere"),
    "no negatives twice": ({**CLSP, "synthetic_negatives": False}, "uses no synthetic view as a negative anyway"),
    "a gate between two losses": ({**CLSP, "hard_gate": 0.1}, "--hard-gate compares the losses"),
    "a gate between negatives": (
        {**ONLINE, "synthetic_negatives": False, "hard_gate": 0.1},
        "--hard-gate compares the losses.* --no-synthetic-negatives gives other negatives",
    ),
    "a gate between classes": (
        {**ONLINE, "learner": "supcon", "hard_gate": 0.1},
        "--hard-gate compares the losses.* --learner supcon",
    ),
    "a similarity that is none": ({**ONLINE, "pair_similarity": "2:1"}, "--pair-similarity takes two cosines"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        TrainConfig(**COMMON, **options)
    of_all = {name: value for name, value in options.items() if name != "online"}
    with pytest.raises(UsageError, match=message):
        CompareConfig(**COMMON, **of_all)


def test_a_default_that_is_typed_where_it_means_nothing_is_refused():
    with pytest.raises(UsageError, match="--synthetic-loss clsp has no synthetic negatives"):
        TrainConfig(**COMMON, **CLSP).check_given(["synthetic_negatives"])


def test_the_length_in_steps():
    assert TrainConfig(**COMMON).total_steps(22) == 1
    assert TrainConfig(**{**COMMON, "steps": None}, epochs=3).total_steps(22) == 66


@pytest.mark.parametrize("length", [{}, {"steps": 1, "epochs": 1}])
def test_one_length_is_needed(length):
    with pytest.raises(UsageError, match="either --epochs or --steps"):
        TrainConfig(data="digits", out="run", **length)
