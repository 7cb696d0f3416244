"""W processes that train together: compares what they compute with one process on the whole batch.

Run as `python rank_worker.py WORLD_SIZE FOLDER`. It computes the reference, and then forks into the processes. Each
writes `FOLDER/RANK.json`: the largest difference of each check, relative to the largest value. All in float64, so
that equality is told from what is merely close.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: a forked process must find no thread pool of its parent

import copy
import json
import signal
import sys
import traceback
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from synthcl.learners import convert_sync_batchnorm, create_backbone, create_learner, learner_names, learner_options
from synthcl.learners.barlow import barlow_twins_loss
from synthcl.learners.base import LocalViews, SyntheticTerms
from synthcl.learners.collectives import gather, gather_with_gradient, rank, sum_with_gradient, world_size
from synthcl.learners.losses import ppcl
from synthcl.learners.pairs import pair_views
from synthcl.learners.vicreg import Weights, vicreg_loss

SECONDS = 120
STEPS = 3
# The first views of all groups, then the second views, ...: not the order in which processes follow one another. Eight
# groups of two views and four of four: 32 views a step, which is no divisor of the queue's size.
GROUPS = torch.cat([torch.arange(8)] * 2 + [torch.arange(100, 104)] * 4)
SMALL = {"hidden_dim": 24, "embedding_dim": 12, "predictor_dim": 24, "num_prototypes": 30, "queue_size": 40}
"""Options of the learners that have them."""

LOSSES = {
    "ppcl": lambda z, groups: ppcl(z, groups, 0.2).mean(),
    "ppcl without synthetic negatives": lambda z, groups: ppcl(z, groups, 0.2, num_real=16 // world_size()).mean(),
    "barlow": lambda z, groups: barlow_twins_loss(z, pair_views(groups), 0.02)[0],
    "vicreg": lambda z, groups: vicreg_loss(z, pair_views(groups), Weights(25.0, 20.0, 2.0))[0],
}
BATCHNORMS = {
    "plain": (nn.BatchNorm1d(3), (32, 3)),
    "images": (nn.BatchNorm2d(3), (32, 3, 4, 5)),
    "cumulative": (nn.BatchNorm1d(3, momentum=None), (32, 3)),
    "not affine": (nn.BatchNorm1d(3, affine=False), (32, 3)),
    "without running statistics": (nn.BatchNorm1d(3, track_running_stats=False), (32, 3)),
}


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mine(groups: torch.Tensor = GROUPS) -> torch.Tensor:
    """Which views of the whole batch belong to this process: all of them in one process."""
    return groups % 4 * world_size() // 4 == rank()


def mean_over_processes(tensor: torch.Tensor) -> torch.Tensor:
    return gather(tensor[None]).mean(dim=0)


def run_loss(name: str) -> dict[str, torch.Tensor]:
    z = nn.functional.normalize(random(1, len(GROUPS), 6), dim=1)[mine()].requires_grad_()
    loss = LOSSES[name](z, GROUPS[mine()])
    loss.backward()
    return {"loss": mean_over_processes(loss.detach()), "gradient": z.grad / world_size()}


def run_batchnorm(name: str) -> dict[str, torch.Tensor]:
    module, shape = BATCHNORMS[name]
    module = convert_sync_batchnorm(copy.deepcopy(module).double())
    results = {}
    for i in range(2):
        x = (random(i, *shape) + 100)[mine()].requires_grad_()  # far from zero: sums of squares would cancel
        module.zero_grad()
        output = module(x)
        (output * random(9, *shape)[mine()]).sum().backward()
        results |= {f"output {i}": output.detach(), f"gradient {i}": x.grad}
    for key, parameter in module.named_parameters():
        results[f"gradient of {key}"] = world_size() * mean_over_processes(parameter.grad)
    return results | {f"state: {key}": buffer.clone() for key, buffer in module.named_buffers()}


def run_learner(
    name: str, num_parts: int = 1, synthetic: SyntheticTerms | None = None, num_local: int = 0
) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    options = {option: value for option, value in SMALL.items() if option in learner_options(name)}
    learner = create_learner(name, create_backbone("resnet10-w8", image_size=8), **options).double()
    learner = convert_sync_batchnorm(learner)
    learner.num_parts, learner.synthetic = num_parts, synthetic or SyntheticTerms()
    num_real = 16 // world_size() if synthetic else None
    model = DistributedDataParallel(learner) if world_size() > 1 else learner
    results = {}
    for i in range(STEPS):
        views = random(i, len(GROUPS), 3, 8, 8)[mine()].requires_grad_()
        learner.zero_grad()
        given = {"labels": (GROUPS % 3 - 1)[mine()]} if learner.uses_labels else {}  # -1 is of no class
        if num_local:
            groups = GROUPS.unique().repeat(num_local)
            crops = random(10 + i, len(groups), 3, 4, 4)[mine(groups)]
            given["local"] = LocalViews(crops, groups[mine(groups)], len(crops))
        loss, hardness, embeddings = model(views, GROUPS[mine()], num_real, **given)
        loss.backward()
        results |= {f"loss {i}": mean_over_processes(loss.detach()), f"hardness {i}": hardness}
        results |= {f"embeddings {i}": embeddings, f"gradient of views {i}": views.grad / world_size()}
        for key, parameter in learner.named_parameters():
            if parameter.requires_grad:
                results[f"gradient {i} of {key}"] = parameter.grad.clone()
                parameter.data -= 0.05 * parameter.grad
        learner.after_step((i + 1) / STEPS)
    return results | {f"state: {key}": tensor.clone() for key, tensor in learner.state_dict().items()}


def has_queue(name: str) -> bool:
    return "queue_size" in learner_options(name)


def run_all() -> dict[str, dict[str, torch.Tensor]]:
    results = {f"loss {name}": run_loss(name) for name in LOSSES}
    results |= {f"batchnorm {name}": run_batchnorm(name) for name in BATCHNORMS}
    results |= {f"learner {name}": run_learner(name) for name in learner_names()}
    results |= {f"learner {name} in parts": run_learner(name, num_parts=2) for name in learner_names()}
    results["learner dino with local views"] = run_learner("dino", num_local=3)
    clsp = SyntheticTerms(loss="clsp")
    return results | {f"learner {name} with clsp": run_learner(name, synthetic=clsp) for name in ("simclr", "moco")}


def run_collectives() -> dict[str, float]:
    """Values and gradients that are known without a reference: process r has 1 + r, and weighs its loss by 1 + r."""
    everyone = torch.arange(world_size())[:, None] + 1.0  # (W, 1)
    x = torch.tensor([[1.0 + rank()]], requires_grad=True)
    gathered, total = gather_with_gradient(x), sum_with_gradient(x)
    ((1 + rank()) * everyone.square() * gathered).sum().backward()
    gather_gradient, x.grad = x.grad, None
    ((1 + rank()) * total).sum().backward()
    return {
        "gather": difference(gather(x), everyone),
        "gather with gradient": difference(gathered, everyone),
        "gather's gradient": difference(gather_gradient, everyone.sum() * everyone[[rank()]].square()),
        "sum": difference(total, everyone.sum(dim=0, keepdim=True)),
        "sum's gradient": difference(x.grad, everyone.sum(dim=0, keepdim=True)),
    }


def run_bfloat16_batchnorm() -> dict[str, float]:
    """Statistics in float32 and the output in bfloat16, as torch has it."""
    module, x = nn.BatchNorm1d(3), random(0, 32, 3).bfloat16()
    synced = convert_sync_batchnorm(copy.deepcopy(module))
    expected, output = module(x)[mine()], synced(x[mine()])
    return {
        "type": float(output.dtype is not torch.bfloat16),
        "output": difference(output.float(), expected.float()),
        "running_var": difference(synced.running_var, module.running_var),
    }


def difference(value: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest, relative to the largest value expected; infinite where shapes differ or something is not finite."""
    if value.shape != expected.shape or not (value.isfinite().all() and expected.isfinite().all()):
        return float("inf")
    return float(((value - expected).abs().max() / expected.abs().max().clamp(min=1e-3)).detach())


def compare(results: dict[str, torch.Tensor], reference: dict[str, torch.Tensor]) -> dict[str, float]:
    """Results are for this process's views where the reference has those of all."""
    assert results.keys() == reference.keys()
    shapes_agree = {key: results[key].shape == expected.shape for key, expected in reference.items()}
    shares = {key: expected if shapes_agree[key] else expected[mine()] for key, expected in reference.items()}
    return {key: difference(results[key], expected) for key, expected in shares.items()}


def join(rank: int, world_size: int, folder: Path, reference: dict[str, dict[str, torch.Tensor]]) -> None:
    signal.alarm(SECONDS)  # one that waits for another for ever ends too
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world_size)
    results = run_all()
    differences = {check: compare(results[check], reference[check]) for check in results}
    differences["collectives"] = run_collectives()
    differences["batchnorm bfloat16"] = run_bfloat16_batchnorm()
    queues = [results[f"learner {name}"]["state: queue"] for name in learner_names() if has_queue(name)]
    differences["queues"] = {"equal": float(any((gather(queue[None]) != queue).any() for queue in queues))}
    (folder / f"{rank}.json").write_text(json.dumps(differences))
    dist.destroy_process_group()


def main(world_size: int, folder: Path) -> int:
    """How many of the processes failed."""
    torch.set_num_threads(1)
    reference = run_all()
    processes = []
    for number in range(world_size):
        process = os.fork()
        if not process:
            try:
                join(number, world_size, folder, reference)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(1)
        processes.append(process)
    return sum(os.waitpid(process, 0)[1] != 0 for process in processes)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
