"""An object store of this machine that fails on demand."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def faulty_store() -> Iterator[Any]:
    """An S3 server of this machine that fails on demand; see benchmarks/faulty_store.py."""
    from botocore.loaders import JSONFileLoader

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        module = importlib.import_module("faulty_store")
        # Each client reads what S3 is from files again, which takes longer than most of the tests.
        load = functools.cache(JSONFileLoader().load_file)
        patch.setattr(JSONFileLoader, "load_file", lambda loader, path: load(path))
        with module.FaultyStore() as store:
            yield store


@pytest.fixture
def store(faulty_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`faulty_store`, empty and without faults; `s3://bucket` is in it."""
    import fsspec
    import s3fs

    faulty_store.empty()
    for name, value in {"SYNTHCL_CACHE": str(tmp_path / "cache"), **faulty_store.environment()}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # botocore's pauses are long, and ours are what is tested
    monkeypatch.setitem(fsspec.config.conf, "s3", json.loads(faulty_store.environment()["FSSPEC_S3"]))
    s3fs.S3FileSystem.clear_instance_cache()  # of another test, with other credentials
    with monkeypatch.context() as patch:
        patch.setattr("synthcl.pipeline.shards.network.PAUSES", (0.01,) * 4)
        patch.setattr(s3fs.S3FileSystem, "retries", 1)  # ours are enough, and its pauses are long
        usual = {name: getattr(faulty_store, name) for name in ("choose", "kill", "lie", "checks", "conditions")}
        yield faulty_store
        for name, value in usual.items():
            setattr(faulty_store, name, value)
        faulty_store.requests.clear()
