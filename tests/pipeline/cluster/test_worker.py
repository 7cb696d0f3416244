"""What a worker does first on its node."""

import os

import pytest

from synthcl.pipeline.cluster.worker import enter_node
from synthcl.pipeline.errors import DataError


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """One in which a launcher has started Ray, and that each test leaves as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")


@pytest.mark.parametrize(("gpu", "devices"), [(True, "0"), (False, "")])
def test_it_works_by_itself_in_the_folder_and_sees_gpus_if_it_may(tmp_path, gpu, devices):
    (tmp_path / "there").mkdir()
    enter_node(str(tmp_path / "there"), gpu)
    assert os.getcwd() == str(tmp_path / "there")
    assert "WORLD_SIZE" not in os.environ and os.environ["CUDA_VISIBLE_DEVICES"] == devices


def test_a_folder_that_the_node_does_not_have_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot enter .*nowhere, which paths start from: No such file"):
        enter_node(str(tmp_path / "nowhere"), True)
