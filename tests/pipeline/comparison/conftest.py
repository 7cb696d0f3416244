"""Runs as `train` leaves them, without training."""

import json
from dataclasses import replace

import pytest
import torch

from synthcl.learners import create_backbone
from synthcl.pipeline.comparison.evaluations import Answer, questions
from synthcl.pipeline.comparison.report import write_report
from synthcl.pipeline.comparison.runs import read_run
from synthcl.pipeline.comparison.summary import Comparison, summarise
from synthcl.pipeline.configs.arms import UNTRAINED, label_arm
from synthcl.pipeline.configs.compare import CompareConfig
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.encoder import Encoder
from synthcl.pipeline.options.config import write_yaml


@pytest.fixture
def make_run(tmp_path, choosing):
    """A finished run: its regime, its seed, its label, and whatever options and results are to be different."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = Encoder(create_backbone("resnet10-w8", image_size=8), "resnet10-w8", 8)

    def make(regime, seed, *, result=None, environment=None, label=None, declared=(), **options):
        path = tmp_path / f"{regime}-{seed}-{len(list(tmp_path.iterdir()))}"
        path.mkdir()
        given = {"data": "digits", "out": str(path), "steps": 4, "batch_size": 16, "seed": seed, **choosing[regime]}
        # As earlier versions wrote them: with whatever options, those without a meaning in the regime too.
        config = TrainConfig(**given).to_dict() | options
        came_out = {
            "run": str(path), "regime": regime, "steps": 4, "epochs": 0.1, "loss": 2.0, "seconds": 1.0,
            "images_per_second": 64.0, "num_images": 1442, "num_synthetic": 0 if regime == "real" else 32,
        }  # fmt: skip
        record = {"command": "train", "versions": {"torch": "2"}, "hardware": {"device": "cpu"}}
        rows = [{"step": step, "loss": 3.0 - step / 10, "hardness_real": 3.0 - seed / 10} for step in (1, 2, 3, 4)]
        with torch.no_grad():
            next(encoder.parameters()).add_(0.01)  # each has weights of its own
        encoder.save(path / "encoder")
        (path / "config.yaml").write_text(write_yaml(config))
        (path / "run.json").write_text(json.dumps({**record, **(environment or {})}))
        (path / "result.json").write_text(json.dumps({**came_out, **(result or {})}))
        (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        run = read_run(path)
        arms = {arm.name: arm for arm in declared}
        return replace(run, arm=label_arm(label or regime, run.config, arms))

    return make


TOP1 = {"real": 0.60, "offline": 0.61, "online": 0.70, UNTRAINED: 0.4}


@pytest.fixture
def make_comparison(make_run, tmp_path):
    def make(num_seeds=3, mismatches=(), transfer=("digits",), out=None, **options):
        regimes = ("real", "offline", "online")
        runs = [make_run(regime, seed) for regime in regimes for seed in range(num_seeds)]
        config = CompareConfig(out=str(out or tmp_path / "out"), run=[str(run.path) for run in runs],
                               transfer=list(transfer), **options)  # fmt: skip
        answers = []
        for regime in (*regimes, UNTRAINED):
            for seed in range(num_seeds):
                for asked in questions(config, "digits", seed, untrained=regime == UNTRAINED):
                    top1 = TOP1[regime] + 0.001 * seed * (regime == "online") + 0.05 * (asked.label_fraction - 1)
                    values = {"top1": top1, "top5": 0.9, "top1_interval": [top1 - 0.1, top1 + 0.1], "data": asked.data,
                              "test_data": "digits:test", "num_test": 355, "warnings": []}  # fmt: skip
                    if asked.task == "robustness":
                        values["corrupted_top1"] = top1 - 0.2
                    answers.append(Answer(regime, seed, asked, values))
        return Comparison(config, "digits", runs, answers, list(mismatches))

    return make


@pytest.fixture
def report_of():
    """A comparison to the text of its report."""

    def make(comparison, tmp_path):
        return write_report(comparison, summarise(comparison), tmp_path / "report.html").read_text()

    return make
