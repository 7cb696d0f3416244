"""What an update of a learner's weights takes: torch's fused kernels, which are used, beside its others.

    OMP_NUM_THREADS=1 python benchmarks/updates.py [--backbones resnet10-w16,resnet18] [--rounds 7]

CPU milliseconds of an update of SimCLR's weights, channels last, as `create_optimizer` makes the optimizer, by turns;
gradients are random. LARS has no fused kernel: there both columns are the same code, and say how far the clock can be
trusted. Prints a line of JSON for each optimizer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from unittest import mock

import torch

from synthcl.learners import Learner, create_backbone, create_learner, optimizers
from synthcl.pipeline.runtime.environment import processor

UPDATES = 10
"""Of a round. Ours."""
KINDS = {"fused": optimizers.FUSED_DEVICES, "others": ()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", default="resnet10-w16,resnet18")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for backbone in options.backbones.split(","):
        for optimizer in ("sgd", "adamw", "lars"):
            times = race(backbone, optimizer, options.rounds)
            row = {"backbone": backbone, "optimizer": optimizer, "rounds": options.rounds}
            row |= {f"{name}_ms": round(statistics.median(own), 2) for name, own in times.items()}
            row |= {f"{name}_range_ms": [round(min(own), 2), round(max(own), 2)] for name, own in times.items()}
            print(json.dumps(row | {"threads": torch.get_num_threads(), "processor": processor()}), flush=True)


def race(backbone: str, name: str, rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds of an update in each round, by kind."""
    made = {}
    for kind, devices in KINDS.items():
        learner: Learner = create_learner("simclr", create_backbone(backbone, image_size=32))
        learner.to(memory_format=torch.channels_last)
        with mock.patch.object(optimizers, "FUSED_DEVICES", devices):
            made[kind] = optimizers.create_optimizer(learner, learner.recipe.with_optimizer(name))
        for parameter in learner.parameters():
            parameter.grad = 0.01 * torch.randn_like(parameter)
    times: dict[str, list[float]] = {kind: [] for kind in made}
    for _ in range(rounds + 1):
        for kind, optimizer in made.items():
            began = time.process_time()
            for _ in range(UPDATES):
                optimizer.step()
            times[kind].append((time.process_time() - began) * 1e3 / UPDATES)
    return {kind: own[1:] for kind, own in times.items()}  # the first is to warm up


if __name__ == "__main__":
    main()
