"""Options of generate: jobs that share a set, pairs, and qualities of formats that have one."""

import pytest

from synthcl.pipeline.configs.generate import GenerateConfig
from synthcl.pipeline.errors import UsageError

GIVEN = {"generator": "g", "num_samples": 10, "out": "set"}

WRONG = {
    "a job that there is not": ({"num_jobs": 2, "job_index": 2}, "--job-index 2 is none of --num-jobs 2; .* from 0"),
    "the second of one": ({"job_index": 1}, "--job-index 1 is none of --num-jobs 1"),
    "a job of several of Ray": (
        {"executor": "ray", "num_jobs": 2},
        "--num-jobs is for --executor local or --executor slurm; it cannot be given with --executor ray",
    ),
    "a job of an array": (
        {"executor": "slurm", "num_jobs": 2, "job_index": 1},
        "--job-index is for --executor local; it cannot be given with --executor slurm",
    ),
    "a cluster of one process": ({"ray_address": "auto"}, "--ray-address is for --executor ray; .* --executor local"),
    "workers of a cluster": ({"ray_workers": 2}, "--ray-workers is for --executor ray; .* with --executor local"),
    "cores of workers": ({"worker_cpus": 2}, "--worker-cpus is for --executor ray; .* with --executor local"),
    "a worker without cores": ({"executor": "ray", "worker_cpus": 0}, "--worker-cpus must be above 0, not 0"),
    "GPUs of Slurm's": ({"executor": "slurm", "worker_gpus": 1}, "--worker-gpus is for --executor ray; .* slurm"),
    "a partition of Ray's": ({"executor": "ray", "partition": "x"}, "--partition is for --executor slurm; .* ray"),
    "a time limit": ({"time": "1:00"}, "--time is for --executor slurm; .* with --executor local"),
    "an option of sbatch": ({"slurm_option": ["gres=gpu:1"]}, "--slurm-option is for --executor slurm; .* local"),
    "no submission": ({"submit": False}, "--submit is for --executor slurm; .* with --executor local"),
    "another executor": ({"executor": "dask"}, "--executor 'dask' is not known; choose one of local, ray, slurm"),
    "a strength of single images": ({"pair_strength": 0.5}, "--pair-strength means nothing without --pairs"),
    "a pair that is one": ({"pairs": True, "pair_strength": 0.0}, "--pair-strength must be above 0, not 0"),
    "a pair too far": ({"pairs": True, "pair_strength": 1.1}, "--pair-strength must be at most 1, not 1.1"),
    "a quality of png": ({"quality": 80}, "--quality is for --format jpg or --format webp; .* with --format png"),
    "a quality of 101": ({"format": "jpg", "quality": 101}, "--quality must be at most 100, not 101"),
    "another format": ({"format": "gif"}, "--format 'gif' is not known; choose one of png, jpg, webp"),
    "no samples": ({"num_samples": 0}, "--num-samples must be at least 1, not 0"),
    "no number of samples": ({"num_samples": None}, "Missing option '--num-samples': latents to draw$"),
    "no number of variations": (
        {"num_samples": None, "anchors": "digits"},
        "Missing option '--num-samples': latents to draw, or --per-anchor variations of each",
    ),
    "two numbers of variations": (
        {"anchors": "digits", "per_anchor": 2},
        "--num-samples 10 and --per-anchor 2 both say how many samples there are; give one of them",
    ),
    "variations of nothing": (
        {"num_samples": None, "per_anchor": 2},
        "--per-anchor means nothing without --anchors SPEC; give both",
    ),
    "no variations": ({"anchors": "digits", "per_anchor": 0}, "--per-anchor must be at least 1, not 0"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        GenerateConfig(**{**GIVEN, **options})


@pytest.mark.parametrize(
    ("one", "message"),
    [
        ("gres=", "'gres=' is not of the form KEY=VALUE or KEY, such as gres=gpu:1"),
        ("--gres=gpu:1", "'--gres=gpu:1' is not of the form"),
        ("", "'' is not of the form"),
        ("a b=1", "'a b=1' is not of the form"),
        ("comment=a\nb", r"'comment=a\\nb' is not of the form"),
        ("array=0-3", "--slurm-option array=0-3 cannot be given; --num-jobs says how many jobs there are"),
        ("partition=x", "partition=x cannot be given; give --partition"),
        ("time=1", "time=1 cannot be given; give --time"),
        ("wrap=x", "wrap=x cannot be given; the jobs run `synthcl generate`"),
    ],
)
def test_options_that_sbatch_could_not_take_are_refused(one, message):
    with pytest.raises(UsageError, match=message):
        GenerateConfig(**GIVEN, executor="slurm", slurm_option=[one])


@pytest.mark.parametrize("value", ["", "a\nb"])
def test_partitions_and_times_are_text_in_a_line(value):
    for name in ("partition", "time"):
        with pytest.raises(UsageError, match=f"--{name} .* is nothing that sbatch takes"):
            GenerateConfig(**GIVEN, executor="slurm", **{name: value})


@pytest.mark.parametrize("executor", ["ray", "slurm"])
def test_executors_start_their_workers_themselves(monkeypatch, executor):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=f"--executor {executor} starts its workers itself; call it without torchrun"):
        GenerateConfig(**GIVEN, executor=executor)
    assert GenerateConfig(**GIVEN).executor == "local"


@pytest.mark.parametrize(
    "options",
    [
        {"executor": "slurm", "num_jobs": 3, "slurm_option": ["exclusive", "gres=gpu:1"]},
        {"executor": "ray", "ray_address": "auto", "ray_workers": 1, "worker_cpus": 0.5, "worker_gpus": 0.0},
        {"num_jobs": 2, "job_index": 1},
        {"pairs": True, "pair_strength": 1},
        {"format": "webp", "quality": 1},
    ],
)
def test_options_at_their_bounds_are_taken(options):
    config = GenerateConfig(**GIVEN, **options)
    assert {name: getattr(config, name) for name in options} == options
