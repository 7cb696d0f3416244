"""`train --online` measured by an encoder, and on latents: the guard looks, a cut run ends as a whole one."""

import json
import shutil

import pytest

from synthcl.pipeline.evaluation.monitors.quality import MEASURES
from synthcl.pipeline.regimes import guard, joint_trainer

ONLINE = [
    "train", "--data", "digits", "--image-size", 8, "--batch-size", 8, "--backbone", "resnet10-w8", "--precision",
    "fp32", "--online", "--log-every", 1, "--checkpoint-every", 2, "--keep", 4,
]  # fmt: skip


@pytest.fixture(scope="module")
def encoder(synthcl, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoder") / "run"
    real = [option for option in ONLINE if option != "--online"]
    synthcl(*real, "--steps", 2, "--out", path)
    return path


def rows_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_a_cut_one_ends_alike(synthcl, run, folder):
    """What `run` has left in whole/ is done once more from its second checkpoint on."""
    shutil.copytree(folder / "whole", folder / "cut")
    for path in [folder / "cut" / "generator", *sorted((folder / "cut" / "checkpoints").iterdir())[2:]]:
        shutil.rmtree(path)
    (folder / "cut" / "result.json").unlink()
    synthcl(*run, "--out", folder / "cut")
    for name in ("metrics.jsonl", "encoder/model.safetensors", "generator/diffusion_pytorch_model.safetensors"):
        assert (folder / "cut" / name).read_bytes() == (folder / "whole" / name).read_bytes()


@pytest.mark.parametrize("options", [["--hard-on", "latents", "--hard-ramp", 0], []], ids=["latents", "weights"])
def test_a_measured_run_that_was_cut_ends_as_a_whole_one(synthcl, generator, encoder, tmp_path, monkeypatch, options):
    monkeypatch.setattr(guard, "DISTANCE_BAND", 0.5)  # any distance is out of it
    monkeypatch.setattr(guard, "MIN_MARGIN", -1e9)
    monkeypatch.setattr(guard, "COLOUR_BAND", (-1.0, 1e9))
    run = [
        *ONLINE, *options, "--generator", generator, "--steps", 6, "--eval-encoder", encoder, "--eval-samples", 40,
        "--guard-every", 3,
    ]  # fmt: skip
    synthcl(*run, "--out", tmp_path / "whole")
    rows = rows_of(tmp_path / "whole")
    assert [row["step"] for row in rows if set(MEASURES) <= set(row)] == [3, 6]
    # Held back from the first step on, since the generator is measured before it.
    held = [guard.FALL**step for step in range(1, 7)]
    assert [row["hard_guard"] for row in rows] == pytest.approx(held, rel=1e-5)
    assert_a_cut_one_ends_alike(synthcl, run, tmp_path)


def test_a_generator_that_goes_back_is_continued_as_a_whole_run(synthcl, generator, encoder, tmp_path, monkeypatch):
    # Near at the first look and far at the next ones.
    monkeypatch.setattr(guard, "DISTANCE_BAND", 1e-3)
    monkeypatch.setattr(guard.HardGuard, "is_near", property(lambda self: self.least_distance == self.distance))
    run = [
        *ONLINE, "--generator", generator, "--steps", 6, "--eval-encoder", encoder, "--eval-samples", 40,
        "--guard-every", 1, "--guard-goes-back", "--hard-weight", 100, "--hardness-clip", 100, "--hard-ramp", 0,
        "--no-hard-centred",
    ]  # fmt: skip
    synthcl(*run, "--out", tmp_path / "whole")
    rows = rows_of(tmp_path / "whole")
    assert {row["generator_went_back"] for row in rows} == {0.0, 1.0}
    assert_a_cut_one_ends_alike(synthcl, run, tmp_path)


def test_an_encoder_of_random_weights_measures_without_a_run(synthcl, generator, tmp_path):
    run = [*ONLINE, "--generator", generator, "--steps", 4, "--eval-samples", 40, "--guard-every", 2]
    synthcl(*run, "--eval-encoder", "random:resnet10-w8", "--out", tmp_path / "run")
    assert [row["step"] for row in rows_of(tmp_path / "run") if set(MEASURES) <= set(row)] == [2, 4]


def test_measuring_alone_changes_nothing(synthcl, generator, encoder, tmp_path):
    run = [*ONLINE, "--generator", generator, "--steps", 3]
    synthcl(*run, "--out", tmp_path / "plain")
    synthcl(*run, "--eval-encoder", encoder, "--eval-samples", 40, "--out", tmp_path / "measured")
    name = "encoder/model.safetensors"
    assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "measured" / name).read_bytes()


def trained_with(run):
    return json.loads((run / "generator" / "training" / "trainer.json").read_text())["options"]


def test_what_the_discriminator_sees_is_augmented_where_it_sees_images_often(synthcl, generator, tmp_path, monkeypatch):
    run = [*ONLINE, "--generator", generator, "--steps", 2]
    asked = [
        ("auto", 100, "none"),
        ("auto", 0, "colour,translation,cutout"),
        ("pretrained", 0, "none"),
        ("translation,cutout", 100, "translation,cutout"),
    ]
    rows = []
    for number, (given, passes, used) in enumerate(asked):
        out = tmp_path / str(number)
        monkeypatch.setattr(joint_trainer, "MANY_PASSES", passes)
        synthcl(*run, "--discriminator-augment", given, "--out", out)
        assert trained_with(out)["augment"] == used
        came_to = json.loads((out / "run.json").read_text())["came_to"]["discriminator_augment"]
        assert came_to == ("pretrained" if used == "none" else used)
        rows.append(rows_of(out)[0])
    assert len({row["loss"] for row in rows}) == 1 and len({row["margin"] for row in rows}) == 3


WRONG = {
    "a clip beside latents": (
        ["--hard-on", "latents", "--hardness-clip", 0.5],
        "--hardness-clip is for --hard-on weights",
    ),
    "a gate beside latents": (["--hard-on", "latents", "--hard-gate", 0.5], "it cannot be given with --hard-on lat"),
    "a radius for weights": (["--latent-radius", 0.5], "--latent-radius is for --hard-on latents"),
    "a radius of nothing": (["--hard-on", "latents", "--latent-radius", 0], "--latent-radius must be above 0"),
    "latents without hardness": (
        ["--no-hard", "--hard-on", "latents"],
        "--hard-on is for --hard; it cannot be given with --no-hard",
    ),
    "a floor without pairs": (["--no-pairs", "--pair-floor", 0.2], "--pair-floor is for --pairs"),
    "an augmentation that there is not": (["--discriminator-augment", "blur"], "unknown augmentation 'blur': choose"),
    "a guard without eyes": (["--guard-every", 5], "--guard-every means nothing without --eval-encoder RUN"),
    "samples for nothing": (["--eval-samples", 50], "--eval-samples means nothing without --eval-encoder RUN"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_options_without_a_meaning_are_refused(synthcl, generator, tmp_path, options, message):
    result = synthcl(*ONLINE, *options, "--generator", generator, "--steps", 2, "--out", tmp_path / "run", code=2)
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "run").exists()


def test_a_generator_whose_latents_get_no_gradient_is_refused(synthcl, tmp_path):
    synthcl(
        "pretrain", "--data", "digits", "--image-size", 8, "--generator", "diffusion", "--preset", "tiny", "--steps", 1,
        "--batch-size", 8, "--sampling-steps", 2, "--out", tmp_path / "diffusion",
    )  # fmt: skip
    options = ["--generator", tmp_path / "diffusion", "--hard-on", "latents", "--gradient-steps", 1]
    result = synthcl(*ONLINE, *options, "--steps", 1, "--out", tmp_path / "run", code=2)
    assert "--hard-on latents needs a gradient at the latents" in " ".join(result.stderr.split())


def test_one_latent_a_step_has_no_gradient_but_the_common_part(synthcl, generator, tmp_path):
    one = [*ONLINE, "--generator", generator, "--steps", 1, "--synthetic-ratio", 0.125, "--out", tmp_path / "run"]
    assert "--hard-centred takes off all" in synthcl(*one, code=2).stderr
    synthcl(*one, "--no-hard-centred", "--hard-ramp", 0)
    assert rows_of(tmp_path / "run")[0]["hard_ratio"] > 0
