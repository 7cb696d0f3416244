"""What a set is made of, from the options of `generate`."""

import pytest

from synthcl.generators import Generator, create_trainer
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.generation.generate import generate


def test_pairs_that_a_generator_cannot_make_are_wrong_usage(run, tmp_path, monkeypatch):
    monkeypatch.setattr(Generator, "check_group", lambda self, strength: create_trainer("vae", 8))
    with pytest.raises(UsageError, match="'vae'"):
        generate(generator=str(run), num_samples=1, out=str(tmp_path / "x"), pairs=True)
    assert not (tmp_path / "x").exists()
