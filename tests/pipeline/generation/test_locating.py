"""Where the generator is that a user names."""

import json

import pytest

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.generation.locating import locate_generator


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("pretrain", "is a run of `synthcl pretrain` that is not finished; run its command again first"),
        ("train", "`synthcl train` and has no generator; .* or a finished one of `synthcl train --online`"),
        ("compare", "`synthcl compare` and has no generator; give a run of `synthcl pretrain`$"),
    ],
)
def test_a_run_without_a_generator_says_what_it_is(tmp_path, command, message):
    (tmp_path / "run.json").write_text(json.dumps({"command": command}))
    with pytest.raises(DataError, match=message) as error:
        locate_generator(str(tmp_path))
    assert str(tmp_path) in str(error.value)


def test_where_the_generator_of_a_source_is(run, tmp_path):
    assert locate_generator(str(run)) == str(run / "generator")
    for source in (str(run / "generator"), "somebody/pipeline", "package.module:Class", str(tmp_path / "nowhere")):
        assert locate_generator(source) == source
