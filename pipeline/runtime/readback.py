"""Numbers on their way between a device and the host, which nobody waits for until they are asked for."""

from __future__ import annotations

import torch
from torch import Tensor


class Readback:
    """A copy of a tensor to the host, begun now.

    On CUDA the copy goes to pinned memory behind the work queued so far, and `numbers` waits for that work alone, not
    for what is queued later. On a CPU there is nothing to copy.

    Args:
        values: (n,), not to be changed in place before they are asked for.
    """

    def __init__(self, values: Tensor) -> None:
        self.event: torch.cuda.Event | None = None
        self.values = values.detach()
        if values.is_cuda:
            self.values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self.values.copy_(values.detach(), non_blocking=True)
            self.event = torch.cuda.Event()
            self.event.record()

    def numbers(self) -> list[float]:
        """The n values."""
        if self.event is not None:
            self.event.synchronize()
        return self.values.tolist()


def sent(numbers: Tensor, device: torch.device) -> Tensor:
    """Numbers of the host on a device: from pinned memory to a GPU, so that no step waits for the copy."""
    return numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers
