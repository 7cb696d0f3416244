"""The numbers of a comparison as long-form rows on disk. (What the table and the report show is in summary.py.)

A row of results.parquet and results.csv is one number: arm, regime, seed, task (`linear`, `knn`, `training`), data,
test_data, label_fraction, transfer, metric, value. Accuracies are in [0, 1].
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ..errors import DataError
from ..files import write_file
from ..shards import open_shard_set
from .evaluations import ROBUSTNESS, Answer
from .runs import ComparedRun

SCHEMA = pa.schema(
    [
        ("arm", pa.string()),
        ("regime", pa.string()),
        ("seed", pa.int64()),
        ("run", pa.string()),
        ("task", pa.string()),
        ("data", pa.string()),
        ("test_data", pa.string()),
        ("label_fraction", pa.float64()),
        ("transfer", pa.bool_()),
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)
COSTS = ("seconds", "images_per_second", "steps", "epochs", "num_synthetic", "loss")
"""The keys of a run's result that say what it cost."""


def build_rows(runs: Sequence[ComparedRun], answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """All numbers, as rows of `SCHEMA`."""
    paths = {(run.name, run.seed): str(run.path) for run in runs}
    regimes = {run.name: run.regime for run in runs}
    rows = []
    for answer in answers:
        asked, values = answer.question, answer.values
        common = {
            "arm": answer.arm,
            "regime": regimes.get(answer.arm, answer.arm),
            "seed": answer.seed,
            "run": paths.get((answer.arm, answer.seed)),
            "task": asked.task,
            "data": values["data"],
            "test_data": values["test_data"],
            "label_fraction": asked.label_fraction,
            "transfer": asked.transfer,
        }
        low, high = values["top1_interval"]
        numbers = {"top1": values["top1"], "top5": values["top5"], "top1_low": low, "top1_high": high}
        if asked.task == ROBUSTNESS:
            numbers["corrupted_top1"] = values["corrupted_top1"]
        rows += [{**common, "metric": name, "value": value} for name, value in numbers.items()]
    for run in runs:
        common = {"arm": run.name, "regime": run.regime, "seed": run.seed, "run": str(run.path), "task": "training"}
        rows += [
            {**common, "metric": name, "value": float(value)} for name, value in costs(run).items() if value is not None
        ]
    return rows


def costs(run: ComparedRun) -> dict[str, float | None]:
    """What a run took: `COSTS`, and `shard_bytes` that it reads or has recorded (None where there are none)."""
    return {**{name: run.result[name] for name in COSTS}, "shard_bytes": _shard_bytes(run)}


def _shard_bytes(run: ComparedRun) -> int | None:
    paths = [*run.config.shards, *(path for path in (run.config.replay, run.config.record) if path is not None)]
    try:
        return sum(open_shard_set(path).info.size for path in paths) if paths else None
    except (DataError, OSError):  # moved or removed since; nothing else needs it
        return None


def write_results(out: Path, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """Write results.parquet and results.csv, each whole or not at all."""
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    files = []
    for name, write in (("results.parquet", pq.write_table), ("results.csv", pyarrow.csv.write_csv)):
        buffer = io.BytesIO()
        write(table, buffer)
        write_file(out / name, buffer.getvalue())
        files.append(out / name)
    return files
