"""Finding samples: their rows in the order asked for, and indices that do not exist."""

import numpy as np
import pytest

from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.locator import SampleLocator
from synthcl.pipeline.shards.readable import LocalReadableSet


def test_tables_come_in_the_order_asked_for(make_set) -> None:
    shards = open_shard_set(make_set())
    table = shards.table([41, 3, 3, 22], ["sample_index", "shard"])
    assert table.to_pydict() == {
        "sample_index": [41, 3, 3, 22],
        "shard": ["000002.tar", "000000.tar", "000000.tar", "000001.tar"],
    }
    assert (shards.column("sample_index") == np.arange(50)).all()
    assert len(shards.table([])) == 0


@pytest.mark.parametrize("index", [-1, 50])
def test_indices_outside_are_refused(make_set, index: int) -> None:
    with pytest.raises(IndexError, match=str(index)):
        open_shard_set(make_set()).read_views([0, index])


def test_samples_are_located_and_described(make_set) -> None:
    locator = SampleLocator(LocalReadableSet(make_set()))
    shards, rows = locator.locate(np.array([0, 19, 20, 49]))
    assert (shards.tolist(), rows.tolist(), len(locator)) == ([0, 0, 1, 2], [0, 19, 0, 9], 50)
    assert locator.describe(49).startswith("sample '0000000049' (row 9 of 000002.tar)")
