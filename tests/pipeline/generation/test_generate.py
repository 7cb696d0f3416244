"""`generate` hands the set to one of its executors."""

import os
import signal
import subprocess
import sys

import pytest

from synthcl.pipeline.generation.generate import generate
from synthcl.pipeline.generation.rendering import Renderer
from synthcl.pipeline.runtime.signals import Stopped


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


def test_a_schedulers_signal_ends_it_with_what_to_do_and_the_same_command_continues(run, tmp_path, monkeypatch):
    options = {"generator": str(run), "num_samples": 12, "samples_per_shard": 4, "workers": 0, "batch_size": 4}
    draw, before = Renderer._images, signal.getsignal(signal.SIGTERM)

    def interrupted(self, indices, draws):
        if indices[0] == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        return draw(self, indices, draws)

    with monkeypatch.context() as patch:
        patch.setattr(Renderer, "_images", interrupted)
        with pytest.raises(Stopped, match=r"SIGTERM came; .* the same command continues") as raised:
            generate(out=str(tmp_path / "set"), **options)
    assert raised.value.exit_code == os.EX_TEMPFAIL and signal.getsignal(signal.SIGTERM) == before
    found = generate(out=str(tmp_path / "set"), **options)
    assert found["complete"] and found["existing"] >= 4
    generate(out=str(tmp_path / "whole"), **options)
    for name in ("000000.tar", "000001.tar", "000002.tar"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


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
