"""Options of preview: a picture, and how much is on it."""

import pytest

from synthcl.pipeline.configs.preview import PreviewConfig
from synthcl.pipeline.errors import UsageError

GIVEN = {"generator": "g", "out": "x.png"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": "x.jpg"}, "--out x.jpg must end in .png"),
        ({"num_samples": 0}, "--num-samples must be at least 1, not 0"),
        ({"num_samples": 4097}, "--num-samples must be at most 4096, not 4097"),
        ({"columns": 0}, "--columns must be at least 1, not 0"),
        ({"generator": None}, "Missing option '--generator'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        PreviewConfig.from_values({**GIVEN, **options})


def test_where_data_sets_are_means_nothing_without_data():
    with pytest.raises(UsageError, match=r"--data-root.*--data"):
        PreviewConfig(**GIVEN, data_root="there").check_given(["data_root"])
    PreviewConfig(**GIVEN, data="cifar10", data_root="there").check_given(["data_root"])
