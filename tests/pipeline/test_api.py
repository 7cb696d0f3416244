"""What notebooks import from `synthcl.pipeline`, and the example that uses it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from synthcl import pipeline
from synthcl.pipeline import TrainConfig, evaluate, train
from synthcl.pipeline.errors import UsageError

TOUR = Path(__file__).parents[2] / "examples" / "notebook_tour.py"


@pytest.mark.parametrize("name", pipeline.__all__)
def test_every_name_is_there(name):
    assert callable(getattr(pipeline, name))


def test_names_load_when_they_are_used():
    code = (
        "import sys; from synthcl.pipeline import TrainConfig; import synthcl.pipeline; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
    with pytest.raises(AttributeError, match="attribute trian"):
        _ = pipeline.trian


def test_the_tour(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("notebook_tour", TOUR)
    tour = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tour)
    scores = tour.main(tmp_path)
    assert set(scores) == {"real", "offline", "online"} and all(score > 0.5 for score in scores.values())
    assert (tmp_path / "embeddings.png").exists() and (tmp_path / "encoder" / "README.md").exists()
    assert "load_state_dict" in capsys.readouterr().out


def test_options_by_name_are_checked_like_those_of_the_command(tmp_path):
    with pytest.raises(UsageError, match="no option 'epoch'"):
        train(data="digits", epoch=3, out=str(tmp_path / "x"))
    with pytest.raises(UsageError, match="Missing option '--data'"):
        train(steps=3, out=str(tmp_path / "x"))
    with pytest.raises(TypeError, match="a TrainConfig or options by name, not both"):
        train(TrainConfig(data="digits", steps=3, out=str(tmp_path / "x")), steps=4)
    with pytest.raises(UsageError, match="no evaluation 'svm'; choose one of linear, knn"):
        evaluate("x", "digits", task="svm")
    assert not (tmp_path / "x").exists()
