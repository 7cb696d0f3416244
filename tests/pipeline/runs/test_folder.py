"""What is read of a run's folder, and what is said of a damaged file."""

import re

import pytest

from synthcl.pipeline.comparison.runs import read_run
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs.folder import RunFolder
from synthcl.pipeline.runs.opening import finished_result, open_run


def config(out, **options) -> TrainConfig:
    return TrainConfig(**{"data": "digits", "out": str(out), "steps": 5, **options})


def test_a_result_names_the_folder_that_it_lies_in_now(tmp_path):
    before, now = tmp_path / "before", tmp_path / "now"
    run = open_run(before, "train", config(before))
    run.finish({"run": str(before), "steps": 5, "generator": f"{before}/generator"})
    before.rename(now)
    found = finished_result(now, "train", config(now))
    assert found == {"run": str(now), "steps": 5, "generator": f"{before}/generator"} == RunFolder(now).result
    there = {"out": "o/", "report": "o/report.html", "results": ["o/results.csv", "elsewhere/x.csv"]}
    RunFolder(now).finish(there)
    assert RunFolder(now).result == {
        "out": str(now),
        "report": str(now / "report.html"),
        "results": [str(now / "results.csv"), "elsewhere/x.csv"],
    }


DAMAGED = {
    "cut short": b'{"command": "tr',
    "empty": b"",
    "no object": b"[1, 2]",
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
@pytest.mark.parametrize("name", ["run.json", "result.json", "config.yaml"])
def test_a_damaged_file_is_named(tmp_path, name, content):
    open_run(tmp_path, "train", config(tmp_path)).finish({"steps": 5})
    (tmp_path / name).write_bytes(content)
    for read in (lambda: finished_result(tmp_path, "train", config(tmp_path)), lambda: read_run(tmp_path)):
        with pytest.raises(DataError, match=re.escape(str(tmp_path / name)) + " is damaged"):
            read()


def test_a_run_without_its_options_is_still_called_a_run(tmp_path):
    open_run(tmp_path, "train", config(tmp_path)).finish({"steps": 5})
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(DataError, match=r"config\.yaml is missing from the run: restore it from a copy"):
        read_run(tmp_path)
    with pytest.raises(DataError, match="is no run of synthcl"):
        read_run(tmp_path / "nothing")


def test_a_saved_option_that_there_is_not_is_told_with_the_file(tmp_path):
    open_run(tmp_path, "train", config(tmp_path)).finish({"steps": 5})
    (tmp_path / "config.yaml").write_text("data: digits\nout: x\nsteps: 5\nspeed: 3\n")
    with pytest.raises(DataError, match=r"config\.yaml is damaged, or of another version .*'speed'"):
        read_run(tmp_path)
