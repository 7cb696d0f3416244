"""The benchmark of encoders that are to tell a drift, made small."""

import importlib
import json
from pathlib import Path

import pytest

from synthcl.pipeline import pretrain

ENCODER = "random:resnet10-w8"
ONLINE = Path(__file__).parents[2] / "benchmarks" / "online"


@pytest.fixture
def drift(monkeypatch):
    monkeypatch.syspath_prepend(str(ONLINE))
    return importlib.import_module("drift")


def test_each_encoder_and_number_is_a_line_with_the_distance_of_each_generator(drift, tmp_path, capsys):
    gan = str(tmp_path / "gan")
    pretrain(data="digits", image_size=8, preset="tiny", steps=1, batch_size=8, out=gan)
    words = ["--data", "digits", "--image-size", "8", "--encoders", ENCODER, "--num-images", "150,200"]
    drift.main([*words, "--generator", f"before={gan}", "--generator", f"after={gan}"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["encoder"], row["num_images"]) for row in rows] == [(ENCODER, 150), (ENCODER, 200)]
    # A generator of one step draws nothing like digits, and the same whatever it is called.
    assert all(row["before"] == row["after"] > 1 and row["real"] > 0 for row in rows)
