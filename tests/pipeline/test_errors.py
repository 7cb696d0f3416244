"""What an error says to whom: exit codes on the command line, and plain exceptions to code that knows none of them."""

import click
import pytest
from click.testing import CliRunner

from synthcl.cli.command import Command
from synthcl.pipeline.errors import DataError, RunStopped, UsageError
from synthcl.pipeline.runs.loop import Diverged, Interrupted

SENTENCE = "--size 3 is too small; give 8"


@pytest.mark.parametrize(
    ("error", "code", "caught_as"),
    [
        (UsageError(SENTENCE), 2, ValueError),
        (DataError(SENTENCE), 1, ValueError),
        (RunStopped(SENTENCE), 1, RuntimeError),
        (Diverged(SENTENCE), 1, RuntimeError),
        (Interrupted(SENTENCE, "SIGINT"), 1, RuntimeError),
        (Interrupted(SENTENCE, "SIGTERM"), 75, RuntimeError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_ends_with_its_sentence_and_its_exit_code(error, code, caught_as):
    @click.command(cls=Command)
    def command():
        raise error

    result = CliRunner().invoke(command, [])
    assert result.exit_code == code
    assert result.stderr.rstrip().endswith(f"Error: {SENTENCE}") and result.stdout == ""
    with pytest.raises(caught_as, match=SENTENCE):
        raise error
