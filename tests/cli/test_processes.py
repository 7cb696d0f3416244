"""Several processes from the command line: one that fails ends all, a signal to one stops all, a run may move."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from synthcl.pipeline.runs.checkpoint import load_checkpoint
from synthcl.pipeline.runs.checkpoint_files import list_checkpoints


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("processes")
    command = [sys.executable, str(Path(__file__).with_name("processes_worker.py")), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "results.json").read_text())


def error(message):
    """The one sentence that a process ends with."""
    assert message.count("Error: ") == 1 and "Traceback" not in message, message
    return " ".join(message.split("Error: ")[1].split())


def test_a_read_that_fails_in_one_process_ends_all_with_its_message(results):
    found = results["failing_read"]
    assert found["codes"] == [1, 1]
    assert error(found["messages"][1]) == "the disk is gone"
    assert "another process" in error(found["messages"][0])


@pytest.mark.parametrize("when", ["lost_before", "lost_after", "lost_generator"])
def test_a_process_that_is_lost_outside_the_steps_is_told_of_in_a_sentence(results, when):
    found = results[when]
    assert found["codes"] == [1, -9], found["messages"]
    assert error(found["messages"][0]).startswith("another process of this run has ended")


def test_a_loss_that_is_no_number_in_one_process_stops_all_before_it_is_saved(results, folder):
    found = results["nan_in_one"]
    assert found["codes"] == [1, 1]
    for message in map(error, found["messages"]):
        assert message.startswith("loss is nan at step 6") and "step-00000004" in message
    saved = list_checkpoints(folder / "nan_in_one" / "checkpoints")
    assert [path.name for path in saved] == ["step-00000002", "step-00000004"]
    assert all(t.isfinite().all() for t in load_checkpoint(saved[-1]).parts["learner"].values())


def test_a_signal_to_one_process_stops_all_after_the_same_step_and_saves(results, folder):
    found = results["signal_to_one"]
    assert found["codes"] == [75, 75]  # EX_TEMPFAIL: the same command goes on
    # It came in step 4; the wish travels with the metrics, which are read a step later.
    assert "stopped by SIGTERM after step 5 of 8" in error(found["messages"][1])
    assert "signal to another process after step 5 of 8" in error(found["messages"][0])
    assert list_checkpoints(folder / "signal_to_one" / "checkpoints")[-1].name == "step-00000005"
    # A launcher that sees one process end may kill the one that saves.
    assert "there are step-00000004 step-00000005\n" in found["messages"][1]


def test_a_run_continued_in_two_processes_and_back_draws_what_it_would_have(results):
    assert results["moved"] == {"same_draws": True, "steps": 6}


def test_the_nearest_neighbours_during_training_are_shared_out_and_the_same(results, folder):
    assert results["watched"]["codes"] == [0, 0]
    rows = {
        run: [json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("watched", "watched_alone")
    }
    assert [row["step"] for row in rows["watched"]] == [1, 2, 3, 4]
    accuracies = {run: [row["knn_top1"] for row in rows[run] if "knn_top1" in row] for run in rows}
    assert len(accuracies["watched"]) == 2
    # Float rounding may turn an image or two of 355.
    assert accuracies["watched"] == pytest.approx(accuracies["watched_alone"], abs=2.1 / 355)
    events = EventAccumulator(str(folder / "watched" / "tensorboard")).Reload().Scalars("loss")
    assert [event.step for event in events] == [1, 2, 3, 4]  # of the main process alone


OWN = {
    "fresh": "process 0 the files that it writes, process 1 none of them",
    "pretrain": "process 0 the files that it writes, process 1 none of them",
    "begun": r"process 0 a begun run \(\w{12}\), process 1 no run",
    "finished": r"process 0 no run, process 1 a finished run \(\w{12}\)",
}


@pytest.mark.parametrize("name", OWN)
def test_processes_that_see_other_folders_end_at_once_with_a_sentence_each(results, folder, name):
    found = results["apart"][name]
    assert found["codes"] == [1, 1] and found["seconds"] < 30  # and not TIMEOUT
    for rank, message in enumerate(map(error, found["messages"])):
        own = re.escape(str(folder / f"{name}-{rank}"))
        advice = "give --out a folder on a disk that all machines share"
        assert re.fullmatch(f"the processes do not see the same in {own}: {OWN[name]}; {advice}", message), message
    assert not list(folder.glob(f"{name}-?/.tmp-*"))
    assert not (folder / f"{name}-1" / "run.json").exists() or name == "finished"


@pytest.mark.parametrize(("name", "run"), [("slow_row", "slow_row"), ("slow_measure", "measured")])
def test_the_result_waits_for_the_last_row(results, folder, name, run):
    found = results[name]
    assert found["codes"] == [0, 0], found["messages"]
    last = json.loads((folder / run / "metrics.jsonl").read_text().splitlines()[-1])
    result = json.loads((folder / run / "result.json").read_text())
    kept = {"loss", "frechet_distance"} & set(last) & set(result)
    assert kept and all(result[each] == last[each] for each in kept)


def test_a_set_is_told_of_when_the_last_process_has_written_its_part_however_long_that_takes(results, folder):
    found = results["slow_part"]
    assert found["codes"] == [0, 0], found["messages"]
    told = json.loads((folder / "slow_part-0.out").read_text())
    assert (told["complete"], told["num_published"], told["written"], told["existing"]) == (True, 6, 6, 0)
    assert not told["reused"] and not (folder / "slow_part-1.out").read_text()


def test_processes_that_would_not_do_one_run_end_before_it_begins(results, folder):
    found = results["unlike"]
    assert found["codes"] == [1, 1]
    for message in map(error, found["messages"]):
        assert "--seed is 0 in process 0, and 1 in process 1; " in message
        assert "--precision came to bf16 in process 0, and fp32 in process 1; " in message
        assert re.search(r"--data has 40 images of fingerprint \w+ in process 0, and 32 images", message)
    assert not list((folder / "unlike").iterdir())


def test_a_finished_run_is_told_by_one_of_several_processes(results):
    found = results["again"]
    assert found["codes"] == [0, 0]
    assert ["already finished" in message for message in found["messages"]] == [True, False]


def test_options_that_do_not_fit_end_all_processes_with_their_own_exit_code(results):
    found = results["others"]
    assert found["codes"] == [2, 2]
    assert all("holds another run" in message and "seed" in message for message in found["messages"])


def test_the_tasks_of_a_slurm_step_train_one_run_together(results, folder):
    found = results["slurm"]
    assert found["codes"] == [0, 0] and found["same_draws"], found["messages"]
    rows = [json.loads(line) for line in (folder / "slurm" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert ["the 2 tasks of this Slurm step" in message for message in found["messages"]] == [True, False]


def test_two_processes_train_the_encoder_of_one_with_batch_statistics_over_both(results, folder):
    """Those of eight images each would move a running variance by 0.08, and rounding moves none by 1e-4."""
    encoders = [load_file(folder / run / "encoder" / "model.safetensors") for run in ("slurm", "whole")]
    torch.testing.assert_close(*encoders, rtol=1e-3, atol=1e-3)
