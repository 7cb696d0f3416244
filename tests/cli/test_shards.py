"""`synthcl shards ...`, as users call it."""

import errno
import json
import os
import shutil
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from synthcl.cli.shards import shards
from synthcl.pipeline.images.grids import read_grid
from synthcl.pipeline.shards import ShardRecorder, write_shard_set
from synthcl.pipeline.shards.publish import PartLock


@pytest.fixture
def run():
    """Call `synthcl shards ARGUMENTS`; the result has `json` of what was printed."""

    def call(*arguments, code=0):
        result = CliRunner().invoke(shards, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        result.json = json.loads(result.stdout) if result.stdout.startswith("{") else None
        return result

    return call


def render(indices):
    return (np.asarray(indices)[:, None, None, None, None] * np.ones((1, 1, 3, 8, 8))).astype(np.uint8)


def read_png(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture
def sets(tmp_path):
    """A folder with a complete set, a partial one, a recording and a damaged one."""
    folder = tmp_path / "sets"
    write_shard_set(folder / "a", {"seed": 7}, 30, 10, render, workers=0)
    write_shard_set(folder / "deep" / "partial", {"image_size": 8}, 30, 10, render, workers=0, num_processes=2)
    write_shard_set(folder / "z", {}, 10, 10, render, workers=0)
    (folder / "z" / "000000.tar").unlink()
    with ShardRecorder(folder / "recorded", {}, workers=0) as recorder:
        recorder.rewind(0)
        for step in range(4):
            recorder.append(step, render(np.arange(3) + 60 * step), hardness=np.arange(3.0) + step)
        recorder.finish()
    return folder


def test_list(run, sets):
    found = {row["name"]: row for row in run("list", sets, "--json").json["sets"]}
    assert {name: row["state"] for name, row in found.items()} == {
        "a": "complete",
        "partial": "partial",
        "recorded": "complete",
        "z": "damaged",
    }
    assert (found["partial"]["num_published"], found["partial"]["num_samples"]) == (20, 30)
    assert "000000.tar is missing" in found["z"]["error"] and found["a"]["recipe"]["seed"] == 7
    shown = run("list", sets)
    table = shown.stdout
    assert shown.stderr == f"next: synthcl shards info {sets / 'a'}\n"
    assert table.count("1 x 8 px") == 4 and "?" not in table
    assert "complete" in table and "20 of 30" in table and "000000.tar is missing" in table


def test_a_card_is_followed_by_what_measures_the_set(run, sets):
    assert run("card", sets / "a").stderr.splitlines()[-1] == f"next: synthcl eval quality {sets / 'a'} --data SPEC"
    assert "next:" not in run("card", sets / "a", "--json").stderr


def test_list_never_cuts_a_name(run, sets, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    long = sets / "-".join(["a very long name"] * 12) / "[red]set"
    shutil.copytree(sets / "a", long)
    assert str(long) in run("list", sets).stdout


def test_list_of_nothing(run, tmp_path):
    assert run("list", tmp_path, "--json").json == {"sets": []}
    assert run("list", tmp_path).stderr == ""
    assert "there is no folder" in run("list", tmp_path / "no", code=1).stderr


def test_info(run, sets):
    row = run("info", sets / "a", "--json").json
    assert row["num_samples"] == 30 and row["num_shards"] == 3 and row["image_size"] == 8 and row["recipe"]["seed"] == 7
    assert len(row["recipe_hash"]) == 64
    assert "is no shard set" in run("info", sets, "--json", code=1).stderr
    assert "there is no folder" in run("info", sets / "nowhere", "--json", code=1).stderr


@pytest.mark.parametrize(
    ("command", "advice"),
    [("pretrain", "is a run of `synthcl pretrain`, no shard set; `synthcl generate --generator"),
     ("train", "is a run of `synthcl train`, no shard set")],
)  # fmt: skip
def test_a_run_is_no_set_and_is_not_to_be_indexed(run, tmp_path, command, advice):
    (tmp_path / "run.json").write_text(json.dumps({"command": command}))
    error = run("info", tmp_path, code=1).stderr
    assert advice in error and "shards index" not in error


def test_verify(run, sets):
    assert run("verify", sets / "a", "--json", "--decode").json == {"ok": True, "num_samples": 30, "errors": []}
    tar = sets / "a" / "000001.tar"
    data = bytearray(tar.read_bytes())
    data[530] ^= 1
    tar.write_bytes(bytes(data))
    result = run("verify", sets / "a", "--json", code=1)
    assert result.json["ok"] is False and result.json["num_samples"] == 29
    assert [(e["shard"], e["key"]) for e in result.json["errors"]] == [("000001.tar", "0000000010")]
    assert "0000000010" in run("verify", sets / "a", code=1).stdout
    assert not run("verify", sets / "deep" / "partial", "--json", code=1).json["ok"]


def test_verify_of_no_folder(run, tmp_path):
    assert f"there is no folder {tmp_path / 'nowhere'}" in run("verify", tmp_path / "nowhere", code=1).stderr


def test_verify_tells_once_that_a_shard_is_cut_short(run, sets):
    tar = sets / "a" / "000001.tar"
    os.truncate(tar, 6000)
    found = run("verify", sets / "a", "--json", code=1).json
    (error,) = found["errors"]
    lost = error["num_samples"]
    assert error["shard"] == "000001.tar" and 0 < lost < 10 and found["num_samples"] == 30 - lost
    assert f"{lost} of its 10 samples are lost, the first of them '00000000{20 - lost}'" in error["error"]


def test_preview(run, sets, tmp_path):
    out = tmp_path / "grid.png"
    result = run("preview", sets / "recorded", "--out", out, "--sort", "hardness", "--num-samples", 2, "--columns", 2)
    assert "grid.png" in result.stdout.replace("\n", "")
    assert read_grid(out, 8, 2).unique().tolist() == [122, 182]  # the hardest, to the bit
    run("preview", sets / "recorded", "--out", out, "--where", "hardness < 0.5", "--ascending", "--sort", "step")
    assert 182 not in read_grid(out, 8, 1).unique()
    assert "no column" in run("preview", sets / "a", "--out", out, "--sort", "beauty", code=2).stderr
    assert "cannot be used" in run("preview", sets / "a", "--out", out, "--where", "beauty > 1", code=2).stderr
    run("preview", sets / "a", "--out", tmp_path / "new" / "x.png")
    assert read_png(tmp_path / "new" / "x.png").ndim == 3
    assert "x.jpg must end in .png" in run("preview", sets / "a", "--out", tmp_path / "x.jpg", code=2).stderr
    assert "cannot write the picture" in run("preview", sets / "a", "--out", out / "x.png", code=1).stderr


def test_index(run, sets):
    shutil.rmtree(sets / "a" / ".synthcl")
    row = run("index", sets / "a", "--json").json
    assert row["kind"] == "adopted" and row["num_samples"] == 30 and row["state"] == "complete"
    assert run("verify", sets / "a", "--json").json["ok"]
    assert "has no tars" in run("index", sets, code=1).stderr


def test_score_needs_an_encoder(run, sets):
    assert "there is no run" in run("score", sets / "a", "--encoder", sets / "nothing", code=1).stderr


@pytest.mark.parametrize("call", [2, 5, 9])
def test_a_full_disk_is_a_sentence_and_the_same_command_completes_the_set(
    synthcl, generator, tmp_path, monkeypatch, call
):
    generate = ["generate", "--generator", generator, "--num-samples", 30, "--samples-per-shard", 10, "--workers", 0]
    synthcl(*generate, "--out", tmp_path / "whole")
    real, calls = os.fsync, iter(range(1, 1000))

    def full(descriptor):
        if next(calls) >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        result = synthcl(*generate, "--out", tmp_path / "set", code=1)
    assert "No space left on device" in result.stderr and "same command continues" in " ".join(result.stderr.split())
    assert not [p for p in (tmp_path / "set" / ".synthcl").iterdir() if p.name.startswith((".tmp", "lock"))]
    synthcl(*generate, "--out", tmp_path / "set")
    for file in (tmp_path / "whole").rglob("*"):
        assert (
            file.is_dir() or file.read_bytes() == (tmp_path / "set" / file.relative_to(tmp_path / "whole")).read_bytes()
        )


def test_a_second_writer_is_refused(synthcl, generator, tmp_path):
    (tmp_path / "set" / ".synthcl").mkdir(parents=True)
    with PartLock(tmp_path / "set"):
        generate = ["generate", "--generator", generator, "--num-samples", 3, "--workers", 0, "--out", tmp_path / "set"]
        assert "being written by another process" in " ".join(synthcl(*generate, code=1).stderr.split())
    synthcl(*generate)


def test_help_needs_no_torch():
    import subprocess

    code = (
        "import sys; from click.testing import CliRunner; from synthcl.cli.shards import shards;"
        "assert CliRunner().invoke(shards, ['--help']).exit_code == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
