"""Side tables: columns that come later."""

from pathlib import Path

import numpy as np
import pytest

from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.shards.side_tables import write_side_table


def test_side_tables_are_columns_too(recorded: Path, selected, digest) -> None:
    before = digest(recorded)
    write_side_table(recorded, "score", {"hardness": np.arange(30.0), "cluster": np.arange(30) % 4})
    write_side_table(recorded, "later", {"cluster": np.arange(30) % 3})
    assert before.items() <= digest(recorded).items()  # nothing was touched
    shards = open_shard_set(recorded)
    names = shards.locator.column_names()
    assert {"cluster", "score_cluster", "score_hardness"} <= set(names) and names.count("hardness") == 1
    assert selected(recorded, "score_hardness >= 28") == [28, 29]
    assert selected(recorded, "score_cluster = 1 and cluster = 1 and step < 8") == [1, 13]
    assert shards.column("score_hardness").tolist() == list(range(30))
    assert shards.table([17, 3], ["score_cluster", "step"]).to_pydict() == {"score_cluster": [1, 3], "step": [5, 1]}


def test_side_tables_are_checked(recorded: Path, make_set) -> None:
    with pytest.raises(UsageError, match="has letters, digits and underscores"):
        write_side_table(recorded, "../x", {})
    with pytest.raises(ValueError, match="has 5 values for 30 samples"):
        write_side_table(recorded, "score", {"cluster": np.arange(5)})
    path = write_side_table(recorded, "score", {"cluster": np.arange(30)})
    with pytest.raises(UsageError, match="is there already"):
        write_side_table(recorded, "score", {"cluster": np.arange(30)})
    write_side_table(recorded, "score", {"cluster": np.arange(30)}, overwrite=True)
    other = make_set()
    (other / ".synthcl" / "tables").mkdir()
    (other / ".synthcl" / "tables" / "score.parquet").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="belongs to another set"):
        open_shard_set(other, where="cluster = 1")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"score\.parquet is damaged"):
        open_shard_set(recorded, where="cluster = 1")
