"""Options of generate: jobs that share a set, pairs, and qualities of formats that have one."""

import pytest

from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.errors import UsageError

GIVEN = {"generator": "g", "num_samples": 10, "out": "set"}

WRONG = {
    "a job that there is not": ({"num_jobs": 2, "job_index": 2}, "--job-index 2 is none of --num-jobs 2; .* from 0"),
    "the second of one": ({"job_index": 1}, "--job-index 1 is none of --num-jobs 1"),
    "a strength of single images": ({"pair_strength": 0.5}, "--pair-strength means nothing without --pairs"),
    "a pair that is one": ({"pairs": True, "pair_strength": 0.0}, "--pair-strength must be above 0, not 0"),
    "a pair too far": ({"pairs": True, "pair_strength": 1.1}, "--pair-strength must be at most 1, not 1.1"),
    "a quality of png": ({"quality": 80}, "--quality is for --format jpg or --format webp; .* with --format png"),
    "a quality of 101": ({"format": "jpg", "quality": 101}, "--quality must be at most 100, not 101"),
    "another format": ({"format": "gif"}, "--format 'gif' is not known; choose one of png, jpg, webp"),
    "no samples": ({"num_samples": 0}, "--num-samples must be at least 1, not 0"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        GenerateConfig(**{**GIVEN, **options})


@pytest.mark.parametrize(
    "options", [{"num_jobs": 2, "job_index": 1}, {"pairs": True, "pair_strength": 1}, {"format": "webp", "quality": 1}]
)
def test_options_at_their_bounds_are_taken(options):
    config = GenerateConfig(**GIVEN, **options)
    assert {name: getattr(config, name) for name in options} == options
