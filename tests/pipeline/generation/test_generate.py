"""`generate` hands the set to one of its executors."""

import subprocess
import sys

import pytest

from synthcl.pipeline.generation.generate import generate


def test_torch_is_loaded_by_what_draws_alone(run, tmp_path):
    """Not by the process that hands out shards, or submits jobs: it would take seconds from the others' cores."""
    code = (
        "import sys\n"
        "from synthcl.pipeline.generation import generate, ray_sets, slurm\n"
        "print('torch' in sys.modules)\n"
        f"generate.generate(generator={str(run)!r}, num_samples=2, out={str(tmp_path / 'set')!r}, workers=0)\n"
        "print('torch' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["False", "True"]


@pytest.mark.parametrize(("executor", "place"), [("local", "local_sets.write_here"), ("ray", "ray_sets.write_on_ray")])
def test_each_executor_gets_the_set(run, tmp_path, monkeypatch, executor, place):
    class Reached(Exception):
        pass

    def reached(config, *more):
        assert config.executor == executor and config.num_samples == 3
        raise Reached

    monkeypatch.setattr(f"synthcl.pipeline.generation.{place}", reached)
    with pytest.raises(Reached):
        generate(generator=str(run), num_samples=3, out=str(tmp_path / "set"), executor=executor)
