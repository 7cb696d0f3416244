"""Pretraining: what the trainer is given and what is saved of it, and the learning rate that a change of the length is
told by."""

import json
import math

import pytest
import torch

from synthcl.generators import create_trainer, load_generator
from synthcl.generators.fingerprint import fingerprint
from synthcl.pipeline.data import open_images
from synthcl.pipeline.errors import UsageError
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.training import pretrain as pretraining
from synthcl.pipeline.training.pretrain import pretrain
from synthcl.pipeline.views import to_float

TINY = {"data": "digits[:32]", "image_size": 8, "preset": "tiny", "batch_size": 4, "steps": 2, "log_every": 1}


def test_the_result_is_of_the_generator_that_is_saved(tmp_path):
    result = pretrain(**TINY, out=str(tmp_path / "run"), gamma=0.25, sample_every=1)
    generator = load_generator(tmp_path / "run" / "generator")
    assert result["generator_hash"] == fingerprint(generator)
    assert (result["steps"], result["image_size"], result["num_images"]) == (2, 8, 32)
    assert result["training"]["gamma"] == 0.25 and "frechet_distance" not in result
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2] and all(math.isfinite(row["loss_generator"]) for row in rows)
    assert sorted(path.name for path in (tmp_path / "run" / "samples").iterdir()) == ["00000001.png", "00000002.png"]
    assert pretrain(**TINY, out=str(tmp_path / "run"), gamma=0.25, sample_every=1) == result


@pytest.fixture
def given(tmp_path, monkeypatch):
    """`given(seed)`: the images of all steps of a pretraining, (steps, 4, 3, 8, 8), and the latents drawn for them."""

    def make(seed):
        steps = []

        def create(*arguments, **options):
            trainer = create_trainer(*arguments, **options)
            step = trainer.step

            def keep(images, draws):
                steps.append((images.clone(), trainer.generator.sample_latents(len(draws), draws=draws)))
                return step(images, draws)

            trainer.step = keep
            return trainer

        monkeypatch.setattr(pretraining, "create_trainer", create)
        pretrain(**TINY, out=str(tmp_path / str(seed)), seed=seed)
        return [torch.stack(each) for each in zip(*steps, strict=True)]

    return make


def test_each_step_is_given_images_of_the_set_from_minus_1_to_1_and_draws_of_its_own(given):
    images, latents = given(1)
    whole = to_float(open_images(TINY["data"], image_size=8).read(range(32))) * 2 - 1
    assert (whole.min(), whole.max()) == (-1, 1)
    found, same = (images.flatten(0, 1)[:, None] == whole).flatten(2).all(dim=2).nonzero().unbind(1)
    assert found.tolist() == list(range(2 * 4)) and len(same.unique()) == 2 * 4
    assert len(latents.flatten(0, 1).unique(dim=0)) == 2 * 4


def test_another_seed_draws_other_images_and_latents(given):
    for one, other in zip(given(1), given(2), strict=True):
        assert (one != other).flatten(2).any(dim=2).any(dim=1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "huge"}, "'huge'"),
        ({"flip": True}, "flip"),
        ({"augment": "blur"}, "blur"),
        ({"generator_precision": "fp16"}, "fp16"),
        ({"batch_size": 33}, "33"),
    ],
)
def test_options_that_the_generator_does_not_take_leave_nothing(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        pretrain(**{**TINY, **options}, out=str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def naive_rate(rate, warmup, decay, total, index):
    """Up in a line over the first steps, constant, then along a half cosine over the last part."""
    factor = min(1.0, (index + 1) / warmup) if warmup else 1.0
    begin = (1 - decay) * total
    if decay and index > begin:
        factor *= (1 + math.cos(math.pi * (index - begin) / (total - begin))) / 2
    return rate * factor


@pytest.mark.parametrize("warmup", [0, 5])
@pytest.mark.parametrize("decay", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("own", [None, 0.5])
def test_the_learning_rate_of_a_step(warmup, decay, own):
    options = {"learning_rate": 0.1, "generator_learning_rate": own, "warmup_steps": warmup, "decay": decay}
    for index in range(40):
        expected = naive_rate(own or 0.1, warmup, decay, 40, index)
        assert pretraining._learning_rate(options, 40, index) == pytest.approx(expected, abs=1e-12)


def test_a_picture_shows_the_same_latents_at_every_step(tmp_path):
    torch.manual_seed(0)
    trainer, key = create_trainer("gan", 8, preset="tiny"), Key.from_seed(0)
    before = pretraining._samples(trainer, key)
    assert before.shape == (pretraining.GRID_SAMPLES, 3, 8, 8)
    torch.manual_seed(5)
    assert torch.equal(pretraining._samples(trainer, key), before)
