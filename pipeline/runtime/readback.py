"""Numbers on their way between a device and the host, which nobody waits for until they are asked for."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


class Readback:
    """A copy of a tensor to the host, begun now.

    On CUDA the copy goes to pinned memory behind the work queued so far, and who asks for it waits for that work alone,
    not for what is queued later. On a CPU there is nothing to copy.

    Args:
        values: of any shape, not to be changed in place before they are asked for.
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
        """The values of a tensor (n,)."""
        return self._arrived().tolist()

    def array(self) -> np.ndarray:
        """The values, of a type that NumPy has."""
        return self._arrived().numpy()

    def _arrived(self) -> Tensor:
        if self.event is not None:
            self.event.synchronize()
        return self.values


def sent(numbers: Tensor, device: torch.device) -> Tensor:
    """Numbers on a device: those of the host go to a GPU from pinned memory, so that nothing waits for the copy."""
    if device.type == "cuda" and not numbers.is_cuda:
        numbers = numbers.pin_memory()
    return numbers.to(device, non_blocking=True)
