"""Options of the commands of shard sets."""

import pytest

from synthcl.pipeline.configs.shards import ScoreConfig, ShardPreviewConfig
from synthcl.pipeline.errors import UsageError

PREVIEW, SCORE = {"out": "x.png"}, {"encoder": "run"}
WRONG = {
    "an order of nothing": (ShardPreviewConfig, {**PREVIEW, "ascending": True}, "without --sort COLUMN; give both"),
    "another picture": (ShardPreviewConfig, {"out": "x.webp"}, "--out x.webp must end in .png"),
    "too many columns": (ShardPreviewConfig, {**PREVIEW, "columns": 65}, "--columns must be at most 64, not 65"),
    "one cluster": (ScoreConfig, {**SCORE, "clusters": 1}, "--clusters must be at least 2, not 1"),
    "no encoder": (ScoreConfig, {}, "Missing option '--encoder'"),
    "a negative seed": (ScoreConfig, {**SCORE, "seed": -1}, "--seed must be at least 0, not -1"),
}


@pytest.mark.parametrize(("config", "options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(config, options, message):
    with pytest.raises(UsageError, match=message):
        config.from_values(options)


def test_the_smallest_come_first_of_a_column_that_is_named():
    config = ShardPreviewConfig(**PREVIEW, sort="hardness", ascending=True)
    config.check_given(["sort", "ascending"])
    assert config.ascending
