"""`synthcl runs ...`, as users call it."""

import subprocess
import sys

import pytest
from PIL import Image

from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.runs.opening import open_run

TRAIN = ["train", "--data", "digits", "--image-size", 8, "--batch-size", 16, "--backbone", "resnet10-w8"]


LONG = "x" * 90


@pytest.fixture(scope="module")
def folder(synthcl, tmp_path_factory):
    """A run that is finished and evaluated, and one that is not, under a long name."""
    folder = tmp_path_factory.mktemp("runs")
    synthcl(*TRAIN, "--steps", 3, "--log-every", 1, "--out", folder / LONG / "done")
    synthcl("eval", "knn", folder / LONG / "done", "--data", "digits")
    options = ["--l2", 0.1, "--corruptions", "fog", "--severities", 5]
    synthcl("eval", "robustness", folder / LONG / "done", "--data", "digits", *options)
    open_run(folder / LONG / "begun", "train", TrainConfig(data="digits", out="x", steps=9, shards=["s"]))
    return folder


def test_list(synthcl, folder):
    begun, done = synthcl("runs", "list", folder, "--json").json["runs"]
    assert (begun["regime"], begun["state"], begun["top1"], begun["steps"]) == ("offline", "unknown", None, None)
    assert (done["regime"], done["state"], done["steps"]) == ("real", "finished", 3) and 0 < done["top1"] <= 1
    table = synthcl("runs", "list", folder).stdout
    assert begun["path"] in table and done["path"] in table
    assert f"{100 * done['top1']:.2f}" in table and "0 of 9" in table
    assert "there is no folder" in synthcl("runs", "list", folder / "nowhere", code=1).stderr


def test_a_damaged_run_is_told_below_the_table_and_another_is_proposed(synthcl, tmp_path):
    for name in ("a", "b"):
        open_run(tmp_path / name, "train", TrainConfig(data="digits", out="x", steps=9))
    (tmp_path / "a" / "metrics.jsonl").write_bytes(b"\xff\xfe")
    listed = synthcl("runs", "list", tmp_path)
    assert f"{tmp_path / 'a'}: {tmp_path / 'a' / 'metrics.jsonl'} is damaged (line 1: " in listed.stdout
    assert listed.stderr.splitlines()[-1] == f"next: synthcl runs show {tmp_path / 'b'}"
    (tmp_path / "b" / "metrics.jsonl").write_text("{}\n")
    assert "next:" not in synthcl("runs", "list", tmp_path).stderr


def test_show(synthcl, folder, tmp_path):
    run = folder / LONG / "done"
    found = synthcl("runs", "show", run, "--json", "--out", tmp_path / "curves.png").json
    assert found["options"]["steps"] == 3 and found["result"]["steps"] == 3
    assert [one["task"] for one in found["evaluations"]] == ["knn", "robustness"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > picture.height / 2 > 100
    table = synthcl("runs", "show", run).stdout
    assert "hardness real" in table and "knn" in table and "digits:test" in table and ", corrupted " in table
    assert (
        "curves.jpg must end in .png" in synthcl("runs", "show", run, "--out", tmp_path / "curves.jpg", code=2).stderr
    )
    assert "is no run of synthcl" in synthcl("runs", "show", folder, code=1).stderr


def test_a_comparison_is_told_by_its_runs(synthcl, tmp_path):
    config = CompareConfig(data="digits", regimes="real,offline", generator="g", seeds=3, steps=40, out="x")
    open_run(tmp_path / "compared", "compare", config)
    assert "0 of 6 runs" in synthcl("runs", "list", tmp_path).stdout
    shown = synthcl("runs", "show", tmp_path / "compared").stdout.split()
    assert shown[shown.index("runs") :][:4] == ["runs", "0", "of", "6"]


def test_listing_needs_no_torch(folder):
    code = f"import sys; from synthcl.cli import main; main(['runs', 'list', {str(folder)!r}], standalone_mode=False);"
    code += "print('torch' in sys.modules, file=sys.stderr)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.endswith("\nFalse\n")
