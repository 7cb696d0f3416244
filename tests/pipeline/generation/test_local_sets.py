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
