"""`train --compile`: what is compiled computes what the rest does, in every regime that makes views."""

import functools
import json

import pytest
import torch

TRAIN = [
    "train", "--data", "digits", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--precision",
    "fp32", "--views", "simclr-cifar", "--steps", 3, "--log-every", 1,
]  # fmt: skip


@pytest.fixture
def backend(monkeypatch):
    """Graphs are traced and run as they are, without the minutes that the compiler takes."""
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    yield
    torch.compiler.reset()


# torch's own, as it traces images that a generator made; it hides it from users.
@pytest.mark.filterwarnings("ignore:.*The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("regime", ["real", "offline", "fresh", "online"])
def test_a_compiled_training_is_the_same(synthcl, generator, tmp_path, monkeypatch, regime):
    begun = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: begun.append(regime))
    given = [] if regime == "real" else [f"--{regime}", "--generator", generator]
    if regime == "offline":
        samples = ["--num-samples", 16, "--pairs", "--workers", 0, "--out", tmp_path / "set"]
        synthcl("generate", "--generator", generator, *samples)
        given = ["--shards", tmp_path / "set"]
    rows = {}
    for name, more in (("plain", []), ("compiled", ["--compile"])):
        synthcl(*TRAIN, *given, *more, "--out", tmp_path / name)
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        rows[name] = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows["compiled"]] == [1, 2, 3]
    for plain, compiled in zip(rows["plain"], rows["compiled"], strict=True):
        assert plain.keys() == compiled.keys()
        numbers = [name for name in plain if "seconds" not in name and "per_second" not in name]
        assert [compiled[name] for name in numbers] == pytest.approx([plain[name] for name in numbers], rel=5e-3)
    assert begun == [regime] * 3  # by the compiled one: CUDA graphs need to know where a step begins
