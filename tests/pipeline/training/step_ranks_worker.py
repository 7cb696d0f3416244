"""One of two processes that take adversarial steps together: the difference from one process on the whole batch.

Run as `python step_ranks_worker.py RANK FOLDER`. Writes `FOLDER/RANK.json`: the largest difference of each weight
and buffer, relative to the largest value, and of the losses; and where each has batch statistics of its own, from what
the main process has. In float64.
"""

import json
import os
import sys
from pathlib import Path

import test_step as one
import torch
import torch.distributed as dist
from accelerate.state import PartialState

from synthcl.learners import convert_sync_batchnorm
from synthcl.learners.collectives import gather
from synthcl.pipeline.regimes.base import MultiViewedBatch

STEPS = 3


class Half(one.Fixed):
    """The real images and samples of even number, or those of odd number."""

    def __init__(self, rank):
        super().__init__()
        self.mine = rank == one.GROUPS % 2

    def batch(self, step, learner):
        whole = super().batch(step, learner)
        return MultiViewedBatch(whole.views[self.mine], whole.groups[self.mine], whole.num_real // 2)


def run(name, regime):
    return trained(convert_sync_batchnorm(one.make(name)), regime)


def trained(learner, regime):
    """The losses of the steps, and what is left of the learner."""
    step = one.training_step(learner, regime)
    rows = [step(i) for i in range(STEPS)]
    losses = {
        f"{key} {i}": gather(row[key][None]).mean()
        for i, row in enumerate(rows)
        for key in ("loss", "loss_adversarial")
    }
    return losses | {key: tensor.clone() for key, tensor in learner.state_dict().items()}


def between_processes(name, regime):
    """How far what is left of a learner with batch statistics of its own is from what the main process has."""
    state = trained(one.make(name), regime)
    return {key: difference(tensor, gather(tensor[None])[0]) for key, tensor in state.items()}


def difference(value, expected):
    return float((value - expected).abs().max() / expected.abs().max().clamp(min=1e-3))


def main(rank, folder):
    torch.set_num_threads(1)
    names = ("simclr", "moco")
    expected = {name: run(name, one.Fixed()) for name in names}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    PartialState._reset_state()  # it has seen one process alone
    found = {name: run(name, Half(rank)) for name in names}
    differences = {
        f"{name}: {key}": difference(found[name][key], tensor)
        for name in names
        for key, tensor in expected[name].items()
    }
    for name in names:
        differences |= {f"{name}, apart: {key}": far for key, far in between_processes(name, Half(rank)).items()}
    (folder / f"{rank}.json").write_text(json.dumps(differences))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
