"""`synthcl compare` as users call it: interrupted, continued, done again, and used wrongly."""

import json
import tempfile
from pathlib import Path

import pytest
import yaml

from synthcl.cli.compare import print_comparison
from synthcl.pipeline.comparison import evaluations, execution, forecast
from synthcl.pipeline.runs.lock import FolderLock
from synthcl.pipeline.training.step import TrainingStep

pytestmark = pytest.mark.usefixtures("quick_probes")
OPTIONS = [
    "--data", "digits", "--image-size", "8", "--batch-size", "16", "--backbone", "resnet10-w8", "--precision", "fp32",
    "--steps", "2", "--label-fraction", "0.5", "--log-every", "1",
]  # fmt: skip


def compare(synthcl, generator, out, *options, code=0):
    return synthcl("compare", *OPTIONS, "--generator", generator, "--out", out, *options, "--json", code=code)


@pytest.fixture(scope="module")
def finished(quick_probes, synthcl, generator, tmp_path_factory):
    """A comparison that was interrupted in its third run, and continued; with how many steps were done after that."""
    out = tmp_path_factory.mktemp("compare") / "out"
    original, steps = TrainingStep.__call__, []

    def counting(self, step):
        steps.append(step)
        if len(steps) == 5:
            raise OSError("power cut")
        return original(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", counting)
        compare(synthcl, generator, out, "--regimes", "real,online", code=1)
        result = compare(synthcl, generator, out, "--regimes", "real,online").json
    return out, result, steps[5:]


def test_what_was_finished_is_not_done_again(finished):
    out, result, steps = finished
    assert len(steps) == 2 * (6 - 2)
    assert {path.name for path in out.iterdir()} >= {
        "report.html", "results.csv", "results.parquet", "result.json", "plan.json", "config.yaml"
    }  # fmt: skip
    assert [row["arm"] for row in result["table"]] == ["real", "online", "untrained"]
    assert all(row["num_seeds"] == 3 for row in result["table"])
    (difference,) = result["differences"]
    assert difference["seeds"] == [0, 1, 2] and difference["n"] == 3
    assert result["mismatches"] == []
    assert json.loads((out / "result.json").read_text()) == result


def test_the_run_of_a_comparison_is_shown_with_its_table_and_verdict(synthcl, finished):
    out, result, _ = finished
    shown = synthcl("runs", "show", out).stdout
    assert "finished" in shown and "95% interval" in shown and result["verdict"] in shown


def test_a_second_comparison_in_a_folder_is_refused_and_changes_nothing(synthcl, generator, finished):
    out, *_ = finished
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with FolderLock(out):
        error = compare(synthcl, generator, out, "--regimes", "real,online", code=1).stderr
    assert f"another process is training in {out}" in " ".join(error.split())
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before


def test_the_same_command_again_trains_and_evaluates_nothing(synthcl, generator, finished, monkeypatch):
    out, result, _ = finished

    def never(*args, **kwargs):
        raise AssertionError("done again")

    monkeypatch.setattr(TrainingStep, "__call__", never)
    monkeypatch.setattr(evaluations, "evaluate_linear", never)
    monkeypatch.setattr(evaluations, "evaluate_knn", never)
    again = compare(synthcl, generator, out, "--regimes", "real,online")
    assert again.json == result
    said = f"{out} is already finished: nothing was trained or evaluated, and this is its result"
    assert again.stderr.splitlines() == [said], "and nothing of each run"


def test_progress_is_that_of_all_runs_and_evaluations(synthcl, generator, tmp_path):
    options = ["--regimes", "real,online", "--seeds", 1]
    lines = compare(synthcl, generator, tmp_path / "out", *options).stderr.splitlines()
    assert lines[0] == "run 1 of 2: real, seed 0; all 0%"
    assert lines[1].startswith("run 1 of 2: real, seed 0: 32/32 images") and "left; all " in lines[1]
    evaluations = [line for line in lines if line.startswith("evaluation ")]
    assert evaluations[0].startswith("evaluation 1 of 8: linear on digits, 0.5 of the labels, real seed 0; all ")
    assert "untrained seed 0; all " in evaluations[-1] and " left" in evaluations[-1]
    assert not any("already finished" in line for line in lines)
    changed = compare(synthcl, generator, tmp_path / "out", *options, "--reference", "online").stderr
    assert "nothing was trained or evaluated, and its result and report now follow these options" in changed


def test_a_dry_run_tells_what_is_left_and_leaves_nothing(synthcl, generator, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "TRIAL_SECONDS", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    out, *_ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    options = ["--regimes", "real,online", "--dry-run"]

    done = compare(synthcl, generator, out, *options).json
    assert done["options"]["regimes"] == "real,online"
    assert [(row["arm"], row["runs"], row["runs_left"], row["seconds"]) for row in done["arms"]] == [
        ("real", 3, 0, 0), ("online", 3, 0, 0)
    ]  # fmt: skip
    assert done["evaluations"] == {"evaluations": 24, "evaluations_left": 0, "seconds": 0, "bytes": 0}
    assert done["set"] is None and done["seconds"] == done["bytes"] == 0

    more = compare(synthcl, generator, out, *options, "--seeds", 4).json
    real, online = more["arms"]
    assert (real["runs"], real["runs_left"], online["runs_left"], online["steps"]) == (4, 1, 1, 2)
    assert real["seconds"] > 2 * real["seconds_per_step"] > 0 and online["bytes"] > real["bytes"] > 0
    assert more["evaluations"]["evaluations_left"] == 8 and more["evaluations"]["seconds"] > 0
    whole = [real, online, more["evaluations"]]
    assert more["seconds"] == pytest.approx(sum(part["seconds"] for part in whole))
    assert more["bytes"] == sum(part["bytes"] for part in whole)
    assert "3 real steps of each arm, on this machine" in more["notes"][0]
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_a_new_comparison_prints_options_that_can_be_given_back(synthcl, generator, tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "TRIAL_SECONDS", 0)
    words = ["compare", *OPTIONS, "--generator", generator, "--out", tmp_path / "out", "--seeds", "2"]
    shown = synthcl(*words, "--regimes", "real,offline,online,replay", "--dry-run")
    values = yaml.safe_load(shown.stdout)
    assert (values["steps"], values["regimes"]) == (2, "real,offline,online,replay")
    plan = [line for line in shown.stdout.splitlines() if line.startswith("#")]
    text = " ".join(" ".join(line[1:].split()) for line in plan)
    for part in (
        "set: 16 of 16 latents",
        "replay: 2 of 2 runs 2 ",
        "all ",
        "GB are free. This is an estimate: the time",
    ):
        assert part in text
    assert "trying replay for a few steps" in shown.stderr and "images" not in shown.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_refuses_what_the_command_would(synthcl, generator, finished, tmp_path):
    out, *_ = finished
    (tmp_path / "letter").write_text("")
    options = ["--regimes", "real,online", "--seed", 7, "--dry-run"]
    for where, code, message in ((out, 2, "holds another run"), (tmp_path, 1, "is not empty and holds no run")):
        assert message in " ".join(compare(synthcl, generator, where, *options, code=code).stderr.split())


def test_a_generator_that_does_not_learn_is_refused_before_another_arm_is_trained(synthcl, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2] / "examples")
    words = ["compare", "--data", "digits", "--image-size", 8, "--generator", "custom_generator:Gratings", "--steps", 1]
    refused = synthcl(*words, "--regimes", "real,online", "--out", tmp_path / "c", code=1).stderr
    assert "is a custom generator, which does not learn" in " ".join(refused.split())
    assert "step" not in refused and not list(tmp_path.rglob("metrics.jsonl"))


def test_other_options_for_the_same_folder_are_refused(synthcl, generator, finished):
    out, _, _ = finished
    refused = compare(synthcl, generator, out, "--regimes", "real,online", "--temperature", "0.3", code=2)
    assert "--temperature: None there, 0.3 now" in refused.stderr


def test_runs_that_exist_are_compared(synthcl, finished, tmp_path):
    _out, result, _ = finished
    runs = [word for path in result["runs"] for word in ("--run", path)]
    again = synthcl("compare", *runs, "--label-fraction", 1, "--out", tmp_path / "again", "--json").json
    assert again["table"] == result["table"] and again["differences"] == result["differences"]
    table = synthcl("compare", *runs, "--label-fraction", 1, "--out", tmp_path / "again").stdout
    assert result["verdict"] in table and "report.html" in "".join(table.split())


def test_nearest_neighbours_may_decide(synthcl, finished, tmp_path):
    _out, result, _ = finished
    words = [word for path in result["runs"] for word in ("--run", path)]
    options = ["compare", *words, "--label-fraction", 1, "--metric", "knn", "--out", tmp_path / "again"]
    table, found = synthcl(*options).stdout, synthcl(*options, "--json").json
    heading = next(line for line in table.splitlines() if "95% interval" in line)
    assert heading.index("kNN") < heading.index("vs real") < heading.index("linear")
    (difference,) = found["differences"]
    rows = {row["arm"]: row["knn"]["mean"] for row in found["table"]}
    assert difference["mean"] == pytest.approx(rows["online"] - rows["real"]) and found["table"] == result["table"]
    report = (tmp_path / "again" / "report.html").read_text()
    assert "Judged by top-1 accuracy of nearest neighbours" in report and "seeds, kNN top-1 %" in report


def test_the_table_is_followed_by_the_primary_comparison(capsys):
    spread = {"n": 3, "mean": 0.5, "deviation": 0.01, "interval": [0.4, 0.6]}
    arms = ("real", "fresh", "online")
    rows = [{"arm": arm, "num_seeds": 3, "linear": spread, "knn": spread, "seconds": 1.0} for arm in arms]
    common = {"mean": 0.0123, "interval": [0.001, 0.02], "p_value": 0.0421}
    result = {
        "test_data": "digits", "equal": "steps", "reference": "real", "metric_name": "linear", "table": rows,
        "differences": [{"arm": "online", "reference": "real", **common},
                        {"arm": "online", "reference": "fresh", "primary": True, **common}],
        "mismatches": [], "warnings": [], "notes": [], "verdict": "V", "report": "R",
    }  # fmt: skip
    print_comparison(result, as_json=False)
    named = "named beforehand: online vs fresh +1.23, 95% interval +0.10 to +2.00, p 0.042"
    assert named in capsys.readouterr().out.splitlines()
    result["differences"][1] |= {"interval": None, "p_value": None}
    print_comparison(result, as_json=False)
    assert "named beforehand: online vs fresh +1.23, 95% interval none\n" in capsys.readouterr().out


def test_corrupted_images_join_a_comparison_that_is_finished(synthcl, finished, tmp_path, monkeypatch):
    monkeypatch.setattr("synthcl.pipeline.configs.evaluate.CORRUPTIONS", ("brightness",))  # all take longer
    _out, result, _ = finished
    runs = [word for path in result["runs"] for word in ("--run", path)]
    found = synthcl("compare", *runs, "--label-fraction", 1, "--out", tmp_path / "again", "--robustness", "--json").json
    assert list(found["robustness"]) == ["real", "online", "untrained"] and found["table"] == result["table"]
    assert all(0 < row["mean"] < 1 and row["n"] == 3 for row in found["robustness"].values())
    assert "On corrupted images" in (tmp_path / "again" / "report.html").read_text()


def test_arms_join_a_comparison_that_is_finished(synthcl, generator, finished, monkeypatch):
    """A folder from before there were arms is taken up; only what is new is trained."""
    out, before, _ = finished
    steps, original = [], TrainingStep.__call__
    monkeypatch.setattr(TrainingStep, "__call__", lambda self, i: steps.append(i) or original(self, i))
    options = ["--regimes", "real,online", "--seeds", 1, "--arm", "nohard: --online --no-hard"]
    saved = (out / "config.yaml").read_text()
    earlier = [line for line in saved.splitlines() if not line.startswith(("arm:", "reference:", "judge:"))]
    (out / "config.yaml").write_text("\n".join(earlier) + "\n")
    result = compare(synthcl, generator, out, *options).json
    assert [row["arm"] for row in result["table"]] == ["real", "online", "nohard", "untrained"]
    assert [row["options"] for row in result["table"]] == ["", "", "--no-hard", ""]
    assert {row["arm"]: row["linear_by_seed"]["0"] for row in result["table"][:2]} == {
        row["arm"]: row["linear_by_seed"]["0"] for row in before["table"][:2]
    }
    pairs = [(d["arm"], d["reference"], d["meaning"]) for d in result["differences"]]
    assert pairs[1:] == [("nohard", "real", None), ("nohard", "online", "what --no-hard changes in online")]
    assert steps == [0, 1]
    assert (out / "runs" / "nohard" / "seed-0" / "result.json").exists()
    again = compare(synthcl, generator, out, "--regimes", "real,online").json
    assert again["differences"] == before["differences"]


def test_runs_with_labels_are_arms(synthcl, finished, tmp_path):
    _out, result, _ = finished
    real, online = ([p for p in result["runs"] if f"/{name}/" in p] for name in ("real", "online"))
    labels = [f"a={real[0]}", real[1], real[2], f"b={online[0]}", f"b={online[1]}", f"a={online[2]}"]
    refused = compare_runs(synthcl, labels, tmp_path / "out", code=2)
    assert "are both called a, and are of the regimes real and online" in " ".join(refused.stderr.split())
    labels = [f"a={online[0]}", f"a={online[1]}", f"b={online[0]}", f"b={online[1]}"]
    options = ["--reference", "a", "--primary", "b-a"]
    found = compare_runs(synthcl, labels, tmp_path / "out", *options).json
    (difference,) = found["differences"]
    assert (difference["arm"], difference["reference"], difference["primary"]) == ("b", "a", True)
    assert difference["mean"] == 0 and found["reference"] == "a" and found["mismatches"] == []


def compare_runs(synthcl, runs, out, *options, code=0):
    words = [word for run in runs for word in ("--run", run)]
    return synthcl("compare", *words, "--label-fraction", 1, "--out", out, *options, "--json", code=code)


def test_runs_that_differ_in_more_than_the_regime_have_no_winner(synthcl, finished, tmp_path):
    _, result, _ = finished
    options = [*OPTIONS[:4], "--batch-size", 32, *OPTIONS[6:10], "--steps", 2, "--log-every", 1]
    synthcl("train", *options, "--seed", 3, "--out", tmp_path / "other")
    runs = [word for path in [*result["runs"], tmp_path / "other"] for word in ("--run", path)]
    refused = synthcl("compare", *runs, "--label-fraction", 1, "--out", tmp_path / "out", "--json").json
    assert refused["winner"] is None
    assert {d["outcome"] for d in refused["differences"]} == {"unknown"}
    assert refused["verdict"] == "No winner is called: the runs differ in more than the regime."
    (line,) = refused["mismatches"]
    assert line.startswith("--batch-size: 16 in real seed 0") and "32 in real seed 3" in line
    assert "online has no run of seed 3" in " ".join(refused["notes"])
    assert line in (tmp_path / "out" / "report.html").read_text()


def test_two_runs_of_one_regime_and_seed_are_refused(synthcl, finished, tmp_path):
    _, result, _ = finished
    runs = ["--run", result["runs"][0], "--run", result["runs"][0]]
    refused = synthcl("compare", *runs, "--out", tmp_path / "out", code=2)
    assert "are both real with seed 0" in " ".join(refused.stderr.split())
    assert not (tmp_path / "out").exists()


def test_measured_rates_are_kept_when_continuing(synthcl, generator, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "_measure", lambda config, accelerator, arms: {"real": 0.1, "online": 0.2})
    options = ["--regimes", "real,online", "--equal", "seconds", "--seeds", 1]
    out = tmp_path / "out"
    first = compare(synthcl, generator, out, *options).json
    assert [row["steps"] for row in first["table"][:2]] == [2, 1]
    monkeypatch.setattr(execution, "_measure", lambda config, accelerator, arms: {"real": 0.1, "online": 0.1})
    again = compare(synthcl, generator, out, *options).json
    assert [row["steps"] for row in again["table"][:2]] == [2, 1]
    assert again["differences"][0]["interval"] is None and again["winner"] is None


WRONG = {
    "a generator of another size": (["--image-size", 16], "--image-size 8"),
    "an unknown backbone": (["--backbone", "resnet81"], "resnet81"),
    "images without labels to transfer to": (["--transfer", "nowhere/"], "nowhere"),
    "no such regime": (["--regimes", "real,oline"], "no regime 'oline'"),
    "less than a step of samples": (["--num-samples", 3], "--num-samples 3 is less than a step draws; give 8"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_gets_a_sentence_and_leaves_nothing(synthcl, generator, tmp_path, options, message):
    result = compare(synthcl, generator, tmp_path / "out", *options, code=2)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()
