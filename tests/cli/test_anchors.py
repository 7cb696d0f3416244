"""`synthcl generate --anchors`: variations of real images, and training on them."""

from __future__ import annotations

import pytest

from synthcl.pipeline.data import open_images
from synthcl.pipeline.shards import open_shard_set

SMALL = ("--image-size", 8, "--backbone", "resnet10-w8", "--batch-size", 16, "--precision", "fp32", "--steps", 2)
FEW = ("--num-samples", 50, "--sampling-steps", 4, "--workers", 0)


@pytest.fixture(scope="module")
def pipeline(build_pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipelines") / "ddim"
    build_pipeline("DDIMPipeline").save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def variations(synthcl, pipeline, tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "variations"
    synthcl(
        "generate", "--generator", pipeline, *FEW, "--anchors", "digits[:40]", "--anchor-strength", 0.25, "--out", out
    )
    return out


def test_the_set_knows_the_images_that_it_varies(synthcl, variations, pipeline):
    digits = open_images("digits", image_size=8, split="train")
    shards = open_shard_set(variations)
    columns = shards.table(columns=["anchor", "anchor_index", "class"]).to_pydict()
    assert columns["anchor_index"] == [i % 40 for i in range(50)]
    assert columns["anchor"] == digits.keys([i % 40 for i in range(50)])
    assert columns["class"] == digits.labels[[i % 40 for i in range(50)]].tolist()
    images = shards.read_views(range(50))[:, 0].float()
    near, far = digits.read(range(40)).float(), digits.read(range(40, 80)).float()
    assert (images[:40] - near).abs().mean() < (images[:40] - far).abs().mean()
    assert (images[:10] != images[40:50]).any()  # another variation of the same image
    again = ("generate", "--generator", pipeline, *FEW, "--anchors", "digits[:41]", "--anchor-strength", 0.25)
    assert "anchors.chosen" in synthcl(*again, "--out", variations, code=2).stderr


def test_so_many_of_each_image_are_so_many_samples(synthcl, pipeline, tmp_path):
    base = ("generate", "--generator", pipeline, "--sampling-steps", 2, "--workers", 0, "--samples-per-shard", 16)
    base = (*base, "--anchors", "digits[:20]")
    for name, number in (("each", ("--per-anchor", 2)), ("all", ("--num-samples", 40))):
        synthcl(*base, *number, "--out", tmp_path / name)
    files = {
        name: {f.relative_to(tmp_path / name): f.read_bytes() for f in (tmp_path / name).rglob("*") if f.is_file()}
        for name in ("each", "all")
    }
    assert files["each"] == files["all"] and len(files["each"]) == 7  # three shards, their sidecars, and the index
    assert "all 40 samples are there" in synthcl(*base, "--per-anchor", 2, "--out", tmp_path / "all").stderr
    more = synthcl(*base, "--per-anchor", 3, "--out", tmp_path / "all", "--json").json
    assert (more["num_samples"], more["existing"], more["written"]) == (60, 40, 20)


@pytest.mark.parametrize("loss", ["ppcl", "clsp"])
def test_training_takes_them_for_positives_of_their_images(synthcl, variations, tmp_path, loss):
    base = ("train", "--data", "digits[:40]", "--shards", variations, "--synthetic-loss", loss, *SMALL)
    anchored = synthcl(*base, "--out", tmp_path / "a", "--json").json
    plain = synthcl(*base, "--no-anchored", "--out", tmp_path / "b", "--json").json
    assert anchored["anchored"] is True and "anchored" not in plain
    assert anchored["loss"] != plain["loss"]


@pytest.mark.parametrize("learner", ["moco", "mocov3", "byol", "barlow", "nnclr", "supcon"])
def test_other_learners_take_them_too(synthcl, variations, tmp_path, learner):
    options = ("--queue-size", 64) if learner in ("moco", "nnclr") else ()
    result = synthcl(
        "train", "--data", "digits[:40]", "--shards", variations, "--learner", learner, *options, *SMALL,
        "--out", tmp_path / "run", "--json",
    ).json  # fmt: skip
    assert result["anchored"] is True


def test_what_cannot_be_is_refused_in_a_sentence(synthcl, variations, pipeline, generator, tmp_path):
    plain = tmp_path / "plain"
    synthcl("generate", "--generator", generator, "--num-samples", 20, "--workers", 0, "--out", plain)
    generate, train = (
        ("generate", "--num-samples", 4, "--out", tmp_path / "x"),
        ("train", *SMALL, "--out", tmp_path / "x"),
    )
    for options, message in (
        ((*generate, "--generator", generator, "--anchors", "digits"), "has no way from an image to a latent"),
        (
            (*generate, "--generator", pipeline, "--anchor-strength", 0.3),
            "--anchor-strength means nothing without --anchors",
        ),
        (
            (*generate, "--generator", pipeline, "--anchors", "digits", "--pairs", "--pair-strength", 0.5),
            "how far those of --anchors are from their images is --anchor-strength",
        ),
        ((*generate, "--generator", pipeline, "--anchors", "no/such/folder"), "no/such/folder"),
        ((*train, "--data", "digits[:60]", "--shards", variations), "has no variation of 20 of the 60 images"),
        ((*train, "--data", "digits:test", "--shards", variations), "holds variations of other images"),
        (
            (*train, "--data", "digits[:40]", "--shards", variations, "--synthetic-ratio", 1.5),
            "lower --synthetic-ratio to 1 or less",
        ),
        (
            (*train, "--data", "digits[:40]", "--shards", variations, "--learner", "supcon", "--synthetic-classes"),
            "variations of real images have the labels of those",
        ),
        (
            (*train, "--data", "digits[:40]", "--shards", variations, "--shards-per-window", 2),
            "--shards-per-window 2: variations are read in the order of their images",
        ),
        ((*train, "--data", "digits[:40]", "--shards", plain, "--no-anchored"), "holds none; leave it out"),
        (
            (*train, "--data", "digits[:40]", "--shards", f"file://{variations}"),
            "variations are read one by one; copy the set here first",
        ),
        (
            (*generate, "--generator", pipeline, "--anchors", "digits", "--per-anchor", 2),
            "--num-samples 4 and --per-anchor 2 both say how many samples there are",
        ),
        ((*train, "--data", "digits[:40]", "--no-anchored"), "--no-anchored means nothing in the regime real"),
    ):
        refused = synthcl(*options, code=2)
        assert message in " ".join(refused.stderr.split())
        assert not (tmp_path / "x").exists()
