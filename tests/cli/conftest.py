"""Shared by the tests of the command line: a tiny generator, and commands called as users call them."""

import json

import pytest
from click.testing import CliRunner

from synthcl.cli import main


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
