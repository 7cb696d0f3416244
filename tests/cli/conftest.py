"""Shared by the tests of the command line: a tiny generator, and commands called as users call them."""

import json

import pytest
from click.testing import CliRunner

from synthcl.cli import main
from synthcl.pipeline.evaluation import linear


@pytest.fixture(scope="session")
def synthcl():
    """Call `synthcl ARGUMENTS`; the result has `exit_code`, `stdout`, `stderr`, and `json` of what was printed."""

    def call(*arguments, code=0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        if code:
            assert result.stdout == ""
            assert result.stderr.count("Error:") == 1
        result.json = json.loads(result.stdout) if result.stdout.startswith("{") else None
        return result

    return call


@pytest.fixture(scope="session")
def generator(synthcl, tmp_path_factory):
    """A run of `pretrain`, a few steps long."""
    path = tmp_path_factory.mktemp("pretrained") / "generator"
    synthcl(
        "pretrain", "--data", "digits", "--image-size", 8, "--preset", "tiny", "--steps", 3, "--batch-size", 8,
        "--sample-every", 2, "--out", path,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def quick_probes():
    """One penalty, chosen on one fold: encoders of two steps take the solver long, and that is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "L2_GRID", (0.1,))
        patch.setattr(linear, "FEW_SAMPLES", 0)
        yield


@pytest.fixture(scope="session")
def train(synthcl):
    """Call `synthcl train` on digits of 8 pixels, with a small encoder: `train(out, *options, steps=4)`."""
    tiny = ["--image-size", 8, "--batch-size", 16, "--backbone", "resnet10-w8", "--precision", "fp32"]

    def call(out, *options, code=0, steps=4):
        given = ["--data", "digits", "--out", out, "--steps", steps, *tiny, *options, "--json"]
        return synthcl("train", *given, code=code)

    return call
