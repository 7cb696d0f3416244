"""A run's folder: made, taken up, refused when it holds something else, and held by one training."""

import dataclasses
import json

import pytest

from synthcl.pipeline.configs.pretrain import PretrainConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.files import write_file
from synthcl.pipeline.options.config import differences
from synthcl.pipeline.options.types import flag
from synthcl.pipeline.runs import opening
from synthcl.pipeline.runs.folder import REAL_FILE, read_config, read_record
from synthcl.pipeline.runs.opening import Terms, finished_result, hold_run, open_run


def config(out, **options) -> TrainConfig:
    return TrainConfig(**{"data": "digits", "out": str(out), "steps": 5, **options})


def save_step(run):
    """Leave a checkpoint in a run's folder."""
    (run / "checkpoints" / "step-00000002").mkdir(parents=True)


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


def test_a_run_goes_on_with_the_contents_that_it_began_with_alone(tmp_path):
    def begin(**made_of):
        return open_run(tmp_path / "r", "train", config(tmp_path / "r"), Terms(made_of=made_of))

    begin(data="4 images of fingerprint a")
    begin(data="4 images of fingerprint a", shards="7 samples")
    save_step(tmp_path / "r")
    begin(data="4 images of fingerprint a", shards="7 samples", generator="weights c")  # which was not recorded
    with pytest.raises(DataError) as error:
        begin(data="5 images of fingerprint b", shards="7 samples")
    assert "--data had 4 images of fingerprint a, and has 5 images of fingerprint b now" in str(error.value)
    assert "--shards" not in str(error.value)
    with pytest.raises(DataError, match=r"--shards had 7 samples, and has 8 samples now"):
        begin(data="4 images of fingerprint a", shards="8 samples")
    record = json.loads((tmp_path / "r" / "run.json").read_text())
    assert record["made_of"]["data"] == "4 images of fingerprint a" and record["made_of"]["shards"] == "7 samples"
    # A record of a version before has none.
    del record["made_of"]
    (tmp_path / "r" / "run.json").write_text(json.dumps(record))
    begin(data="5 images of fingerprint b")


def test_a_run_that_has_saved_no_step_begins_again_with_the_contents_that_are_there_now(tmp_path):
    def begin(data):
        return open_run(tmp_path, "train", config(tmp_path), Terms(steps=5, made_of={"data": data})).path

    run = begin("5 images, one of them empty")
    (run / REAL_FILE).touch()
    (run / "samples").mkdir()
    begin("4 images")
    assert sorted(path.name for path in run.iterdir()) == ["config.yaml", "run.json"]
    assert read_record(run)["made_of"] == {"data": "4 images"}
    (run / REAL_FILE).touch()
    save_step(run)
    with pytest.raises(DataError, match="--data had 4 images, and has 5 images now"):
        begin("5 images")
    begin("4 images")
    assert (run / REAL_FILE).exists()


def test_a_finished_run_without_checkpoints_keeps_its_contents(tmp_path):
    open_run(tmp_path, "train", config(tmp_path), Terms(steps=5, made_of={"data": "a"})).finish({"steps": 5})
    with pytest.raises(DataError, match="--data had a, and has b now"):
        open_run(tmp_path, "train", config(tmp_path), Terms(steps=5, made_of={"data": "b"}))


@pytest.mark.parametrize("killed_at", ["run.json", "config.yaml"])
def test_a_run_that_was_killed_while_it_began_begins_again(tmp_path, monkeypatch, killed_at):
    def killed(path, content):
        if path.name == killed_at:
            raise KeyboardInterrupt
        write_file(path, content)

    monkeypatch.setattr(opening, "write_file", killed)
    monkeypatch.setattr("synthcl.pipeline.files.write_file", killed)
    with pytest.raises(KeyboardInterrupt):
        open_run(tmp_path / "r", "train", config(tmp_path / "r"))
    monkeypatch.undo()
    open_run(tmp_path / "r", "train", config(tmp_path / "r", seed=1))
    assert read_config(tmp_path / "r")["seed"] == 1


MAY_CHANGE = {
    "a former name": {"bf16"},
    "length": {"steps", "epochs"},
    "what is watched and kept": {
        "tracker",
        "eval_every",
        "eval_data",
        "eval_encoder",
        "eval_samples",
        "watch_features",
        "sample_every",
        "checkpoint_every",
        "keep",
    },
    "where things lie": {"out", "data_root", "cache"},
    "what is pushed": {"push", "private", "license"},
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


FINISHED = {
    "the same": ({"steps": 5}, {"steps": 5}, True),
    "in epochs": ({"epochs": 2}, {"epochs": 2}, True),
    "longer": ({"steps": 5}, {"steps": 6}, False),
    "shorter": ({"steps": 5}, {"steps": 4}, False),
    "the length in another way": ({"steps": 5}, {"epochs": 2}, False),
}


@pytest.mark.parametrize(("before", "now", "same"), FINISHED.values(), ids=FINISHED.keys())
def test_a_run_is_finished_for_its_own_length(tmp_path, capsys, before, now, same):
    result = {"steps": 5, "epochs": 2.0}
    open_run(tmp_path, "train", TrainConfig(data="digits", out="x", **before)).finish(result)
    found = finished_result(tmp_path, "train", TrainConfig(data="digits", out="x", **now))
    assert found == (result if same else None)
    assert ("already finished" in capsys.readouterr().err) == same


def test_a_run_that_was_to_be_longer_is_not_finished_by_its_old_result(tmp_path):
    open_run(tmp_path, "train", config(tmp_path)).finish({"steps": 5})
    open_run(tmp_path, "train", config(tmp_path, steps=9))  # and interrupted
    assert finished_result(tmp_path, "train", config(tmp_path, steps=9)) is None


def test_no_run_is_not_finished(tmp_path):
    assert finished_result(tmp_path / "nothing", "train", config(tmp_path)) is None
    open_run(tmp_path, "train", config(tmp_path))
    assert finished_result(tmp_path, "train", config(tmp_path)) is None


def hold(path, steps=4, **given):
    return hold_run(path, "train", TrainConfig(data="digits", out=str(path), steps=steps), Terms(steps=steps), **given)


def content(path):
    return {each.name: each.read_bytes() for each in path.iterdir() if each.is_file()}


def test_a_second_run_in_a_folder_is_refused_before_it_changes_anything_and_the_lock_leaves_nothing(tmp_path):
    with hold(tmp_path / "r") as run:
        run.finish({"steps": 2})
        (run.path / ".tmp-x").touch()
        before = content(run.path)
        with pytest.raises(DataError, match=f"another process is training in {run.path}; wait for it"):
            hold(run.path, steps=12).__enter__()
        assert content(run.path) == before
        (run.path / "result.json").unlink()
    with hold(run.path, steps=12):  # it is free again
        assert sorted(content(run.path)) == ["config.yaml", "run.json"]


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="holds no run of synthcl"):
        hold(tmp_path).__enter__()
    with pytest.raises(DataError, match=r"cannot write to --out .*/notes.txt/r: Not a directory"):
        hold(tmp_path / "notes.txt" / "r").__enter__()
    assert list(tmp_path.iterdir()) == [tmp_path / "notes.txt"]
