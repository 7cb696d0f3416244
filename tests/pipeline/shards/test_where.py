"""Conditions: what they select, and what they may not do."""

import time
from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.shards import open_shard_set


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("sample_index < 5", [0, 1, 2, 3, 4]),
        ("hardness > 2 and sample_index < 12 and not isnan(hardness)", [7, 9, 10]),
        ("step between 3 and 4 and latent_index = 0", [9, 12]),
        ("Generator = 'a' AND step IN (4, 6, 7)", [12, 13, 14, 18, 19, 20]),
        ("pair_similarity is null and sample_index % 10 = 0", [0, 10, 20]),
        ("key >= '0000000028' -- a comment", [28, 29]),
        ("abs(step - 9) < 0.5", [27, 28, 29]),
    ],
)
def test_conditions(recorded: Path, selected, where: str, expected: list[int]) -> None:
    assert selected(recorded, where) == expected


def test_a_selected_set_is_numbered_anew(recorded: Path) -> None:
    shards = open_shard_set(recorded, where="step >= 7")
    assert len(shards) == 9 and shards.keys([0, 8]) == ["0000000021", "0000000029"]
    assert (shards.column("step") == np.repeat([7, 8, 9], 3)).all()
    assert (shards.read_views(range(9)).numpy()[:, 0, 0, 0, 0] == np.repeat([7, 8, 9], 3)).all()
    with pytest.raises(IndexError):
        shards.read_views([9])


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("nonsense > 1", "there is no column 'nonsense'; there are key, shard, sample_index"),
        ("hardness >", "syntax error"),
        ("hardness", "gives a value of type FLOAT, not yes or no"),
        ("1 = 1", "it names no column"),
        ("step > 1000", "selects none of the 30 samples"),
        ("step > 1; DROP TABLE x", "cannot be used"),
        ("step > 1) OR (1 = 1", "cannot be used"),
        ("step > 1 UNION SELECT 1", "cannot be used"),
        ("step in (SELECT 1)", "cannot hold a SELECT"),
        ("(SELECT count(*) FROM range(100000000000)) > step", "cannot hold a SELECT"),
        ("step > 1 AND exists(SELECT * FROM read_text('/etc/hostname'))", "cannot hold a SELECT"),
        ("random() < 0.5 or step = 1", "random.. does not depend on the sample alone"),
        ("now() > '2020-01-01' or step = 1", "now.. does not depend on the sample alone"),
        ("gen_random_uuid() = key", "does not depend on the sample alone"),
        ("sleep_ms(100000) = step", "cannot be used"),
        ("length(repeat(key, 1000000000000)) > 1", "cannot be used"),
        ("(" * 4000 + "step" + ")" * 4000, "cannot be used"),
        ("step > 1" + " " * 10_000, "10,008 characters"),
        ("cast(key as integer) > 'x'", "cannot be used"),
        ("", "cannot be used"),
    ],
)
def test_what_a_condition_may_not_do(recorded: Path, where: str, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(UsageError, match=message):
        open_shard_set(recorded, where=where)
    assert time.monotonic() - start < 5
