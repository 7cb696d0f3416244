"""Trackers keep one record of a run, however often it is resumed."""

import time

import pytest
import wandb
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from synthcl.pipeline.configs.common import TRACKERS
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import RunStopped, UsageError
from synthcl.pipeline.runs.folder import RunFolder
from synthcl.pipeline.runs.trackers import check_trackers, open_trackers
from synthcl.pipeline.runtime.distributed import create_accelerator

CONFIG = TrainConfig(data="digits", out="x", steps=3, tracker=["tensorboard", "tensorboard"], learning_rate=0.25)


@pytest.fixture(autouse=True)
def accelerator():
    return create_accelerator("fp32")


def log_steps(path, first, last, names=CONFIG.tracker):
    with open_trackers(names, RunFolder(path), CONFIG, main_process=True) as trackers:
        for tracker in trackers:
            tracker.rewind(first - 1)
            for step in range(first, last + 1):
                tracker.append({"step": step, "loss": step / 2})
                tracker.commit(step)


def test_a_resumed_run_has_every_step_once(tmp_path):
    log_steps(tmp_path, 1, 9)
    time.sleep(1.1)  # files are read in the order of their names, which have the second and a number without zeros
    log_steps(tmp_path, 5, 12)  # as after a crash: 5 to 9 are done again
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(n, n / 2) for n in range(1, 13)]
    assert not [path for path in (tmp_path / "tensorboard").iterdir() if path.is_dir()]


def test_options_are_the_hyperparameters(tmp_path):
    log_steps(tmp_path, 1, 1)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"learning_rate" in content and b"digits" in content and b"simclr" in content


def test_wandb_needs_no_network_when_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    identities = []
    for first, last in ((1, 4), (3, 6)):
        log_steps(tmp_path, first, last, names=["wandb"])
        identities.append((tmp_path / "wandb" / "run-id").read_text())
    assert identities[0] == identities[1]
    wandb.teardown()  # its service writes in a process of its own
    records = list((tmp_path / "wandb").glob(f"offline-run-*/run-{identities[0]}.wandb"))
    assert records
    for content in (record.read_bytes() for record in records):
        assert b"loss" in content and b"learning_rate" in content and b"simclr" in content


@pytest.mark.parametrize("name", TRACKERS)
def test_every_tracker_takes_pictures(tmp_path, monkeypatch, name):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    Image.new("RGB", (40, 30), "red").save(tmp_path / "x.png")
    with open_trackers([name], RunFolder(tmp_path), CONFIG, main_process=True) as (tracker,):
        tracker.rewind(0)
        tracker.append({"step": 2, "loss": 1.0})
        tracker.append_picture(2, tmp_path / "x.png")
        tracker.append({"step": 3, "loss": 1.0})
    if name == "tensorboard":
        (event,) = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Images("samples")
        assert (event.step, event.width, event.height) == (2, 40, 30)
    else:
        wandb.teardown()
        assert list((tmp_path / "wandb").glob("offline-run-*/files/media/images/samples_2_*.png"))


def test_wandb_without_an_account_says_what_to_do(tmp_path, monkeypatch):
    def refuse(**_):
        raise wandb.Error("No API key configured. Use `wandb login` to log in.")

    monkeypatch.setattr("wandb.init", refuse)
    with pytest.raises(RunStopped, match=r"No API key configured.*WANDB_MODE=offline"):
        log_steps(tmp_path, 1, 2, names=["wandb"])


def test_other_processes_track_nothing(tmp_path):
    with open_trackers(TRACKERS, RunFolder(tmp_path), CONFIG, main_process=False) as trackers:
        assert trackers == []


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_named_with_what_to_do(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(UsageError, match=f"--tracker {name} needs the package {name}.*pip install {name}"):
        check_trackers([name])
