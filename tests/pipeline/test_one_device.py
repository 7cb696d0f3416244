"""What a step makes on a GPU is made there alone: on fake tensors, which have a device and no values.

Whatever looks at a value, or copies between the host and the device, raises. That nothing waits on real values is in
test_no_waiting.py.
"""

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from synthcl.generators import create_trainer
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.views import Augmentation, augmentation, geometry, jitter, multi_view, selection
from synthcl.pipeline.views.presets import PRESETS

aten = torch.ops.aten
GROUPS = [(1, None), (3, 0.3)]


@pytest.fixture(autouse=True)
def as_on_a_device(monkeypatch):
    """Views take another way on a CPU, where values can be looked at for nothing; here they take the other."""
    for module in (augmentation, jitter, selection):
        monkeypatch.setattr(module, "on_host", lambda tensor: False)


class Crossing(TorchDispatchMode):
    """Refuses copies between the host and the device, of tensors that say where they are: fake ones."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        copies = function in (aten._to_copy.default, aten.copy_.default)
        given = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor) and (t.dim() or copies)]
        devices = {t.device.type for t in [*given, *tree_leaves(result)] if isinstance(t, Tensor)}
        assert len(devices) < 2, f"{function} copies between {' and '.join(sorted(devices))}"
        return result


@pytest.fixture
def on_cuda(monkeypatch):
    """Tensors without values that are said to be on a GPU: whatever looks at a value, or mixes devices, raises."""
    monkeypatch.setattr(augmentation, "sent", lambda numbers, device: torch.empty_like(numbers, device=device))
    geometry._cached_reached.cache_clear()
    with FakeTensorMode(), Crossing():
        yield torch.device("cuda")
    geometry._cached_reached.cache_clear()  # which else holds fake tensors


@pytest.mark.parametrize("kind", ["gan", "diffusion"])
@pytest.mark.parametrize(("size", "strength"), GROUPS)
def test_a_group_is_made_on_its_device_alone(on_cuda, kind, size, strength):
    with _disable_current_modes():
        generator = create_trainer(kind, 8, preset="tiny").generator.eval()
    module = Module(generator, lambda: generator.forward_group(latents, size, strength or 0.3, draws))
    draws = Key.from_seed(0).at(torch.arange(4, device=on_cuda))
    tensors = {f"held.{n}": t for n, t in [*generator.named_parameters(), *generator.named_buffers()]}
    there = {n: torch.empty(t.shape, dtype=t.dtype, device=on_cuda) for n, t in tensors.items()}
    latents = generator.sample_latents(4, draws=draws)
    with torch.no_grad():
        images = functional_call(module, there, ())
    assert [(each.shape, each.device.type) for each in images] == [((4, 3, 8, 8), "cuda")] * size


class Module(torch.nn.Module):
    """Calls a function about a module, whose tensors can be replaced meanwhile."""

    def __init__(self, held, call):
        super().__init__()
        self.held, self.call = held, call

    def forward(self):
        return self.call()


@pytest.mark.parametrize("preset", PRESETS)
def test_views_are_made_on_their_device_alone(on_cuda, preset):
    images = torch.empty(4, 3, 12, 12, device=on_cuda)
    numbers = torch.arange(4, device=on_cuda)
    views = multi_view(images, numbers, 3, Augmentation(preset, 8), Key.from_seed(0))
    assert views.shape == (12, 3, 8, 8) and views.device.type == "cuda"


WAITS = {
    "item": lambda values: values.sum().item(),
    "tolist": lambda values: values.tolist(),
    "mask": lambda values: values[values > 1],
    "cpu": lambda values: values.cpu(),
    "numbers": lambda values: torch.tensor([1.0, 2.0], device=values.device),
    "index": lambda values: values[torch.arange(2)],
    "send": lambda values: torch.ones(3).to(values.device),
    "mixed": lambda values: values + torch.ones(3),
}


@pytest.mark.parametrize("name", WAITS)
def test_what_would_wait_raises_on_fake_tensors(on_cuda, name):
    values = torch.empty(3, device=on_cuda)
    with pytest.raises((RuntimeError, AssertionError)):
        WAITS[name](values)
