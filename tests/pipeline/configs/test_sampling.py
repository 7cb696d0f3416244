"""How a generator draws: what was given goes to it and nothing else, so that a kind can refuse what it lacks."""

import pytest

from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.configs.preview import PreviewConfig
from synthcl.pipeline.configs.sampling import try_class
from synthcl.pipeline.configs.train import TrainConfig
from synthcl.pipeline.errors import UsageError

SOURCES = {
    GenerateConfig: {"generator": "g", "num_samples": 1, "out": "x"},
    PreviewConfig: {"generator": "g", "out": "x.png"},
}
OPTIONS = [
    {},
    {"sampler": "dpm"},
    {"sampling_steps": 7, "image_size": 16},
    {"classes": [3, 1], "guidance_scale": 0.0},
    {"allow_pickle": True, "trust_remote_code": True},
]


@pytest.mark.parametrize("config", SOURCES)
@pytest.mark.parametrize("given", OPTIONS, ids=lambda given: ", ".join(given) or "nothing")
def test_a_source_is_told_what_was_given_and_no_more(config, given):
    assert config(**SOURCES[config], **given).sampling_options() == given


def test_a_training_draws_from_what_was_opened_before():
    given = {"data": "digits", "out": "x", "steps": 1, "fresh": True, "generator": "g", "image_size": 16}
    config = TrainConfig(**given, sampler="ddim", sampling_steps=3)
    assert config.sampling_options() == {"sampler": "ddim", "sampling_steps": 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "euler"}, "--sampler 'euler' is not known; choose one of ddim, dpm"),
        ({"sampling_steps": 0}, "--sampling-steps must be at least 1, not 0"),
        ({"image_size": 4}, "--image-size must be at least 8, not 4"),
        ({"guidance_scale": -1}, "--guidance-scale must be at least 0, not -1"),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        GenerateConfig(**SOURCES[GenerateConfig], **options)


def test_of_generators_a_class_alone_is_tried(monkeypatch):
    """The others are opened where they are drawn from: a dry run may be of a run that is still to be made."""
    tried = []
    monkeypatch.setattr("synthcl.pipeline.configs.sampling.load_generator", lambda s, **o: tried.append((s, o)))
    for source in ("runs/gan", "owner/name", "hf://me/gan", None):
        try_class(source, GenerateConfig(generator="g", num_samples=1, out="x", prompts="not-there.txt"))
    assert tried == []
    try_class("module:Class:w/", PreviewConfig(generator="g", out="x.png", image_size=16))
    assert tried == [("module:Class:w/", {"image_size": 16})]
    with pytest.raises(ValueError, match="'module:Class' is a custom generator, which does not learn"):
        try_class("module:Class", PreviewConfig(generator="g", out="x.png"), learns=True)
    assert len(tried) == 1
