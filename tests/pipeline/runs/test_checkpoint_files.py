"""The files of checkpoints: which there are, and which are whole."""

import pytest
import torch

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs.checkpoint import save_checkpoint
from synthcl.pipeline.runs.checkpoint_files import is_whole, list_checkpoints, read_manifest, steps_of


class Part:
    def state_dict(self):
        return {"x": torch.arange(3)}


def test_checkpoints_are_listed_by_their_steps_and_told_whole_from_damaged(tmp_path):
    for step in (9, 10, 100):
        save_checkpoint(tmp_path, step, {"p": Part()}, keep=3)
    found = list_checkpoints(tmp_path)
    assert [steps_of(path) for path in found] == [9, 10, 100]
    assert all(map(is_whole, found)) and read_manifest(found[0])["parts"] == ["p"]
    (found[1] / "p.json").write_text("{}")
    assert [is_whole(path) for path in found] == [True, False, True]
    with pytest.raises(DataError, match=r"step-00000010 is damaged: p\.json is not what was written"):
        read_manifest(found[1])
    assert list_checkpoints(tmp_path / "nowhere") == []
