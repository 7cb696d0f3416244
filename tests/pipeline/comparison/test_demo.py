"""The demo is a pretraining and a comparison that starts from it, with the same images, size and seed."""

import pytest

from synthcl.pipeline.comparison import demo as module
from synthcl.pipeline.comparison.demo import PRETRAINING, demo
from synthcl.pipeline.configs.demo import DemoConfig

OPTIONS = {"image_size": 8, "pretrain_steps": 7, "train_steps": 5, "batch_size": 16, "seeds": 2, "seed": 3}


@pytest.fixture
def done(monkeypatch):
    """What was done, in order, and what the overall progress knew by then; without the work."""
    calls, overall = [], []
    open_overall = module.overall_progress

    def watched(**options):
        opened = open_overall(**options)

        class Kept:
            def __enter__(self):
                overall.append(opened.__enter__())
                return overall[0]

            def __exit__(self, *error):
                return opened.__exit__(*error)

        return Kept()

    def do(name):
        return lambda config: calls.append((name, config, dict(overall[0].done))) or {"winner": None}

    monkeypatch.setattr(module, "overall_progress", watched)
    monkeypatch.setattr(module, "pretrain", do("pretrain"))
    monkeypatch.setattr(module, "compare", do("compare"))
    return calls, overall


def test_the_comparison_starts_from_what_was_pretrained(done, tmp_path):
    calls, _ = done
    assert demo(DemoConfig(out=str(tmp_path), **OPTIONS)) == {"winner": None}
    (first, pretraining, _), (second, comparing, _) = calls
    assert (first, second) == ("pretrain", "compare")
    assert comparing.generator == pretraining.out == str(tmp_path / "generator")
    for name in ("data", "image_size", "batch_size", "seed"):
        wanted = OPTIONS.get(name, DemoConfig.__dataclass_fields__[name].default)
        assert getattr(pretraining, name) == getattr(comparing, name) == wanted
    assert (comparing.metric, comparing.primary) == ("knn", "online-real")
    assert (pretraining.steps, comparing.steps, comparing.seeds) == (7, 5, 2)
    assert [arm.name for arm in comparing.arms()] == ["real", "offline", "online"]
    assert (pretraining.out, comparing.out) == (str(tmp_path / "generator"), str(tmp_path / "comparison"))


def test_all_that_is_to_be_done_is_known_before_the_first_part(done, tmp_path):
    calls, overall = done
    (tmp_path / "generator" / "checkpoints" / "step-00000004").mkdir(parents=True)
    demo(DemoConfig(out=str(tmp_path), **OPTIONS))
    parts = list(overall[0].parts.values())
    assert parts[0].key == PRETRAINING and (parts[0].units, parts[0].done) == (7, 4)
    runs = [part.title for part in parts if part.title.startswith("run ")]
    assert len(runs) == 6 and runs[0] == "run 1 of 6: real, seed 3"
    known = calls[0][2]
    assert set(known) == set(overall[0].parts) and known[PRETRAINING] == 4
    assert calls[1][2][PRETRAINING] == 7
