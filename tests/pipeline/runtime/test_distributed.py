"""One process or many, as a launcher says."""

import os
import subprocess
import sys

import pytest
import torch.distributed as dist

from synthcl.pipeline.errors import RunStopped
from synthcl.pipeline.runtime import distributed

SCRIPT = """
from datetime import timedelta
import torch.distributed as dist
from synthcl.pipeline.runtime import distributed
distributed.TIMEOUT = timedelta(minutes=7)  # what torch has for gloo is the same as ours
accelerator = distributed.create_accelerator()
timeout = dist.group.WORLD._get_backend(accelerator.device).options._timeout
if accelerator.is_main_process:
    print("processes", accelerator.num_processes, "waiting", timeout.total_seconds())
"""


def test_processes_that_torchrun_starts_find_each_other_and_wait_as_long_as_is_said(tmp_path):
    """Also where there is no GPU: each alone, they would all write the same run."""
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*launch, tmp_path / "script.py"], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["processes", "2", "waiting", "420.0"]


@pytest.mark.parametrize("kind", [dist.DistNetworkError, dist.DistStoreError])
def test_processes_that_cannot_meet_say_where(monkeypatch, kind):
    def refuse(**_):
        raise kind("the port is taken\nand so on")

    monkeypatch.setattr(distributed, "Accelerator", refuse)
    monkeypatch.setenv("MASTER_ADDR", "gpu03")
    monkeypatch.setenv("MASTER_PORT", "16041")
    with pytest.raises(RunStopped, match=r"cannot meet at gpu03:16041 .*: the port is taken\. Set MASTER_PORT"):
        distributed.create_accelerator()
