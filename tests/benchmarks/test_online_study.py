"""The study of joint training: each of its arms is a training that `train` takes."""

import importlib
from pathlib import Path

import pytest

from synthcl.pipeline.configs.train import TrainConfig

ONLINE = Path(__file__).parents[2] / "benchmarks" / "online"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ONLINE))
    return importlib.import_module("study")


def test_train_takes_the_options_of_each_arm_in_each_setting(study):
    for name, chosen in study.ARMS.items():
        source = {"shards": ["set"]} if "shards" in chosen else {}
        if chosen.get("online") or chosen.get("fresh"):
            source = {"generator": "gan"}
        for setting in study.SETTINGS.values():
            options = {**study.COMMON, "data": "cifar10" + setting["part"], "epochs": setting["epochs"], "out": "run"}
            config = TrainConfig.from_values({**options, **chosen, **source})
            assert {key: getattr(config, key) for key in chosen if key != "shards"} == {
                key: value for key, value in chosen.items() if key != "shards"
            }, name


def test_values_of_options_are_read_as_json_where_they_are_some(study):
    assert study.parsed("hardness_clip=0.5") == ("hardness_clip", 0.5)
    assert study.parsed("hard=false") == ("hard", False)
    assert study.parsed("eval_encoder=random:resnet10-w16") == ("eval_encoder", "random:resnet10-w16")


@pytest.fixture
def summary(monkeypatch):
    monkeypatch.syspath_prepend(str(ONLINE))
    return importlib.import_module("summary")


def test_the_pages_have_the_tables_of_the_rows(summary):
    found = summary.scores()
    for page, table in [
        (ONLINE.parents[1] / "README.md", summary.first_page),
        (ONLINE / "README.md", summary.own_page),
    ]:
        text = page.read_text()
        missing = [line for line in table(found) if line not in text]
        assert not missing, f"{page.name} lacks what benchmarks/online/summary.py prints: {missing}"


def test_a_difference_is_paired_by_seed_and_says_where_seeds_are_fewer(summary):
    setting = summary.SETTINGS[0]
    online = {seed: 50.0 + seed for seed in range(6)}
    own = {"real": {seed: value - 1.5 + 0.1 * (-1) ** seed for seed, value in online.items()}, "online": online}
    assert summary._cell(setting, own, ("online", "real"), "**{:+.1f}** ({:+.1f} to {:+.1f})") == (
        "**+1.5** (+1.4 to +1.6)"
    )
    own["fresh"] = {seed: online[seed] + seed for seed in (1, 2, 3)}
    assert summary._cell(setting, own, ("online", "fresh"), "**{:+.1f}** ({:+.1f} to {:+.1f})") == (
        "-2.0 (-4.5 to +0.5) (n = 3)"
    )
    own["real-equal-views"] = {1: 50.0, 2: 51.0}  # of two seeds nothing is said
    for pair in [("fresh", "real-equal-views"), ("online", "none")]:
        assert summary._cell(setting, own, pair, "{}, {}, {}") == ""


def test_the_picture_has_a_row_for_each_setting_of_the_first_page(summary):
    found = summary.scores()
    panels = summary.draw(found).axes
    assert len(panels) == 3
    shown = [setting for setting, _ in found if setting.images]
    assert [label.get_text().split(";")[0] for label in panels[0].get_yticklabels()] == [
        f"{setting.images} images, {setting.length}" for setting in shown
    ]
