"""Options of the demo."""

import pytest

from synthcl.pipeline.configs.demo import DemoConfig
from synthcl.pipeline.errors import UsageError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "--seeds must be at least 1, not 0"),
        ({"image_size": 4}, "--image-size must be at least 8, not 4"),
        ({"batch_size": 1}, "--batch-size must be at least 2, not 1"),
        ({"train_steps": 0}, "--train-steps must be at least 1, not 0"),
        ({"pretrain_steps": 0}, "--pretrain-steps must be at least 1, not 0"),
        ({"steps": 3}, "there is no option 'steps'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        DemoConfig(**options)
