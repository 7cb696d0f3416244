"""Options of compare: a plan to train, or runs that exist; what is refused, and what a training is given."""

from dataclasses import replace

import pytest

from synthcl.pipeline.configs import compare
from synthcl.pipeline.configs.arms import Arm
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.regimes import REGIMES
from synthcl.pipeline.errors import UsageError

ALL = "replay,online,real,offline"
GIVEN = {"data": "digits", "out": "out", "generator": "gan", "batch_size": 64, "steps": 100, "regimes": ALL}

WRONG = {
    "no such comparison": ({"primary": "real-online"}, "--primary 'real-online' is no comparison that is made"),
    "a comparison of others": ({"primary": "fresh-real"}, "--primary 'fresh-real' is no comparison that is made"),
    "no data": ({"data": None}, "Missing option '--data'"),
    "no such regime": ({"regimes": "real,oline"}, "no regime 'oline'"),
    "one regime": ({"regimes": "real, real"}, "nothing to compare"),
    "replay alone": ({"regimes": "real,replay", "generator": None}, "name online too"),
    "no generator": ({"generator": None}, "offline and online need --generator"),
    "a generator for nothing": ({"regimes": "real,offline", "shards": ["x"]}, "none of them is compared"),
    "shards without offline": ({"regimes": "real,online", "shards": ["x"]}, "--shards is for the regime offline"),
    "where without shards": ({"where": "step > 1"}, "--where chooses samples of --shards"),
    "a number for given shards": ({"shards": ["x"], "num_samples": 64}, "--num-samples is for the set"),
    "equal views with local ones": (
        {"regimes": "real,real-equal-views", "learner": "dino", "local_views": 4, "generator": None},
        "--regimes real-equal-views counts whole views alone and cannot be given with --local-views",
    ),
    "equal views of groups of two sizes": (
        {"regimes": "real-equal-views,fresh,online", "images_per_sample": 4},
        r"images of a latent \(fresh has 4, online has 2\); name real-4-views or real-6-views",
    ),
    "local views of a learner without": ({"local_views": 4}, "--local-views is for --learner dino"),
    "no length": ({"steps": None}, "either --epochs or --steps"),
    "test data for nothing": ({"transfer_test_data": ["x"]}, "--transfer-test-data is given 1 times"),
    "training of runs": ({"run": ["x"], "steps": None}, "is for trainings; with --run nothing is trained"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        CompareConfig(**{**GIVEN, **options})


RUNS = {"out": "out", "run": ["runs/a", "runs/b"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"batch_size": 32},
            "--batch-size is for trainings; with --run nothing is trained, unless --steps",
        ),
        ({"seeds": 5}, "--seeds is for trainings"),
        ({"arm": ["x: --online"]}, "--arm x is trained nowhere; name its runs, --run x=DIR"),
    ],
)
def test_runs_that_exist_are_not_trained(options, message):
    with pytest.raises(UsageError, match=message):
        CompareConfig(**{**RUNS, **options})


def test_a_default_of_trainings_that_is_typed_beside_runs_is_refused():
    with pytest.raises(UsageError, match="--seeds is for trainings; with --run nothing is trained"):
        CompareConfig(**RUNS).check_given(["label_fraction", "seeds"])
    CompareConfig(**RUNS).check_given(["label_fraction", "judge"])


@pytest.mark.parametrize(
    ("options", "trains"), [({}, True), ({"run": ["x=y"]}, True), ({"run": ["x=y"], "steps": None}, False)]
)
def test_a_length_is_what_makes_it_train(options, trains):
    given = {**GIVEN, **options}
    if not trains:
        given = {name: given[name] for name in ("out", "run")}
    assert CompareConfig(**given).trains is trains


def test_the_options_of_the_set_count_where_one_is_generated():
    strength = {**GIVEN, "regimes": "real,offline", "pair_strength": 0.2}
    assert CompareConfig(**strength).pair_strength == 0.2
    with pytest.raises(UsageError, match="--pair-strength means nothing in the regime real or offline"):
        CompareConfig(**{**strength, "generator": None, "shards": ["s"]})


def test_fractions_and_transfers():
    config = CompareConfig(**GIVEN, label_fraction=[0.5, 0.1, 0.5], transfer=["a", "b"], transfer_test_data=["c", "d"])
    assert config.fractions() == [0.1, 0.5, 1.0]
    assert config.transfers() == [("a", "c"), ("b", "d")]
    assert CompareConfig(**GIVEN, transfer=["a"]).transfers() == [("a", None)]


def test_without_real_images_the_first_arm_is_the_reference():
    config = CompareConfig(**{**GIVEN, "regimes": "online,offline"})
    assert config.reference_of(["offline", "online"]) == "offline"
    assert CompareConfig(**GIVEN, reference="online").reference_of(["real", "online"]) == "online"
    assert config.primary_comparison(["offline", "online"]) is None


def test_a_flag_chooses_a_regime_whose_source_nothing_else_is_known_of(monkeypatch):
    noise = replace(REGIMES["fresh"], name="noise", selected_by="noise", source=None)
    config = CompareConfig(**GIVEN)
    monkeypatch.setattr(compare, "REGIMES", {**REGIMES, "noise": noise})
    assert config.placeholders(Arm("noise", "noise"))["noise"] is True
    assert not set(config.placeholders(Arm("real", "real"))) - {"out", "seed"}
