"""Scores on a Ray cluster: whatever is lost meanwhile, they are those of one process."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from synthcl.pipeline.configs.shards import ScoreConfig
from synthcl.pipeline.encoder import load_encoder
from synthcl.pipeline.errors import DataError
from synthcl.pipeline.evaluation.shard_scores import on_ray
from synthcl.pipeline.evaluation.shard_scores.on_ray import ScoreWorker, batches_of, opened
from synthcl.pipeline.evaluation.shard_scores.score import score_shards
from synthcl.pipeline.evaluation.shard_scores.scorer import Scorer, find_references
from synthcl.pipeline.shards import open_shard_set

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install ray")
COLUMNS = ["hardness", "cluster", "nearest_real_distance"]


class DyingOnce(ScoreWorker):
    """One of the workers is killed while it is at its part; another takes over."""

    def work(self, part):
        try:
            Path(self.folder, "killed").touch(exist_ok=False)
        except FileExistsError:
            return super().work(part)
        os._exit(1)


@pytest.mark.slow
@needs_ray
def test_scores_are_those_of_one_process_though_a_worker_is_killed(
    make_set, encoder_folder, tmp_path, monkeypatch, capfd
):
    from ray import cloudpickle

    path = make_set(num_samples=70, samples_per_shard=30)
    options = {"encoder": os.path.relpath(encoder_folder, tmp_path), "clusters": 3, "batch_size": 16}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(on_ray, "SAMPLES_PER_PART", 16)
    monkeypatch.setattr(on_ray, "ScoreWorker", DyingOnce)
    here = score_shards(path, **options, data=str(path))
    table = open_shard_set(path).table(columns=COLUMNS)
    for module in (sys.modules[__name__], on_ray):
        cloudpickle.register_pickle_by_value(module)
    try:
        there = score_shards(
            path, **options, data=str(path), executor="ray", ray_address="local", ray_workers=1, overwrite=True
        )
    finally:
        for module in (sys.modules[__name__], on_ray):
            cloudpickle.unregister_pickle_by_value(module)
    assert (tmp_path / "killed").exists() and "another takes over" in capfd.readouterr().err
    assert there == here and open_shard_set(path).table(columns=COLUMNS).equals(table)


@pytest.mark.parametrize(("batch_size", "num_batches"), [(256, 4), (256, 17), (5000, 3), (1, 2049)])
def test_parts_hold_each_batch_once(batch_size, num_batches):
    each = len(batches_of(0, num_batches, batch_size))
    parts = [batches_of(part, num_batches, batch_size) for part in range(-(-num_batches // each))]
    assert [batch for part in parts for batch in part] == list(range(num_batches))
    assert all(len(part) * batch_size <= max(2048, batch_size) for part in parts)


@pytest.fixture
def worker(make_set, encoder_folder, tmp_path, monkeypatch):
    """A worker in this process, that has opened the set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(on_ray, "SAMPLES_PER_PART", 32)
    path = make_set(num_samples=40)
    config = ScoreConfig(encoder=str(encoder_folder), clusters=2, batch_size=16)
    cpu = torch.device("cpu")
    model, shards = load_encoder(config.encoder, cpu), open_shard_set(path)
    references = find_references(model, shards, config, cpu)
    made = ScoreWorker(str(path), config, references, str(tmp_path), True)
    assert made.open() == opened(model, shards)
    made.start(1, 1)
    return made


def test_a_worker_says_how_far_it_is_and_scores_its_part(worker, monkeypatch):
    seen = []
    score = worker.scorer.score

    def watched(batch):
        seen.append(worker.progress())
        return score(batch)

    monkeypatch.setattr(worker.scorer, "score", watched)
    whole = [worker.work(part) for part in (0, 1)]
    assert seen == [{}, {0: 16}, {}] and worker.progress() == {}
    scorer = Scorer(worker.model, worker.shards, worker.references, worker.config, torch.device("cpu"))
    expected = np.concatenate([scorer.score(batch)["hardness"] for batch in range(3)])
    assert np.array_equal(np.concatenate([part["hardness"] for part in whole]), expected)


def test_other_sets_and_encoders_are_told_apart(worker, make_set, encoder_folder):
    grown = open_shard_set(make_set("other", num_samples=60))
    model = load_encoder(str(encoder_folder), torch.device("cpu"))
    own = opened(worker.model, worker.shards)
    assert opened(model, worker.shards) == own != opened(model, grown)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    assert opened(model, worker.shards) != own


def test_a_wrong_address_is_told_before_anything_is_computed(make_set, encoder_folder, monkeypatch):
    path = make_set(num_samples=20)
    monkeypatch.setattr(on_ray, "find_references", lambda *_: pytest.fail("it has begun"))
    with pytest.raises(DataError, match=r"cannot connect to the Ray cluster at --ray-address 127\.0\.0\.1:1"):
        score_shards(path, encoder=str(encoder_folder), clusters=2, executor="ray", ray_address="127.0.0.1:1")
