"""From a generator to a set: a sample is a function of weights, seed and index, whoever draws it and with whom."""

import json

import numpy as np
import pytest
import torch

from synthcl.generators import Generator, create_trainer
from synthcl.pipeline.errors import DataError, UsageError
from synthcl.pipeline.generation.generate import (
    generate,
    generator_options,
    locate_generator,
    open_generator,
    sampling_key,
    save_generator,
)
from synthcl.pipeline.generation.rendering import Renderer
from synthcl.pipeline.shards import open_shard_set

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with a generator, as a finished run has it."""
    path = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    trainer = create_trainer("gan", 8, preset="tiny")
    with torch.no_grad():
        for parameter in trainer.ema.parameters():  # fresh networks make everything alike
            parameter += 0.1 * torch.randn_like(parameter)
    save_generator(trainer, path)
    return path


@pytest.mark.parametrize("strength", [None, 0.3])
def test_a_sample_is_the_same_in_any_batch(run, strength):
    size = 1 if strength is None else 2
    render = Renderer(open_generator(str(run)), sampling_key(3), CPU, size, strength)
    whole = render(np.arange(6))
    assert whole.dtype == torch.uint8 and whole.shape == (6, size, 3, 8, 8)
    some = render(np.array([4, 1]))
    assert (some.int() - whole[[4, 1]].int()).abs().max() <= 1  # one level: a batch sums in another order
    other = Renderer(open_generator(str(run)), sampling_key(4), CPU, size, strength)(np.arange(6))
    assert (other.int() - whole.int()).abs().float().mean() > 1
    if strength is not None:
        alone = Renderer(open_generator(str(run)), sampling_key(3), CPU)(np.arange(6))
        assert torch.equal(alone[:, 0], whole[:, 0]) and not torch.equal(whole[:, 0], whole[:, 1])


def test_jobs_fill_one_set_that_is_the_set_of_one_job(run, digest, tmp_path):
    common = {"generator": str(run), "num_samples": 10, "samples_per_shard": 3, "workers": 0, "batch_size": 3}
    one = generate(**common, out=str(tmp_path / "one"))
    assert (one["complete"], one["written"], one["num_shards"], one["reused"]) == (True, 10, 4, False)
    parts = [generate(**common, out=str(tmp_path / "two"), num_jobs=2, job_index=i) for i in (1, 0)]
    assert [part["complete"] for part in parts] == [False, True]
    assert sum(part["written"] for part in parts) == 10
    sets = [
        {n: h for n, h in digest(tmp_path / name).items() if n.endswith((".tar", ".parquet"))}
        for name in ("one", "two")
    ]
    assert sets[0] == sets[1] and len(sets[0]) == 8
    recipe = open_shard_set(tmp_path / "one").recipe.values
    assert recipe["generator"]["class"] == "GANGenerator" and recipe["image_size"] == 8


def test_pairs_that_a_generator_cannot_make_are_wrong_usage(run, tmp_path, monkeypatch):
    monkeypatch.setattr(Generator, "check_group", lambda self, strength: create_trainer("vae", 8))
    with pytest.raises(UsageError, match="'vae'"):
        generate(generator=str(run), num_samples=1, out=str(tmp_path / "x"), pairs=True)
    assert not (tmp_path / "x").exists()


def test_images_that_are_no_numbers_are_told_in_fp16(run):
    generator = open_generator(str(run))
    with torch.no_grad():
        next(generator.parameters()).fill_(torch.nan)
    generator.computes_in = "fp16"
    with pytest.raises(DataError, match=r"overflows in fp16.*give --generator-precision bf16 or fp32"):
        Renderer(generator, sampling_key(0), CPU)(np.arange(1))


def test_a_generator_is_opened_to_stay_as_it_is(run):
    generator = open_generator(str(run), precision="fp32")
    assert not generator.training and generator.computes_in == "fp32"
    assert not any(parameter.requires_grad for parameter in generator.parameters())
    with pytest.raises(UsageError, match="sampling_steps"):
        open_generator(str(run), sampling_steps=3)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("pretrain", "is a run of `synthcl pretrain` that is not finished; run its command again first"),
        ("train", "`synthcl train` and has no generator; .* or a finished one of `synthcl train --online`"),
        ("compare", "`synthcl compare` and has no generator; give a run of `synthcl pretrain`$"),
    ],
)
def test_a_run_without_a_generator_says_what_it_is(tmp_path, command, message):
    (tmp_path / "run.json").write_text(json.dumps({"command": command}))
    with pytest.raises(DataError, match=message) as error:
        locate_generator(str(tmp_path))
    assert str(tmp_path) in str(error.value)


def test_where_the_generator_of_a_source_is(run, tmp_path):
    assert locate_generator(str(run)) == str(run / "generator")
    for source in (str(run / "generator"), "somebody/pipeline", "package.module:Class", str(tmp_path / "nowhere")):
        assert locate_generator(source) == source


def test_other_errors_pass():
    with pytest.raises(ValueError, match="damaged") as error, generator_options():
        raise ValueError("damaged")
    assert not isinstance(error.value, UsageError)
