"""The run folder: made, taken up, and refused when it holds something else."""

import dataclasses
import json

import pytest

from synthcl.pipeline.configs.pretrain import PretrainConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.options import differences, flag
from synthcl.pipeline.run import MetricsLog, open_run, read_config


def config(out, **options) -> TrainConfig:
    return TrainConfig(**{"data": "digits", "out": str(out), "steps": 5, **options})


def test_a_run_is_made_and_its_config_repeats_it(tmp_path):
    run = open_run(tmp_path / "r", "train", config(tmp_path / "r", seed=3))
    assert TrainConfig.from_values(read_config(run.path)) == config(tmp_path / "r", seed=3)
    facts = json.loads((run.path / "run.json").read_text())
    assert facts["command"] == "train" and facts["versions"]["torch"]
    assert run.result is None
    run.finish({"steps": 5})
    assert open_run(tmp_path / "r", "train", config(tmp_path / "r", seed=3)).result == {"steps": 5}


def test_another_run_in_the_folder_is_refused_with_the_difference(tmp_path):
    open_run(tmp_path, "train", config(tmp_path))
    with pytest.raises(UsageError, match=r"holds another run(.|\n)*--seed: 0 there, 1 now"):
        open_run(tmp_path, "train", config(tmp_path, seed=1))
    with pytest.raises(UsageError, match="holds a run of `synthcl train`"):
        open_run(tmp_path, "pretrain", config(tmp_path))
    assert read_config(tmp_path)["seed"] == 0


MAY_CHANGE = {
    "length": {"steps", "epochs"},
    "what is watched and kept": {"tracker", "eval_every", "eval_data", "sample_every", "checkpoint_every", "keep"},
    "where things lie": {"out", "data_root", "cache"},
}


@pytest.mark.parametrize("kind", [TrainConfig, PretrainConfig])
def test_every_other_option_is_refused_with_the_difference(kind):
    saved = kind(data="digits", out="x", **({"steps": 5} if kind is TrainConfig else {})).to_dict()
    for f in dataclasses.fields(kind):
        lines = differences(saved, {**saved, f.name: "another"}, kind)
        if f.metadata["option"].may_change:
            assert f.name in set().union(*MAY_CHANGE.values()) and lines == []
        else:
            assert lines == [f"{flag(f.name)}: {saved[f.name]!r} there, 'another' now"]


def test_length_and_place_may_change(tmp_path):
    open_run(tmp_path / "a", "train", config("a"))
    open_run(tmp_path / "a", "train", config("elsewhere", steps=9, keep=5, checkpoint_every=2))


def test_folders_that_hold_something_else_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        open_run(tmp_path / "file", "train", config("x"))
    with pytest.raises(DataError, match="not empty"):
        open_run(tmp_path, "train", config("x"))


def test_metrics_have_no_double_after_a_rewind_and_no_half_row(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        log.append({"step": step, "loss": step / 3})
    with open(log.path, "a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in log.read()] == [1, 2, 3]
    log.rewind(2)
    log.append({"step": 3, "loss": 1.0})
    assert log.read() == [{"step": 1, "loss": 1 / 3}, {"step": 2, "loss": 2 / 3}, {"step": 3, "loss": 1.0}]
