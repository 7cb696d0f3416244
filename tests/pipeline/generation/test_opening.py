"""Generators on disk, opened to draw from."""

import pytest

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.generation.opening import generator_options, open_generator


def test_a_generator_is_opened_to_stay_as_it_is(run):
    generator = open_generator(str(run), precision="fp32")
    assert not generator.training and generator.computes_in == "fp32"
    assert not any(parameter.requires_grad for parameter in generator.parameters())
    with pytest.raises(UsageError, match="sampling_steps"):
        open_generator(str(run), sampling_steps=3)


def test_other_errors_pass():
    with pytest.raises(ValueError, match="damaged") as error, generator_options():
        raise ValueError("damaged")
    assert not isinstance(error.value, UsageError)
