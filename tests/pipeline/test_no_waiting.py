"""No step waits for the device: nothing in it reads a value back, or makes tensors of numbers on the host.

On a CPU nothing is slower for it, so the operations that would wait on an accelerator are looked for as they are
dispatched. The views take another way on a CPU, where values can be looked at for nothing; here they take the other.
"""

import collections
import traceback

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from synthcl.generators import create_trainer
from synthcl.generators.gan import GANGenerator
from synthcl.learners import learner_names
from synthcl.pipeline import generate, pretrain, train
from synthcl.pipeline.randomness import Key
from synthcl.pipeline.regimes.assembly import RealImages
from synthcl.pipeline.regimes.offline import OfflineRegime
from synthcl.pipeline.runtime.readback import Readback
from synthcl.pipeline.shards import open_shard_set
from synthcl.pipeline.training.step import TrainingStep
from synthcl.pipeline.views import augmentation, jitter, selection

aten = torch.ops.aten
WAITING = {
    aten._local_scalar_dense.default,
    aten.equal.default,
    aten.is_nonzero.default,
    aten.lift_fresh.default,  # numbers of the host, which would be copied to the device
    aten.masked_select.default,
    aten.nonzero.default,
    aten._unique2.default,
    aten.unique_consecutive.default,
    aten.unique_dim.default,
}
INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._unsafe_index.Tensor}


class NoWaiting(TorchDispatchMode):
    """Counts the operations that would wait for a device, by the lines that asked for them."""

    def __init__(self):
        super().__init__()
        self.found = collections.Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        by_mask = function in INDEXING and any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
        if function in WAITING or by_mask:
            where = [
                f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in traceback.extract_stack()[-8:-1]
            ]
            self.found[f"{function} from {' < '.join(reversed(where))}"] += 1
        return function(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def as_on_a_device(monkeypatch):
    for module in (augmentation, jitter, selection):
        monkeypatch.setattr(module, "on_host", lambda tensor: False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Generators of both kinds and a set."""
    path = tmp_path_factory.mktemp("made")
    common = {"data": "digits", "image_size": 8, "batch_size": 8, "preset": "tiny"}
    pretrain(**common, steps=1, out=str(path / "gan"))
    pretrain(**common | {"image_size": 16}, steps=1, out=str(path / "larger"))
    pretrain(**common, steps=1, out=str(path / "diffusion"), generator="diffusion", sampling_steps=2)
    generate(generator=str(path / "gan"), num_samples=16, pairs=True, out=str(path / "set"))
    return path


REGIMES = {
    "real": {},
    "real with adversarial views": {"adversarial": 0.01},
    "offline": {"shards": ["set"]},
    "fresh": {"fresh": True, "generator": "gan"},
    "online": {"online": True, "generator": "gan"},
    "online towards a similarity": {"online": True, "generator": "gan", "pair_similarity": "0.9:0.5"},
    "online against real negatives": {
        "online": True, "generator": "gan", "hard_objective": "real-negatives", "hard_gate": 1.0, "pair_floor": 0.1,
    },
    "online bounded on parameters": {"online": True, "generator": "gan", "hardness_clip_on": "parameters"},
    "online with larger images": {"online": True, "generator": "larger", "resize_samples": True},
    "online on latents": {"online": True, "generator": "gan", "hard_on": "latents"},
    "online with diffusion": {"online": True, "generator": "diffusion", "gradient_steps": 1},
    "online and recorded": {"online": True, "generator": "gan", "record": "recorded"},
    "fresh and recorded": {"fresh": True, "generator": "gan", "images_per_sample": 3, "record": "recorded"},
}  # fmt: skip
CASES = [*((name, "simclr") for name in REGIMES)]
CASES += [(name, learner) for learner in learner_names() if learner != "simclr" for name in ("real", "online")]


def on_the_host(method):
    """A method that reads images, which is the host's work, without being watched."""

    def unwatched(*arguments):
        with _disable_current_modes():
            return method(*arguments)

    return unwatched


@pytest.mark.parametrize(("regime", "learner"), CASES)
def test_no_step_of_training_waits(made, tmp_path, monkeypatch, regime, learner):
    found, whole = collections.Counter(), TrainingStep.__call__

    def watched(self, step):
        with NoWaiting() as mode:
            metrics = whole(self, step)
        found.update(mode.found)
        return metrics

    monkeypatch.setattr(TrainingStep, "__call__", watched)
    monkeypatch.setattr(RealImages, "images", on_the_host(RealImages.images))
    monkeypatch.setattr(RealImages, "labels", on_the_host(RealImages.labels))
    # What was sent to the host a step ago is there by now.
    monkeypatch.setattr(Readback, "numbers", on_the_host(Readback.numbers))
    monkeypatch.setattr(OfflineRegime, "samples", on_the_host(OfflineRegime.samples))
    options = {"shards": [], **REGIMES[regime]}
    if "generator" in options:
        options["generator"] = str(made / options["generator"])
    options["shards"] = [str(made / name) for name in options["shards"]]
    if "record" in options:
        options["record"] = str(tmp_path / options["record"])
        # What latents say of a sample is read value by value, in the recorder's own time.
        monkeypatch.setattr(GANGenerator, "describe", lambda self, latents: {"class": [int(z[0] > 0) for z in latents]})
    train(
        data="digits", image_size=8, batch_size=8, backbone="resnet10-w8", views="simclr", precision="fp32", steps=3,
        learner=learner, out=str(tmp_path / "run"), **options,
    )  # fmt: skip
    assert not found
    if "record" in options:
        assert set(open_shard_set(options["record"]).column("class")) == {0, 1}


@pytest.mark.parametrize("kind", ["gan", "diffusion"])
def test_no_batch_of_samples_waits(kind):
    generator = create_trainer(kind, 8, preset="tiny").generator.eval()
    draws = Key.from_seed(0).at(torch.arange(4))
    with NoWaiting() as mode, torch.no_grad():
        generator.forward_group(generator.sample_latents(4, draws=draws), 2, 0.3, draws)
    assert not mode.found


def test_what_would_wait_is_found():
    values = torch.arange(3.0)
    with NoWaiting() as mode:
        values.sum().item()
        values[values > 1]
        torch.tensor(1.0)
    assert sum(mode.found.values()) == 3
