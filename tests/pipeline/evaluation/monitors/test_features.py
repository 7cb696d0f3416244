"""`--watch-features`: the training does not notice, and a collapse is named once."""

import copy
import json
import logging

import pytest
import torch

from synthcl.pipeline import train
from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import RunStopped
from synthcl.pipeline.evaluation.alignment import alignment, uniformity
from synthcl.pipeline.evaluation.monitors import features
from synthcl.pipeline.evaluation.monitors.features import CollapseWatch, FeatureMonitor, has_collapsed
from synthcl.pipeline.evaluation.spread import feature_spread, rankme
from synthcl.pipeline.runs.metrics import MetricsLog
from synthcl.pipeline.training.step import TrainingStep

CPU = torch.device("cpu")
MEASURES = {"rankme", "alignment", "uniformity", "feature_spread"}


def test_it_measures_the_encoder_on_two_views_of_a_part_of_the_images(encoder, monkeypatch):
    monkeypatch.setattr(features, "NUM_IMAGES", 50)
    train_images = open_images("digits", image_size=8, split="train")
    watch = FeatureMonitor(train_images, "digits", 8, 0, CPU, "fp32")
    before, state = encoder.weights_hash(), torch.get_rng_state()
    found = watch(encoder)
    assert encoder.weights_hash() == before and torch.equal(torch.get_rng_state(), state)
    first, second = watch._features(encoder).unbind(1)
    assert len(first) == 50 and not torch.equal(first, second)
    assert found == {
        "rankme": rankme(first),
        "alignment": alignment(first, second),
        "uniformity": uniformity(first),
        "feature_spread": feature_spread(first),
    }
    assert found == FeatureMonitor(train_images, "digits", 8, 0, CPU, "fp32")(encoder)
    assert found != FeatureMonitor(train_images, "digits", 8, 1, CPU, "fp32")(encoder)
    diverged = copy.deepcopy(encoder)
    next(diverged.backbone.parameters()).fill_(float("nan"))
    with pytest.raises(RunStopped, match="not finite"):
        watch(diverged)


def test_a_training_does_not_notice_and_a_resumed_one_logs_the_same(tmp_path, monkeypatch):
    common = {"data": "digits", "image_size": 8, "batch_size": 16, "backbone": "resnet10-w8", "precision": "fp32"}

    def run(name, **options):
        train(**common, log_every=1, out=str(tmp_path / name), **options)
        rows = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        return rows, (tmp_path / name / "encoder" / "model.safetensors").read_bytes()

    plain, weights = run("plain", steps=4)
    watched, watched_weights = run("watched", steps=4, watch_features=2)
    assert watched_weights == weights
    assert [set(row) & MEASURES for row in watched] == [set(), MEASURES, set(), MEASURES]
    assert [{k: v for k, v in row.items() if k not in MEASURES} for row in watched] == plain

    with monkeypatch.context() as patched:
        step = TrainingStep.__call__
        calls = iter(range(4))

        def killed(self, *args, **kwargs):
            if next(calls) == 3:
                raise OSError("killed")
            return step(self, *args, **kwargs)

        patched.setattr(TrainingStep, "__call__", killed)
        with pytest.raises(OSError, match="killed"):
            run("resumed", steps=4, watch_features=2, checkpoint_every=3)
    resumed, resumed_weights = run("resumed", steps=4, watch_features=2, checkpoint_every=3)
    assert resumed == watched
    assert resumed_weights == weights


def row(step, spread=0.5, rank=5.0):
    return {"step": step, "feature_spread": spread, "rankme": rank}


@pytest.mark.parametrize(
    ("spread", "rank", "collapsed"), [(0.5, 5.0, False), (0.0, 5.0, True), (0.5, 1.0, True), (0.06, 1.6, False)]
)
def test_what_counts_as_a_collapse(spread, rank, collapsed):
    assert has_collapsed(row(1, spread, rank)) == collapsed


def test_a_collapse_is_named_once_whatever_interrupts_the_run(tmp_path, caplog):
    metrics = MetricsLog(tmp_path / "metrics.jsonl")
    history = [{"step": 1, "loss": 0.0}, row(2), row(3, spread=0.01), row(4, rank=1.0)]

    def see(rows, resume):
        watch = CollapseWatch(metrics)
        metrics.rewind(resume)
        watch.rewind(resume)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            for each in rows:
                metrics.append(each)
                watch.append(each)
        return caplog.messages

    said = see(history, 0)
    assert len(said) == 1
    assert said[0].startswith("step 3: the encoder's features have collapsed: their spread is 0.01")
    assert see(history[3:], 3) == []  # it was said before
    assert len(see(history[2:], 2)) == 1
