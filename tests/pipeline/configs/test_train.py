"""Options of train: what is refused beside what, how a run's record reads back, and whatever chooses the regime."""

import dataclasses

import pytest

from synthcl.pipeline.configs.regimes import REGIMES
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.options.types import default_of

COMMON = {"data": "digits", "out": "run", "steps": 1}
SOURCES = {"shards", "generator", "where", "shards_per_window"}
"""Options that choose the regime, or go with one that does: `test_commands.py` has what is refused of them."""
OPTIONS = [f for f in dataclasses.fields(TrainConfig) if f.metadata["option"].concerns]


def another(f):
    """A value of an option that is not its default."""
    info, default = f.metadata["option"], default_of(f)
    if isinstance(default, bool):
        return not default
    if info.choices is not None:
        return next(choice for choice in info.choices if choice != default)
    special = {"shards": ["x"], "pair_similarity": "0.9:0.5", "generator": "gan", "where": "step > 1"}
    special |= {"images_per_sample": 4, "discriminator_augment": "cutout"}
    if f.name in special:
        return special[f.name]
    return type(default)(default / 2) if default else 1 if "int" in str(f.type) else 0.5


def needs_of(f):
    needs = f.metadata["option"].needs
    return [needs] if isinstance(needs, str) else list(needs)


def with_needs(f):
    """Values of the options that an option needs, where they are not the defaults."""
    values = {"hard_on=latents": {"hard_on": "latents"}, "eval_encoder": {"eval_encoder": "x"}}
    return {name: value for need in needs_of(f) for name, value in values.get(need, {}).items()}


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("f", [f for f in OPTIONS if f.name not in SOURCES], ids=lambda f: f.name)
def test_an_option_is_refused_where_it_means_nothing(choosing, regime, f):
    options = {**COMMON, **choosing[regime], f.name: another(f)}
    if regime in f.metadata["option"].concerns:
        TrainConfig(**options, **with_needs(f))
        TrainConfig(**COMMON, **choosing[regime], **with_needs(f)).check_given([f.name])
        return
    with pytest.raises(UsageError, match="means nothing in the regime"):
        TrainConfig(**options)
    with pytest.raises(UsageError, match="means nothing in the regime"):
        TrainConfig(**COMMON, **choosing[regime]).check_given([f.name])


NEEDING = [f for f in OPTIONS if {"hard", "pairs"} & set(needs_of(f))]


@pytest.mark.parametrize("f", NEEDING, ids=lambda f: f.name)
def test_an_option_is_refused_beside_the_switch_that_takes_its_meaning(choosing, f):
    assert {f.name for f in NEEDING} >= {"hard_weight", "hardness_clip", "pair_strength", "pair_similarity"}
    switch, concerned = needs_of(f)[0], f.metadata["option"].concerns
    regime = "online" if "online" in concerned else concerned[0]
    with pytest.raises(UsageError, match=f"it cannot be given with --no-{switch}"):
        TrainConfig(**COMMON, **choosing[regime], **{switch: False, f.name: another(f)})


def test_runs_of_before_read_as_what_they_were(choosing):
    """Options without a meaning in their regime stood in the records of earlier runs."""
    values = TrainConfig(**COMMON, **choosing["real"]).to_dict() | {"hard_weight": 0.3, "pair_ema_decay": 0.5}
    assert TrainConfig.of_run(values) == TrainConfig(**COMMON)
    values = TrainConfig(**COMMON, **choosing["online"], hard=False).to_dict() | {"hardness_clip": 1.0}
    assert TrainConfig.of_run(values) == TrainConfig(**COMMON, **choosing["online"], hard=False)
    values = TrainConfig(**COMMON, **choosing["online"], hard_weight=0.3).to_dict()
    assert TrainConfig.of_run(values).hard_weight == 0.3


WRONG = {
    "no length": ({"steps": None}, "give the length of the training as either --epochs or --steps"),
    "two lengths": ({"epochs": 2}, "give the length of the training as either --epochs or --steps"),
    "two regimes": ({"shards": ["s"], "replay": "r"}, "--replay cannot be given with --shards: each says where"),
    "online without a generator": ({"online": True}, "--online needs --generator DIR, a generator to draw from"),
    "fresh without a generator": ({"fresh": True}, "--fresh needs --generator DIR"),
    "a generator for nothing": ({"generator": "g"}, "--generator is for --online and --fresh"),
    "a part of a set": ({"shards": ["set[:10%]"]}, r"--shards"),
    "a recording of nothing": (
        {"record": "r"},
        "--record writes what a run draws at each step; give it with --online or",
    ),
    "a recording of a recording": ({"replay": "r", "record": "s"}, "--record writes what a run draws at each step"),
    "a condition on nothing": ({"where": "step > 1"}, "--where chooses samples of --shards; give it with a set"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        TrainConfig(**{**COMMON, **options})


WINDOWS = {
    "a folder": ({"shards": ["s"]}, None),
    "a folder, and a number": ({"shards": ["s"], "shards_per_window": 3}, 3),
    "a folder, and the number of URLs": ({"shards": ["s"], "shards_per_window": 8}, 8),
    "a URL": ({"shards": ["s3://bucket/set"]}, 8),
    "a URL beside a folder": ({"shards": ["here", "s3://bucket/set"]}, 8),
    "a URL, and a number": ({"shards": ["s3://bucket/set"], "shards_per_window": 3}, 3),
    "a file of before, of no set": ({"shards_per_window": 8}, None),
}


@pytest.mark.parametrize(("options", "width"), WINDOWS.values(), ids=WINDOWS.keys())
def test_windows_are_for_urls_and_wherever_they_are_asked_for(options, width):
    config = TrainConfig(**COMMON, **options)
    assert config.shards_per_window == width
    assert TrainConfig.from_values(config.to_dict()) == config == TrainConfig.of_run(config.to_dict())


def test_a_number_of_shards_without_shards_is_refused():
    with pytest.raises(UsageError, match="--shards-per-window means nothing in the regime real"):
        TrainConfig(**COMMON, shards_per_window=3)
    with pytest.raises(UsageError, match="--shards-per-window means nothing in the regime real"):
        TrainConfig(**COMMON).check_given(["shards_per_window"])
    with pytest.raises(UsageError, match="--shards-per-window must be at least 1, not 0"):
        TrainConfig(**COMMON, shards=["s"], shards_per_window=0)


@pytest.mark.parametrize(("name", "source"), [("fresh", "gan"), ("online", "gan"), ("replay", "recording")])
def test_the_source_of_samples(choosing, name, source):
    assert TrainConfig(**COMMON, **choosing[name]).source == source


@pytest.mark.parametrize("name", ["real", "offline"])
def test_a_regime_of_no_samples_or_several_sets_has_no_single_source(choosing, name):
    with pytest.raises(UsageError, match=f"the regime {name} has no single source"):
        _ = TrainConfig(**COMMON, **choosing[name]).source


def test_local_views_are_for_a_learner_that_takes_them():
    config = TrainConfig(**COMMON, learner="dino", local_views=6)
    assert config.whole_views == pytest.approx(2 + 6 * (96 / 224) ** 2)
    assert TrainConfig(**COMMON).whole_views == 2
    with pytest.raises(UsageError, match=r"--local-views is for --learner dino, .*cannot be given with --learner byol"):
        TrainConfig(**COMMON, learner="byol", local_views=6)
    with pytest.raises(UsageError, match="--local-size means nothing without --local-views; give both"):
        TrainConfig(**COMMON, learner="dino", local_size=8)
    values = TrainConfig(**COMMON, learner="dino", local_views=6, local_size=6).to_dict()
    assert TrainConfig.of_run(values) == TrainConfig(**COMMON, learner="dino", local_views=6, local_size=6)


def test_a_run_with_a_gate_that_is_refused_now_is_read(choosing):
    values = TrainConfig(**COMMON, **choosing["online"]).to_dict() | {"synthetic_negatives": False, "hard_gate": 0.0}
    config = TrainConfig.of_run(values)
    assert config.to_dict() == values
    assert TrainConfig.of_run(values | {"hard": False}).hard_gate is None


def test_a_learner_of_a_run_need_not_be_at_hand():
    learner = {"learner": "gone.away:Learner", "learner_option": {"width": 3}, "local_views": 4}
    config = TrainConfig.of_run({**TrainConfig(**COMMON).to_dict(), **learner})
    assert {name: getattr(config, name) for name in learner} == learner
