"""`synthcl export` as users call it: the card states data, regime, metrics and the command."""

import json
import shlex

TINY = ["--image-size", "8", "--batch-size", "16", "--backbone", "resnet10-w8", "--precision", "fp32", "--steps", "3"]


def test_a_run_with_its_metrics(synthcl, tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    synthcl("train", "--data", "digits", *TINY, "--out", run)
    linear = synthcl("eval", "linear", run, "--data", "digits", "--label-fraction", 0.1, "--json").json
    synthcl("eval", "knn", run, "--data", "digits", "--test-data", "digits:train")
    synthcl("eval", "knn", run, "--data", "digits", "--untrained")
    made = synthcl("export", run, "--out", out, "--json").json
    assert {"run", "to", "out", "files", "backbone", "loading"} <= set(made)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: synthcl\n") and "regime `real`" in card and "| data | digits" in card
    assert f"| linear | digits:train | digits:test | 10% | {100 * linear['top1']:.2f} (" in card
    assert "**not held out**" in card and card.count("| knn |") == 1
    command = next(line for line in card.splitlines() if line.startswith("synthcl train"))
    again = synthcl(*shlex.split(command)[1:], "--json").json  # the command is this very run's
    assert again == json.loads((run / "result.json").read_text())
    assert (
        synthcl("eval", "linear", out, "--data", "digits", "--label-fraction", 0.1, "--json").json["top1"]
        == (linear["top1"])
    )
    alone = synthcl("export", run, "--out", tmp_path / "alone.safetensors")
    assert "create_backbone" in alone.stdout
    assert alone.stderr.splitlines()[-1] == f"next: synthcl embed {run} --data digits --out {run}-features.parquet"
    assert "no counterpart in torchvision" in " ".join(
        synthcl("export", run, "--to", "torchvision", "--out", tmp_path / "tv", code=2).stderr.split()
    )


def test_wrong_use_gets_a_sentence(synthcl, tmp_path):
    assert "there is no run nowhere" in synthcl("export", "nowhere", "--out", tmp_path / "x", code=1).stderr
    assert "'torchvision', 'timm'" in synthcl("export", "x", "--to", "onnx", "--out", tmp_path / "x", code=2).stderr
    assert "--out" in synthcl("export", "x", code=2).stderr
