"""The summary: means by hand, plain values, and nothing that the runs do not bear out."""

import dataclasses
import json

import pytest

from synthcl.pipeline.comparison.summary import one_time_costs, summarise
from synthcl.pipeline.configs.arms import UNTRAINED
from synthcl.pipeline.configs.compare import CompareConfig


def test_the_table_has_means_over_seeds_and_what_a_run_cost(make_comparison):
    comparison = make_comparison()
    seconds = {("online", 0): 3.0, ("online", 1): 5.0, ("online", 2): 10.0}
    runs = [
        dataclasses.replace(run, result={**run.result, "seconds": seconds.get((run.name, run.seed), 1.0)})
        for run in comparison.runs
    ]
    summary = summarise(dataclasses.replace(comparison, runs=runs))
    assert summary == json.loads(json.dumps(summary))
    rows = {row["arm"]: row for row in summary["table"]}
    assert list(rows) == ["real", "offline", "online", UNTRAINED]
    online = rows["online"]
    assert online["linear_by_seed"] == pytest.approx({"0": 0.70, "1": 0.701, "2": 0.702})
    assert online["linear"]["mean"] == pytest.approx(0.701) and online["linear"]["n"] == online["num_seeds"] == 3
    assert online["seconds"] == 6.0 and online["num_synthetic"] == 32.0
    assert rows[UNTRAINED]["seconds"] is None and rows[UNTRAINED]["knn"]["mean"] == pytest.approx(0.4)
    (against_real,) = [d for d in summary["differences"] if (d["arm"], d["reference"]) == ("online", "real")]
    assert against_real["values"] == pytest.approx([0.100, 0.101, 0.102])
    assert against_real["meaning"] == "what joint generation adds to real images"
    assert summary["transfer"]["digits"]["real"]["mean"] == pytest.approx(0.60)
    assert summary["robustness"] == {}


def test_images_that_are_scored_on_two_others_are_told_twice(make_comparison):
    comparison = make_comparison(transfer=("digits", "cifar10", "digits"), transfer_test_data=("one", "two", "three"))
    for answer in comparison.answers:
        answer.values["top1"] += 0.1 * (answer.question.test_data == "three")
    found = {data: scores["real"]["mean"] for data, scores in summarise(comparison)["transfer"].items()}
    assert found == pytest.approx({"digits, scored on one": 0.6, "cifar10": 0.6, "digits, scored on three": 0.7})


def test_corrupted_images_are_told_and_decide_nothing(make_comparison):
    comparison, plain = make_comparison(robustness=True), make_comparison()
    assert list(comparison.corrupted()) == ["real", "offline", "online", UNTRAINED]
    summary = summarise(comparison)
    assert summary["robustness"]["online"]["mean"] == pytest.approx(0.501)
    for name in ("verdict", "winner", "table", "differences"):
        assert summary[name] == summarise(plain)[name]


def test_nearest_neighbours_decide_where_they_are_named(make_comparison):
    comparison = make_comparison()
    for answer in comparison.answers:
        if (answer.question.task, answer.arm) == ("knn", "online"):
            answer.values["top1"] += 0.01 * (answer.seed + 1)
    linear = summarise(comparison)
    comparison.config.metric = "knn"
    knn = summarise(comparison)
    assert knn["metric"].startswith("top-1 accuracy of nearest neighbours") and linear["metric"].startswith("linear")
    assert knn["table"] == linear["table"]
    by_seed = {row["arm"]: row["knn_by_seed"] for row in knn["table"]}
    for difference in knn["differences"]:
        own, other = by_seed[difference["arm"]], by_seed[difference["reference"]]
        assert difference["values"] == pytest.approx([own[seed] - other[seed] for seed in own])
    assert [d["values"] for d in knn["differences"]] != [d["values"] for d in linear["differences"]]


def test_mismatches_leave_no_outcome(make_comparison):
    summary = summarise(make_comparison(mismatches=["--batch-size: 16 and 32"]))
    assert summary["winner"] is None and summary["mismatches"] == ["--batch-size: 16 and 32"]
    assert {d["outcome"] for d in summary["differences"]} == {"unknown"}


def test_seeds_that_all_arms_have(make_comparison):
    comparison = make_comparison()
    fewer = [run for run in comparison.runs if (run.name, run.seed) != ("offline", 1)]
    assert comparison.common_seeds == [0, 1, 2]
    assert dataclasses.replace(comparison, runs=fewer).common_seeds == [0, 2]


def test_a_chosen_comparison_is_judged_by_itself(make_comparison):
    comparison = make_comparison()
    comparison.config.judge, comparison.config.primary = ["online-offline", "online-real"], "online-offline"
    found = {(d.arm, d.reference): d.primary for d in comparison.differences()}
    assert found == {("online", "offline"): True, ("online", "real"): False}
    summary = summarise(comparison)
    assert [d["in_verdict"] for d in summary["differences"]] == [True, True]
    assert summary["verdict"].startswith("Online is better than offline: ") and "Online helps" in summary["verdict"]


def test_fewer_views_than_others_have_are_no_control(make_comparison, make_run):
    comparison = make_comparison()
    assert comparison.views_per_image == 2
    runs = [make_run(run.regime, run.seed, views_per_image=4) for run in comparison.runs]
    runs += [make_run("real", seed, label="real-3-views", views_per_image=3) for seed in comparison.seeds]
    answers = [dataclasses.replace(answer, arm="real-3-views") for answer in comparison.answers if answer.arm == "real"]
    other = dataclasses.replace(comparison, runs=runs, answers=[*comparison.answers, *answers])
    assert other.views_per_image == 4 and "real-3-views" in other.names
    assert all("more views" not in (other.meaning(d) or "") for d in other.differences())
    assert {d.reference for d in other.told()} == {"real"}


def test_the_verdict_begins_with_the_primary_comparison(make_comparison):
    comparison = make_comparison(primary="online-offline")
    summary = summarise(comparison)
    assert summary["verdict"].startswith("Online is better than offline: ")
    assert {(d["arm"], d["reference"]) for d in summary["differences"] if d["in_verdict"]} == {
        ("online", "offline"), ("offline", "real"), ("online", "real")
    }  # fmt: skip


def test_what_runs_share_is_told_once(tmp_path):
    gan = tmp_path / "gan"
    gan.mkdir()
    config = CompareConfig(data="digits", out="out", generator=str(gan), regimes="real,offline", steps=10)
    assert one_time_costs(config, None) == {}
    (gan / "result.json").write_text('{"seconds": 12.5}')
    generated = {"seconds": 2.0, "bytes": 100, "num_samples": 7, "reused": True}
    assert one_time_costs(config, generated) == {
        "pretrain_seconds": 12.5, "generate_seconds": 2.0, "shard_bytes": 100, "num_samples": 7,
    }  # fmt: skip
