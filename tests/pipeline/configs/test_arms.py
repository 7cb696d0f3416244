"""Arms are read in any of their forms, refused in words, and declare what they have to themselves."""

import pytest
import yaml

from synthcl.pipeline.configs.arms import (
    Arm,
    arm_texts,
    arm_values,
    equal_views,
    find_pair,
    parse_arms,
    read_label,
    ready_arm,
)
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.regimes import REGIMES
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.config import command_line, read_yaml, write_yaml

NOHARD = Arm("online-nohard", "online", {"hard": False})
FORMS = {
    "a flag that chooses the regime": ["online-nohard: --online --no-hard"],
    "the regime by name": ["online-nohard: online --no-hard"],
    "a mapping": {"online-nohard": {"regime": "online", "hard": False}},
    "a mapping to flags": {"online-nohard": "--online --no-hard"},
    "a list that YAML took for mappings": [{"online-nohard": "--online --no-hard"}],
    "an option that is left open": {"online-nohard": {"regime": "online", "hard": False, "pair_floor": None}},
}


@pytest.mark.parametrize("given", FORMS.values(), ids=FORMS.keys())
def test_an_arm_is_the_same_in_every_form(given):
    assert parse_arms(arm_texts(given)) == [NOHARD]
    assert parse_arms([NOHARD.text]) == [NOHARD]
    assert parse_arms(arm_texts({NOHARD.name: NOHARD.to_dict()})) == [NOHARD]


def test_values_are_of_their_options_types():
    (arm,) = parse_arms(["a: --shards x --shards 'y z' --synthetic-ratio 1 --views-per-image=4 --where 'step > 1'"])
    assert arm.regime == "offline"
    assert arm.options == {
        "shards": ["x", "y z"], "synthetic_ratio": 1.0, "views_per_image": 4, "where": "step > 1"
    }  # fmt: skip
    assert parse_arms([arm.text]) == [arm] == parse_arms(arm_texts(yaml.safe_load(write_yaml({"a": arm.to_dict()}))))


WRONG = {
    "no name": ("--online", "is no arm; give a name"),
    "a name that is no folder's": ("a/b: --online", "is no arm"),
    "the name of untrained weights": ("untrained: --online", "untrained is the name of untrained weights"),
    "another regime's name": ("real: --online", "--arm real is of the regime online"),
    "no such option": ("x: --online --no-hrd", r"train has no option --no-hrd \(did you mean '--no-hard'\?\)"),
    "what each run has of its own": ("x: --out there", "--out is the comparison's to give, and no arm's own"),
    "no number": ("x: --views-per-image four", "argument --views-per-image: invalid int value: 'four'"),
    "no such regime": ("x: onlin --no-hard", r"no regime 'onlin' \(did you mean 'online'\?\)"),
    "a regime that is denied": ("x: online --no-online", "is of online, and has --no-online; leave out one"),
    "two regimes": ("x: --online --fresh", "is of fresh and of online"),
    "a quote left open": ("x: --where 'a", "No closing quotation"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_arm_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_arms([text])


def test_names_are_given_once():
    with pytest.raises(UsageError, match="--arm x is given twice"):
        parse_arms(["x: --online", "x: --fresh"])
    with pytest.raises(UsageError, match="--arm a takes options of train"):
        arm_texts({"a": 3})


@pytest.mark.parametrize(
    ("ratio", "views", "images", "expected"),
    [(0.5, 2, 2, 4), (0.5, 2, 1, 3), (1.0, 2, 2, 6), (0.25, 2, 2, 3), (0.5, 4, 2, 8), (0.01, 2, 1, 2)],
)
def test_real_images_in_as_many_views_as_a_synthetic_step_has(ratio, views, images, expected):
    batch = 100
    assert equal_views(ratio, views, images) == expected
    arm = ready_arm("real-equal-views", ratio, views, images)
    assert arm == Arm("real-equal-views", "real", {"views_per_image": expected})
    assert arm.more_views(expected - 1) and not arm.more_views(expected)
    if ratio in (0.5, 1.0):
        assert batch * expected == batch * views + round(ratio * batch) * images * views
    assert ready_arm("real-4-views", ratio, views, images).options == {"views_per_image": 4}
    with pytest.raises(UsageError, match=r"no regime 'rael' \(did you mean 'real'\?\).*real-equal-views"):
        ready_arm("rael", ratio, views, images)


def test_an_arm_has_the_shared_options_that_mean_something_in_it():
    shared = {"data": "digits", "steps": 5, "hard_weight": 0.5, "pair_ema_decay": 0.9, "temperature": 0.2}
    given = {"out": "o", "seed": 1, "online": True, "generator": "gan"}
    run = arm_values(shared, NOHARD, given)
    assert (run.hard, run.hard_weight, run.pair_ema_decay, run.temperature) == (False, 1.0, 0.9, 0.2)
    real = arm_values(shared, Arm("real", "real"), {"out": "o"})
    assert real.regime == "real" and real.pair_ema_decay == 0.999 and real.temperature == 0.2
    longer = arm_values(shared, Arm("long", "real", {"epochs": 3}), {"out": "o"})
    assert longer.steps is None and longer.epochs == 3
    with pytest.raises(UsageError, match="--arm x: --hard means nothing in the regime real"):
        arm_values(shared, Arm("x", "real", {"hard": True}), {"out": "o"})
    with pytest.raises(UsageError, match="--arm x: --recipe adainf sets --synthetic-ratio 2"):
        arm_values(shared, Arm("x", "online", {"recipe": "adainf", "synthetic_ratio": 1.0}), given)


def test_an_arm_is_never_trained_as_another_regime():
    with pytest.raises(AssertionError, match="a would train as real: sources must choose fresh"):
        arm_values({"data": "digits", "steps": 5}, Arm("a", "fresh"), {"out": "o"})


def test_an_arm_declares_its_options_and_what_its_recipe_sets():
    assert NOHARD.declares == {"hard"}
    assert Arm("a", "fresh", {"recipe": "adainf"}).declares >= {"recipe", "views", "synthetic_ratio", "pairs"}
    assert "hard" in Arm("a", "online", free=True).declares and "batch_size" not in Arm("a", "x", free=True).declares


def test_labels_and_pairs(tmp_path):
    assert read_label("nohard=runs/a") == ("nohard", "runs/a")
    assert read_label("runs/a=b") == (None, "runs/a=b")
    (tmp_path / "a=b").mkdir()
    assert read_label(str(tmp_path / "a=b")) == (None, str(tmp_path / "a=b"))
    with pytest.raises(UsageError, match="--run untrained=runs/a: untrained is the name of untrained weights, which"):
        read_label("untrained=runs/a")
    names = ["real", "online", "online-nohard"]
    assert find_pair("--judge", "online-nohard-online", names, "real") == ("online-nohard", "online")
    assert find_pair("--judge", "online-real", names, "real") == ("online", "real")
    for text in ("online", "online-online", "online-x", "real-online"):
        with pytest.raises(UsageError, match="is no comparison that is made"):
            find_pair("--judge", text, names, "real")


GIVEN = {"data": "digits", "out": "out", "generator": "gan", "batch_size": 64, "steps": 100}


def test_a_plan_is_written_and_read_as_it_was(tmp_path):
    texts = ["online-nohard: --online --no-hard", "online-strong: online --hard-weight 2.0"]
    config = CompareConfig(**GIVEN, regimes="real-equal-views,online,real", arm=texts)
    assert [arm.name for arm in config.arms()] == [
        "real", "real-equal-views", "online", "online-nohard", "online-strong"
    ]  # fmt: skip
    file = tmp_path / "plan.yaml"
    file.write_text(write_yaml(config.to_dict()))
    assert "online-nohard:\n    regime: online\n    hard: false\n" in file.read_text()
    again = CompareConfig.from_values(read_yaml(file))
    assert again == config
    assert "--arm 'online-nohard: online --no-hard'" in command_line("compare", config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": ["x: --online"], "regimes": ""}, "leaves nothing to compare: x"),
        ({"arm": ["online: --online --no-hard"]}, "--arm online has the name of one in --regimes"),
        ({"reference": "fresh"}, "--reference 'fresh' is none of the arms; they are real, offline, online"),
        ({"judge": ["online-fresh"]}, "--judge 'online-fresh' is no comparison that is made"),
        ({"arm": ["x: --online --synthetic-loss clsp --hard-gate 1"]}, "--arm x: --hard-gate compares"),
        ({"arm": ["x: --fresh --no-hard"]}, "--arm x: --no-hard means nothing in the regime fresh"),
        ({"regimes": "real,offline", "arm": ["x: replay"]}, "x feeds back what online runs draw"),
        ({"regimes": "real", "arm": ["x: --shards s", "y: online --generator g"]}, "--generator is for fresh and on"),
    ],
)
def test_arms_that_cannot_be_trained_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        CompareConfig(**{**GIVEN, **options})


def test_every_regime_says_what_its_samples_come_from():
    for entry in REGIMES.values():
        assert entry.selected_by is not None or entry.source is None
        assert entry.source in (None, "set", "generator", "recording")
