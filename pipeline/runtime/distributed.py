"""One process or many: the accelerator, slices of a global batch, and averages over processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import get_int_from_env
from torch import Tensor, nn

from ..errors import RunStopped, UsageError
from .allocator import keep_freed_memory
from .precision import cuda_has_bf16, set_backends

LOST = ("closed by peer", "reset by peer", "Broken pipe", "remote process exited", "unhandled system error")
"""How gloo and NCCL say that another process is gone."""


COUNTS = ["WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"]
"""Where launchers say how many processes they have started."""

T = TypeVar("T")

PATIENCE = timedelta(days=365)
"""How long processes wait for each other where each has work of its own: until it is done. Ours."""

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others before it ends with an error. Ours: the main process alone evaluates and
writes checkpoints, and torch's 10 minutes for NCCL are few for that; without any a process would wait for ever."""


def create_accelerator(precision: str = "fp32") -> Accelerator:
    """The accelerator of this process, under `accelerate launch` or alone.

    Args:
        precision: `auto` (bf16 where the device computes in it, else fp32), `fp32`, `bf16` or `fp16`.

    Raises:
        UsageError: fp16 without a GPU, bf16 on a GPU without it, or a launcher that accumulates gradients or has lost
            processes.
        RunStopped: the processes cannot meet.
    """
    if os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1") != "1":
        # Accelerate would divide the loss by it, and no more.
        raise UsageError("gradient accumulation is not the launcher's here; give --accumulate N to `synthcl train`")
    launched = _launched()
    if precision == "auto":
        precision = "bf16" if _has_bf16() else "fp32"
    if precision == "fp16" and not torch.cuda.is_available():
        raise UsageError("--precision fp16 needs a GPU; use bf16 or fp32 here")
    if precision == "bf16" and torch.cuda.is_available() and not cuda_has_bf16():
        raise UsageError(f"--precision bf16: {torch.cuda.get_device_name()} does not compute in bf16; use fp16 or fp32")
    set_backends()
    # Accelerate keeps one precision for the life of a process. A comparison trains in bf16 after a generator in fp32:
    # that state is forgotten here; the process group stays.
    AcceleratorState._reset_state()
    with _meeting():
        accelerator = Accelerator(
            # Without this, Accelerate sees one process under torchrun where there is no GPU, and each would train
            # alone.
            cpu=not torch.accelerator.is_available(),
            mixed_precision="no" if precision == "fp32" else precision,
            kwargs_handlers=[
                # Every process computes the same buffers (synchronised batch statistics, the gathered queue), so there
                # is nothing to broadcast at each step.
                DistributedDataParallelKwargs(broadcast_buffers=False),
                InitProcessGroupKwargs(timeout=TIMEOUT),
            ],
            step_scheduler_with_optimizer=False,
        )
    if accelerator.num_processes != launched:
        raise UsageError(
            f"{launched} processes were launched, and {accelerator.num_processes} of them found each other"
        )
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    return accelerator


@contextmanager
def _meeting() -> Iterator[None]:
    """Within it, processes that cannot find each other say so in a sentence.

    Raises:
        RunStopped: they cannot.
    """
    try:
        yield
    except (dist.DistNetworkError, dist.DistStoreError) as error:
        place = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise RunStopped(
            f"the processes cannot meet at {place} (MASTER_ADDR and MASTER_PORT): {str(error).splitlines()[0]}. Set "
            "MASTER_PORT to a port that is free on the machine of the first process, and see that all have been started"
        ) from error


def precision_of(accelerator: Accelerator) -> str:
    """What `auto` came to: `fp32`, `bf16` or `fp16`."""
    return "fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision


def _launched() -> int:
    """How many processes the launcher has started, of which this is one; 1 without a launcher.

    Raises:
        UsageError: one process where `accelerate launch` was asked for more.
    """
    counted = get_int_from_env(COUNTS, 0)
    if counted:
        return counted
    if {"ACCELERATE_MIXED_PRECISION", "MASTER_PORT"} <= os.environ.keys() and not is_distributed():
        raise UsageError(
            "`accelerate launch --cpu` starts one process, whatever --num_processes says; on CPUs give "
            "`accelerate launch --multi_gpu --num_processes N`, or `torchrun --nproc_per_node N`"
        )
    return dist.get_world_size() if is_distributed() else 1


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return cuda_has_bf16()
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def is_alone() -> bool:
    """Whether no launcher has started other processes, as far as its variables tell."""
    return get_int_from_env(COUNTS, 1) <= 1 and not is_distributed()


def slice_of(total: int, rank: int, num_processes: int, what: str) -> slice:
    """This process's contiguous part of `total` things.

    Raises:
        UsageError: they cannot be shared out evenly.
    """
    if total % num_processes:
        raise UsageError(f"{what} ({total}) cannot be shared evenly by {num_processes} processes; give a multiple")
    share = total // num_processes
    return slice(rank * share, (rank + 1) * share)


def is_distributed() -> bool:
    """Whether there are other processes."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


@contextmanager
def loss_of_a_process() -> Iterator[None]:
    """Within it, an exchange that fails because another process has ended says so in a sentence.

    Raises:
        RunStopped: another process has ended.
    """
    try:
        yield
    except RuntimeError as error:
        if is_distributed() and any(word in str(error) for word in LOST):
            raise RunStopped(
                "another process of this run has ended, and so this one does; the reason is in the other's message. "
                "Run the same command again to continue"
            ) from error
        raise


def wait_for_all() -> None:
    """Go on when every process is here; nothing in one process."""
    if is_distributed():
        dist.barrier()


@contextmanager
def meeting_when_done() -> Iterator[Callable[[T], list[T]]]:
    """Within it, each process has work of its own, which may take it any time longer than the others, not `TIMEOUT`.

    All processes enter, and at about the same time.

    Yields:
        What each process calls when it is done, with what it came to. Gives what all came to, in the order of their
        ranks, when the last is done.
    """
    if not is_distributed():
        yield lambda own: [own]
        return
    # A group of its own has its own time, and gloo, other than NCCL, tells when another process is gone.
    group = dist.new_group(backend="gloo", timeout=PATIENCE)
    assert isinstance(group, dist.ProcessGroup), "all processes are of it"

    def gather(own: T) -> list[T]:
        answers = [own] * dist.get_world_size()
        with loss_of_a_process():
            dist.all_gather_object(answers, own, group=group)
        return answers

    try:
        yield gather
    finally:
        dist.destroy_process_group(group)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over processes; the identity in one process."""
    if not is_distributed():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def average(values: Tensor) -> Tensor:
    """The mean over processes of a tensor; the identity in one process."""
    if not is_distributed():
        return values
    return sum_over_processes(values) / dist.get_world_size()


def sum_over_processes(values: Tensor) -> Tensor:
    """The sum over processes of a tensor; the identity in one process."""
    if not is_distributed():
        return values
    total = values.clone()
    dist.all_reduce(total)
    return total


def broadcast_state(module: nn.Module) -> None:
    """Give a module the main process's parameters and buffers in every process; nothing in one process."""
    if is_distributed():
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, 0)
