"""The benchmark of a GAN's constants, made small."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from synthcl.pipeline.configs.pretrain import PretrainConfig

GAN = Path(__file__).parents[2] / "benchmarks" / "gan"
WORDS = ["--data", "digits", "--image-size", "8", "--encoder", "random:resnet10-w4", "--eval-samples", "64"]
SMALL = ["--steps", "2", "--batch-size", "8", "--seeds", "1", "--changes", "preset,rates-double"]


@pytest.fixture
def constants(monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.syspath_prepend(str(GAN))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield importlib.import_module("constants")
    torch.set_num_threads(threads)


def test_pretrain_takes_each_change(constants):
    for name, chosen in constants.CHANGES.items():
        config = PretrainConfig.from_values({"data": "digits", "preset": "plain", "steps": 10, "out": "gan", **chosen})
        assert {key: getattr(config, key) for key in chosen} == chosen, name


def test_each_change_is_a_line_that_is_not_done_again(constants, tmp_path, capsys):
    words = [*WORDS, *SMALL, "--out", str(tmp_path)]
    constants.main(words)
    text = (tmp_path / "results.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["change"], row["seed"]) for row in rows] == [("preset", 100), ("rates-double", 100)]
    assert rows[1]["options"] == {"learning_rate": 2e-3}
    assert rows[0]["frechet_distance"] != rows[1]["frechet_distance"]
    capsys.readouterr()
    constants.main(words)
    assert (tmp_path / "results.jsonl").read_text() == text
    assert capsys.readouterr().out.splitlines()[2].startswith("| preset | ")


def test_the_table_has_the_geometric_mean_of_ratios_paired_by_seed(constants):
    rows = [
        {"change": change, "seed": seed, "frechet_distance": distance, "recall": 0.5, "margin": 0.25}
        for change, seed, distance in (
            ("preset", 1, 2.0), ("preset", 2, 1.0), ("beta1-.5", 1, 1.0), ("beta1-.5", 2, 2.0), ("beta1-.5", 3, 9.0),
        )
    ]  # fmt: skip
    assert constants.table(rows).splitlines()[2:] == [
        "| preset | 2.00, 1.00 | 1.00 | 0.50 | 0.25 |",
        "| beta1-.5 | 1.00, 2.00, 9.00 | 1.00 | 0.50 | 0.25 |",
    ]
