"""The numbers on disk are the answers."""

import csv

import pyarrow.parquet as pq
import pytest

from synthcl.pipeline.comparison.results import SCHEMA, build_rows, write_results


def test_results_on_disk_are_the_answers(make_comparison, tmp_path):
    comparison = make_comparison()
    rows = build_rows(comparison.runs, comparison.answers)
    write_results(tmp_path, rows)
    table = pq.read_table(tmp_path / "results.parquet")
    assert table.schema.equals(SCHEMA) and table.num_rows == len(rows)
    found = {
        (row["arm"], row["seed"]): row["value"]
        for row in table.to_pylist()
        if row["task"] == "linear" and row["metric"] == "top1" and row["label_fraction"] == 1 and not row["transfer"]
    }
    expected = {(r, seed): value for r, own in comparison.primary().items() for seed, value in own.items()}
    assert found == expected
    assert "corrupted_top1" not in {row["metric"] for row in rows}
    with open(tmp_path / "results.csv") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(rows) and list(lines[0]) == SCHEMA.names
    assert [float(line["value"]) for line in lines] == pytest.approx([row["value"] for row in rows])
    intervals = [
        tuple(row["value"] for row in rows[i : i + 4] if row["metric"] in ("top1_low", "top1", "top1_high"))
        for i, row in enumerate(rows)
        if row["metric"] == "top1"
    ]
    assert intervals and all(low <= top1 <= high and low < high for top1, low, high in intervals)
    costs = {row["metric"] for row in rows if row["task"] == "training"}
    assert {"seconds", "images_per_second", "num_synthetic"} <= costs


def test_accuracies_on_corrupted_images_have_rows_of_their_own(make_comparison):
    comparison = make_comparison(robustness=True)
    rows = [row for row in build_rows(comparison.runs, comparison.answers) if row["metric"] == "corrupted_top1"]
    assert {row["task"] for row in rows} == {"robustness"} and len(rows) == 4 * 3
    assert rows[0]["value"] == pytest.approx(0.40)
