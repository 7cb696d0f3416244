"""A set by processes of one machine."""

from synthcl.pipeline.generation.generate import generate
from synthcl.pipeline.shards import open_shard_set


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


def test_each_task_of_a_slurm_step_is_a_job_of_its_own(run, tmp_path, monkeypatch):
    """Also where `srun` tells MPI of the others."""
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    task = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}
    for name, value in {**task, "PMI_SIZE": "2", "PMI_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    common = {"generator": str(run), "num_samples": 6, "samples_per_shard": 3, "workers": 0, "out": str(tmp_path / "s")}
    part = generate(**common, num_jobs=2, job_index=1)
    assert (part["written"], part["complete"]) == (3, False)
