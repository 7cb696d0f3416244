"""Doing what is planned: lengths that are decided once, and only what is not there yet. Hardly anything is trained."""

import dataclasses
import json
from collections import Counter

import pytest
from accelerate import Accelerator

from synthcl.generators import create_trainer
from synthcl.pipeline import generate
from synthcl.pipeline.comparison import execution
from synthcl.pipeline.comparison.execution import (
    LONG_STEPS,
    SHORT_STEPS,
    arms_to_plan,
    check_inputs,
    count_images,
    decide_budget,
    evaluate_runs,
    execute,
    kept_budget,
    length,
)
from synthcl.pipeline.comparison.progress import plan_overall
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.data import encoded
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.progress.overall import Overall

RATES = {"real": (3.0, 0.1), "offline": (4.0, 0.2), "online": (9.0, 0.4), "replay": (2.0, 0.2), "extra": (1.0, 0.05)}
"""Seconds that a training of an arm takes at its ends, and for each step."""


@pytest.fixture
def config_of(tmp_path):
    def make(**options):
        given = {"data": "digits", "generator": "gan", "image_size": 8, "batch_size": 64, "steps": 100, "seeds": 2}
        given |= {"out": str(tmp_path / "out"), "regimes": "real,offline,online"}
        (tmp_path / "out").mkdir(exist_ok=True)
        return CompareConfig(**{**given, **options})

    return make


@pytest.fixture
def done(monkeypatch):
    """What was trained and generated, in order; a training takes what `RATES` says."""
    calls = []

    def train(config):
        name = config.out.split("/")[-2]
        calls.append((name, config.seed, config.steps))
        around, each = RATES[name]
        return {"seconds": around + each * config.steps}

    def generate(config):
        calls.append(("set", config.num_samples))
        return {"seconds": 1.0, "bytes": 10, "num_samples": config.num_samples, "reused": False}

    monkeypatch.setattr(execution, "train", train)
    monkeypatch.setattr(execution, "generate", generate)
    return calls


@pytest.fixture(scope="module")
def accelerator():
    return Accelerator(cpu=True)


@pytest.mark.parametrize("options", [{"steps": 70}, {"steps": None, "epochs": 3}])
def test_the_length_is_that_of_real_images_alone(config_of, options):
    assert length(config_of(**options)) == (70 if "epochs" not in options else 3 * (1442 // 64))


def test_equal_steps_are_decided_without_training(config_of, done, accelerator):
    config = config_of()
    assert kept_budget(config) is None
    budget = decide_budget(config, accelerator)
    assert budget.steps == {"real": 100, "offline": 100, "online": 100} and done == []
    assert kept_budget(config) == budget


def test_rates_are_what_the_longer_training_took_beyond_the_shorter(config_of, done, accelerator):
    config = config_of(equal="seconds", regimes="replay,real,offline,online")
    budget = decide_budget(config, accelerator)
    assert budget.seconds_per_step == pytest.approx({name: RATES[name][1] for name in budget.steps})
    assert budget.steps == {"real": 100, "offline": 50, "online": 25, "replay": 25}  # of the recording there is
    trained = [(name, steps) for name, *_, steps in done if name != "set"]
    lengths = (SHORT_STEPS, LONG_STEPS)
    assert trained == [(name, n) for name in ("real", "offline", "online", "replay") for n in lengths]
    done.clear()
    assert decide_budget(config, accelerator) == budget and done == []


def test_an_arm_that_comes_later_is_measured_alone(config_of, done, accelerator):
    before = decide_budget(config_of(equal="seconds", regimes="real,online"), accelerator)
    done.clear()
    config = config_of(equal="seconds", regimes="real,online", arm=["extra: real --batch-size 32"])
    assert [arm.name for arm in arms_to_plan(config, before)] == ["extra"]
    after = decide_budget(config, accelerator)
    assert {name for name, *_ in done} == {"extra"}
    assert after.steps == {**before.steps, "extra": 200}


def test_a_changed_length_of_an_arm_is_planned_and_one_of_its_own_epochs_counts_its_own_images(
    config_of, done, accelerator
):
    """The run's folder then extends the run, or refuses."""
    common = {"regimes": "real", "generator": None}
    decide_budget(config_of(**common, arm=["big: --steps 4"]), accelerator)
    config = config_of(**common, arm=["big: --data digits[:30%] --batch-size 128 --epochs 2"])
    assert decide_budget(config, accelerator).steps == {"real": 100, "big": 2 * (433 // 128)}
    assert kept_budget(config).steps["big"] == 6 and kept_budget(config).own == ["big"]


def test_a_plan_of_an_earlier_version_is_read(config_of, done, accelerator, tmp_path):
    config = config_of()
    before = decide_budget(config, accelerator)
    file = tmp_path / "out" / "plan.json"
    values = json.loads(file.read_text())
    del values["own"]
    file.write_text(json.dumps(values))
    assert decide_budget(config, accelerator) == before


def execute_all(config, accelerator):
    budget, overall = decide_budget(config, accelerator), Overall(enabled=False)
    plan_overall(overall, config, budget, {("digits", None): (1442, 355)})
    return execute(config, budget, accelerator, overall), overall


def test_the_set_comes_first_then_seed_by_seed(config_of, done, accelerator):
    trained, _ = execute_all(config_of(), accelerator)
    names = ["real", "offline", "online"]
    assert done == [("set", 3200), *((name, seed, 100) for seed in (0, 1) for name in names)]
    assert trained.new and trained.generated["num_samples"] == 3200
    assert [(run.arm.name, run.seed) for run in trained.runs] == [call[:2] for call in done[1:]]


def test_the_training_images_are_decoded_once_for_all_runs(config_of, accelerator, monkeypatch, tmp_path, picture):
    """Each run opens them anew; an arm of other images has those decoded."""
    for i in range(24):
        (tmp_path / "photos").mkdir(exist_ok=True)
        picture(seed=i).save(tmp_path / "photos" / f"{i:02d}.png")
    data, decoded, real = str(tmp_path / "photos"), Counter(), encoded.decode_images

    def counting(files, *, image_size, **options):
        decoded.update((hash(bytes(file)), image_size) for file in files)
        return real(files, image_size=image_size, **options)

    monkeypatch.setattr(encoded, "decode_images", counting)
    options = {"generator": None, "regimes": "real", "backbone": "resnet10-w8", "precision": "fp32", "steps": 2}
    arms = ["wide: real --batch-size 12", "small: real --image-size 8"]
    config = config_of(data=data, image_size=12, batch_size=8, arm=arms, **options)
    budget, overall = decide_budget(config, accelerator), Overall(enabled=False)
    plan_overall(overall, config, budget, {(data, None): (24, 24)})
    decoded.clear()
    assert len(execute(config, budget, accelerator, overall).runs) == 6
    assert Counter(decoded.values()) == {1: 48} and Counter(size for _, size in decoded) == {12: 24, 8: 24}


def test_what_is_finished_is_skipped_and_what_a_set_took_is_remembered(config_of, done, accelerator, monkeypatch):
    config = config_of()
    execute_all(config, accelerator)
    done.clear()
    left = {("online", 1)}

    def result_of(path, *args, **kwargs):
        return None if (path.parts[-2], int(path.name[-1])) in left else {"steps": 100}

    found_again = {"seconds": 0.0, "bytes": 10, "num_samples": 3200, "reused": True}
    monkeypatch.setattr(execution, "finished_result", result_of)
    monkeypatch.setattr(execution, "generate", lambda config: found_again)
    trained, overall = execute_all(config, accelerator)
    assert done == [("online", 1, 100)] and trained.new
    assert trained.generated["seconds"] == 1.0, "and not what it took to find it"
    assert overall.done["run", "real", 0] == 100
    left.clear()
    trained, _ = execute_all(config, accelerator)
    assert not trained.new and len(done) == 1


def test_only_what_is_not_answered_is_asked(config_of, make_run, monkeypatch, tmp_path):
    config = CompareConfig(out=str(tmp_path / "out"), run=["a", "b"], label_fraction=[1.0])
    (tmp_path / "out").mkdir()
    asked = []

    def ask(self, cell, question):
        asked.append((cell.arm, question.task, question.untrained))
        file = self.file(cell, question)
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"question": dataclasses.asdict(question), "top1": 0.5}))

    monkeypatch.setattr(execution.Answers, "ask", ask)
    runs, num_images = [make_run("real", 0), make_run("online", 0)], {("digits", None): (1442, 355)}

    def evaluate(runs):
        return evaluate_runs(runs, config, "digits", Overall(enabled=False), num_images)

    answers, new = evaluate(runs[:1])
    assert new and asked == [("real", task, fresh) for fresh in (False, True) for task in ("linear", "knn")]
    assert [answer.top1 for answer in answers] == [0.5] * 4
    asked.clear()
    answers, new = evaluate(runs)
    assert new and asked == [("online", "linear", False), ("online", "knn", False)] and len(answers) == 6
    asked.clear()
    assert evaluate(runs)[1] is False and asked == []


def test_images_are_counted_as_they_are_probed(config_of):
    scored = ["digits:test", "digits:test[:100]"]
    config = config_of(transfer=["digits[:50%]", "digits"], transfer_test_data=scored)
    assert count_images(config, "digits", 8) == {
        ("digits", None): (1442, 355), ("digits", "digits:test[:100]"): (1442, 100),
        ("digits[:50%]", "digits:test"): (721, 355),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "resnet81"}, "resnet81"),
        ({"num_samples": 3}, "--num-samples 3 is less than a step draws; give 32"),
        ({"transfer": ["nowhere/"]}, "nowhere"),
        ({"eval_encoder": "random:nosuch"}, "--eval-encoder random:nosuch: "),
        ({"data": "digits[:10,balanced]", "batch_size": 4, "eval_encoder": "random:resnet10-w8"}, "with 10 images"),
        ({"regimes": "real", "arm": ["x: online --eval-encoder random:nosuch"]}, "--eval-encoder random:nosuch: "),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_anything_is_done(config_of, done, options, message):
    with pytest.raises(UsageError, match=message):
        check_inputs(config_of(**options))
    assert done == []


LARGE = {
    "its images": ({"arm": ["big: --batch-size 1443"]}, "--arm big: --batch-size 1443 is larger than the set of 1442"),
    "its own images": (
        {"arm": ["part: --data digits[:3%]"]},
        "--arm part: --batch-size 64 is larger than the set",
    ),
    "the shared ones": ({"batch_size": 1443}, "^--batch-size 1443 is larger than the set of 1442 images"),
}


@pytest.mark.parametrize(("options", "message"), LARGE.values(), ids=LARGE.keys())
def test_a_step_that_is_larger_than_the_images_is_refused_before_anything_is_done(config_of, done, options, message):
    with pytest.raises(UsageError, match=message):
        check_inputs(config_of(**{"regimes": "real,real-4-views", "generator": None} | options))
    assert done == []


def test_an_arm_that_comes_later_cannot_draw_more_than_the_set_has(config_of, done, accelerator):
    decide_budget(config_of(num_samples=64), accelerator)
    with pytest.raises(UsageError, match=r"big draws 128 latents a step, and the set of .*out has 64; lower its"):
        check_inputs(config_of(num_samples=64, arm=["big: offline --batch-size 256"]))
    assert done == []


@pytest.mark.parametrize(("pairs", "number"), [(False, 3), (True, 4)])
def test_equal_views_are_as_many_as_a_given_set_makes(tmp_path, pairs, number):
    create_trainer("gan", 8, preset="tiny").generator.save_pretrained(tmp_path / "gan")
    generate(generator=str(tmp_path / "gan"), num_samples=32, pairs=pairs, out=str(tmp_path / "set"), workers=1)
    given = {
        "data": "digits", "image_size": 8, "backbone": "resnet10-w4", "batch_size": 64, "steps": 1, "regimes":
        "real-equal-views,offline", "shards": [str(tmp_path / "set")], "out": str(tmp_path / "out"),
    }  # fmt: skip
    config = CompareConfig(**given)
    if number == 4:
        check_inputs(config)
    else:
        with pytest.raises(UsageError, match=r"set have 1 images, which make 3; name real-3-views"):
            check_inputs(config)
        check_inputs(CompareConfig(**given | {"regimes": "real-3-views,offline"}))
        large = {"regimes": "real,offline", "batch_size": 66}
        with pytest.raises(UsageError, match="set has 32 samples, fewer than the 33 of a step"):
            check_inputs(CompareConfig(**given | large))
