"""What a folder of runs is said to be, from what the runs leave on disk."""

import json
import os
import time

import pytest
from PIL import Image

from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.runs import listing
from synthcl.pipeline.runs.listing import describe_run, draw_curves, find_runs, read_evaluations, summarize_run
from synthcl.pipeline.runs.opening import open_run

OPTIONS = {"data": "digits", "steps": 40, "seed": 3}


def make_run(path, *, rows=4, result=None, **options):
    run = open_run(path, "train", TrainConfig(**{**OPTIONS, "out": str(path), **options}))
    for step in range(10, 10 * rows + 1, 10):
        run.metrics.append({"step": step, "loss": 4 - step / 100})
    if result is not None:
        run.finish(result)
    return path


def evaluation(path, name, **values):
    (path / "evaluations").mkdir(exist_ok=True)
    known = {"task": "linear", "label_fraction": 1.0, "data": "digits:train", "test_data": "digits:test"}
    (path / "evaluations" / f"{name}.json").write_text(json.dumps({**known, **values}))


def age(path, seconds):
    then = time.time() - seconds
    for file in [path, *path.rglob("*")]:
        os.utime(file, (then, then))


def test_runs_are_found_below_a_folder_and_in_comparisons(tmp_path):
    for name in ("a", "deep/b", "comparison/runs/real-0", ".hidden/c", "a/checkpoints/d"):
        make_run(tmp_path / name)
    (tmp_path / "comparison" / "run.json").write_text("{}")
    found = [str(path.relative_to(tmp_path)) for path in find_runs(tmp_path)]
    assert found == ["a", "comparison", "comparison/runs/real-0", "deep/b"]
    assert find_runs(tmp_path / "a") == [tmp_path / "a"]
    with pytest.raises(DataError, match="there is no folder"):
        find_runs(tmp_path / "nowhere")
    for look in (find_runs, describe_run):
        with pytest.raises(DataError, match=r"run\.json is a file; give a folder"):
            look(tmp_path / "a" / "run.json")


@pytest.mark.parametrize(
    ("options", "regime"),
    [
        ({}, "real"),
        ({"shards": ["s"]}, "offline"),
        ({"online": True, "generator": "g"}, "online"),
        ({"replay": "r"}, "replay"),
    ],
)
def test_a_run_says_what_it_is(tmp_path, options, regime):
    row = summarize_run(make_run(tmp_path / "run", **options))
    assert (row["command"], row["regime"], row["learner"], row["seed"]) == ("train", regime, "simclr", 3)
    assert (row["steps"], row["total_steps"], row["top1"], row["seconds"]) == (40, 40, None, None)


@pytest.mark.parametrize(
    ("seconds", "result", "state"),
    [
        (0, None, "unknown"),
        (listing.QUIET_SECONDS - 60, None, "unknown"),
        (listing.QUIET_SECONDS + 60, None, "interrupted"),
        (0, {"steps": 40, "seconds": 9.5}, "finished"),
        (10**6, {"steps": 40, "seconds": 9.5}, "finished"),
    ],
)
def test_a_run_is_interrupted_once_nothing_has_been_written_for_long(tmp_path, seconds, result, state):
    path = make_run(tmp_path / "run", rows=2, result=result)
    age(path, seconds)
    row = summarize_run(path)
    assert row["state"] == state
    assert (row["steps"], row["seconds"]) == ((40, 9.5) if result else (20, None))


@pytest.mark.parametrize("growing", ["runs/real/seed-0/metrics.jsonl", "answers/a.json", "sets/a/000.tar"])
def test_a_comparison_goes_on_while_anything_in_its_folder_does(tmp_path, growing):
    path = tmp_path / "run"
    open_run(path, "compare", CompareConfig(run=["a", "b"], data="digits", out=str(path)))
    make_run(path / "runs" / "real" / "seed-0", rows=2)
    (path / growing).parent.mkdir(parents=True, exist_ok=True)
    (path / growing).touch()
    age(path, listing.QUIET_SECONDS + 60)
    assert summarize_run(path)["state"] == "interrupted"
    (path / growing).touch()
    row = summarize_run(path)
    assert row["state"] == "unknown" and time.time() - row["last_written"] < 60


def test_steps_are_those_that_are_logged_or_saved(tmp_path):
    path = make_run(tmp_path / "run", rows=2)
    for step, done in ((10, 20), (25, 25)):
        (path / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
        assert summarize_run(path)["steps"] == done
    assert summarize_run(make_run(tmp_path / "begun", rows=0))["steps"] is None


def test_a_comparison_is_as_far_as_its_runs_are(tmp_path):
    path = tmp_path / "compared"
    config = CompareConfig(data="digits", regimes="real,offline", generator="g", seeds=2, steps=40, out=str(path))
    open_run(path, "compare", config)
    make_run(path / "runs" / "real" / "seed-0", result={"steps": 40})
    make_run(path / "runs" / "real" / "seed-7", result={"steps": 40})  # of a seed that is not asked for
    make_run(path / "runs" / "offline" / "seed-0", rows=1)
    row = summarize_run(path)
    assert (row["runs"], row["total_runs"], row["steps"], row["total_steps"]) == (1, 4, None, None)
    of_runs = CompareConfig(run=["a", "b"], data="digits", out=str(tmp_path / "existing"))
    row = summarize_run(open_run(tmp_path / "existing", "compare", of_runs).path)
    assert row["runs"] is row["total_runs"] is None


def test_the_accuracy_is_that_of_the_encoder_with_all_labels(tmp_path):
    path = make_run(tmp_path / "run")
    evaluation(path, "knn", task="knn", top1=0.5, time="2")
    assert summarize_run(path)["top1"] == 0.5
    evaluation(path, "a", top1=0.6, time="1")
    evaluation(path, "b", top1=0.7, time="3")
    evaluation(path, "c", top1=0.9, time="4", label_fraction=0.1)
    evaluation(path, "d", top1=0.2, time="5", untrained=True)
    evaluation(path, "e", top1=1.0, time="6", scored_on_training_split=True)
    assert summarize_run(path)["top1"] == 0.7
    assert [result["top1"] for result in read_evaluations(path)] == [0.6, 0.5, 0.7, 0.9, 0.2, 1.0]


def test_the_accuracy_is_that_on_the_set_that_the_run_was_trained_on(tmp_path):
    path = make_run(tmp_path / "run")
    evaluation(path, "a", top1=0.9, time="1", data="cifar10:train")
    assert summarize_run(path)["top1"] is None
    evaluation(path, "knn", task="knn", top1=0.5, time="2", data="digits")
    evaluation(path, "b", top1=0.8, time="3", data="flowers102:train")
    evaluation(path, "c", top1=0.7, time="4", data=None)
    evaluation(path, "d", top1=0.6, time="5", data="digits:train[:30]")
    evaluation(path, "e", top1=0.75, time="6", test_data="cifar10:test")
    evaluation(path, "f", top1=0.76, time="7", test_data="digits:test[:30]")
    assert summarize_run(path)["top1"] == 0.5


def test_the_accuracy_of_a_run_on_a_part_is_that_on_its_part_else_on_all(tmp_path):
    place = f"{tmp_path}/pictures"
    path = make_run(tmp_path / "run", data=f"{place}/:train[:80%,shuffled]")
    evaluation(path, "a", top1=0.4, time="1", data=f"{tmp_path}/others:train", test_data=f"{tmp_path}/others:val")
    evaluation(path, "b", top1=0.5, time="2", data=f"{place}:train[:10%]", test_data=f"{place}:val")
    assert summarize_run(path)["top1"] is None
    evaluation(path, "c", top1=0.6, time="3", data=f"{place}:train", test_data=f"{place}:val")
    assert summarize_run(path)["top1"] == 0.6
    held_out = f"{place}:train[80%:,shuffled]"
    evaluation(path, "d", top1=0.7, time="4", data=f"{place}:train[:80%,shuffled]", test_data=held_out)
    evaluation(path, "e", top1=0.65, time="5", data=f"{place}:train", test_data=f"{place}:val")
    assert summarize_run(path)["top1"] == 0.7


def test_evaluations_of_weights_that_were_trained_on_are_told_apart_and_count_no_more(tmp_path):
    path = make_run(tmp_path / "run", result={"steps": 40, "encoder_hash": "new"})
    evaluation(path, "a", top1=0.9, time="1", encoder_hash="old")
    evaluation(path, "u", top1=0.2, time="2", encoder_hash="x", untrained=True)
    assert summarize_run(path)["top1"] is None
    evaluation(path, "b", top1=0.7, time="3", encoder_hash="new")
    assert summarize_run(path)["top1"] == 0.7
    assert [each.get("former_weights") for each in read_evaluations(path)] == [True, None, None]


def test_a_comparison_of_runs_that_exist_has_no_learner_of_its_own(tmp_path):
    config = CompareConfig(run=["a", "b"], data="digits", out=str(tmp_path / "run"))
    row = summarize_run(open_run(tmp_path / "run", "compare", config).path)
    assert (row["command"], row["data"], row["learner"], row["backbone"], row["seed"]) == (
        "compare", "digits", None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((name, b'{"half') for name in ("run.json", "config.yaml", "result.json", "evaluations/a.json")),
        ("metrics.jsonl", b"\xff\xfe"),
        ("metrics.jsonl", b'{"loss": 1.0}'),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason_and_not_described(tmp_path, name, content):
    path = make_run(tmp_path / "run", result={"steps": 40})
    evaluation(path, "a", top1=0.6)
    (path / name).write_bytes(content)
    row = summarize_run(path)
    assert row["state"] == "damaged" and name in row["error"]
    with pytest.raises(DataError, match=name):
        describe_run(path)


def test_a_run_of_another_version_is_still_told(tmp_path):
    path = make_run(tmp_path / "run")
    (path / "config.yaml").write_text("data: digits\nlearner: simclr\nspeed: 3\nsteps: 40\n")
    row = summarize_run(path)
    assert (row["regime"], row["learner"], row["state"]) == (None, "simclr", "unknown")


def test_a_description_has_options_metrics_and_evaluations(tmp_path):
    path = make_run(tmp_path / "run", result={"steps": 40, "seconds": 1.0})
    evaluation(path, "a", top1=0.6)
    found = describe_run(path)
    assert found["options"]["seed"] == 3 and found["metrics"] == {"step": 40, "loss": 3.6}
    assert found["result"]["seconds"] == 1.0 and found["evaluations"][0]["top1"] == 0.6 and found["versions"]["torch"]
    with pytest.raises(DataError, match=r"is no run of synthcl: .*`synthcl runs list"):
        describe_run(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        describe_run(tmp_path / "nowhere")


def test_curves_are_drawn_where_there_are_any(tmp_path):
    path = make_run(tmp_path / "run")
    with Image.open(draw_curves(path, tmp_path / "new" / "x.png")) as picture:
        assert picture.format == "PNG"
    with pytest.raises(UsageError, match=r"x\.jpg must end in \.png"):
        draw_curves(path, tmp_path / "x.jpg")
    with pytest.raises(DataError, match="nothing to draw"):
        draw_curves(make_run(tmp_path / "empty", rows=0), tmp_path / "y.png")
