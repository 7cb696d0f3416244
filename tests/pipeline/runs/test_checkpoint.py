"""Checkpoints: what is saved comes back bit for bit, damage is noticed, the newest whole one is taken."""

import logging

import pytest
import torch

from synthcl.pipeline.errors import DataError
from synthcl.pipeline.runs.checkpoint import load_checkpoint, load_newest, save_checkpoint
from synthcl.pipeline.runs.checkpoint_files import list_checkpoints


class Part:
    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return self.state


def a_state():
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "plain": {"step": 3, "rate": 0.1, "name": "x", "on": True, "none": None},
        "nest": [torch.tensor(7, dtype=torch.int64), (1, torch.ones(2, dtype=torch.bfloat16))],
        "empty": torch.zeros(0, 4),
        "strided": torch.arange(6.0).reshape(2, 3).t(),
        "channels last": torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "a part": torch.arange(10.0)[::2],
    }


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_a_state_comes_back_bit_for_bit(tmp_path):
    state = a_state()
    path = save_checkpoint(tmp_path, 5, {"all": Part(state), "none": Part({})}, keep=2, extra={"seconds": 1.5})
    back = load_checkpoint(path)
    assert (back.step, back.extra) == (5, {"seconds": 1.5})
    assert same(dict(state), back.parts["all"])
    assert back.parts["none"] == {}
    assert back.parts["all"]["channels last"].is_contiguous(memory_format=torch.channels_last)
    assert back.parts["all"]["strided"].stride() == (1, 3)
    assert back.parts["all"]["a part"].is_contiguous()


def test_the_last_ones_are_kept_and_nothing_temporary(tmp_path):
    (tmp_path / ".tmp-step-00000009-dead").mkdir(parents=True)
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, step, {"p": Part({"x": torch.tensor(step)})}, keep=2)
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-00000002", "step-00000010"]
    assert not list(tmp_path.glob(".tmp-*"))


def test_what_was_passed_over_as_damaged_goes_with_the_next_that_is_saved_and_not_that_one(tmp_path):
    def save(step):
        save_checkpoint(tmp_path, step, {"p": Part({"x": torch.tensor(step)})}, keep=2)

    save(10)
    save(20)
    (tmp_path / "step-00000020" / "p.json").unlink()
    assert load_newest(tmp_path).step == 10
    save(15)
    assert [p.name for p in list_checkpoints(tmp_path)] == ["step-00000010", "step-00000015"]


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGES = {
    "flipped byte in the tensors": lambda path: flip(path / "p.safetensors"),
    "flipped byte in the tree": lambda path: flip(path / "p.json"),
    "truncated tensors": lambda path: (path / "p.safetensors").write_bytes((path / "p.safetensors").read_bytes()[:-1]),
    "missing file": lambda path: (path / "p.json").unlink(),
    "missing manifest": lambda path: (path / "manifest.json").unlink(),
    "half a manifest": lambda path: (path / "manifest.json").write_text('{"step": 2, "fi'),
    "empty manifest": lambda path: (path / "manifest.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_checkpoint_is_passed_over_with_a_warning_that_names_it(tmp_path, damage, caplog):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {"p": Part({"x": torch.full((100,), float(step))})}, keep=2)
    damage(tmp_path / "step-00000002")
    with caplog.at_level(logging.WARNING):
        assert load_newest(tmp_path).step == 1
    assert "step-00000002" in caplog.text
    damage(tmp_path / "step-00000001")
    with pytest.raises(DataError, match="none of the checkpoints"):
        load_newest(tmp_path)


def test_none_saved_is_no_error(tmp_path):
    assert load_newest(tmp_path / "checkpoints") is None


def test_a_state_that_would_need_pickle_is_refused(tmp_path):
    with pytest.raises(TypeError, match="object at x"):
        save_checkpoint(tmp_path, 1, {"p": Part({"x": object()})}, keep=1)
    assert not list(tmp_path.iterdir())
