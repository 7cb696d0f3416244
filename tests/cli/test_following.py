"""What comes next is said after a command, on stderr, in words that can be pasted; never beside JSON."""

import shlex

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from synthcl.cli import following, main, watching
from synthcl.pipeline.configs.embed import EmbedConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.runs.opening import Terms, open_run

RESULT = {"steps": 4, "seconds": 1.0}


def make_run(path, finished=True, **options):
    run = open_run(path, "train", TrainConfig(data="digits[:50%]", out=str(path), steps=4, **options), Terms(steps=4))
    for step in (1, 2, 3):
        run.metrics.append({"step": step, "loss": 4.0 - step, "knn_top1": 0.5})
    if finished:
        run.finish(RESULT)
    return path


def test_words_are_quoted_for_the_shell_and_json_has_none(capsys):
    following.say_next(False, "eval", "linear", "runs/a b", "--data", "digits[:50%]")
    following.say_next(True, "eval", "linear")
    following.say_next(False)
    said = capsys.readouterr()
    assert said.err == "next: synthcl eval linear 'runs/a b' --data 'digits[:50%]'\n" and said.out == ""


def test_a_set_is_trained_on_with_the_images_of_its_generator(tmp_path, capsys):
    following.after_generating(str(make_run(tmp_path / "gan")), "shards/c10", False)
    following.after_generating("owner/name", "shards/c10", False)
    first, second = capsys.readouterr().err.splitlines()
    assert "--data 'digits[:50%]' --shards shards/c10" in first and "--data SPEC" in second


def test_a_set_is_trained_on_at_the_size_of_its_generator(tmp_path, capsys):
    following.after_generating(str(make_run(tmp_path / "gan", image_size=16)), "set", False)
    said = capsys.readouterr().err
    assert "train --data 'digits[:50%]' --image-size 16 --shards set --epochs 100" in said


IMAGES = ("flat/1.png", "classes/ant/2.png", "classes/owl/3.png", "splits/train/ant/4.png", "splits/val/ant/5.png",
          "unlabelled/train/ant/6.png", "unlabelled/test/7.png")  # fmt: skip
PROBES = {
    "digits[:50%,shuffled]": "eval linear r --data 'digits[:50%,shuffled]'",
    "stl10:unlabeled": "eval linear r --data stl10",
    "flat": "export r --out r-encoder",
    "flat/*.png": "export r --out r-encoder",
    "classes": "eval linear r --data classes --test-data SPEC",
    "classes[:50%,shuffled]": "eval linear r --data 'classes[:50%,shuffled]' --test-data SPEC",
    "splits": "eval linear r --data splits",
    "splits:val": "eval linear r --data splits:val --test-data SPEC",
    "unlabelled": "eval linear r --data unlabelled --test-data SPEC",
    "gone": "eval linear r --data gone",
    "hf://datasets/user/name": "eval linear r --data hf://datasets/user/name",
}


@pytest.mark.parametrize(("data", "words"), PROBES.items(), ids=PROBES)
def test_a_trained_run_is_probed_where_its_images_have_labels(tmp_path, monkeypatch, capsys, data, words):
    monkeypatch.chdir(tmp_path)
    for name in IMAGES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    following.after_training("r", data, False)
    assert capsys.readouterr().err == f"next: synthcl {words}\n"


def test_images_are_looked_for_where_the_run_found_them(tmp_path, capsys):
    run = str(make_run(tmp_path / "run", data_root="/sets of mine"))
    following.after_generating(run, "set", False)
    following.after_training(run, "digits[:50%]", False)
    following.after_training(run, "gone", False)
    following.after_exporting(run, False)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and all("--data-root '/sets of mine'" in line for line in lines)


def test_features_are_drawn_as_they_were_made(capsys):
    config = EmbedConfig(data=["digits", "a set"], out="e.parquet", num_images=5, seed=3)
    following.after_embedding("r", config, False)
    words = shlex.split(capsys.readouterr().err.partition("next: synthcl ")[2])
    assert words[:2] == ["embed", "r"]
    printed = CliRunner().invoke(main, [*words, "--dry-run"])
    assert yaml.safe_load(printed.stdout) == {"run": "r", **config.to_dict(), "picture": "e.png"}


def test_an_evaluated_run_is_compared_with_those_of_other_regimes_that_are_alike(tmp_path, capsys):
    real = make_run(tmp_path / "real")
    following.after_evaluating(str(real), False)
    make_run(tmp_path / "other-seed", seed=1)
    make_run(tmp_path / "other-learner", learner="moco", shards=["s"])
    make_run(tmp_path / "unfinished", shards=["s"], finished=False)
    following.after_evaluating(str(real), False)
    offline = make_run(tmp_path / "zz", shards=["s"])
    following.after_evaluating(str(real), False)
    following.after_evaluating(str(tmp_path / "encoder"), False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == lines[1] == f"next: synthcl export {real} --out {real}-encoder"
    assert lines[2] == f"next: synthcl compare --run {real} --run {offline} --out {tmp_path}/compared"
    assert "export" in lines[3]


def test_an_export_is_not_exported_again(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"exported_to": "timm"}')
    following.after_evaluating(str(tmp_path), False)
    assert capsys.readouterr().err == ""


NEXT = {
    "a finished run": (["runs", "show", "run"], "eval linear run --data 'digits[:50%]'"),
    "a list of runs": (["runs", "list", "."], "runs show run"),
}


@pytest.mark.parametrize(("command", "words"), NEXT.values(), ids=NEXT.keys())
def test_commands_say_it(synthcl, tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run")
    assert synthcl(*command).stderr == f"next: synthcl {words}\n"
    assert synthcl(*command, "--json").stderr == ""


def test_a_run_is_watched_until_it_is_finished(tmp_path, capsys, monkeypatch):
    path, looks = make_run(tmp_path / "run", finished=False), []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 2:
            config = TrainConfig(data="digits[:50%]", out=str(path), steps=4)
            open_run(path, "train", config, Terms(steps=4)).finish(RESULT)

    monkeypatch.chdir(tmp_path)
    watching.watch_run("run", sleep=sleep)
    assert looks == [watching.REFRESH_SECONDS] * 2
    shown = capsys.readouterr()
    assert "run: train, real, simclr, digits[:50%], finished" in shown.err and "4 of 4 steps, 100%" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("terminal", "in_place"),
    [({}, False), ({"FORCE_COLOR": "1", "TERM": "dumb"}, False), ({"FORCE_COLOR": "1", "TERM": "xterm"}, True)],
    ids=["no terminal", "one that cannot go back", "one that can"],
)
def test_each_look_is_shown_at_once(tmp_path, capsys, monkeypatch, terminal, in_place):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for name, value in terminal.items():
        monkeypatch.setenv(name, value)
    path, shown = make_run(tmp_path / "run", finished=False), []

    def sleep(seconds):
        shown.append(capsys.readouterr().err)
        if len(shown) == 2:
            raise KeyboardInterrupt

    watching.watch_run(str(path), sleep=sleep)
    assert all(look.count("3 of 4 steps, 75%") == 1 for look in shown)
    assert any("\x1b" in look for look in shown) == in_place
    if not in_place:
        # Lines are whole, however narrow the console is thought to be, and a look ends with an empty one.
        assert shown[0] == shown[1] and str(path) + ": train" in shown[0].splitlines()[0] and shown[0].endswith("\n\n")
        assert capsys.readouterr().err == ""


def test_a_watch_ends_with_ctrl_c(tmp_path):
    def interrupted(seconds):
        raise KeyboardInterrupt

    watching.watch_run(str(make_run(tmp_path / "run", finished=False)), sleep=interrupted)


def test_the_screen_of_a_run(tmp_path):
    found = {"path": "r", "command": "train", "regime": "real", "learner": "simclr", "data": "d", "state": "unknown"}
    rows = [{"step": step, "loss": 8.0 - step, "margin": 1.0} for step in range(8)]
    head, progress, *curves = watching.screen({**found, "steps": 8, "total_steps": 32}, rows)
    assert head == "r: train, real, simclr, d, unknown"
    assert progress == f"[{'#' * 10}{'.' * 30}] 8 of 32 steps, 25%"
    assert curves[0].split() == ["loss", "█▇▆▅▄▃▂▁", "1"] and curves[1].split() == ["margin", "▁" * 8, "1"]
    assert watching.screen({**found, "steps": None, "total_steps": None}, []) == [head, "0 steps", "no metrics yet"]
    compared = {**found, "command": "compare", "runs": 2, "total_runs": 8}
    assert watching.screen(compared, [])[1] == f"[{'#' * 10}{'.' * 30}] 2 of 8 runs, 25%"


def test_a_long_curve_is_as_wide_as_there_is_room():
    line = watching.sparkline(np.arange(1000.0))
    assert len(line) == watching.CURVE_WIDTH and line[0] == "▁" and line[-1] == "█" and list(line) == sorted(line)
