"""The length of a run: what may become of it, and what its record then says."""

import json

import pytest

from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.encoder import find_encoder
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.generation.locating import locate_generator
from synthcl.pipeline.runs.folder import read_config
from synthcl.pipeline.runs.length import (
    change_length,
    describe_changes,
    describe_schedule,
    length_facts,
    steps_saved,
    steps_to_go_on_from,
)
from synthcl.pipeline.runs.opening import Terms, finished_result, open_run


def change(at, before, after):
    return {"at": at, "from": before, "to": after}


def saved(path, *steps):
    for step in steps:
        folder = path / "checkpoints" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"step": step, "parts": [], "files": {}, "extra": {}}))
    return path


LENGTHS = {
    "a new run": (0, [], None, 40, False, []),
    "begun, without a step saved": (0, [], 40, 60, False, []),
    "taken up": (20, [], 40, 40, False, []),
    "taken up after its last step": (40, [], 40, 40, False, []),
    "lengthened": (20, [], 40, 60, False, [change(20, 40, 60)]),
    "shortened": (20, [], 40, 30, False, [change(20, 40, 30)]),
    "extended": (40, [], 40, 60, True, [change(40, 40, 60)]),
    "extended, and killed before a step was saved": (40, [change(40, 40, 60)], 60, 60, False, [change(40, 40, 60)]),
    "extended, and not after all": (40, [change(40, 40, 60)], 60, 40, False, []),
    "extended, and taken up": (50, [change(40, 40, 60)], 60, 60, False, [change(40, 40, 60)]),
    "extended twice": (60, [change(40, 40, 60)], 60, 80, True, [change(40, 40, 60), change(60, 60, 80)]),
    "of an earlier version, in epochs": (20, [], None, 60, False, []),
}


@pytest.mark.parametrize(("done", "there", "before", "steps", "finished", "changes"), LENGTHS.values(), ids=LENGTHS)
def test_changes_that_the_weights_know_of_are_recorded(tmp_path, done, there, before, steps, finished, changes):
    run = saved(tmp_path, *([done] if done else []))
    assert change_length(run, there, before, steps, finished=finished) == changes
    assert steps_saved(run) == done


@pytest.mark.parametrize(
    ("done", "before", "steps", "finished", "message"),
    [
        (40, 40, 20, True, "is finished, with 40 steps; .* not those of a training of 20. Give --steps 40 or more"),
        (0, 40, 20, True, "is finished, with 40 steps"),  # without its checkpoints too
        (20, 40, 10, False, "has done 20 of 40 steps already; .* a training of 10. Give more than --steps 20"),
        (20, 40, 20, False, "has done 20 of 40 steps already"),
        (20, None, 10, False, "has done 20 of its steps already"),
    ],
)
def test_fewer_steps_than_were_done_are_refused(tmp_path, done, before, steps, finished, message):
    with pytest.raises(UsageError, match=message):
        change_length(saved(tmp_path, *([done] if done else [])), [], before, steps, finished=finished)


def test_a_finished_run_without_checkpoints_is_not_begun_anew(tmp_path):
    with pytest.raises(DataError, match="its checkpoints are gone or damaged, so that it cannot be extended to 60 "):
        change_length(saved(tmp_path), [], 40, 60, finished=True)


def test_a_change_is_from_the_checkpoint_that_the_run_goes_on_from_and_not_from_a_damaged_one(tmp_path):
    run = saved(tmp_path, 20, 30)
    (run / "checkpoints" / "step-00000030" / "manifest.json").write_text("{")
    assert change_length(run, [], 40, 60, finished=False) == [change(20, 40, 60)]
    assert (steps_saved(run), steps_to_go_on_from(run)) == (30, 20)


def test_the_learning_rate_before_and_after_is_recorded(tmp_path):
    (made,) = change_length(saved(tmp_path, 40), [], 40, 60, finished=True, rate=lambda total, step: total + step / 100)
    assert made["learning_rate"] == [40.39, 60.4]


def test_a_record_in_words():
    changes = [change(20, 40, 30), change(30, 30, 60)]
    assert describe_changes(changes) == "shortened from 40 to 30 steps after step 20, then extended from 30 to 60 steps"
    assert describe_changes([change(20, 40, 60)]) == "lengthened from 40 to 60 steps after step 20"
    assert describe_changes([]) == ""
    assert length_facts({"length_changes": changes}) == {"extended_from": [30], "length_changes": changes}
    assert length_facts({}) == {}
    words = [
        describe_schedule({**changes[0], "learning_rate": rates}) for rates in ([0.1, 0.2], [0.2, 0.1], [0.1, 0.1])
    ]
    assert ["goes back up from 0.1 to 0.2" in words[0], "goes from 0.2 to 0.1" in words[1], "stays at 0.1" in words[2]]
    assert describe_schedule(changes[0]) == "What follows from the length is from step 20 on that of 30 steps"


def begin(path, steps=40, **options):
    return open_run(
        path, "train", TrainConfig(data="digits", out=str(path), steps=steps, **options), Terms(steps=steps)
    )


def test_a_finished_run_is_left_as_it_is(tmp_path):
    run = saved(begin(tmp_path / "r").path, 40)
    begin(run).finish({"steps": 40})
    before = {path: path.read_bytes() for path in run.glob("*.*")}
    assert begin(run, cache="none").result == {"steps": 40}
    with pytest.raises(UsageError, match="with 40 steps"):
        begin(run, steps=20)
    assert {path: path.read_bytes() for path in run.glob("*.*")} == before


def test_a_run_that_is_extended_is_not_finished_and_says_so(tmp_path, capsys):
    run = saved(begin(tmp_path / "r").path, 40)
    begin(run).finish({"steps": 40})
    for name in ("encoder", "generator"):
        (run / name).mkdir()
    assert capsys.readouterr().err == "" and locate_generator(str(run)) == str(run / "generator")
    extended = begin(run, steps=60)
    assert "extended from 40 to 60 steps" in capsys.readouterr().err
    assert extended.result is None and read_config(run)["steps"] == 60
    assert json.loads((run / "run.json").read_text())["total_steps"] == 60
    assert extended.length_facts["extended_from"] == [40]
    for look in (find_encoder, locate_generator):
        with pytest.raises(DataError, match="is being extended and is not finished"):
            look(str(run))
    # Its first length again, before a step of the new one was saved, is what it was.
    assert begin(run, steps=40).length_facts == {}
    begin(run, steps=60)
    saved(run, 50)
    with pytest.raises(UsageError, match="has done 50 of 60 steps already"):
        begin(run, steps=40)
    assert finished_result(run, "train", TrainConfig(data="digits", out=str(run), steps=40)) is None


def test_the_length_in_another_unit_is_the_same_length(tmp_path):
    config = TrainConfig(data="digits", out=str(tmp_path / "r"), epochs=2)
    run = saved(open_run(tmp_path / "r", "train", config, Terms(steps=40)).path, 20)
    assert begin(run).length_facts == {}
    (run / "run.json").write_text('{"command": "train"}')  # as an earlier version wrote it
    (run / "config.yaml").write_text("data: digits\nout: r\nepochs: 2\n")
    longer = open_run(run, "train", TrainConfig(data="digits", out=str(run), epochs=3), Terms(steps=60))
    assert longer.length_facts["length_changes"] == [change(20, 40, 60)]
