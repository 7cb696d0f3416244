"""The Slurm executor, by a stand-in for sbatch (tests/stand_ins/sbatch.py)."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.generation import slurm
from synthcl.pipeline.generation.slurm import batch_script, directive_value, submit, submit_generation


def failing(tmp_path, monkeypatch, text):
    (tmp_path / "sbatch").write_text(f"#!/bin/sh\n{text}\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def config(**options):
    return GenerateConfig(**{"generator": "g", "num_samples": 10, "out": "set", "executor": "slurm", **options})


def test_variations_of_each_image_are_counted_by_the_tasks(tmp_path):
    text = batch_script(config(num_samples=None, anchors="digits[:20]", per_anchor=2), "/work", tmp_path)
    assert " --per-anchor 2" in text and "--num-samples" not in text


def test_the_tasks_get_the_options_of_the_command_as_they_were_given(tmp_path, slurm_here, monkeypatch):
    """A command in place of Python's writes down what it is called with, in folders whose names need quotes."""
    folder = tmp_path / 'it\'s a "folder" #1 100% $HOME'
    folder.mkdir()
    monkeypatch.chdir(folder)
    called = folder / "called"
    words = shlex.quote(str(folder / "words"))
    called.write_text(f'#!/bin/sh\nprintf "%s\\n" "$PWD" "$@" > {words}-$SLURM_ARRAY_TASK_ID\necho "-" "$@"\n')
    called.chmod(0o755)
    monkeypatch.setattr(slurm.sys, "executable", str(called))
    generator = 'run\'s of "mine"'
    result = submit_generation(
        config(
            generator=generator, out="a set", num_jobs=2, pairs=True, pair_strength=0.5, classes=["1-3", "7"], seed=4,
            partition="gpu", time="1:30:00", slurm_option=["gres=gpu:a100:1", "comment=it's #1, mine", "exclusive"],
        )
    )  # fmt: skip
    logs = folder / "a set-slurm"
    assert result == {
        "out": "a set", "num_jobs": 2, "script": str(logs / "generate.sh"), "logs": str(logs), "job_id": "17",
    }  # fmt: skip
    wanted = ["-m", "synthcl.cli", "generate", "--generator", generator, "--num-samples", "10", "--out", "a set"]
    wanted += ["--pairs", "--pair-strength", "0.5", "--seed", "4", "--classes", "1-3", "--classes", "7"]
    for index in range(2):
        where, *words = (folder / f"words-{index}").read_text().splitlines()
        assert where == str(folder)
        assert words[-4:] == ["--num-jobs", "2", "--job-index", str(index)]
        assert sorted(words[:-4]) == sorted(wanted) and words[:3] == wanted[:3]
        assert (logs / f"17_{index}.log").read_text().startswith("- -m synthcl.cli generate")
    assert json.loads(slurm_here.read_text()) == {
        "job-name": "synthcl-generate", "array": "0-1", "requeue": "", "open-mode": "append", "signal": "B:USR1@120",
        "output": str(logs).replace("%", "%%") + "/%A_%a.log", "partition": "gpu", "time": "1:30:00",
        "gres": "gpu:a100:1", "comment": "it's #1, mine", "exclusive": "",
    }  # fmt: skip


@pytest.mark.parametrize("value", ["gpu:1", "4:00:00", "a b", "it's", '"', "\\", "#", "é", "$(x)", "a,b=[1-3%2]"])
def test_values_reach_sbatch_as_they_are(tmp_path, slurm_here, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slurm.sys, "executable", "true")
    submit_generation(config(slurm_option=[f"comment={value}"]))
    assert json.loads(slurm_here.read_text())["comment"] == value


def test_plain_values_stay_legible():
    assert directive_value("gpu:a100:1,x=[1-3]%2") == "gpu:a100:1,x=[1-3]%2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1",
            "generate.sh: sbatch: error: invalid part",
        ),
        ("exit 3", "did not take .*generate.sh: exit code 3"),
    ],
)
def test_what_sbatch_says_is_told(tmp_path, monkeypatch, text, message):
    failing(tmp_path, monkeypatch, text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        submit_generation(config())


def test_the_id_of_a_job(tmp_path, monkeypatch):
    failing(tmp_path, monkeypatch, "echo 123")
    assert submit(tmp_path / "x.sh") == "123"


def test_a_place_that_cannot_be_written_is_told(tmp_path, monkeypatch, slurm_here):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*generate.sh"):
        submit_generation(config(out=str(tmp_path / "file" / "set")))


TASK = """\
import pathlib, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1], ".synthcl")
out.mkdir(parents=True, exist_ok=True)
(out / "begun").touch()
if {publishes}:
    (out / "000000.parquet").touch()
(out / "ready").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("publishes", [True, False])
def test_a_task_is_begun_anew_near_the_end_of_its_time_if_there_was_progress(tmp_path, monkeypatch, publishes):
    failing(tmp_path, monkeypatch, "true")
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/requeued\n')
    (tmp_path / "scontrol").chmod(0o755)
    (tmp_path / "task").write_text(f"#!{sys.executable}\n" + TASK.format(publishes=publishes))
    (tmp_path / "task").chmod(0o755)
    monkeypatch.setattr(slurm.sys, "executable", str(tmp_path / "task"))
    script = tmp_path / "generate.sh"
    script.write_text(batch_script(config(), str(tmp_path), tmp_path))
    environment = {**os.environ, "SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "0"}
    process = subprocess.Popen(["bash", script], env=environment, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "set" / ".synthcl" / "ready").exists():
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGUSR1)
    _, said = process.communicate(timeout=30)
    if publishes:
        assert (tmp_path / "requeued").read_text() == "requeue 17_0\n" and process.returncode == 0
    else:
        assert not (tmp_path / "requeued").exists() and process.returncode == os.EX_TEMPFAIL
        assert "no shard was published" in said


def test_a_task_that_fails_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(slurm.sys, "executable", "false")
    (tmp_path / "x.sh").write_text(batch_script(config(), str(tmp_path), tmp_path))
    assert subprocess.run(["bash", tmp_path / "x.sh"]).returncode == 1


def test_options_that_sbatch_has_from_others_are_refused():
    with pytest.raises(UsageError, match="--num-jobs says how many"):
        config(slurm_option=["array=0-3"])


def test_a_set_in_an_object_store(tmp_path, monkeypatch):
    """The script lies here, and a task that runs out of time asks `shards info` whether anything was published."""
    monkeypatch.chdir(tmp_path)
    called = tmp_path / "called"
    called.write_text(
        '#!/bin/sh\n[ "$*" = "-m synthcl.cli shards info s3://bucket/sets/c10/ --json" ] || exit 1\n'
        """echo '{"path": "x", "num_published": 20, "num_samples": 30}'\n"""
    )
    called.chmod(0o755)
    monkeypatch.setattr(slurm.sys, "executable", str(called))
    result = submit_generation(config(out="s3://bucket/sets/c10/", submit=False))
    assert result["script"] == str(tmp_path / "c10-slurm" / "generate.sh")
    script = (tmp_path / "c10-slurm" / "generate.sh").read_text()
    assert "--out s3://bucket/sets/c10/" in script
    (published,) = [line for line in script.splitlines() if line.startswith("published()")]
    for line, count in ((published, "20\n"), (published.replace("c10", "other"), "0\n")):
        done = subprocess.run(["bash", "-c", f"{line}\npublished"], capture_output=True, text=True)
        assert done.stdout == count
