"""One process or many, as a launcher says."""

import os
import subprocess
import sys

SCRIPT = """
from synthcl.pipeline.runtime.distributed import create_accelerator
accelerator = create_accelerator()
if accelerator.is_main_process:
    print("processes", accelerator.num_processes)
"""


def test_processes_that_torchrun_starts_find_each_other(tmp_path):
    """Also where there is no GPU: each alone, they would all write the same run."""
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*launch, tmp_path / "script.py"], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["processes", "2"]
