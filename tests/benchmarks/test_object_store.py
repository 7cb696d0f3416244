"""The measurement of faults in an object store, made small: faults of every kind come, and all are survived."""

import importlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_faults_are_injected_and_survived():
    command = [sys.executable, str(BENCHMARKS / "object_store.py"), "--faults", "2", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["faults"] == 2 == sum(record["kinds"].values()) == sum(record["requests"].values())
    assert record["identical"] == record["sets"] >= 1 and record["commands"] >= record["sets"] + record["killed"]


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("object_store")


def test_all_kinds_come_before_requests_that_they_fit(script):
    injector = script.Injector(100, random.Random(0))
    given = []
    while injector.waiting:
        for method in ("PUT", "GET", "HEAD"):
            fault = injector.choose(method, "/bucket/set/000000.tar")
            given += [(fault, method)] if fault else []
    kinds = [fault for fault, _ in given]
    assert len(kinds) == 100 and min(kinds.count(kind) for kind in script.FAULTS) >= 4
    assert all(method == "PUT" for fault, method in given if "upload" in fault)


def test_a_shard_counts_with_a_whole_sidecar_alone(script):
    objects = {"000000.tar": b"x", ".synthcl/000001.parquet": b"PAR1", ".synthcl/000002.parquet": b"PA"}
    assert script.whole_shards(objects) == {"000001"}
