"""`--layer-decay` of `train` and `eval finetune`: what it changes, that it is taken up again, where it is refused."""

import pytest

from synthcl.pipeline.evaluation import supervised

pytest.importorskip("timm")

SMALL = ["--image-size", 16, "--batch-size", 8, "--precision", "fp32", "--log-every", 1]
VIT = ["--backbone", "timm:test_vit"]
FIT = ["--data", "digits:train[:40]", "--test-data", "digits:test[:20]", "--epochs", 1, "--batch-size", 10, "--json"]


def train(synthcl, out, *options, steps=2, code=0):
    command = ["train", "--data", "digits[:40]", "--out", out, "--steps", steps, *SMALL, *options]
    return synthcl(*command, code=code)


def weights(run):
    return (run / "encoder" / "model.safetensors").read_bytes()


def test_a_training_with_it_is_another_and_continues_bit_for_bit(synthcl, tmp_path):
    options = [*VIT, "--optimizer", "adamw", "--layer-decay", 0.5, "--checkpoint-every", 2]
    train(synthcl, tmp_path / "plain", *options[:4], steps=4)
    train(synthcl, tmp_path / "whole", *options, steps=4)
    train(synthcl, tmp_path / "run", *options, steps=4)
    for file in (tmp_path / "run" / "checkpoints" / "step-00000004").iterdir():
        file.write_bytes(b"")  # damaged: the run goes on from the one before
    (tmp_path / "run" / "result.json").unlink()
    train(synthcl, tmp_path / "run", *options, steps=4)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole") != weights(tmp_path / "plain")
    optimizer = "checkpoints/step-00000004/optimizer.safetensors"
    assert (tmp_path / "run" / optimizer).read_bytes() == (tmp_path / "whole" / optimizer).read_bytes()


def test_fine_tuning_gives_each_layer_its_rate(synthcl, tmp_path, monkeypatch):
    train(synthcl, tmp_path / "run", *VIT)
    seen, step = [], supervised.SupervisedStep.__call__

    def watched(self, number):
        found = step(self, number)
        names = {id(p): name for name, p in self.model.named_parameters()}
        seen.append({names[id(p)]: group["lr"] for group in self.optimizer.param_groups for p in group["params"]})
        return found

    monkeypatch.setattr(supervised.SupervisedStep, "__call__", watched)
    finetune = ["eval", "finetune", tmp_path / "run", *FIT]
    result = synthcl(*finetune, "--layer-decay", 0.5).json
    assert result["layer_decay"] == 0.5
    first = seen[0]
    rate, head_rate = 0.02 * 10 / 256, 0.2 * 10 / 256
    assert first["head.weight"] == pytest.approx(head_rate)
    assert first["backbone.norm.weight"] == pytest.approx(rate * 0.5)
    assert first["backbone.blocks.0.mlp.fc1.weight"] == pytest.approx(rate * 0.5**6)
    assert first["backbone.pos_embed"] == pytest.approx(rate * 0.5**7)
    last = seen[-1]
    assert all(last[name] == pytest.approx(first[name] * last["head.weight"] / head_rate) for name in first)
    synthcl(*finetune)
    plain = seen[len(seen) // 2]
    assert plain.pop("head.weight") == plain.pop("head.bias") == pytest.approx(head_rate)
    assert set(plain.values()) == {rate}


def test_it_is_refused_for_backbones_whose_layers_are_not_known(synthcl, tmp_path):
    narrow = ["--backbone", "resnet10-w8"]
    words = "layer-wise decay is for backbones of timm, whose layers are known, such as timm:vit_tiny_patch16_224"
    refused = train(synthcl, tmp_path / "no", *narrow, "--layer-decay", 0.75, code=2)
    assert f"--layer-decay 0.75: {words}" in " ".join(refused.stderr.split()) and not (tmp_path / "no").exists()
    train(synthcl, tmp_path / "run", *narrow)
    refused = synthcl("eval", "finetune", tmp_path / "run", *FIT, "--layer-decay", 0.75, code=2)
    assert words in " ".join(refused.stderr.split())
    assert not (tmp_path / "run" / "evaluations").exists()
