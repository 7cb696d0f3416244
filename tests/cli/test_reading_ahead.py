"""Runs whose images are read ahead are those whose are not, resumed too; errors of images are the user's as before."""

import contextlib
import hashlib
import shutil
import threading

import pytest

from synthcl.pipeline.data.ahead import Ahead
from synthcl.pipeline.regimes import assembly, fresh, offline, online, real, replay

SMALL = ["--image-size", 8, "--batch-size", 8, "--steps", 5, "--log-every", 1, "--checkpoint-every", 2, "--keep", 9,
         "--cache", "none"]  # fmt: skip
TRAIN = [*SMALL, "--backbone", "resnet10-w8", "--precision", "fp32"]


@pytest.fixture
def folder(tmp_path, picture):
    (tmp_path / "images").mkdir()
    for number in range(20):
        picture(number).save(tmp_path / "images" / f"{number:02}.png")
    return tmp_path / "images"


@pytest.fixture
def picture():
    from PIL import Image

    return lambda seed: Image.radial_gradient("L").rotate(17 * seed).resize((12, 12)).convert("RGB")


def weights(run):
    files = sorted(run.rglob("checkpoints/*/*.safetensors"))
    return {str(f.relative_to(run)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


@contextlib.contextmanager
def not_open(self, total_steps):
    yield


@pytest.mark.parametrize("kind", ["pretrain", "offline"])
def test_the_run_is_the_same_and_resumes(synthcl, generator, folder, tmp_path, monkeypatch, kind):
    if kind == "offline":
        synthcl("generate", "--generator", generator, "--num-samples", 30, "--workers", 0, "--out", tmp_path / "set")
    command = {
        "pretrain": ["pretrain", "--data", folder, *SMALL, "--preset", "tiny", "--sample-every", 100],
        "offline": ["train", "--data", folder, *TRAIN, "--shards", tmp_path / "set"],
    }[kind]
    opened = []
    original = Ahead.open
    monkeypatch.setattr(Ahead, "open", lambda self, steps: opened.append(steps) or original(self, steps))
    synthcl(*command, "--out", tmp_path / "ahead")
    assert opened == ([5] if kind == "pretrain" else [5, 5]) and readers() == []
    shutil.copytree(tmp_path / "ahead", tmp_path / "cut")
    (tmp_path / "cut" / "result.json").unlink()
    for checkpoint in sorted((tmp_path / "cut" / "checkpoints").iterdir())[1:]:
        shutil.rmtree(checkpoint)
    synthcl(*command, "--out", tmp_path / "cut")
    monkeypatch.setattr(Ahead, "open", not_open)
    synthcl(*command, "--out", tmp_path / "plain")
    assert weights(tmp_path / "ahead") == weights(tmp_path / "plain") == weights(tmp_path / "cut")


@pytest.mark.parametrize("regime", ["real", "offline", "fresh", "online", "replay"])
def test_a_step_sees_the_images_that_it_would_see_without(synthcl, generator, folder, tmp_path, monkeypatch, regime):
    """Real ones and samples: what each step makes of them is written down, to the bit."""
    options = ["--generator", generator]
    if regime == "offline":
        synthcl("generate", *options, "--num-samples", 30, "--workers", 0, "--out", tmp_path / "set")
        options = ["--shards", tmp_path / "set"]
    elif regime == "replay":
        recorded = ["--record", tmp_path / "recording", "--out", tmp_path / "recorded"]
        synthcl("train", "--data", folder, *TRAIN, "--online", *options, *recorded)
        options = ["--replay", tmp_path / "recording"]
    elif regime == "real":
        options = []
    else:
        options = [f"--{regime}", *options]
    seen, threads = {}, set()
    read, assemble = Ahead._read, assembly.assemble

    def read_noting_the_thread(self, step):
        threads.add(threading.current_thread().name.rpartition("_")[0])
        return read(self, step)

    def noting(real, views, share, step, real_images, samples, *rest):
        shown = [images.detach().numpy().tobytes() for images in (real_images, *samples)]
        seen[way].append((step, hashlib.sha256(b"".join(shown)).hexdigest()))
        return assemble(real, views, share, step, real_images, samples, *rest)

    monkeypatch.setattr(Ahead, "_read", read_noting_the_thread)
    for module in (real, offline, fresh, online, replay):
        monkeypatch.setattr(module, "assemble", noting)
    for way, expected in (("ahead", {"read-ahead"}), ("plain", {""})):
        seen[way] = []
        threads.clear()
        if way == "plain":
            monkeypatch.setattr(Ahead, "open", not_open)
        synthcl("train", "--data", folder, *TRAIN, *options, "--out", tmp_path / way)
        assert threads == expected
    assert seen["ahead"] == seen["plain"] and len({images for _, images in seen["plain"]}) == 5
    assert weights(tmp_path / "ahead") == weights(tmp_path / "plain")


def test_a_damaged_image_is_told_as_before(synthcl, folder, tmp_path):
    (folder / "07.png").write_bytes((folder / "07.png").read_bytes()[:40])
    result = synthcl("train", "--data", folder, *TRAIN, "--out", tmp_path / "run", code=1)
    assert "07.png" in " ".join(result.stderr.split()).replace(" ", "") and readers() == []
