"""What the shell completes, as Click's bash script asks for it."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from synthcl.cli import main


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """The completions of a line, (type, value), in a folder with a run, a folder and a file."""
    for name in ("runs/real", "runs/online", "photos"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("real", "online"):
        (tmp_path / "runs" / name / "run.json").write_text('{"command": "train"}')
    monkeypatch.chdir(tmp_path)

    def ask(line):
        words = f"synthcl {line}"
        asked = {"_SYNTHCL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        result = CliRunner().invoke(main, env=asked, prog_name="synthcl")
        return [tuple(found.split(",", 1)) for found in result.stdout.splitlines()]

    return ask


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tr", [("plain", "train")]),
        ("shards ver", [("plain", "verify")]),
        ("train --learner m", [("plain", "moco"), ("plain", "mocov3")]),
        ("train --backbone resnet1", [("plain", "resnet10"), ("plain", "resnet18")]),
        ("train --data cifar1", [("plain", "cifar10"), ("plain", "cifar100")]),
        ("train --data f", [("plain", n) for n in ("fashion-mnist", "food101", "fgvc-aircraft", "flowers102")]),
        ("eval transfer runs/real --suite vt", [("plain", "vtab-like")]),
        ("eval robustness runs/real --corruptions jp", [("plain", "jpeg")]),
        ("train --data pho", [("file", "pho")]),
        ("train --config cifar10-", [("plain", "cifar10-16px")]),
        ("train --config ph", [("file", "ph")]),
        ("embed --config cifar10-", [("file", "cifar10-")]),
        ("train --out ru", [("dir", "ru")]),
        ("train --config x", [("file", "x")]),
        ("generate --generator runs/r", [("plain", "runs/real")]),
        ("eval linear runs/", [("plain", "runs/online"), ("plain", "runs/real")]),
        ("eval linear pho", [("dir", "pho")]),
        ("eval linear nowhere/x", [("dir", "nowhere/x")]),
        ("runs show runs/o", [("plain", "runs/online")]),
        ("export runs/real --to ti", [("plain", "timm")]),
        ("shards list ru", [("dir", "ru")]),
        ("shards score s --encoder runs/r", [("plain", "runs/real")]),
        ("shards verify ru", [("dir", "ru")]),
        ("shards preview s --out x", [("file", "x")]),
        ("shards score s --data di", [("plain", "digits")]),
    ],
)
def test_completions(complete, line, expected):
    assert complete(line) == expected


def test_completing_needs_no_torch():
    code = "import sys; from synthcl.cli import main\n"
    code += "try: main(prog_name='synthcl')\nfinally: print('torch' in sys.modules)"
    for line in ("synthcl train --data di", "synthcl eval linear x"):
        asked = {"_SYNTHCL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked)
        assert done.stdout.endswith("False\n"), done
