"""`synthcl train --learner supcon`: labels of real images, and classes of samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synthcl.pipeline.shards import write_shard_set

SMALL = ("--image-size", 8, "--backbone", "resnet10-w8", "--batch-size", 16, "--precision", "fp32", "--steps", 2)
BASE = ("train", "--data", "digits[:100]", "--learner", "supcon", *SMALL)


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Makes a set of classes `numbers`; each sample shows its class, as brightness."""

    def make(name: str, numbers: int | None) -> str:
        folder = tmp_path_factory.mktemp("sets") / name
        write_shard_set(
            folder,
            {"name": name},
            40,
            20,
            lambda indices: (
                (indices % (numbers or 4) * 10).astype(np.uint8)[:, None, None, None, None]
                * np.ones((1, 1, 3, 8, 8), np.uint8)
            ),
            describe=None if numbers is None else lambda indices: {"class": (indices % numbers).tolist()},
            workers=0,
        )
        return str(folder)

    return make


def weights(run):
    from safetensors.torch import load_file

    return load_file(run / "encoder" / "model.safetensors")


def test_labels_change_the_encoder_and_stand_in_the_record(synthcl, tmp_path):
    supervised = synthcl(*BASE, "--out", tmp_path / "a", "--json").json
    synthcl("train", "--data", "digits[:100]", *SMALL, "--temperature", 0.1, "--out", tmp_path / "b")
    assert supervised["uses_labels"] is True
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_classes_of_samples_count_where_asked_for(synthcl, classes, tmp_path):
    shards = classes("ten", 10)
    synthcl(*BASE, "--shards", shards, "--out", tmp_path / "a")
    synthcl(*BASE, "--shards", shards, "--synthetic-classes", "--out", tmp_path / "b")
    one, other = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("regime", [("--fresh",), ("--online",)])
def test_samples_of_no_class_train_along(synthcl, generator, tmp_path, regime):
    result = synthcl(*BASE, *regime, "--generator", generator, "--out", tmp_path / "run", "--json").json
    assert result["steps"] == 2


def test_its_encoder_is_no_measure_of_generators(synthcl, tmp_path):
    synthcl(*BASE, "--out", tmp_path / "run")
    refused = synthcl(
        "pretrain", "--data", "digits", "--image-size", 8, "--preset", "tiny", "--steps", 1, "--batch-size", 8,
        "--eval-encoder", tmp_path / "run", "--eval-every", 1, "--out", tmp_path / "gan", code=2,
    )  # fmt: skip
    assert "was trained with labels (--learner supcon)" in " ".join(refused.stderr.split())


def test_what_cannot_be_is_refused_in_a_sentence(synthcl, classes, generator, tmp_path):
    (tmp_path / "photos").mkdir()
    from PIL import Image

    for number in range(20):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    for options, message in (
        ((*BASE, "--data", tmp_path / "photos"), "learns from labels, and"),
        ((*BASE, "--shards", classes("plain", None), "--synthetic-classes"), "has no column class"),
        ((*BASE, "--shards", classes("more", 12), "--synthetic-classes"), "has samples of class 10, and no real image"),
        ((*BASE, "--synthetic-classes"), "--synthetic-classes means nothing in the regime real"),
        ((*BASE, "--synthetic-classes", "--fresh", "--generator", generator), "draws for no classes"),
        ((*BASE, "--synthetic-classes", "--online", "--generator", generator), "draws for no classes"),
        (
            ("train", "--data", "digits[:100]", *SMALL, "--shards", classes("other", 10), "--synthetic-classes"),
            "is for a learner that takes labels, such as supcon; simclr does not",
        ),
    ):
        refused = synthcl(*options, "--out", tmp_path / "run", code=2)
        assert message in " ".join(refused.stderr.split())
        assert not (tmp_path / "run").exists()
